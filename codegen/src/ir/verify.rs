//! The proof that a program is safe to run without checks, and the token that says so.
//!
//! The verifier runs the program on intervals, once for every strip, row and block of small tensors of
//! several sizes. What depends on these inputs alone is a single number, so that every load and store
//! is checked for every index. Units are numbered by quotients of row and block, which rise with both:
//! where they stay inside tensors of one, two and more units either way, partial last ones among them,
//! they stay inside larger ones. That nothing wraps on the way is shown by the largest tensors that
//! there may be (`artifact::limits`), wide ones and long ones with the least and the largest sizes: all
//! of their rows and blocks are an interval then, but for rows that share units.

use super::interval::{Interval, binary, unary};
use super::samples::{self, Sample};
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
    /// stay inside a unit of their stream at the alignment they claim; shifts are below 32; lookups
    /// stay inside their table; integer arithmetic does not wrap; conversions to f32 are exact; and
    /// the quads of all strips cover every weight, or run, of the block exactly once.
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
    if decoder.run == 0 || !decoder.weights.is_multiple_of(decoder.run) {
        return Err(format!("a block is no multiple of runs of {}", decoder.run));
    }
    let mut covered = vec![false; decoder.results() as usize];
    let mut intervals = vec![Interval::ANY; decoder.lets.len()];
    let tables: Vec<Interval> = decoder.tables.iter().map(|table| range(&table.entries)).collect();
    for sample in samples::all(decoder) {
        for strip in 0..decoder.strips {
            let at = Inputs { decoder, tables: &tables, sample: &sample, strip };
            for index in 0..decoder.lets.len() {
                let stated = &decoder.lets[index];
                intervals[index] = at
                    .interval(&stated.op, stated.ty, &intervals)
                    .map_err(|error| format!("value {index}, {sample}, strip {strip}: {error}"))?;
            }
            for quad in &decoder.quads {
                cover(decoder, quad, &intervals, &mut covered)?;
            }
        }
        if let Some(weight) = covered.iter().position(|&covered| !covered) {
            return Err(format!("weight {weight} is not decoded"));
        }
        covered.fill(false);
    }
    Ok(())
}

/// What a table can give.
fn range(entries: &Entries) -> Interval {
    let range = |low: Option<i64>, high: Option<i64>| match (low, high) {
        (Some(low), Some(high)) => Interval::new(low, high),
        _ => Interval::ANY,
    };
    match entries {
        Entries::U32(entries) => range(
            entries.iter().min().map(|&entry| entry.into()),
            entries.iter().max().map(|&entry| entry.into()),
        ),
        Entries::I32(entries) => range(
            entries.iter().min().map(|&entry| entry.into()),
            entries.iter().max().map(|&entry| entry.into()),
        ),
        Entries::F32(_) => Interval::ANY,
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
        Lanes::Codes(codes) => {
            typed(*codes, Type::U32)?;
            4
        }
        Lanes::Code(code) => {
            typed(*code, Type::U32)?;
            let Interval { low, high, .. } = intervals[code.0 as usize];
            if low < 0 || high > 255 {
                return Err("a code is no byte".into());
            }
            1
        }
        Lanes::Dot { codes, scale, offset } => {
            typed(*codes, Type::U32)?;
            typed(*scale, Type::F32)?;
            typed(*offset, Type::F32)?;
            4
        }
        Lanes::Scale { scale, offset } => {
            typed(*scale, Type::F32)?;
            typed(*offset, Type::F32)?;
            1
        }
    };
    let Interval { low, high, .. } = intervals[quad.start.0 as usize];
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
        Op::Strip | Op::Row | Op::Block | Op::Rows | Op::Blocks | Op::U32(_) => ty == Type::U32,
        Op::Size(size) => ty == Type::U32 && size < 2,
        Op::I32(_) => ty == Type::I32,
        Op::F32(_) => ty == Type::F32,
        Op::Load { stream, bits, unit, offset, .. } => {
            ty == Type::U32
                && of(unit) == Type::U32
                && of(offset) == Type::U32
                && matches!(bits, 8 | 16 | 32)
                && (stream as usize) < decoder.streams.len()
        }
        Op::Word { stream, unit, offset, index, .. } => {
            let whole = [unit, offset, index].into_iter().all(|value| of(value) == Type::U32);
            ty == Type::U32 && whole && (stream as usize) < decoder.streams.len()
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
            Unary::F16FromF32 => ty == Type::U32 && of(operand) == Type::F32,
            Unary::ToU32 => ty == Type::U32 && of(operand) == Type::I32,
            Unary::Rounded => ty == Type::F32 && of(operand) == Type::F32,
        },
    };
    if right { Ok(()) } else { Err(format!("{op:?} cannot give {ty:?}")) }
}

/// What the program is run with.
struct Inputs<'a> {
    decoder: &'a Decoder,
    /// The values of each table.
    tables: &'a [Interval],
    sample: &'a Sample,
    strip: u32,
}

impl Inputs<'_> {
    fn interval(&self, op: &Op, ty: Type, known: &[Interval]) -> Result<Interval, String> {
        let (decoder, dims) = (self.decoder, &self.sample.dims);
        let of = |value: Value| known[value.0 as usize];
        match *op {
            Op::Strip => Ok(Interval::exact(self.strip.into())),
            Op::Row => Ok(self.sample.row),
            Op::Block => Ok(self.sample.block),
            Op::Rows => Ok(Interval::exact(dims.n.into())),
            Op::Blocks => Ok(Interval::exact(dims.blocks.into())),
            Op::Size(size) => Ok(Interval::exact(dims.sizes[size as usize].into())),
            Op::U32(number) => Ok(Interval::exact(number.into())),
            Op::I32(number) => Ok(Interval::exact(number.into())),
            Op::F32(_) => Ok(Interval::ANY),
            Op::Load { stream, bits, unit, offset, align } => {
                let aligned = matches!(align, 1 | 2 | 4);
                self.load(stream, bits / 8, [of(unit), of(offset)], align, aligned)?;
                Ok(Interval::new(0, (1 << bits) - 1))
            }
            Op::Word { stream, unit, offset, index, align } => {
                let aligned = matches!(align, 1 | 2 | 4 | 16);
                self.load(stream, 16, [of(unit), of(offset)], align, aligned)?;
                of(index).inside(0, 3, "word")?;
                Ok(Interval::ANY)
            }
            Op::Lookup { table, index } => {
                let entries = &decoder.tables[table as usize].entries;
                let index = of(index).inside(0, entries.len() as i64 - 1, "lookup")?;
                Ok(match (entries, index.fixed()) {
                    (Entries::U32(entries), Some(index)) => {
                        Interval::exact(entries[index as usize].into())
                    }
                    _ => self.tables[table as usize],
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
    /// Checks a load of so many bytes from a unit and an offset in it.
    fn load(
        &self,
        stream: u32,
        bytes: u32,
        [unit, offset]: [Interval; 2],
        align: u32,
        legal: bool,
    ) -> Result<(), String> {
        let stream = &self.decoder.streams[stream as usize];
        let units = stream.count(&self.sample.dims) as i64;
        unit.inside(0, units - 1, &format!("unit of `{}`", stream.name))?;
        let (size, align) = (i64::from(stream.bytes), i64::from(align));
        let offset = offset.inside(0, size - i64::from(bytes), "load")?;
        if !legal || offset.step % align != 0 || size % align != 0 {
            let name = &stream.name;
            return Err(format!("a load from `{name}` is not aligned to {align} bytes"));
        }
        Ok(())
    }
}
