//! The affine form as two programs: a byte per weight, and scale and offset per run.

use super::build::Builder;
use super::plane::Reader;
use super::strips::Strips;
use super::weights::Values;
use super::{lookup, tables};
use crate::format::{Byte, Coding, Format, Formula};
use crate::ir::{Binary, Decoder, Lanes, Quad, Type, Unary, Value};

/// The program that hands out codes; `None` where these strips do not fit the layouts.
pub(super) fn codes(format: &Format, strips: &Strips, coding: &Coding) -> Option<Decoder> {
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let mut quads = Vec::new();
    for (quad, starts) in strips.starts.iter().enumerate() {
        let start = b.of_place(starts)?;
        let lanes = match (strips.lanes, coding.byte) {
            (4, _) => Lanes::Codes(bytes(&mut b, &reader, coding, quad)?),
            (1, Byte::Stored(field)) => Lanes::Code(reader.stored(&mut b, field, quad, 0)?),
            (1, Byte::Value) => {
                let values = Values { reader: &reader, quad, lane: 0 };
                Lanes::Code(byte(&mut b, &values, &coding.affine.code)?)
            }
            _ => return None,
        };
        if let Lanes::Codes(codes) | Lanes::Code(codes) = lanes {
            b.name(codes, "codes");
        }
        quads.push(Quad { start, lanes });
    }
    Some(b.finish(quads))
}

/// The program that hands out scale and offset; `None` where these strips do not fit the layouts.
pub(super) fn scales(format: &Format, strips: &Strips, coding: &Coding) -> Option<Decoder> {
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let numbers: Vec<u32> = (0..strips.count).collect();
    let start = b.of_place(&numbers)?;
    let mut values = Values { reader: &reader, quad: 0, lane: 0 };
    let scale = values.formula(&mut b, &coding.affine.scale)?;
    let offset = values.formula(&mut b, &coding.affine.offset)?;
    Some(b.finish(vec![Quad { start, lanes: Lanes::Scale { scale, offset } }]))
}

/// The bytes of four codes in a u32.
pub(super) fn bytes(
    b: &mut Builder,
    reader: &Reader,
    coding: &Coding,
    quad: usize,
) -> Option<Value> {
    match coding.byte {
        Byte::Stored(field) => stored(b, reader, field, quad),
        Byte::Value => value(b, reader, &coding.affine.code, quad),
    }
}

/// Four stored integers in a u32.
fn stored(b: &mut Builder, reader: &Reader, field: usize, quad: usize) -> Option<Value> {
    match reader.stored_quad(b, field, quad) {
        Some(stored) => Some(stored),
        None => join(b, |b, lane| reader.stored(b, field, quad, lane)),
    }
}

/// The values of a formula over integers, four signed bytes in a u32.
fn value(b: &mut Builder, reader: &Reader, code: &Formula, quad: usize) -> Option<Value> {
    match *code {
        Formula::Lookup { table, index, lane: Some(lane) }
            if is_word(reader, lane, index, quad) =>
        {
            let values = Values { reader, quad, lane: 0 };
            let bytes = tables::packed(&reader.format.tables[table])?;
            let (entry, lane) = (values.index(b, index)?, values.index(b, lane)?);
            lookup::word(b, &values, table, entry, Some(lane), bytes)
        }
        _ => join(b, |b, lane| byte(b, &Values { reader, quad, lane }, code)),
    }
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
pub(super) fn join(
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
