//! Small integers become floats by their bits: GPUs convert at a fraction of the rate at which they add.

use super::build::Builder;
use crate::ir::{Binary, Decoder, Entries, Op, Type, Unary, Value, Verified, VerifyError};

/// The bits of 2^23, whose last bit stands for 1.
const BITS: u32 = 0x4b00_0000;
/// Its value.
const VALUE: f32 = 8_388_608.0;

/// The same program without conversions of integers below 2^23: these bits are set in those of 2^23,
/// which is subtracted again. Tables of integers that are converted become tables of floats.
pub(super) fn converted(decoder: &Verified<Decoder>) -> Result<Verified<Decoder>, VerifyError> {
    Builder::rewritten(decoder, |b, value, number| {
        let Op::Unary(Unary::ToF32, operand) = decoder.get(value).op else { return None };
        match small(decoder, operand)? {
            Small::Sum { integer, mask, flip, less } => {
                let integer = b.with(Binary::And, number(integer), mask);
                let integer = b.with(Binary::Xor, integer, flip);
                let bits = b.with(Binary::Or, integer, BITS);
                let float = b.unary(Unary::F32FromBits, bits);
                let origin = b.f32(VALUE + less as f32);
                Some(b.binary(Binary::Sub, float, origin))
            }
            Small::Entry { table, index } => {
                let stated = &decoder.tables[table as usize];
                let table = b.table(stated.name.clone(), floats(&stated.entries)?);
                Some(b.lookup(table, number(index)))
            }
        }
    })
}

/// What is converted.
enum Small {
    /// `((integer & mask) ^ flip) - less`, where the first part is below 2^23.
    Sum { integer: Value, mask: u32, flip: u32, less: i32 },
    /// An entry of a table in the program's text.
    Entry { table: u32, index: Value },
}

fn small(decoder: &Decoder, value: Value) -> Option<Small> {
    let below = |value: Value| most(decoder, value) < 1 << 23;
    let plain = |integer: Value, less: i32| {
        below(integer).then_some(Small::Sum { integer, mask: u32::MAX, flip: 0, less })
    };
    match decoder.get(value).op {
        Op::Lookup { table, index } if decoder.tables[table as usize].at.is_none() => {
            Some(Small::Entry { table, index })
        }
        Op::Unary(Unary::SignExtend(bits @ 2..=22), integer) => {
            let half = 1 << (bits - 1);
            let mask =
                if most(decoder, integer) < 2 * half { u32::MAX } else { 2 * half as u32 - 1 };
            Some(Small::Sum { integer, mask, flip: half as u32, less: half as i32 })
        }
        Op::Unary(Unary::ToI32, integer) => plain(integer, 0),
        Op::Binary(Binary::Sub, left, right) => {
            match (decoder.get(left).op, decoder.get(right).op) {
                (Op::Unary(Unary::ToI32, integer), Op::I32(less @ 0..0x40_0000)) => {
                    plain(integer, less)
                }
                _ => None,
            }
        }
        _ if decoder.get(value).ty == Type::U32 => plain(value, 0),
        _ => None,
    }
}

/// An upper bound of a u32, from what it is made of.
fn most(decoder: &Decoder, value: Value) -> u64 {
    let of = |value: Value| most(decoder, value);
    let ones = |number: u64| (1u64 << (64 - number.leading_zeros())) - 1;
    let bound = match decoder.get(value).op {
        Op::U32(number) => number.into(),
        Op::Load { bits, .. } => (1 << bits) - 1,
        Op::Binary(Binary::And, left, right) => of(left).min(of(right)),
        Op::Binary(Binary::Or | Binary::Xor, left, right) => ones(of(left) | of(right)),
        Op::Binary(Binary::Add, left, right) => of(left) + of(right),
        Op::Binary(Binary::Shr, left, right) => match decoder.get(right).op {
            Op::U32(by) => of(left) >> by.min(63),
            _ => of(left),
        },
        Op::Binary(Binary::Shl, left, right) => match decoder.get(right).op {
            Op::U32(by) if by < 32 => of(left) << by,
            _ => u64::MAX,
        },
        _ => u64::MAX,
    };
    bound.min(u32::MAX.into())
}

/// A table's integers as floats, where all are exact.
fn floats(entries: &Entries) -> Option<Entries> {
    let exact = |entry: i64| (entry.abs() <= 1 << 24).then_some(entry as f32);
    let floats: Option<Vec<f32>> = match entries {
        Entries::U32(entries) => entries.iter().map(|&entry| exact(entry.into())).collect(),
        Entries::I32(entries) => entries.iter().map(|&entry| exact(entry.into())).collect(),
        Entries::F32(_) => None,
    };
    floats.map(Entries::F32)
}
