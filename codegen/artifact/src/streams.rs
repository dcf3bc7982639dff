//! Streams: the tensors of bytes that store a format's weights, and where their units lie.

use crate::{Size, Text};

/// A tensor of bytes that stores a part of every block, made of units of equal size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Name in the descriptor.
    pub name: Text,
    /// Bytes per unit.
    pub bytes: u32,
    /// Where units lie.
    pub units: Units,
}

impl Stream {
    /// A constant.
    pub const fn of(name: &'static str, bytes: u32, units: Units) -> Stream {
        Stream { name: Text::Borrowed(name), bytes, units }
    }
}

/// What a unit of a stream covers, and in which order units lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Units {
    /// Units per block of a row.
    pub per_block: u32,
    /// Blocks of a row that share a unit.
    pub blocks: Extent,
    /// Rows that share a unit; 0: all.
    pub rows: u32,
    /// Which unit comes next.
    pub order: Order,
}

/// A number of blocks along k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// So many.
    Blocks(u32),
    /// So many times a size of the tensor.
    Sizes {
        /// Which of [`Artifact::sizes`].
        size: u32,
        /// How many of it.
        times: u32,
    },
    /// A whole row.
    Row,
}

/// Which unit lies behind a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The next along k, and each row starts a new unit.
    Rows,
    /// The next along k, and units run on from row to row.
    Flat,
    /// The next along n.
    Columns,
}

/// The sizes of a tensor that streams are measured with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dims {
    /// Weight rows.
    pub n: u32,
    /// Blocks per row.
    pub blocks: u32,
    /// The format's sizes, in blocks; 0 where it has fewer.
    pub sizes: [u32; 2],
}

/// Bits stored per weight by streams over blocks of `weights`; a unit for a whole row or tensor is
/// nothing beside the others.
pub fn bits_per_weight(streams: &[Stream], weights: u32, sizes: &[Size]) -> f64 {
    let bits = streams.iter().map(|Stream { bytes, units, .. }| {
        let shared = match units.blocks {
            Extent::Blocks(blocks) => f64::from(blocks) * f64::from(weights),
            Extent::Sizes { size, times } => sizes
                .get(size as usize)
                .map_or(0.0, |size| f64::from(size.default) * f64::from(times)),
            Extent::Row => 0.0,
        };
        match (shared, units.rows) {
            (0.0, _) | (_, 0) => 0.0,
            (shared, rows) => {
                f64::from(*bytes) * f64::from(units.per_block) * 8.0 / shared / f64::from(rows)
            }
        }
    });
    bits.sum()
}

impl Units {
    /// One unit per block, in the order of blocks.
    pub const BLOCKS: Units =
        Units { per_block: 1, blocks: Extent::Blocks(1), rows: 1, order: Order::Rows };

    /// Whether units are blocks, one after another.
    pub fn are_blocks(&self) -> bool {
        let order = if self.order == Order::Flat { Order::Rows } else { self.order };
        Units { order, ..*self } == Units::BLOCKS
    }
}

impl Extent {
    /// Blocks, at least 1.
    pub fn blocks(&self, dims: &Dims) -> u64 {
        let blocks = match *self {
            Extent::Blocks(blocks) => blocks.into(),
            Extent::Sizes { size, times } => {
                let size = dims.sizes.get(size as usize).copied().unwrap_or_default();
                u64::from(size) * u64::from(times)
            }
            Extent::Row => dims.blocks.into(),
        };
        blocks.max(1)
    }
}

impl Stream {
    /// Units along a row.
    pub fn units_per_row(&self, dims: &Dims) -> u64 {
        let blocks = u64::from(dims.blocks).div_ceil(self.units.blocks.blocks(dims));
        blocks * u64::from(self.units.per_block)
    }

    /// Number among all units of unit `piece` of those that a block of a row has.
    pub fn unit(&self, dims: &Dims, row: u32, block: u32, piece: u64) -> u64 {
        let Units { per_block, blocks, rows, order } = self.units;
        let span = blocks.blocks(dims);
        // One unit may serve several rows, or all of them.
        let across = u64::from(row.checked_div(rows).unwrap_or(0));
        let columns = dims.n.checked_div(rows).map_or(1, |_| dims.n.div_ceil(rows));
        let along = u64::from(block) / span * u64::from(per_block) + piece;
        match order {
            Order::Rows => across * self.units_per_row(dims) + along,
            Order::Columns => along * u64::from(columns) + across,
            Order::Flat => {
                let before = u64::from(row) * u64::from(dims.blocks) + u64::from(block);
                before / span * u64::from(per_block) + piece
            }
        }
    }

    /// Units that a tensor has, the last of them perhaps covering less than it could.
    pub fn count(&self, dims: &Dims) -> u64 {
        let rows = match self.units.rows {
            0 => 1,
            rows => u64::from(dims.n).div_ceil(rows.into()),
        };
        match self.units.order {
            Order::Rows | Order::Columns => rows.saturating_mul(self.units_per_row(dims)),
            Order::Flat => (u64::from(dims.n) * u64::from(dims.blocks))
                .div_ceil(self.units.blocks.blocks(dims))
                .saturating_mul(self.units.per_block.into()),
        }
    }

    /// Bytes that a tensor has; `None` beyond u64.
    pub fn len(&self, dims: &Dims) -> Option<u64> {
        self.count(dims).checked_mul(self.bytes.into())
    }
}

impl Dims {
    /// The words a decoder reads.
    pub fn words(&self) -> [u32; 4] {
        [self.n, self.blocks, self.sizes[0], self.sizes[1]]
    }
}
