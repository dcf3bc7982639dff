//! A validated format: members placed, layouts checked, the formula resolved.

mod build;
mod coverage;
mod facts;
mod fields;
mod formula;
mod names;
mod storage;
mod tables;

pub(crate) use facts::gcd;
pub use facts::{Affine, Class, Facts};
pub use formula::Formula;

use crate::layout::Layout;

/// A format whose descriptor passed every static check.
///
/// All positions are bits from the start of a *block*: the smallest run of weights that decodes
/// alone, over all streams.
#[derive(Clone, Debug)]
pub struct Format {
    /// Name, as in the descriptor.
    pub name: String,
    /// One line that says what it is.
    pub title: String,
    /// Where the storage was first defined.
    pub reference: Option<String>,
    /// Number of the tensor type in GGUF files.
    pub gguf: Option<u32>,
    /// Weights per block.
    pub weights: u32,
    /// Runs of bytes that store a block; at least one.
    pub streams: Vec<Stream>,
    /// Members of all streams, in storage order.
    pub members: Vec<Member>,
    /// Values read from the members.
    pub fields: Vec<Field>,
    /// Tables from code to value.
    pub tables: Vec<Table>,
    /// The formula of a weight.
    pub value: Formula,
}

/// A run of bytes that stores part of every block.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Name; `blocks` where the format has a single, unnamed one.
    pub name: String,
    /// Bytes per block.
    pub bytes: u32,
    /// Units per block, each holding all members of the stream once.
    pub units: u32,
}

/// A member of a stream's unit.
#[derive(Clone, Debug)]
pub struct Member {
    /// Name, unique over all streams.
    pub name: String,
    /// Index into [`Format::streams`].
    pub stream: usize,
    /// First byte in the unit.
    pub offset: u32,
    /// Element type; `None` is padding, counted in bytes.
    pub element: Option<Element>,
    /// Elements.
    pub count: u32,
}

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Unsigned integer.
    Unsigned,
    /// Two's complement integer.
    Signed,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
}

/// Element type of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// How its bits are read.
    pub scalar: Scalar,
    /// Bits: 8, 16 or 32.
    pub bits: u32,
}

/// One value per `per` consecutive weights.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name in the formula.
    pub name: String,
    /// How the joined planes are read.
    pub scalar: Scalar,
    /// Subtracted from the stored integer.
    pub bias: i32,
    /// Consecutive weights that share a value.
    pub per: u32,
    /// Its planes, low part first; together at most 32 bits.
    pub planes: Vec<Plane>,
    /// Its bits mean nothing, and the formula cannot name it.
    pub padding: bool,
}

/// Some bits of every value of a field.
#[derive(Clone, Debug)]
pub struct Plane {
    /// Index into [`Format::members`].
    pub member: usize,
    /// Bits it contributes.
    pub bits: u32,
    /// First bit of value 0, from the start of the stream's block.
    pub at: u32,
    /// Where value `i` lies from there; its size is the number of values per block.
    pub layout: Layout,
}

/// A table from code to value.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name in the formula.
    pub name: String,
    /// The values, by code.
    pub values: TableValues,
}

/// The entries of a table.
#[derive(Clone, Debug)]
pub enum TableValues {
    /// Integers that fit 8 bits: codes of an integer-dot kernel.
    I8(Vec<i8>),
    /// Finite floats.
    F32(Vec<f32>),
}

impl TableValues {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            TableValues::I8(values) => values.len(),
            TableValues::F32(values) => values.len(),
        }
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Field {
    /// Bits of the stored value.
    pub fn bits(&self) -> u32 {
        self.planes.iter().map(|plane| plane.bits).sum()
    }

    /// Largest and smallest integer it can hold, its bias subtracted; `None` for floats.
    pub fn range(&self) -> Option<(i64, i64)> {
        let span = 1i64 << self.bits();
        let (low, high) = match self.scalar {
            Scalar::Unsigned => (0, span - 1),
            Scalar::Signed => (-span / 2, span / 2 - 1),
            Scalar::F16 | Scalar::Bf16 | Scalar::F32 => return None,
        };
        Some((low - i64::from(self.bias), high - i64::from(self.bias)))
    }
}

impl Plane {
    /// First bit of value `index`, from the start of the stream's block.
    pub fn position(&self, index: u32) -> i64 {
        i64::from(self.at) + self.layout.at(index)
    }
}

impl Format {
    /// Reads, places and checks a descriptor. `file` is only named in problems; all of them are
    /// reported at once.
    pub fn parse(text: &str, file: &str) -> Result<Format, crate::Problems> {
        let descriptor = crate::Descriptor::parse(text, file)?;
        build::build(&descriptor).map_err(|list| crate::Descriptor::locate(text, file, list))
    }

    /// The same storage with `times` blocks taken as one, for kernels that want longer blocks.
    pub fn repeated(&self, times: u32) -> Format {
        let mut format = self.clone();
        format.weights *= times;
        for plane in format.fields.iter_mut().flat_map(|field| &mut field.planes) {
            let stream = self.members[plane.member].stream;
            let stride = i64::from(self.streams[stream].bytes) * 8;
            plane.layout = plane.layout.repeated(times, stride);
        }
        for stream in &mut format.streams {
            stream.bytes *= times;
            stream.units *= times;
        }
        format
    }
}
