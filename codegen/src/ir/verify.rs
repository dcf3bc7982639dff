//! The proof that a program is safe to run without checks, and the token that says so.
//!
//! The strip is the only input besides the block's bytes, and takes few values: the verifier runs
//! the program on intervals once per strip. Index arithmetic depends on the strip alone, so its
//! intervals are single numbers and every load and store is checked for every index.

use super::{Binary, Decoder, Entries, Lanes, Op, Type, Unary, Value};
use std::{fmt, ops::Deref};

/// A program the verifier has passed. Only [`Verified::new`] makes one, and emitters take nothing
/// else.
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Why a program did not pass: a defect of the lowering, never of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Name of the format.
    pub format: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the decoder of {} is wrong: {}", self.format, self.message)
    }
}

impl std::error::Error for VerifyError {}

impl Verified<Decoder> {
    /// Proves, for every strip: operands stand before their users and have the right types; loads
    /// stay inside their stream's block at the alignment they claim; shifts are below 32; lookups
    /// stay inside their table; integer arithmetic does not wrap; conversions to f32 are exact; and
    /// the quads of all strips cover every weight of the block exactly once.
    pub fn new(decoder: Decoder) -> Result<Verified<Decoder>, VerifyError> {
        match check(&decoder) {
            Ok(()) => Ok(Verified(decoder)),
            Err(message) => Err(VerifyError { format: decoder.format, message }),
        }
    }
}

fn check(decoder: &Decoder) -> Result<(), String> {
    for (index, stated) in decoder.lets.iter().enumerate() {
        if stated.op.operands().any(|operand| operand.0 as usize >= index) {
            return Err(format!("value {index} reads a value that is not computed yet"));
        }
        types(decoder, &stated.op, stated.ty).map_err(|error| format!("value {index}: {error}"))?;
    }
    let mut covered = vec![false; decoder.weights as usize];
    let mut intervals = vec![Interval::ANY; decoder.lets.len()];
    for strip in 0..decoder.strips {
        for index in 0..decoder.lets.len() {
            let stated = &decoder.lets[index];
            intervals[index] = interval(decoder, &stated.op, stated.ty, strip, &intervals)
                .map_err(|error| format!("value {index}, strip {strip}: {error}"))?;
        }
        for quad in &decoder.quads {
            cover(decoder, quad, &intervals, &mut covered)?;
        }
    }
    match covered.iter().position(|&covered| !covered) {
        Some(weight) => Err(format!("weight {weight} is not decoded")),
        None => Ok(()),
    }
}

fn cover(
    decoder: &Decoder,
    quad: &super::Quad,
    intervals: &[Interval],
    covered: &mut [bool],
) -> Result<(), String> {
    let typed = |value: Value, ty: Type| match decoder.lets.get(value.0 as usize) {
        Some(stated) if stated.ty == ty => Ok(()),
        _ => Err(format!("result {} is missing or not {ty:?}", value.0)),
    };
    typed(quad.start, Type::U32)?;
    let lanes = match &quad.lanes {
        Lanes::Weights(lanes) => {
            lanes.iter().try_for_each(|&lane| typed(lane, Type::F32))?;
            lanes.len()
        }
        Lanes::Codes { codes, scale, offset } => {
            typed(*codes, Type::U32)?;
            typed(*scale, Type::F32)?;
            typed(*offset, Type::F32)?;
            4
        }
    };
    let Interval { low, high } = intervals[quad.start.0 as usize];
    if low != high || !(1..=4).contains(&lanes) {
        return Err("a quad has no fixed place".into());
    }
    for weight in low..low + lanes as i64 {
        match covered.get_mut(weight as usize) {
            Some(seen @ false) => *seen = true,
            Some(true) => return Err(format!("weight {weight} is decoded twice")),
            None => return Err(format!("weight {weight} is past the block")),
        }
    }
    Ok(())
}

