//! The affine form of a formula: `weight = scale · code + offset`.

use super::rounding::Form;
use super::{Format, Formula, TableValues};

/// The affine form of a formula: within 2^-21 · (|scale · code| + |offset|) of the weight, or below the
/// least normal number, for all that may be stored, where nothing overflows. Where the formula rounds to
/// f16 on the way, it holds but for that, and only products of 8-bit activations use it.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// The part of the formula that differs from weight to weight: a field, a lookup, or integer
    /// arithmetic on several.
    pub code: Formula,
    /// Factor, constant over a run.
    pub scale: Formula,
    /// Summand, constant over a run; a number 0 where there is none.
    pub offset: Formula,
    /// Whether the formula rounds to f16 what it made of the code.
    pub halved: bool,
}

/// What is found in a formula on the way.
#[derive(Default)]
struct Found {
    code: Option<Formula>,
    halved: bool,
}

impl Format {
    /// Solves the formula for its code; `None` where it is not affine in one, or where the affine form
    /// would be further from the weight than 2^-21 of its parts, as `rounding` measures it: then the
    /// formula itself is computed in every product.
    pub(super) fn affine(&self) -> Option<Affine> {
        let mut found = Found::default();
        let Form { scale, offset, bound } = self.split(&self.value, &mut found)?;
        bound.is_close().then_some(())?;
        Some(Affine {
            code: found.code?,
            scale: scale?,
            offset: offset.unwrap_or(Formula::Number(0.0)),
            halved: found.halved,
        })
    }

    /// The form of a part of the formula.
    fn split(&self, formula: &Formula, found: &mut Found) -> Option<Form> {
        if self.is_code(formula) {
            if found.code.as_ref().is_some_and(|other| other != formula) {
                return None; // two codes
            }
            found.code = Some(formula.clone());
            return Some(Form { scale: Some(Formula::Number(1.0)), ..Form::default() });
        }
        match formula {
            Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => {
                Some(Format::constant(formula))
            }
            Formula::Half(inner) => match self.split(inner, found)? {
                Form { scale: None, .. } => Some(Format::constant(formula)),
                form => {
                    found.halved = true;
                    Some(Format::halved(form))
                }
            },
            Formula::Apart(inner) => self.split(inner, found),
            Formula::Neg(inner) => match self.split(inner, found)? {
                Form { scale: None, .. } => Some(Format::constant(formula)),
                form => Some(form.negative()),
            },
            Formula::Add(left, right) | Formula::Sub(left, right) => {
                let (left, right) = (self.split(left, found)?, self.split(right, found)?);
                let right = match formula {
                    Formula::Sub(..) => right.negative(),
                    _ => right,
                };
                match (&left.scale, &right.scale) {
                    (None, None) => Some(Format::constant(formula)),
                    _ => self.plus(formula, left, right),
                }
            }
            Formula::Mul(left, right) => {
                let forms = (self.split(left, found)?, self.split(right, found)?);
                let (form, by) = match (&forms.0.scale, &forms.1.scale) {
                    (Some(_), Some(_)) => return None, // a square
                    (Some(_), None) => (forms.0, (&**right, false)),
                    (None, Some(_)) => (forms.1, (&**left, true)),
                    (None, None) => return Some(Format::constant(formula)),
                };
                Some(self.times(formula, form, by, found.code.as_ref()?))
            }
        }
    }

    /// Whether a formula is the code of a weight: one stored value or lookup per weight, or integer
    /// arithmetic on several that stays within 8 bits.
    fn is_code(&self, formula: &Formula) -> bool {
        let mut fields = Vec::new();
        formula.for_each_field(&mut |field| fields.push(field));
        let own = |&field: &usize| {
            let field = &self.fields[field];
            field.varies() && field.gather.is_none()
        };
        match formula {
            Formula::Field(_) => fields.iter().all(own),
            Formula::Lookup { .. } => fields.iter().any(own),
            _ => {
                let (mut several, mut all) = (0, true);
                formula.for_each_leaf(&mut |leaf| match leaf {
                    Formula::Number(_) => {}
                    leaf => {
                        several += 1;
                        all &= self.is_code(leaf);
                    }
                });
                let range = self.integer_range(formula);
                several > 1 && all && range.is_some_and(|(low, high)| low >= -128 && high <= 127)
            }
        }
    }

    /// Smallest and largest value of a formula over integers; `None` for any other.
    pub(super) fn integer_range(&self, formula: &Formula) -> Option<(i64, i64)> {
        let both = |left, right| Some((self.integer_range(left)?, self.integer_range(right)?));
        match formula {
            Formula::Number(number) => {
                let whole = number.fract() == 0.0 && number.abs() <= (1 << 24) as f32;
                whole.then_some((*number as i64, *number as i64))
            }
            Formula::Field(field) => self.fields[*field]
                .range()
                .filter(|(low, high)| low.abs().max(high.abs()) <= 1 << 24),
            Formula::Lookup { table, .. } => match &self.tables[*table].values {
                TableValues::I8(values) => {
                    Some(((*values.iter().min()?).into(), (*values.iter().max()?).into()))
                }
                _ => None,
            },
            Formula::Half(_) | Formula::Apart(_) => None,
            Formula::Neg(inner) => {
                let (low, high) = self.integer_range(inner)?;
                Some((high.checked_neg()?, low.checked_neg()?))
            }
            Formula::Add(left, right) => {
                let (left, right) = both(left, right)?;
                Some((left.0.checked_add(right.0)?, left.1.checked_add(right.1)?))
            }
            Formula::Sub(left, right) => {
                let (left, right) = both(left, right)?;
                Some((left.0.checked_sub(right.1)?, left.1.checked_sub(right.0)?))
            }
            Formula::Mul(left, right) => {
                let (left, right) = both(left, right)?;
                let ends =
                    [left.0, left.1].map(|l| [l.checked_mul(right.0), l.checked_mul(right.1)]);
                let ends: Vec<i64> = ends.into_iter().flatten().collect::<Option<_>>()?;
                Some((*ends.iter().min()?, *ends.iter().max()?))
            }
        }
    }
}
