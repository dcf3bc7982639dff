//! Packed signed 8-bit codes with the scale and offset they share: what an integer dot product reads.

use super::build::Builder;
use super::plane::Reader;
use super::strips::Strips;
use super::weights::Values;
use crate::format::{Affine, Class, Format, Formula, Scalar, TableValues};
use crate::ir::{Binary, Decoder, Entries, Lanes, Quad, Value};

/// Whether the format has integer codes, four of which share scale and offset.
pub(super) fn applies(format: &Format) -> bool {
    let facts = format.facts();
    facts.class != Class::Float && facts.run.is_multiple_of(4)
}

/// The program that hands out codes; `None` where these strips do not fit the layouts.
pub(super) fn lower(format: &Format, strips: &Strips) -> Option<Decoder> {
    if strips.lanes != 4 {
        return None;
    }
    let affine = format.facts().affine?;
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let mut quads = Vec::new();
    for (quad, starts) in strips.starts.iter().enumerate() {
        let start = b.of_strip(starts)?;
        let (codes, zero) = pack(&mut b, &reader, &affine, quad)?;
        let mut values = Values { reader: &reader, quad, lane: 0 };
        let scale = values.formula(&mut b, &affine.scale)?;
        b.name(scale, "scale");
        let offset = shifted(&affine, zero);
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
    match affine.code {
        Formula::Field(field) => {
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
            Some((b.with(Binary::Xor, stored, flip * 0x0101_0101), zero))
        }
        Formula::Lookup { table, index } => {
            let stated = &reader.format.tables[table];
            let TableValues::I8(values) = &stated.values else { return None };
            let bytes = Entries::U32(values.iter().map(|&value| u32::from(value as u8)).collect());
            let bytes = b.table(format!("{}_bytes", stated.name), bytes);
            let codes = join(b, |b, lane| {
                let index = Values { reader, quad, lane }.index(b, index)?;
                Some(b.lookup(bytes, index))
            })?;
            Some((codes, 0))
        }
        _ => None,
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
