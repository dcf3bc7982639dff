//! The decoder program that every backend renders: straight-line code from the bytes of a tensor
//! to the weights of one strip.
//!
//! A *strip* is an aligned word of the primary code plane and every weight in it; a block has
//! [`Decoder::strips`] of them. The program's inputs are the row, the number of the block in it, the
//! strip's number in the block, and the tensor's sizes. Inside a strip, weights come in *quads*: runs
//! of up to 4 consecutive weights. Programs that hand out scale and offset of a run have a strip for
//! each run.

mod interpret;
mod interval;
mod print;
mod samples;
mod verify;

pub(crate) use interpret::by_strip;
pub use interpret::{interpret, interpret_codes, interpret_dots, interpret_scales};
pub use verify::{Verified, VerifyError};

use crate::artifact::Stream;

/// A value of the program, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

/// A straight-line program over the bytes of a tensor.
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Name of the format, for messages.
    pub format: String,
    /// Weights per block.
    pub weights: u32,
    /// Consecutive weights that a result stands for: 1, or those that share scale and offset.
    pub run: u32,
    /// Strips per block: the range of [`Op::Strip`].
    pub strips: u32,
    /// Rows that share units: what depends on the row's number does so modulo this one.
    pub rows: u32,
    /// Every stream, and where its units lie.
    pub streams: Vec<Stream>,
    /// Constant tables.
    pub tables: Vec<Table>,
    /// The program; operands stand before their users.
    pub lets: Vec<Let>,
    /// What it computes.
    pub quads: Vec<Quad>,
}

/// One value: its operation, its type, and the name it would have in a hand-written kernel.
#[derive(Clone, Debug)]
pub struct Let {
    /// How it is computed.
    pub op: Op,
    /// Type of the result.
    pub ty: Type,
    /// A hint; empty where the value needs no name.
    pub name: String,
}

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
    /// 32-bit float.
    F32,
}

/// An operation. Integer arithmetic never wraps: the verifier proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Number of the strip in its block, u32.
    Strip,
    /// Number of the row, u32.
    Row,
    /// Number of the block in its row, u32.
    Block,
    /// Rows of the tensor, u32, at least 1.
    Rows,
    /// Blocks of a row, u32, at least 1.
    Blocks,
    /// One of the tensor's sizes in blocks, u32, at least 1.
    Size(u32),
    /// A constant u32.
    U32(u32),
    /// A constant i32.
    I32(i32),
    /// A constant f32, by its bits.
    F32(u32),
    /// Little-endian bytes of a unit, zero-extended to u32.
    Load {
        /// Which stream.
        stream: u32,
        /// 8, 16 or 32 bits.
        bits: u32,
        /// Number of the unit in its stream, u32.
        unit: Value,
        /// First byte in the unit, u32.
        offset: Value,
        /// The address is a multiple of this many bytes (1, 2 or 4), whatever the block and strip.
        align: u32,
    },
    /// One of four words of 4 bytes that lie in a row in a unit and are loaded together, u32. Words with
    /// the same four are one load.
    Word {
        /// Which stream.
        stream: u32,
        /// Number of the unit in its stream, u32.
        unit: Value,
        /// First byte of the four words in the unit, u32.
        offset: Value,
        /// Which of them, u32 below 4.
        index: Value,
        /// The address of the four is a multiple of this many bytes (1, 2, 4 or 16).
        align: u32,
    },
    /// Entry of a constant table; f32 or i32 or u32 as the table is.
    Lookup {
        /// Which table.
        table: u32,
        /// u32, below the table's length.
        index: Value,
    },
    /// Two operands of one type, which is the result's.
    Binary(Binary, Value, Value),
    /// One operand.
    Unary(Unary, Value),
}

/// Operations of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// Sum, any type.
    Add,
    /// Difference, any type.
    Sub,
    /// Product, any type.
    Mul,
    /// Quotient rounded down, u32.
    Div,
    /// Remainder, u32.
    Rem,
    /// Shift left, u32; bits may leave at the top.
    Shl,
    /// Shift right, u32.
    Shr,
    /// Bitwise and, u32.
    And,
    /// Bitwise or, u32.
    Or,
    /// Bitwise exclusive or, u32.
    Xor,
    /// The smaller one, u32.
    Min,
}

