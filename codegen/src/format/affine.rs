//! The affine form of a formula: `weight = scale · code + offset`.

use super::{Format, Formula, TableValues};

/// The affine form of a formula. Where the formula rounds to f16 on the way, it holds but for that.
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
    /// Solves the formula for its code; `None` where it is not affine in one.
    pub(super) fn affine(&self) -> Option<Affine> {
        let mut found = Found::default();
        let (scale, offset) = self.split(&self.value, &mut found)?;
        Some(Affine {
            code: found.code?,
            scale: scale?,
            offset: offset.unwrap_or(Formula::Number(0.0)),
            halved: found.halved,
        })
    }

    /// Factor and summand of the code in `formula`; a missing one is zero.
    fn split(&self, formula: &Formula, found: &mut Found) -> Option<Parts> {
        if self.is_code(formula) {
            if found.code.as_ref().is_some_and(|other| other != formula) {
                return None; // two codes
            }
            found.code = Some(formula.clone());
            return Some((Some(Formula::Number(1.0)), None));
        }
        match formula {
            Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => {
                Some((None, Some(formula.clone())))
            }
            Formula::Half(inner) => match self.split(inner, found)? {
                (None, _) => Some((None, Some(formula.clone()))),
                parts => {
                    found.halved = true;
                    Some(parts)
                }
            },
            Formula::Apart(inner) => self.split(inner, found),
            Formula::Neg(inner) => {
                let (scale, offset) = self.split(inner, found)?;
                Some((scale.map(neg), offset.map(neg)))
            }
            Formula::Add(left, right) => {
                let ((a, b), (c, d)) = (self.split(left, found)?, self.split(right, found)?);
                Some((add(a, c), add(b, d)))
            }
            Formula::Sub(left, right) => {
                let ((a, b), (c, d)) = (self.split(left, found)?, self.split(right, found)?);
                Some((add(a, c.map(neg)), add(b, d.map(neg))))
            }
            Formula::Mul(left, right) => {
                let ((a, b), (c, d)) = (self.split(left, found)?, self.split(right, found)?);
                match (a, c) {
                    (Some(_), Some(_)) => None, // a square
                    (Some(a), None) => Some((mul(Some(a), d.clone()), mul(b, d))),
                    (None, c) => Some((mul(b.clone(), c), mul(b, d))),
                }
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
            Formula::Neg(inner) => self.integer_range(inner).map(|(low, high)| (-high, -low)),
            Formula::Add(left, right) => {
                let (left, right) = both(left, right)?;
                Some((left.0 + right.0, left.1 + right.1))
            }
            Formula::Sub(left, right) => {
                let (left, right) = both(left, right)?;
                Some((left.0 - right.1, left.1 - right.0))
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

type Parts = (Option<Formula>, Option<Formula>);

fn neg(formula: Formula) -> Formula {
    match formula {
        Formula::Number(number) => Formula::Number(-number),
        Formula::Neg(inner) => *inner,
        other => Formula::Neg(Box::new(other)),
    }
}

fn add(left: Option<Formula>, right: Option<Formula>) -> Option<Formula> {
    match (left, right) {
        (Some(left), Some(Formula::Neg(right))) => Some(Formula::Sub(Box::new(left), right)),
        (Some(left), Some(right)) => Some(Formula::Add(Box::new(left), Box::new(right))),
        (left, right) => left.or(right),
    }
}

fn mul(left: Option<Formula>, right: Option<Formula>) -> Option<Formula> {
    match (left?, right?) {
        (Formula::Number(1.0), other) | (other, Formula::Number(1.0)) => Some(other),
        (Formula::Number(-1.0), other) | (other, Formula::Number(-1.0)) => Some(neg(other)),
        (left, right) => Some(Formula::Mul(Box::new(left), Box::new(right))),
    }
}
