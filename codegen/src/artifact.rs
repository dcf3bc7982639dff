//! What the compiler hands out for a format: its facts, its CPU decoder and its kernels, each with
//! all a caller must know to launch it (entry point, workgroup, bindings, grid).
//!
//! This module has no dependencies. The compiler fills these types in, the runtime and importers
//! read them, and the checked-in manifest spells them out as Rust constants.
//!
//! Shapes: weights are `[n, k]` row-major, activations `[m, k]`, outputs `[m, n]`.

use std::borrow::Cow;

/// A list that is a constant in the checked-in manifest and owned when compiled at run time.
pub type List<T> = Cow<'static, [T]>;

/// A text that is a constant in the checked-in manifest and owned when compiled at run time.
pub type Text = Cow<'static, str>;

/// Decodes consecutive blocks of a tensor, from block number `first` on (rows one after another)
/// until `weights`, a multiple of the format's block, is full. `streams` are those of the whole
/// tensor, `dims` its [`Dims::words`]. Where streams are too short weights keep their value or become
/// those of zero bytes; the caller checks lengths first.
pub type DecodeFn = fn(streams: &[&[u8]], dims: &[u32; 4], first: usize, weights: &mut [f32]);

/// Everything generated for one format.
#[derive(Clone, Debug, Default)]
pub struct Artifact {
    /// The format's name: the descriptor's, with the parameters' values where it has parameters.
    pub name: Text,
    /// Name in the descriptor.
    pub family: Text,
    /// Values of the descriptor's parameters, in its order.
    pub params: List<Param>,
    /// One line that says what it is.
    pub title: Text,
    /// Number of the format's type in GGUF files, where it has one.
    pub gguf: Option<u32>,
    /// Weights per block, the smallest unit that decodes alone; `k` must be a multiple of it.
    pub weights: u32,
    /// Where the bytes lie: one stream for block formats, several for planar ones.
    pub streams: List<Stream>,
    /// Sizes chosen with each tensor, at most 2.
    pub sizes: List<Size>,
    /// Words of the tables that kernels read from a buffer; see [`Role::Tables`].
    pub tables: List<u32>,
    /// Kernels for every kind and backend.
    pub kernels: List<Kernel>,
    /// The CPU decoder, where it was compiled into the program.
    pub decode: Option<DecodeFn>,
    /// The descriptor's own text.
    pub descriptor: Text,
}

/// A parameter of a descriptor and the value it has in this format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name in the descriptor.
    pub name: Text,
    /// Its value here.
    pub value: u32,
}

/// A size chosen with each tensor, such as the weights of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Name in the descriptor.
    pub name: Text,
    /// Weights, where nothing else is said; a multiple of the format's block.
    pub default: u32,
}

/// A tensor of bytes that stores a part of every block, made of units of equal size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Name in the descriptor, and of the kernels' binding.
    pub name: Text,
    /// Bytes per unit.
    pub bytes: u32,
    /// Where units lie.
    pub units: Units,
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

impl Artifact {
    /// Bits stored per weight at the default sizes, over all streams of a large tensor.
    pub fn bits_per_weight(&self) -> f64 {
        bits_per_weight(&self.streams, self.weights, &self.sizes)
    }

    /// Whether units are blocks in every stream, so that blocks can be cut out of a tensor.
    pub fn is_plain(&self) -> bool {
        self.streams.iter().all(|stream| stream.units.are_blocks())
    }

    /// The kernel of this backend, kind and output element.
    pub fn kernel(&self, backend: Backend, kind: Kind, output: Element) -> Option<&Kernel> {
        self.kernels
            .iter()
            .find(|kernel| (kernel.backend, kernel.kind, kernel.output) == (backend, kind, output))
    }
}