/// Operations of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// Sign change, f32.
    Neg,
    /// u32 below 2^31 to i32.
    ToI32,
    /// The low `.0` bits of a u32, read as two's complement, to i32.
    SignExtend(u32),
    /// u32 or i32 of magnitude at most 2^24 to f32: exact.
    ToF32,
    /// The bits of a u32, read as binary32.
    F32FromBits,
    /// The low 16 bits of a u32, read as binary16; subnormals are kept.
    F32FromF16,
    /// An f32, rounded to nearest even, as the bits of a binary16, u32.
    F16FromF32,
    /// The bits of an i32, u32.
    ToU32,
    /// The same f32, after whose rounding no compiler may look: what is computed from it may not be
    /// fused or re-associated with what computed it.
    Rounded,
}

/// Up to 4 consecutive results.
#[derive(Clone, Debug)]
pub struct Quad {
    /// Index in the block of the first result, u32.
    pub start: Value,
    /// What the program hands out for them.
    pub lanes: Lanes,
}

/// The results of a quad.
#[derive(Clone, Debug)]
pub enum Lanes {
    /// One f32 per weight.
    Weights(Vec<Value>),
    /// The codes of four weights in the bytes of a u32, first weight lowest.
    Codes(Value),
    /// The code of one weight, u32 below 256.
    Code(Value),
    /// The codes of four weights as signed bytes, and what these four share: weight = scale · code +
    /// offset, but for what the format subtracts from every code.
    Dot {
        /// The bytes of a u32, first weight lowest.
        codes: Value,
        /// Factor, f32.
        scale: Value,
        /// Summand, f32.
        offset: Value,
    },
    /// What the weights of a run share: weight = scale · value of the code + offset.
    Scale {
        /// Factor, f32.
        scale: Value,
        /// Summand, f32.
        offset: Value,
    },
}

/// A constant table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Word of the format's table buffer where it begins; `None` for a small table, which is part of
    /// the program's text.
    pub at: Option<u32>,
    /// Its entries.
    pub entries: Entries,
}

/// Entries of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Entries {
    /// Looked up as u32.
    U32(Vec<u32>),
    /// Looked up as i32.
    I32(Vec<i32>),
    /// Looked up as f32.
    F32(Vec<f32>),
}

impl Entries {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            Entries::U32(entries) => entries.len(),
            Entries::I32(entries) => entries.len(),
            Entries::F32(entries) => entries.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Type of a looked-up value.
    pub fn ty(&self) -> Type {
        match self {
            Entries::U32(_) => Type::U32,
            Entries::I32(_) => Type::I32,
            Entries::F32(_) => Type::F32,
        }
    }
}

impl Decoder {
    /// The let that computes `value`.
    pub fn get(&self, value: Value) -> &Let {
        &self.lets[value.0 as usize]
    }

    /// Weights per strip.
    pub fn strip_weights(&self) -> u32 {
        self.weights / self.strips.max(1)
    }

    /// Results per block.
    pub fn results(&self) -> u32 {
        self.weights / self.run.max(1)
    }

    /// Which values depend on more than the strip: on what is loaded, or on the place of the block.
    pub fn unfixed(&self) -> Vec<bool> {
        let mut unfixed = vec![false; self.lets.len()];
        for (index, stated) in self.lets.iter().enumerate() {
            let own = matches!(
                stated.op,
                Op::Load { .. }
                    | Op::Word { .. }
                    | Op::Row
                    | Op::Block
                    | Op::Rows
                    | Op::Blocks
                    | Op::Size(_)
            );
            unfixed[index] = own || stated.op.operands().any(|operand| unfixed[operand.0 as usize]);
        }
        unfixed
    }
}

impl Quad {
    /// All values the quad hands out, its start first.
    pub fn values(&self) -> Vec<Value> {
        let mut values = vec![self.start];
        match &self.lanes {
            Lanes::Weights(weights) => values.extend(weights),
            Lanes::Codes(codes) | Lanes::Code(codes) => values.push(*codes),
            Lanes::Dot { codes, scale, offset } => values.extend([codes, scale, offset]),
            Lanes::Scale { scale, offset } => values.extend([scale, offset]),
        }
        values
    }
}

impl Op {
    /// Whether it is an input or a constant, which need no variable.
    pub fn is_given(&self) -> bool {
        !matches!(
            self,
            Op::Load { .. } | Op::Word { .. } | Op::Lookup { .. } | Op::Binary(..) | Op::Unary(..)
        )
    }

    /// The values it reads.
    pub fn operands(&self) -> impl Iterator<Item = Value> {
        let operands = match *self {
            Op::Lookup { index: value, .. } | Op::Unary(_, value) => [Some(value), None, None],
            Op::Load { unit: left, offset: right, .. } | Op::Binary(_, left, right) => {
                [Some(left), Some(right), None]
            }
            Op::Word { unit, offset, index, .. } => [Some(unit), Some(offset), Some(index)],
            _ => [None; 3],
        };
        operands.into_iter().flatten()
    }
}
