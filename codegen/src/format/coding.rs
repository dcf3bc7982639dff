//! The affine form with one byte per weight: which byte, and what it means.

use super::{Affine, Field, Format, Formula, Scalar, TableValues, gcd};
use crate::artifact::Extent;
use std::collections::BTreeSet;

/// A format's affine form with a byte for the code of every weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Coding {
    /// The form.
    pub affine: Affine,
    /// What a byte is.
    pub byte: Byte,
    /// The code that each byte stands for; NaN where the byte never occurs. Bytes beyond do not occur.
    pub values: Vec<f32>,
    /// Weights of a block that share scale and offset.
    pub run: u32,
    /// Over how many blocks each stored part of scale and offset is constant.
    pub spans: Vec<Extent>,
}

/// What the byte of a code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Byte {
    /// The stored integer of a field: the code itself, or what selects it from a table.
    Stored(usize),
    /// The code as a signed integer.
    Value,
}

/// Shorter runs are not worth their scale.
const SHORTEST: u32 = 8;
/// Sets of integers are not counted out beyond so many.
const MOST: usize = 1 << 10;

impl Format {
    /// The affine form with bytes for codes. `None` where the formula is not affine, where codes need
    /// more than 8 bits, or where scale and offset change too often: within four weights, or
    /// everywhere after fewer than 8.
    pub fn coding(&self) -> Option<Coding> {
        let facts = self.facts();
        let affine = facts.affine?;
        let run = self.run_in_block(&affine);
        let short = run < SHORTEST && (run < self.weights || (1..SHORTEST).contains(&facts.run));
        if !self.weights.is_multiple_of(4) || !run.is_multiple_of(4) || short {
            return None;
        }
        let (byte, values) = self.bytes(&affine.code)?;
        let spans = self.spans(&affine);
        Some(Coding { affine, byte, values, run, spans })
    }

    fn run_in_block(&self, affine: &Affine) -> u32 {
        let mut run = self.weights;
        affine.for_each_field(&mut |field| {
            let field = &self.fields[field];
            if self.extent(field) == Extent::Blocks(1) || field.gather.is_some() {
                run = gcd(run, field.per);
            }
        });
        run
    }

    fn spans(&self, affine: &Affine) -> Vec<Extent> {
        let mut spans = Vec::new();
        affine.for_each_field(&mut |field| {
            let extent = self.extent(&self.fields[field]);
            if !spans.contains(&extent) {
                spans.push(extent);
            }
        });
        spans
    }

    /// Blocks that share a unit of the field's stream.
    fn extent(&self, field: &Field) -> Extent {
        let plane = field.planes.first();
        plane.map_or(Extent::Blocks(1), |plane| {
            self.streams[self.members[plane.member].stream].units.blocks
        })
    }

    /// The byte that stands for a code, and what each byte means.
    fn bytes(&self, code: &Formula) -> Option<(Byte, Vec<f32>)> {
        let stored = match *code {
            Formula::Field(field) => Some((field, None)),
            Formula::Lookup { table, index, lane: None } => Some((index, Some(table))),
            _ => None,
        };
        if let Some((field, table)) = stored
            && self.fields[field].index.is_none()
            && self.fields[field].bits() <= 8
        {
            let codes = 0..1u32 << self.fields[field].bits();
            let values = codes.map(|stored| self.meaning(field, table, stored));
            return Some((Byte::Stored(field), values.collect::<Option<_>>()?));
        }
        let mut values = vec![f32::NAN; 256];
        for value in self.integers(code)? {
            let byte = i8::try_from(value).ok()? as u8;
            values[usize::from(byte)] = f32::from(byte as i8);
        }
        Some((Byte::Value, values))
    }

    /// The code that a stored integer stands for; NaN for one that cannot be stored.
    fn meaning(&self, field: usize, table: Option<usize>, stored: u32) -> Option<f32> {
        let field = &self.fields[field];
        let Some(table) = table else {
            return match &field.scalar {
                Scalar::Small(float) => Some(float.value(stored) as f32),
                _ => field.integer(stored).map(|integer| integer as f32),
            };
        };
        let entry = usize::try_from(field.integer(stored)?).ok();
        let Some(entry) = entry else { return Some(f32::NAN) };
        match &self.tables[table].values {
            TableValues::I8(values) => Some(values.get(entry).map_or(f32::NAN, |&v| v.into())),
            TableValues::F32(values) => Some(values.get(entry).copied().unwrap_or(f32::NAN)),
            TableValues::Stored { .. } => None,
        }
    }

