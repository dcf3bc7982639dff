//! Lookups: in tables of the text, in packed ones, and in those stored with the weights.

use super::build::Builder;
use super::tables::packed;
use super::units::Along;
use super::weights::Values;
use crate::format::TableValues;
use crate::ir::{Binary, Type, Unary, Value};

/// The value of a table that a weight's fields select: f32, or i32 of an 8-bit table.
pub(super) fn entry(
    b: &mut Builder,
    values: &Values,
    table: usize,
    index: usize,
    lane: Option<usize>,
) -> Option<Value> {
    let stated = &values.reader.format.tables[table];
    let entry = values.index(b, index)?;
    let lane = match lane {
        Some(lane) => Some(values.index(b, lane)?),
        None => None,
    };
    if let TableValues::Stored { member, .. } = stated.values {
        return stored(b, values, member, entry, lane, stated.lanes);
    }
    if let Some(bytes) = packed(stated) {
        let word = word(b, values, table, entry, lane, bytes)?;
        return Some(b.unary(Unary::SignExtend(8), word));
    }
    let (number, _) = b.named(&stated.name)?;
    let value = flat(b, entry, lane, stated.lanes);
    let value = b.lookup(number, value);
    // Large tables of floats are kept as words.
    Some(match b.ty(value) {
        Type::U32 => b.unary(Unary::F32FromBits, value),
        _ => value,
    })
}

/// The word of a packed table whose lowest byte is the wanted value.
pub(super) fn word(
    b: &mut Builder,
    values: &Values,
    table: usize,
    entry: Value,
    lane: Option<Value>,
    bytes: u32,
) -> Option<Value> {
    let (number, _) = b.named(&values.reader.format.tables[table].name)?;
    let constant = lane.map_or(Some(0), |lane| b.constant(lane));
    let (index, shift) = match constant {
        Some(lane) if bytes >= 4 => {
            let first = b.with(Binary::Mul, entry, bytes / 4);
            let shift = b.u32(lane % 4 * 8);
            (b.with(Binary::Add, first, lane / 4), shift)
        }
        _ => {
            let byte = flat(b, entry, lane, bytes);
            let within = b.with(Binary::And, byte, 3);
            (b.with(Binary::Shr, byte, 2), b.with(Binary::Mul, within, 8))
        }
    };
    let word = b.lookup(number, index);
    Some(b.binary(Binary::Shr, word, shift))
}

/// A value of a table that lies in a stream.
fn stored(
    b: &mut Builder,
    values: &Values,
    member: usize,
    entry: Value,
    lane: Option<Value>,
    lanes: u32,
) -> Option<Value> {
    let format = values.reader.format;
    let member = &format.members[member];
    let stream = &format.streams[member.stream];
    let value = flat(b, entry, lane, lanes);
    let offset = b.with(Binary::Mul, value, 4);
    let offset = b.with(Binary::Add, offset, member.offset);
    let zeros = member.offset.trailing_zeros().min(stream.unit.trailing_zeros()).min(2);
    let first = b.u32(0);
    let unit = b.unit(&stream.units, Along::Block(first));
    b.name(unit, &format!("{}_unit", stream.name));
    let bits = b.load(member.stream, 32, unit, offset, 1 << zeros);
    b.name(bits, &member.name);
    Some(b.unary(Unary::F32FromBits, bits))
}

/// Number of a value, counted over all entries.
fn flat(b: &mut Builder, entry: Value, lane: Option<Value>, lanes: u32) -> Value {
    let first = b.with(Binary::Mul, entry, lanes);
    match lane {
        Some(lane) => b.binary(Binary::Add, first, lane),
        None => first,
    }
}
