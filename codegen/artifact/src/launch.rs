//! What a kernel is launched with: its bindings, its sizes, its grid.

use crate::Text;

/// One resource of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name of the variable or argument in the text.
    pub name: Text,
    /// What the caller binds there.
    pub role: Role,
}

impl Binding {
    /// A constant.
    pub const fn of(name: &'static str, role: Role) -> Binding {
        Binding { name: Text::Borrowed(name), role }
    }
}

/// What a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The bytes of weight stream number `.0` of the format, read-only.
    Weights(u32),
    /// The format's tables, [`Artifact::tables`] as little-endian u32, read-only.
    Tables,
    /// Activations, `[k]` or `[m, k]`, as [`Kernel::activations`](crate::Kernel::activations) says;
    /// read-only.
    Activations,
    /// The output. Its length in elements is rounded up to a multiple of 4.
    Output,
    /// A [`Shape`]: a uniform buffer in WGSL, a struct by value in HIP.
    Shape,
    /// f32 for every row of the tensor, added to products where [`Shape::BIAS`] is set, else never
    /// read; read-only. A product that does not bind it has no epilogue.
    Bias,
    /// u32 numbers, read-only: of weight rows to gather, `[m]`, or of matrices, `[m, used]`.
    Indices,
}

/// What a kernel is told, laid out as twelve little-endian u32.
///
/// Products store `scale · sum + bias (+ y)`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Weight rows bound.
    pub n: u32,
    /// Weights per row, a multiple of the format's block.
    pub k: u32,
    /// Activation rows; rows that are gathered.
    pub m: u32,
    /// Number in the tensor of row 0 of the bound weights, which is a column of the output.
    /// Dequantization: the first unit of decoding, as [`Grid::Strips`] counts them.
    pub first: u32,
    /// Length of an output row: all weight rows, where a tensor is split over several launches.
    /// Dequantization: how many units are decoded. Gathering: all weight rows. Mixtures of experts: rows
    /// of a matrix.
    pub stride: u32,
    /// The format's sizes, in blocks.
    pub sizes: [u32; 2],
    /// Zero, which kernels hide roundings behind.
    pub zero: u32,
    /// Bits of the f32 that sums are multiplied with.
    pub scale: u32,
    /// [`Shape::BIAS`] and [`Shape::ADD`], or neither.
    pub flags: u32,
    /// Matrices that each activation row chooses.
    pub used: u32,
    /// Matrices that the tensor is made of.
    pub matrices: u32,
}

impl Shape {
    /// Flag: [`Role::Bias`] is added.
    pub const BIAS: u32 = 1;
    /// Flag: what the output holds is added.
    pub const ADD: u32 = 2;

    /// The twelve words a kernel reads.
    pub fn words(&self) -> [u32; 12] {
        let Shape { n, k, m, first, stride, sizes: [a, b], .. } = *self;
        let Shape { scale, flags, used, matrices, .. } = *self;
        [n, k, m, first, stride, a, b, 0, scale, flags, used, matrices]
    }
}

impl Default for Shape {
    /// Nothing bound, and sums stored as they are.
    fn default() -> Shape {
        Shape {
            n: 0,
            k: 0,
            m: 0,
            first: 0,
            stride: 0,
            sizes: [0; 2],
            zero: 0,
            scale: 1f32.to_bits(),
            flags: 0,
            used: 1,
            matrices: 1,
        }
    }
}

/// Activations that share a scale in [`Activations::Int8`](crate::Activations::Int8).
pub const CHUNK: u32 = 32;
/// Bytes of such a chunk.
pub const CHUNK_BYTES: u32 = 48;

/// How many workgroups cover a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// One invocation per strip of weights: `strips` strips decode `weights` weights, a unit of
    /// decoding; the tensor is taken as `n·k` weights in a row.
    Strips {
        /// Weights per unit of decoding: a block, or a few short ones.
        weights: u32,
        /// Invocations per unit.
        strips: u32,
        /// Invocations per workgroup.
        per_workgroup: u32,
    },
    /// `per_workgroup` weight rows per workgroup.
    Rows {
        /// Weight rows per workgroup.
        per_workgroup: u32,
    },
    /// One output tile of `m × n` elements per workgroup, weight rows running fastest.
    Tiles {
        /// Weight rows per tile.
        n: u32,
        /// Activation rows per tile.
        m: u32,
    },
    /// `per_workgroup` chunks of [`CHUNK`] activations per workgroup.
    Chunks {
        /// Chunks per workgroup.
        per_workgroup: u32,
    },
}

impl Grid {
    /// The same; of [`Grid::Strips`] without numbers, with the weights and strips of this unit of decoding.
    pub const fn of_unit(self, [weights, strips]: [u32; 2]) -> Grid {
        match self {
            Grid::Strips { weights: 0, strips: 0, per_workgroup } => {
                Grid::Strips { weights, strips, per_workgroup }
            }
            grid => grid,
        }
    }

    /// Workgroups needed for weights `[n, k]` and `m` activation rows.
    pub fn workgroups(&self, n: u64, k: u64, m: u64) -> u64 {
        match *self {
            Grid::Strips { weights, strips, per_workgroup } => (n * k)
                .div_ceil(weights.into())
                .saturating_mul(strips.into())
                .div_ceil(per_workgroup.into()),
            Grid::Rows { per_workgroup } => n.div_ceil(per_workgroup.into()),
            Grid::Tiles { n: tile_n, m: tile_m } => {
                n.div_ceil(tile_n.into()).saturating_mul(m.div_ceil(tile_m.into()))
            }
            Grid::Chunks { per_workgroup } => {
                m.saturating_mul(k.div_ceil(CHUNK.into())).div_ceil(per_workgroup.into())
            }
        }
    }

    /// The launch grid `[x, y, 1]`: 2-D above `limit` workgroups per dimension (65,535 in WebGPU).
    /// Kernels number workgroups `x + y · grid_x` and skip those past the end. `None` where even
    /// two dimensions do not hold them.
    pub fn launch(&self, n: u64, k: u64, m: u64, limit: u32) -> Option<[u32; 3]> {
        let total = self.workgroups(n, k, m).max(1);
        let y = total.div_ceil(limit.into());
        let x = total.div_ceil(y);
        (y <= limit.into()).then_some([x as u32, y as u32, 1])
    }
}