fn types(decoder: &Decoder, op: &Op, ty: Type) -> Result<(), String> {
    let of = |value: Value| decoder.get(value).ty;
    let right = match *op {
        Op::Strip | Op::U32(_) => ty == Type::U32,
        Op::I32(_) => ty == Type::I32,
        Op::F32(_) => ty == Type::F32,
        Op::Load { stream, bits, offset, .. } => {
            ty == Type::U32
                && of(offset) == Type::U32
                && matches!(bits, 8 | 16 | 32)
                && (stream as usize) < decoder.streams.len()
        }
        Op::Lookup { table, index } => match decoder.tables.get(table as usize) {
            Some(table) => ty == table.entries.ty() && of(index) == Type::U32,
            None => false,
        },
        Op::Binary(op, left, right) => {
            let same = of(left) == ty && of(right) == ty;
            same && (matches!(op, Binary::Add | Binary::Sub | Binary::Mul) || ty == Type::U32)
        }
        Op::Unary(op, operand) => match op {
            Unary::Neg => ty == Type::F32 && of(operand) == Type::F32,
            Unary::ToI32 => ty == Type::I32 && of(operand) == Type::U32,
            Unary::SignExtend(bits) => {
                ty == Type::I32 && of(operand) == Type::U32 && (1..=32).contains(&bits)
            }
            Unary::ToF32 => ty == Type::F32 && of(operand) != Type::F32,
            Unary::F32FromBits | Unary::F32FromF16 => ty == Type::F32 && of(operand) == Type::U32,
        },
    };
    if right { Ok(()) } else { Err(format!("{op:?} cannot give {ty:?}")) }
}

/// All values a number may take.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Interval {
    low: i64,
    high: i64,
}

impl Interval {
    /// Any 32 bits; also stands for floats, whose range no check needs.
    const ANY: Interval = Interval { low: 0, high: u32::MAX as i64 };

    fn exact(number: i64) -> Interval {
        Interval { low: number, high: number }
    }

    fn fixed(self) -> Option<i64> {
        (self.low == self.high).then_some(self.low)
    }

    fn inside(self, low: i64, high: i64, what: &str) -> Result<Interval, String> {
        if self.low >= low && self.high <= high {
            Ok(self)
        } else {
            Err(format!("{what}: {}..={} is not inside {low}..={high}", self.low, self.high))
        }
    }
}

fn interval(
    decoder: &Decoder,
    op: &Op,
    ty: Type,
    strip: u32,
    known: &[Interval],
) -> Result<Interval, String> {
    let of = |value: Value| known[value.0 as usize];
    match *op {
        Op::Strip => Ok(Interval::exact(strip.into())),
        Op::U32(number) => Ok(Interval::exact(number.into())),
        Op::I32(number) => Ok(Interval::exact(number.into())),
        Op::F32(_) => Ok(Interval::ANY),
        Op::Load { stream, bits, offset, align } => {
            let (name, size) = &decoder.streams[stream as usize];
            let offset = of(offset).inside(0, i64::from(*size) - i64::from(bits / 8), "load")?;
            let aligned = |number: i64| number % i64::from(align) == 0;
            match offset.fixed() {
                Some(offset)
                    if matches!(align, 1 | 2 | 4) && aligned(offset) && aligned((*size).into()) =>
                {
                    Ok(Interval { low: 0, high: (1 << bits) - 1 })
                }
                _ => Err(format!("a load from `{name}` is not aligned to {align} bytes")),
            }
        }
        Op::Lookup { table, index } => {
            let entries = &decoder.tables[table as usize].entries;
            of(index).inside(0, entries.len() as i64 - 1, "lookup")?;
            let range = |low: Option<i64>, high: Option<i64>| match (low, high) {
                (Some(low), Some(high)) => Interval { low, high },
                _ => Interval::ANY,
            };
            Ok(match (entries, of(index).fixed()) {
                (Entries::U32(entries), Some(index)) => {
                    Interval::exact(entries[index as usize].into())
                }
                (Entries::U32(entries), None) => range(
                    entries.iter().min().map(|&entry| entry.into()),
                    entries.iter().max().map(|&entry| entry.into()),
                ),
                (Entries::I32(entries), _) => range(
                    entries.iter().min().map(|&entry| entry.into()),
                    entries.iter().max().map(|&entry| entry.into()),
                ),
                (Entries::F32(_), _) => Interval::ANY,
            })
        }
        Op::Binary(op, left, right) if ty != Type::F32 => {
            let bounds = if ty == Type::U32 {
                (0, u32::MAX.into())
            } else {
                (i32::MIN.into(), i32::MAX.into())
            };
            binary(op, of(left), of(right))?.inside(bounds.0, bounds.1, "arithmetic wraps")
        }
        Op::Unary(op, operand) => unary(op, decoder.get(operand).ty, of(operand)),
        Op::Binary(..) => Ok(Interval::ANY),
    }
}