    /// All values of a formula over integers of 8 bits, perhaps some that it never has; `None` for
    /// any other.
    fn integers(&self, formula: &Formula) -> Option<BTreeSet<i64>> {
        let pairs = |left: &Formula, right: &Formula, of: fn(i64, i64) -> Option<i64>| {
            let (left, right) = (self.integers(left)?, self.integers(right)?);
            let all = left.iter().flat_map(|&l| right.iter().map(move |&r| of(l, r)));
            let all = all.collect::<Option<BTreeSet<i64>>>()?;
            (all.len() <= MOST).then_some(all)
        };
        match formula {
            Formula::Number(number) => {
                let whole = number.fract() == 0.0 && number.abs() <= f32::from(i16::MAX);
                whole.then(|| BTreeSet::from([*number as i64]))
            }
            Formula::Field(field) => {
                let (low, high) = self.fields[*field].range()?;
                (high - low < MOST as i64).then(|| (low..=high).collect())
            }
            Formula::Lookup { table, .. } => match &self.tables[*table].values {
                TableValues::I8(values) => Some(values.iter().map(|&value| value.into()).collect()),
                _ => None,
            },
            Formula::Half(_) | Formula::Apart(_) => None,
            Formula::Neg(inner) => {
                self.integers(inner)?.into_iter().map(i64::checked_neg).collect()
            }
            Formula::Add(left, right) => pairs(left, right, i64::checked_add),
            Formula::Sub(left, right) => pairs(left, right, i64::checked_sub),
            Formula::Mul(left, right) => pairs(left, right, i64::checked_mul),
        }
    }
}

impl Affine {
    /// Calls `visit` with every field that scale and offset read.
    fn for_each_field(&self, visit: &mut impl FnMut(usize)) {
        self.scale.for_each_field(visit);
        self.offset.for_each_field(visit);
    }
}

impl Field {
    /// The integer that stored bits stand for; `None` for floats.
    fn integer(&self, stored: u32) -> Option<i64> {
        let (span, stored) = (1i64 << self.bits(), i64::from(stored));
        let value = match self.scalar {
            Scalar::Unsigned => stored,
            Scalar::Signed => (stored + span / 2) % span - span / 2,
            _ => return None,
        };
        let less = value - i64::from(self.bias);
        Some(if self.wrap { less.rem_euclid(span) } else { less })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(text: &str) -> Option<Coding> {
        Format::parse(&format!("format: toy\ntitle: t\n{text}\n"), "toy.yaml").unwrap().coding()
    }

    #[test]
    fn bytes_are_what_is_stored() {
        let signed = coding("weights: 8\nblock: {d: f16, q: \"i8[8]\"}\nvalue: d * q").unwrap();
        assert_eq!(signed.byte, Byte::Stored(1));
        assert_eq!((signed.values[127], signed.values[128]), (127.0, -128.0));
        let biased = coding(
            "weights: 8\nblock: {d: f16, c: \"u8[4]\"}\nfields:\n  q: {from: c, bits: 4, k: \"8:4\", bias: 8}\nvalue: d * q",
        );
        let biased = biased.unwrap();
        assert!(biased.values.iter().copied().eq((-8i8..8).map(f32::from)));
        assert_eq!((biased.run, biased.spans), (8, vec![Extent::Blocks(1)]));
        let floats =
            "type: {exponent: 4, mantissa: 3, bias: 7, pad: 0, signed: true, special: nan}";
        let floats = coding(&format!(
            "weights: 8\nblock: {{d: f16, c: \"u8[8]\"}}\nfields:\n  q: {{from: c, {floats}}}\nvalue: d * q",
        ));
        assert_eq!(floats.unwrap().values[0x38], 1.0);
    }

    #[test]
    fn bytes_of_arithmetic_are_its_values() {
        let signs = coding(
            "weights: 8\nblock: {d: f16, c: \"u8[2]\", s: u8}\nfields:\n  q: {from: c, bits: 2, k: \"8:2\"}\n  n: {from: s, bits: 1, k: \"8:1\"}\nvalue: d * ((3 * q + 1) * (1 - 2 * n))",
        );
        let signs = signs.unwrap();
        assert_eq!(signs.byte, Byte::Value);
        let occur: Vec<i8> = (0..=255u8)
            .filter(|&b| !signs.values[usize::from(b)].is_nan())
            .map(|b| b as i8)
            .collect();
        assert_eq!(occur, [1, 4, 7, 10, -10, -7, -4, -1]);
    }

    #[test]
    fn not_every_format_has_codes() {
        let none = |text: &str| assert_eq!(coding(text), None, "{text}");
        none("weights: 1\nblock: {w: f16}\nvalue: w");
        none("weights: 8\nblock: {d: f16, q: \"i16[8]\"}\nvalue: d * q");
        none("weights: 8\nblock: {d: \"f16[2]\", q: \"i8[8]\"}\nvalue: d * q");
        none("weights: 6\nblock: {d: f16, q: \"i8[6]\"}\nvalue: d * q");
        none("weights: 8\nblock: {d: f16, q: \"i8[8]\"}\nvalue: d * q * q");
    }
}
