//! The formula, computed in f32 for every weight of a strip.

use super::build::Builder;
use super::plane::Reader;
use super::strips::Strips;
use crate::format::{Field, Format, Formula, Scalar};
use crate::ir::{Binary, Decoder, Lanes, Quad, Unary, Value};

/// The program that hands out weights; `None` where these strips do not fit the layouts.
pub(super) fn lower(format: &Format, strips: &Strips) -> Option<Decoder> {
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let mut quads = Vec::new();
    let mut number = 0;
    for (quad, starts) in strips.starts.iter().enumerate() {
        let start = b.of_strip(starts)?;
        let mut lanes = Vec::new();
        for lane in 0..strips.lanes {
            let mut values = Values { reader: &reader, quad, lane };
            let weight = values.formula(&mut b, &format.value)?;
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
            let (left, right) = (self.formula(b, left)?, self.formula(b, right)?);
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
            Formula::Number(number) => Some(b.f32(*number)),
            Formula::Field(field) => {
                let value = self.field(b, *field)?;
                let stated = &self.reader.format.fields[*field];
                Some(if stated.per > 1 { b.name(value, &stated.name) } else { value })
            }
            Formula::Lookup { table, index } => {
                let index = self.index(b, *index)?;
                let entry = b.lookup(*table as u32, index);
                Some(match self.reader.format.tables[*table].values {
                    crate::format::TableValues::I8(_) => b.unary(Unary::ToF32, entry),
                    crate::format::TableValues::F32(_) => entry,
                })
            }
        }
    }

    /// A field as f32.
    fn field(&self, b: &mut Builder, field: usize) -> Option<Value> {
        let stated = &self.reader.format.fields[field];
        let stored = self.stored(b, field)?;
        Some(match stated.scalar {
            Scalar::F16 => b.unary(Unary::F32FromF16, stored),
            Scalar::F32 => b.unary(Unary::F32FromBits, stored),
            Scalar::Bf16 => {
                let bits = b.with(Binary::Shl, stored, 16);
                b.unary(Unary::F32FromBits, bits)
            }
            Scalar::Unsigned if stated.bias == 0 => b.unary(Unary::ToF32, stored),
            Scalar::Unsigned => {
                let signed = b.unary(Unary::ToI32, stored);
                unbiased(b, signed, stated)
            }
            Scalar::Signed => {
                let signed = b.unary(Unary::SignExtend(stated.bits()), stored);
                unbiased(b, signed, stated)
            }
        })
    }

    /// An integer field as the u32 that indexes a table; its range was checked with the formula.
    pub fn index(&self, b: &mut Builder, field: usize) -> Option<Value> {
        let stated = &self.reader.format.fields[field];
        let stored = self.stored(b, field)?;
        Some(b.with(Binary::Add, stored, stated.bias.unsigned_abs()))
    }

    /// The stored integer: out of the quad's bytes where several planes come four lanes at a time.
    fn stored(&self, b: &mut Builder, field: usize) -> Option<Value> {
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

/// An i32 less the field's bias, as f32.
fn unbiased(b: &mut Builder, signed: Value, field: &Field) -> Value {
    let number = match field.bias {
        0 => signed,
        bias => {
            let bias = b.i32(bias);
            b.binary(Binary::Sub, signed, bias)
        }
    };
    b.unary(Unary::ToF32, number)
}