fn binary(op: Binary, left: Interval, right: Interval) -> Result<Interval, String> {
    let ones = |number: i64| (1i64 << (64 - number.leading_zeros())) - 1;
    Ok(match op {
        Binary::Add => Interval { low: left.low + right.low, high: left.high + right.high },
        Binary::Sub => Interval { low: left.low - right.high, high: left.high - right.low },
        Binary::Mul => {
            let ends = [
                left.low * right.low,
                left.low * right.high,
                left.high * right.low,
                left.high * right.high,
            ];
            Interval {
                low: ends.into_iter().min().unwrap_or(0),
                high: ends.into_iter().max().unwrap_or(0),
            }
        }
        Binary::Div => {
            let divisor = right.inside(1, i64::MAX, "division")?;
            Interval { low: left.low / divisor.high, high: left.high / divisor.low }
        }
        Binary::Rem => {
            let divisor = right.inside(1, i64::MAX, "remainder")?;
            match (left.fixed(), right.fixed()) {
                (Some(left), Some(right)) => Interval::exact(left % right),
                _ => Interval { low: 0, high: left.high.min(divisor.high - 1) },
            }
        }
        Binary::Shl => {
            let by = right.inside(0, 31, "shift")?;
            // Only a fixed, fitting operand keeps its value; else bits may leave at the top.
            let high = left.high << by.high;
            if high <= u32::MAX.into() {
                Interval { low: left.low << by.low, high }
            } else {
                Interval::ANY
            }
        }
        Binary::Shr => {
            let by = right.inside(0, 31, "shift")?;
            Interval { low: left.low >> by.high, high: left.high >> by.low }
        }
        Binary::And => match (left.fixed(), right.fixed()) {
            (Some(left), Some(right)) => Interval::exact(left & right),
            _ => Interval { low: 0, high: left.high.min(right.high) },
        },
        Binary::Or | Binary::Xor => match (left.fixed(), right.fixed()) {
            (Some(left), Some(right)) if op == Binary::Or => Interval::exact(left | right),
            (Some(left), Some(right)) => Interval::exact(left ^ right),
            _ => Interval { low: 0, high: ones(left.high | right.high) },
        },
    })
}

fn unary(op: Unary, from: Type, operand: Interval) -> Result<Interval, String> {
    match op {
        Unary::ToI32 => operand.inside(0, i32::MAX.into(), "u32 as i32"),
        Unary::SignExtend(bits) => {
            let half = 1i64 << (bits - 1);
            Ok(Interval { low: -half, high: half - 1 })
        }
        Unary::ToF32 => {
            let what = if from == Type::I32 { "i32 as f32" } else { "u32 as f32" };
            operand.inside(-(1 << 24), 1 << 24, what)?;
            Ok(Interval::ANY)
        }
        Unary::Neg | Unary::F32FromBits | Unary::F32FromF16 => Ok(Interval::ANY),
    }
}
