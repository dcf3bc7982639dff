//! The formula, computed in f32 for every weight of a strip.

use super::build::Builder;
use super::plane::Reader;
use super::strips::Strips;
use super::{apart, exponent, lookup, tables};
use crate::format::{Field, Format, Formula, Scalar};
use crate::ir::{Binary, Decoder, Lanes, Quad, Type, Unary, Value};

/// The program that hands out weights; `None` where these strips do not fit the layouts.
pub(super) fn lower(format: &Format, strips: &Strips) -> Option<Decoder> {
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let value = apart::formula(format, &format.value);
    let mut quads = Vec::new();
    let mut number = 0;
    for (quad, starts) in strips.starts.iter().enumerate() {
        let start = b.of_place(starts)?;
        let mut lanes = Vec::new();
        for lane in 0..strips.lanes {
            let mut values = Values { reader: &reader, quad, lane };
            let weight = values.formula(&mut b, &value)?;
            lanes.push(b.name(weight, &format!("w{number}")));
            number += 1;
        }
        quads.push(Quad { start, lanes: Lanes::Weights(lanes) });
    }
    Some(b.finish(quads))
}

/// Values of one lane of a quad.
pub(super) struct Values<'a> {
    pub reader: &'a Reader<'a>,
    pub quad: usize,
    pub lane: u32,
}

impl Values<'_> {
    /// The formula as f32.
    pub fn formula(&mut self, b: &mut Builder, formula: &Formula) -> Option<Value> {
        let mut binary = |op, left: &Formula, right: &Formula| {
            let left = self.formula(b, left)?;
            let right = self.formula(b, right)?;
            Some(b.binary(op, left, right))
        };
        match formula {
            Formula::Add(left, right) => binary(Binary::Add, left, right),
            Formula::Sub(left, right) => binary(Binary::Sub, left, right),
            Formula::Mul(left, right) => binary(Binary::Mul, left, right),
            Formula::Neg(inner) => {
                let inner = self.formula(b, inner)?;
                Some(b.unary(Unary::Neg, inner))
            }
            Formula::Apart(inner) => {
                let inner = self.formula(b, inner)?;
                Some(b.unary(Unary::Rounded, inner))
            }
            Formula::Half(inner) => {
                let inner = self.formula(b, inner)?;
                let half = b.unary(Unary::F16FromF32, inner);
                Some(b.unary(Unary::F32FromF16, half))
            }
            Formula::Number(number) => Some(b.f32(*number)),
            Formula::Field(field) => {
                let value = self.field(b, *field)?;
                let stated = &self.reader.format.fields[*field];
                Some(if stated.per > 1 { b.name(value, &stated.name) } else { value })
            }
            Formula::Lookup { table, index, lane } => {
                let entry = lookup::entry(b, self, *table, *index, *lane)?;
                Some(match b.ty(entry) {
                    Type::F32 => entry,
                    _ => b.unary(Unary::ToF32, entry),
                })
            }
        }
    }

    /// A field as f32.
    fn field(&self, b: &mut Builder, field: usize) -> Option<Value> {
        let stated = &self.reader.format.fields[field];
        if stated.index.is_some() || matches!(stated.scalar, Scalar::Unsigned | Scalar::Signed) {
            let integer = self.integer(b, field)?;
            return Some(b.unary(Unary::ToF32, integer));
        }
        let stored = self.stored(b, field)?;
        Some(match stated.scalar {
            Scalar::F16 => b.unary(Unary::F32FromF16, stored),
            Scalar::Bf16 => {
                let bits = b.with(Binary::Shl, stored, 16);
                b.unary(Unary::F32FromBits, bits)
            }
            Scalar::Small(ref float) if exponent::applies(&stated.scalar) => {
                let bits = exponent::bits(b, float, stored);
                b.unary(Unary::F32FromBits, bits)
            }
            Scalar::Small(_) => {
                let (table, _) = b.named(&tables::values_name(&stated.name))?;
                let bits = b.lookup(table, stored);
                b.unary(Unary::F32FromBits, bits)
            }
            _ => b.unary(Unary::F32FromBits, stored),
        })
    }

    /// An integer field: u32 where it has no bias and no sign, else i32.
    pub fn integer(&self, b: &mut Builder, field: usize) -> Option<Value> {
        let stated = &self.reader.format.fields[field];
        if let Some(layout) = &stated.index {
            let starts = &self.reader.strips.starts[self.quad];
            let numbers = starts.iter().map(|start| layout.at(start + self.lane) as u32);
            return b.of_place(&numbers.collect::<Vec<_>>());
        }
        if stated.wrap {
            return self.index(b, field);
        }
        let stored = self.stored(b, field)?;
        Some(match stated.scalar {
            Scalar::Unsigned if stated.bias == 0 => stored,
            Scalar::Unsigned => {
                let signed = b.unary(Unary::ToI32, stored);
                unbiased(b, signed, stated)
            }
            _ => {
                let signed = b.unary(Unary::SignExtend(stated.bits()), stored);
                unbiased(b, signed, stated)
            }
        })
    }

    /// An integer field as the u32 that indexes a table; its range was checked with the formula.
    pub fn index(&self, b: &mut Builder, field: usize) -> Option<Value> {
        let stated = &self.reader.format.fields[field];
        if stated.index.is_some() {
            return self.integer(b, field);
        }
        let stored = self.stored(b, field)?;
        if stated.wrap {
            // Added instead of subtracted, so that nothing is negative on the way.
            let span = 1i64 << stated.bits();
            let added = (-i64::from(stated.bias)).rem_euclid(span) as u32;
            let sum = b.with(Binary::Add, stored, added);
            return Some(b.with(Binary::And, sum, (span - 1) as u32));
        }
        Some(b.with(Binary::Add, stored, stated.bias.unsigned_abs()))
    }

    /// The stored integer: out of the quad's bytes where several planes come four lanes at a time.
    pub fn stored(&self, b: &mut Builder, field: usize) -> Option<Value> {
        let stated = &self.reader.format.fields[field];
        let several = stated.planes.len() > 1 && stated.per == 1;
        match several.then(|| self.reader.stored_quad(b, field, self.quad)).flatten() {
            Some(bytes) => {
                let codes = b.name(bytes, &stated.name);
                let code = b.with(Binary::Shr, codes, self.lane * 8);
                Some(b.with(Binary::And, code, (1 << stated.bits()) - 1))
            }
            None => self.reader.stored(b, field, self.quad, self.lane),
        }
    }
}

/// An i32 less the field's bias.
fn unbiased(b: &mut Builder, signed: Value, field: &Field) -> Value {
    match field.bias {
        0 => signed,
        bias => {
            let bias = b.i32(bias);
            b.binary(Binary::Sub, signed, bias)
        }
    }
}
