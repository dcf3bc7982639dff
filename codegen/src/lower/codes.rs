//! Packed signed 8-bit codes with the scale and offset they share: what an integer dot product reads.

use super::build::Builder;
use super::plane::Reader;
use super::strips::Strips;
use super::weights::Values;
use super::{apart, lookup, tables};
use crate::format::{Affine, Class, Format, Formula, Scalar};
use crate::ir::{Binary, Decoder, Lanes, Quad, Type, Unary, Value};

/// Whether the format has integer codes, four of which share scale and offset.
pub(super) fn applies(format: &Format) -> bool {
    let facts = format.facts();
    let (Some(affine), Some((low, high))) = (&facts.affine, facts.code_range) else { return false };
    // Stored integers may be moved into the range of a byte, others must be there.
    let fits = stored_code(format, &affine.code).is_some() || (low >= -128 && high <= 127);
    facts.class != Class::Float && facts.run.is_multiple_of(4) && fits
}

/// The field that is the code, where it is stored as it is but for its bias.
fn stored_code(format: &Format, code: &Formula) -> Option<usize> {
    match *code {
        Formula::Field(field) => {
            let stated = &format.fields[field];
            (!stated.wrap && stated.index.is_none()).then_some(field)
        }
        _ => None,
    }
}

/// The program that hands out codes; `None` where these strips do not fit the layouts.
pub(super) fn lower(format: &Format, strips: &Strips) -> Option<Decoder> {
    if strips.lanes != 4 {
        return None;
    }
    let affine = format.facts().affine?;
    let scale_formula = apart::formula(format, &affine.scale);
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let mut quads = Vec::new();
    for (quad, starts) in strips.starts.iter().enumerate() {
        let start = b.of_place(starts)?;
        let (codes, zero) = pack(&mut b, &reader, &affine, quad)?;
        let mut values = Values { reader: &reader, quad, lane: 0 };
        let scale = values.formula(&mut b, &scale_formula)?;
        b.name(scale, "scale");
        let offset = apart::formula(format, &shifted(&affine, zero));
        let offset = values.formula(&mut b, &offset)?;
        b.name(offset, "offset");
        b.name(codes, "codes");
        quads.push(Quad { start, lanes: Lanes::Codes { codes, scale, offset } });
    }
    Some(b.finish(quads))
}

/// `offset - zero · scale`: the summand when codes are handed out `zero` too large.
fn shifted(affine: &Affine, zero: i32) -> Formula {
    if zero == 0 {
        return affine.offset.clone();
    }
    let moved =
        Formula::Mul(Box::new(Formula::Number(-(zero as f32))), Box::new(affine.scale.clone()));
    match &affine.offset {
        Formula::Number(0.0) => moved,
        offset => Formula::Add(Box::new(moved), Box::new(offset.clone())),
    }
}

/// Four codes in a u32 as signed bytes, and by how much they are larger than the codes meant.
fn pack(b: &mut Builder, reader: &Reader, affine: &Affine, quad: usize) -> Option<(Value, i32)> {
    if let Some(field) = stored_code(reader.format, &affine.code) {
        let stated = &reader.format.fields[field];
        let stored = match reader.stored_quad(b, field, quad) {
            Some(stored) => stored,
            None => join(b, |b, lane| reader.stored(b, field, quad, lane))?,
        };
        let bits = stated.bits();
        // Flipping the top bit turns two's complement into an offset, and an offset of 128 back.
        let (flip, zero) = match stated.scalar {
            Scalar::Signed if bits == 8 => (0, stated.bias),
            Scalar::Signed => (1 << (bits - 1), stated.bias + (1 << (bits - 1))),
            _ if bits == 8 => (0x80, stated.bias - 128),
            _ => (0, stated.bias),
        };
        return Some((b.with(Binary::Xor, stored, flip * 0x0101_0101), zero));
    }
    let codes = match affine.code {
        Formula::Lookup { table, index, lane: Some(lane) }
            if is_word(reader, lane, index, quad) =>
        {
            let values = Values { reader, quad, lane: 0 };
            let bytes = tables::packed(&reader.format.tables[table])?;
            let (entry, lane) = (values.index(b, index)?, values.index(b, lane)?);
            lookup::word(b, &values, table, entry, Some(lane), bytes)?
        }
        _ => join(b, |b, lane| byte(b, &Values { reader, quad, lane }, &affine.code))?,
    };
    Some((codes, 0))
}

/// Whether the weights of a quad share an entry and have neighbouring lanes, the first a multiple of 4.
fn is_word(reader: &Reader, lane: usize, index: usize, quad: usize) -> bool {
    let Some(lanes) = &reader.format.fields[lane].index else { return false };
    reader.format.fields[index].per.is_multiple_of(4)
        && reader.strips.starts[quad].iter().all(|&start| {
            let first = lanes.at(start);
            first % 4 == 0 && (1..4).all(|lane| lanes.at(start + lane) == first + i64::from(lane))
        })
}

/// A code as the byte of a u32.
fn byte(b: &mut Builder, values: &Values, code: &Formula) -> Option<Value> {
    let code = integer(b, values, code)?;
    let code = if b.ty(code) == Type::I32 { b.unary(Unary::ToU32, code) } else { code };
    Some(b.with(Binary::And, code, 0xff))
}

/// A formula over integers, as i32; u32 where it is a field of its own.
fn integer(b: &mut Builder, values: &Values, formula: &Formula) -> Option<Value> {
    let mut binary = |op, left: &Formula, right: &Formula| {
        let [left, right] = [left, right].map(|part| {
            let part = integer(b, values, part)?;
            Some(if b.ty(part) == Type::U32 { b.unary(Unary::ToI32, part) } else { part })
        });
        Some(b.binary(op, left?, right?))
    };
    match formula {
        Formula::Number(number) => Some(b.i32(*number as i32)),
        Formula::Field(field) => values.integer(b, *field),
        Formula::Lookup { table, index, lane } => lookup::entry(b, values, *table, *index, *lane),
        Formula::Neg(inner) => binary(Binary::Sub, &Formula::Number(0.0), inner),
        Formula::Add(left, right) => binary(Binary::Add, left, right),
        Formula::Sub(left, right) => binary(Binary::Sub, left, right),
        Formula::Mul(left, right) => binary(Binary::Mul, left, right),
        Formula::Half(_) | Formula::Apart(_) => None,
    }
}

/// Four values below 256, joined in the bytes of a u32.
fn join(
    b: &mut Builder,
    mut lane: impl FnMut(&mut Builder, u32) -> Option<Value>,
) -> Option<Value> {
    let mut joined = lane(b, 0)?;
    for number in 1..4 {
        let byte = lane(b, number)?;
        let byte = b.with(Binary::Shl, byte, number * 8);
        joined = b.binary(Binary::Or, joined, byte);
    }
    Some(joined)
}
