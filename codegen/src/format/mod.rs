//! A validated format: members placed, layouts checked, the formula resolved.

mod affine;
mod build;
mod coding;
mod coverage;
mod expression;
mod facts;
mod fields;
mod formula;
mod indices;
mod names;
mod params;
mod planes;
mod precision;
mod range;
mod rounding;
mod scalar;
mod signed;
mod storage;
mod streams;
mod tables;
mod types;

pub use affine::Affine;
pub use coding::{Byte, Coding};
pub(crate) use facts::gcd;
pub use facts::{Class, Facts};
pub use formula::Formula;
pub use precision::Precision;
pub use scalar::{Scalar, SmallFloat, Special};
pub use signed::{Make, Signed};

use crate::artifact::{self, Param, Size, Units};
use crate::descriptor::Params;
use crate::layout::Layout;

/// A format whose descriptor passed every static check.
///
/// All positions are bits from the start of a *block*: the smallest run of weights that decodes
/// alone, over all streams.
#[derive(Clone, Debug)]
pub struct Format {
    /// Name: the descriptor's, with the parameters' values where it has parameters.
    pub name: String,
    /// Name in the descriptor.
    pub family: String,
    /// Values of the descriptor's parameters.
    pub params: Vec<Param>,
    /// One line that says what it is.
    pub title: String,
    /// Where the storage was first defined.
    pub reference: Option<String>,
    /// Number of the tensor type in GGUF files.
    pub gguf: Option<u32>,
    /// Weights per block, all of one row.
    pub weights: u32,
    /// Sizes chosen with each tensor.
    pub sizes: Vec<Size>,
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
    /// Bytes that planes reach in: those of all units of a block, or of the one unit that several
    /// blocks share.
    pub bytes: u32,
    /// Units, as the descriptor has them, in these bytes, each holding all members once.
    pub copies: u32,
    /// Bytes per unit that lies on its own: all, or fewer where units or their words are apart.
    pub unit: u32,
    /// Where the units that lie on their own are.
    pub units: Units,
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

/// Element type of a member.
#[derive(Clone, Debug, PartialEq)]
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
    /// Whether the difference keeps to the stored bits.
    pub wrap: bool,
    /// Consecutive weights of a block that share a value.
    pub per: u32,
    /// Its planes, low part first; together at most 32 bits.
    pub planes: Vec<Plane>,
    /// Instead of planes: a number computed from the weight's place, one per weight.
    pub index: Option<Layout>,
    /// Field that numbers the unit along k which holds the value; such a field has one value per unit.
    pub gather: Option<usize>,
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
    /// Where the value of a row lies from there; its size is the rows of a unit.
    pub rows: Layout,
}

/// A table from code to value.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name in the formula.
    pub name: String,
    /// Values per entry.
    pub lanes: u32,
    /// The values, by code; those of an entry one after another.
    pub values: TableValues,
}

/// The values of a table.
#[derive(Clone, Debug)]
pub enum TableValues {
    /// Integers that fit 8 bits: codes of an integer-dot kernel.
    I8(Vec<i8>),
    /// Finite floats.
    F32(Vec<f32>),
    /// Floats that are stored: so many f32 in this member, all for all blocks.
    Stored {
        /// Index into [`Format::members`].
        member: usize,
        /// How many.
        count: u32,
    },
}

impl Table {
    /// Number of entries.
    pub fn entries(&self) -> usize {
        let values = match &self.values {
            TableValues::I8(values) => values.len(),
            TableValues::F32(values) => values.len(),
            TableValues::Stored { count, .. } => *count as usize,
        };
        values / self.lanes.max(1) as usize
    }
}

impl Field {
    /// Bits of the stored value.
    pub fn bits(&self) -> u32 {
        self.planes.iter().map(|plane| plane.bits).sum()
    }

    /// Smallest and largest integer it can hold, its bias subtracted; `None` for floats.
    pub fn range(&self) -> Option<(i64, i64)> {
        if let Some(index) = &self.index {
            let all = (0..index.size()).map(|weight| index.at(weight));
            return Some((all.clone().min()?, all.max()?));
        }
        let span = 1i64 << self.bits();
        let (low, high) = match self.scalar {
            Scalar::Unsigned => (0, span - 1),
            Scalar::Signed => (-span / 2, span / 2 - 1),
            _ => return None,
        };
        match self.wrap {
            true => Some((low, high)),
            false => Some((low - i64::from(self.bias), high - i64::from(self.bias))),
        }
    }

    /// Whether its values differ from weight to weight.
    pub fn varies(&self) -> bool {
        self.per == 1
    }
}

impl Plane {
    /// First bit of value `index` of a unit's first row, from the start of the stream's block.
    pub fn position(&self, index: u32) -> i64 {
        self.in_row(index, 0)
    }

    /// First bit of value `index` of one of a unit's rows, from the start of the stream's block.
    pub fn in_row(&self, index: u32, row: u32) -> i64 {
        i64::from(self.at) + self.layout.at(index) + self.rows.at(row)
    }
}

impl Stream {
    /// The same as an artifact says it.
    pub fn artifact(&self) -> artifact::Stream {
        artifact::Stream { name: self.name.clone().into(), bytes: self.unit, units: self.units }
    }
}

impl Format {
    /// Reads, places and checks a descriptor without parameters. `file` is only named in problems;
    /// all of them are reported at once.
    pub fn parse(text: &str, file: &str) -> Result<Format, crate::Problems> {
        Format::parse_with(text, file, &Params::default())
    }

    /// [`Format::parse`] for one choice of parameters.
    pub fn parse_with(text: &str, file: &str, params: &Params) -> Result<Format, crate::Problems> {
        let descriptor = crate::Descriptor::parse(text, file)?;
        build::build(&descriptor, params)
            .map_err(|list| crate::Descriptor::locate(text, file, list))
    }

    /// Rows that share units: positions depend on the row's number modulo this one.
    pub fn rows(&self) -> u32 {
        let rows = self.streams.iter().map(|stream| stream.units.rows.max(1));
        rows.fold(1, |all, rows| all / gcd(all, rows) * rows)
    }

    /// Whether the streams are runs of blocks, one after another.
    pub fn is_plain(&self) -> bool {
        self.streams.iter().all(|stream| stream.units.are_blocks())
    }

    /// The same storage with `times` blocks taken as one, for kernels that want longer blocks. Only
    /// plain formats have short blocks.
    pub fn repeated(&self, times: u32) -> Format {
        let mut format = self.clone();
        format.weights *= times;
        for field in &mut format.fields {
            if let Some(index) = &mut field.index {
                *index = index.repeated(times, 0);
            }
            for plane in &mut field.planes {
                let stream = self.members[plane.member].stream;
                let stride = i64::from(self.streams[stream].bytes) * 8;
                plane.layout = plane.layout.repeated(times, stride);
            }
        }
        for stream in &mut format.streams {
            stream.bytes *= times;
            stream.unit *= times;
            stream.copies *= times;
        }
        format
    }
}