/// Bits stored per weight by streams over blocks of `weights`; a unit for a whole row or tensor is
/// nothing beside the others.
pub fn bits_per_weight(streams: &[Stream], weights: u32, sizes: &[Size]) -> f64 {
    let bits = streams.iter().map(|Stream { bytes, units, .. }| {
        let shared = match units.blocks {
            Extent::Blocks(blocks) => blocks * weights,
            Extent::Sizes { size, times } => {
                sizes.get(size as usize).map_or(0, |size| size.default * times)
            }
            Extent::Row => 0,
        };
        match (shared, units.rows) {
            (0, _) | (_, 0) => 0.0,
            (shared, rows) => {
                f64::from(bytes * units.per_block) * 8.0 / f64::from(shared) / f64::from(rows)
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

/// One generated kernel: its source text and its launch facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `{format}_{kind}_{element}`: the entry point, and the file name without its ending.
    pub name: Text,
    /// The language of [`Kernel::source`].
    pub backend: Backend,
    /// What the kernel computes.
    pub kind: Kind,
    /// Element type of the output `y`. Activations are always f32.
    pub output: Element,
    /// Invocations per workgroup in x, y and z.
    pub workgroup: [u32; 3],
    /// WGSL: resources of group 0, in order of `@binding`. HIP: kernel arguments, in order.
    pub bindings: List<Binding>,
    /// How many workgroups a launch needs.
    pub grid: Grid,
    /// Bytes that must be readable past the last block of every weight stream.
    pub padding: u32,
    /// The complete kernel text; it includes nothing.
    pub source: Text,
}

/// The language a kernel is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// WebGPU shading language.
    Wgsl,
    /// HIP C++, also accepted by nvcc, NVRTC and a host C++ compiler.
    Hip,
}

/// What a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `y[n, k]` = the decoded weights.
    Dequant,
    /// `y[n]` = weights · `x[k]`.
    Matvec,
    /// `y[m, n]` = `x[m, k]` · weightsᵀ.
    Matmul,
}

/// Element type of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE 754 binary32, 4 bytes.
    F32,
    /// IEEE 754 binary16, 2 bytes; rounded to nearest even.
    F16,
}

/// One resource of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name of the variable or argument in the text.
    pub name: Text,
    /// What the caller binds there.
    pub role: Role,
}

/// What a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The bytes of weight stream number `.0` of the format, read-only.
    Weights(u32),
    /// The format's tables, [`Artifact::tables`] as little-endian u32, read-only.
    Tables,
    /// f32 activations, `[k]` or `[m, k]`, read-only.
    Activations,
    /// The output. Its length in elements is rounded up to a multiple of 4.
    Output,
    /// A [`Shape`]: a uniform buffer in WGSL, a struct by value in HIP.
    Shape,
}

/// The sizes a kernel is told, laid out as eight little-endian u32.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Weight rows bound.
    pub n: u32,
    /// Weights per row, a multiple of the format's block.
    pub k: u32,
    /// Activation rows.
    pub m: u32,
    /// Column of the output that row 0 of the bound weights belongs to. Dequantization: the first
    /// unit of decoding, as [`Grid::Strips`] counts them.
    pub first: u32,
    /// Length of an output row: all weight rows, where a tensor is split over several launches.
    /// Dequantization: how many units are decoded.
    pub stride: u32,
    /// The format's sizes, in blocks.
    pub sizes: [u32; 2],
    /// Zero, which kernels hide roundings behind.
    pub zero: u32,
}

impl Shape {
    /// The eight words a kernel reads.
    pub fn words(&self) -> [u32; 8] {
        [self.n, self.k, self.m, self.first, self.stride, self.sizes[0], self.sizes[1], 0]
    }
}

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
}

impl Grid {
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

impl Kind {
    /// The word that stands for it in kernel names.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Dequant => "dequant",
            Kind::Matvec => "matvec",
            Kind::Matmul => "matmul",
        }
    }
}

impl Element {
    /// The word that stands for it in kernel names.
    pub fn word(self) -> &'static str {
        match self {
            Element::F32 => "f32",
            Element::F16 => "f16",
        }
    }

    /// Bytes per element.
    pub fn bytes(self) -> u64 {
        match self {
            Element::F32 => 4,
            Element::F16 => 2,
        }
    }
}

impl Backend {
    /// Directory and file ending of its texts.
    pub fn word(self) -> &'static str {
        match self {
            Backend::Wgsl => "wgsl",
            Backend::Hip => "hip",
        }
    }
}

/// The one place where a kernel's name is built; nothing parses it back.
pub fn kernel_name(format: &str, kind: Kind, element: Element) -> String {
    format!("{format}_{}_{}", kind.word(), element.word())
}
