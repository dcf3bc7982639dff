//! What is derived from a format, never written: sizes, ranges, the affine form and the class.

use super::{Format, Formula, TableValues};
use std::fmt;

/// Everything derived from one format.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Bytes per block, over all streams.
    pub block_bytes: u32,
    /// Bits stored per weight.
    pub bits_per_weight: f64,
    /// Largest power of two, at most 16, that divides the block's bytes in every stream.
    pub alignment: u32,
    /// What the code is, which decides the kernels that are possible.
    pub class: Class,
    /// `value = scale · code + offset`, where the formula has that form.
    pub affine: Option<Affine>,
    /// Consecutive weights over which `scale` and `offset` are constant; the group size.
    pub run: u32,
    /// Smallest and largest code, where codes are integers.
    pub code_range: Option<(i64, i64)>,
}

/// What the code of a format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A stored integer of at most 8 bits.
    Integer,
    /// An entry of an 8-bit integer table.
    Int8Table,
    /// A float, stored or from a table: there is no integer-dot kernel.
    Float,
}

/// The affine form of a formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// The part of the formula that differs from weight to weight: a field or a lookup.
    pub code: Formula,
    /// Factor, constant over a run.
    pub scale: Formula,
    /// Summand, constant over a run; a number 0 where there is none.
    pub offset: Formula,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Integer => "integer code",
            Class::Int8Table => "int8 table",
            Class::Float => "float",
        })
    }
}

impl Format {
    /// Derives the facts.
    pub fn facts(&self) -> Facts {
        let block_bytes: u32 = self.streams.iter().map(|stream| stream.bytes).sum();
        let alignment = self.streams.iter().map(|s| 1 << s.bytes.trailing_zeros().min(4)).min();
        let affine = self.affine();
        let code_range = affine.as_ref().and_then(|affine| self.code_range(&affine.code));
        let class = match (&affine, code_range) {
            (Some(Affine { code: Formula::Lookup { .. }, .. }), Some(_)) => Class::Int8Table,
            (Some(_), Some((low, high))) if high - low < 256 => Class::Integer,
            _ => Class::Float,
        };
        let mut run = self.weights;
        if let Some(affine) = &affine {
            for formula in [&affine.scale, &affine.offset] {
                formula.for_each_field(&mut |field| run = gcd(run, self.fields[field].per));
            }
        } else {
            run = 1;
        }
        Facts {
            block_bytes,
            bits_per_weight: f64::from(block_bytes) * 8.0 / f64::from(self.weights),
            alignment: alignment.unwrap_or(1),
            class,
            affine,
            run,
            code_range,
        }
    }

    /// Field that the code is read from: the widest with one value per weight.
    pub fn primary(&self) -> Option<usize> {
        (0..self.fields.len())
            .filter(|&field| self.fields[field].per == 1 && !self.fields[field].padding)
            .max_by_key(|&field| (self.fields[field].bits(), std::cmp::Reverse(field)))
    }

    fn code_range(&self, code: &Formula) -> Option<(i64, i64)> {
        match *code {
            Formula::Field(field) => self.fields[field].range(),
            Formula::Lookup { table, .. } => match &self.tables[table].values {
                TableValues::I8(values) => {
                    Some((i64::from(*values.iter().min()?), i64::from(*values.iter().max()?)))
                }
                TableValues::F32(_) => None,
            },
            _ => None,
        }
    }

    /// Solves the formula for its code; `None` where it is not affine in one.
    fn affine(&self) -> Option<Affine> {
        let mut code = None;
        let (scale, offset) = self.split(&self.value, &mut code)?;
        Some(Affine { code: code?, scale: scale?, offset: offset.unwrap_or(Formula::Number(0.0)) })
    }

    /// Factor and summand of the code in `formula`; a missing one is zero.
    fn split(&self, formula: &Formula, code: &mut Option<Formula>) -> Option<Parts> {
        match formula {
            Formula::Field(field) | Formula::Lookup { index: field, .. }
                if self.fields[*field].per == 1 =>
            {
                if code.as_ref().is_some_and(|other| other != formula) {
                    return None; // two codes
                }
                *code = Some(formula.clone());
                Some((Some(Formula::Number(1.0)), None))
            }
            Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => {
                Some((None, Some(formula.clone())))
            }
            Formula::Neg(inner) => {
                let (scale, offset) = self.split(inner, code)?;
                Some((scale.map(neg), offset.map(neg)))
            }
            Formula::Add(left, right) => {
                let ((a, b), (c, d)) = (self.split(left, code)?, self.split(right, code)?);
                Some((add(a, c), add(b, d)))
            }
            Formula::Sub(left, right) => {
                let ((a, b), (c, d)) = (self.split(left, code)?, self.split(right, code)?);
                Some((add(a, c.map(neg)), add(b, d.map(neg))))
            }
            Formula::Mul(left, right) => {
                let ((a, b), (c, d)) = (self.split(left, code)?, self.split(right, code)?);
                match (a, c) {
                    (Some(_), Some(_)) => None, // a square
                    (Some(a), None) => Some((mul(Some(a), d.clone()), mul(b, d))),
                    (None, c) => Some((mul(b.clone(), c), mul(b, d))),
                }
            }
        }
    }
}

/// Greatest common divisor.
pub(crate) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
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
        (left, right) => Some(Formula::Mul(Box::new(left), Box::new(right))),
    }
}
