#![deny(unsafe_code)]
//! What the compiler hands out for a format: its facts, its CPU functions and its kernels, each with
//! all a caller must know to launch it (entry point, workgroup, bindings, grid).
//!
//! This crate has no dependencies. The compiler fills these types in, the runtime and importers
//! read them, and the checked-in catalogue spells them out as Rust constants.
//!
//! Shapes: weights are `[n, k]` row-major, activations `[m, k]`, outputs `[m, n]`.

mod catalogue;
mod cpu;
mod indices;
mod launch;
mod limits;
mod pieces;
mod proven;
mod row;
mod streams;

pub use catalogue::{Bindings, Decoder, Skeleton};
pub use cpu::{
    AVX2, AVX512, Coded, CodesFn, Cpu, DecodeFn, Header, ROWS, RowScalesFn, ScalesFn, Versions,
};
pub use indices::{Beyond, Bits, Index, Outside};
pub use launch::{Binding, CHUNK, CHUNK_BYTES, Grid, Role, Shape};
pub use limits::{MOST_BYTES, MOST_ROWS, MOST_TILE, MOST_UNITS, MOST_WEIGHTS, largest_size};
pub use pieces::{Pieces, as_section, section};
pub use proven::Proven;
pub use row::Row;
pub use streams::{Dims, Extent, Order, Stream, Units, bits_per_weight};

use std::borrow::Cow;

/// A list that is a constant in the checked-in catalogue and owned when compiled at run time.
pub type List<T> = Cow<'static, [T]>;

/// A text that is a constant in the checked-in catalogue and owned when compiled at run time.
pub type Text = Cow<'static, str>;

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
    /// Stored numbers of units, which must be those of units that there are.
    pub indices: List<Index>,
    /// Sizes chosen with each tensor, at most 2.
    pub sizes: List<Size>,
    /// Words of the tables that kernels read from a buffer; see [`Role::Tables`].
    pub tables: List<u32>,
    /// Kernels for every kind and backend.
    pub kernels: List<Kernel>,
    /// The functions for CPUs, where they were compiled into the program.
    pub cpu: Option<Cpu>,
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
    /// Weights, where nothing else is said; a multiple of the format's block, [`Artifact::largest_size`] at
    /// most.
    pub default: u32,
}

impl Artifact {
    /// Bits stored per weight at the default sizes, over all streams of a large tensor.
    pub fn bits_per_weight(&self) -> f64 {
        bits_per_weight(&self.streams, self.weights, &self.sizes)
    }

    /// The largest value of one of the [`Artifact::sizes`], in weights.
    pub fn largest_size(&self, number: usize) -> u32 {
        let units = self.streams.iter().map(|stream| stream.units);
        largest_size(units, number as u32, self.weights)
    }

    /// Whether units are blocks in every stream, so that blocks can be cut out of a tensor.
    pub fn is_plain(&self) -> bool {
        self.streams.iter().all(|stream| stream.units.are_blocks())
    }

    /// The kernel of this backend, kind and output element that takes f32 activations and needs
    /// nothing that a device may lack.
    pub fn kernel(&self, backend: Backend, kind: Kind, output: Element) -> Option<&Kernel> {
        let wanted = (backend, kind, output, Activations::F32, false);
        self.kernels.iter().find(|kernel| {
            let Kernel { backend, kind, output, activations, subgroups, .. } = **kernel;
            (backend, kind, output, activations, subgroups) == wanted
        })
    }

    /// The kernel of this backend and kind that multiplies 8-bit activations: where the device has
    /// `subgroups`, one that uses them, if there is one. `None` where codes are no 8-bit numbers, of
    /// [`Kind::Matmul`] also where strips are so long that no tile holds them.
    pub fn int8_kernel(&self, backend: Backend, kind: Kind, subgroups: bool) -> Option<&Kernel> {
        let wanted = (backend, kind, Activations::Int8);
        let of_kind = self.kernels.iter().filter(|kernel| {
            let Kernel { backend, kind, activations, .. } = **kernel;
            (backend, kind, activations) == wanted && (subgroups || !kernel.subgroups)
        });
        of_kind.max_by_key(|kernel| kernel.subgroups)
    }

    /// The matmul of this backend that rounds to f16 for matrix units, which multiply matrices of this
    /// side; `None` where strips fit no tile of such.
    pub fn f16_kernel(&self, backend: Backend, matrix: u32) -> Option<&Kernel> {
        let wanted = (backend, Kind::Matmul, Activations::F16, matrix);
        self.kernels.iter().find(|kernel| {
            let Kernel { backend, kind, activations, matrix, .. } = **kernel;
            (backend, kind, activations, matrix) == wanted
        })
    }
}

/// One generated kernel: its source text and its launch facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// `{format}_{kind}_{element}[_{variant}]`: the entry point, and the file name without its ending.
    pub name: Text,
    /// The language of its text.
    pub backend: Backend,
    /// What the kernel computes.
    pub kind: Kind,
    /// Element type of the output `y`.
    pub output: Element,
    /// How products read activations; F32 for other kinds.
    pub activations: Activations,
    /// Whether it needs subgroup operations, of subgroups of any size.
    pub subgroups: bool,
    /// Side of the square matrices of f16 that it has matrix units multiply, in subgroups of 32
    /// invocations or less; 0 where it has not.
    pub matrix: u32,
    /// Invocations per workgroup in x, y and z.
    pub workgroup: [u32; 3],
    /// WGSL: resources of group 0, in order of `@binding`. HIP: kernel arguments, in order.
    pub bindings: List<Binding>,
    /// How many workgroups a launch needs.
    pub grid: Grid,
    /// Bytes that must be readable past the last block of every weight stream.
    pub padding: u32,
    /// Its text; see [`Kernel::source`].
    pub pieces: Pieces,
}

impl Kernel {
    /// The complete text, which includes nothing; its entry point is [`Kernel::name`]. It is joined anew
    /// with every call.
    pub fn source(&self) -> String {
        self.pieces.join(&self.name)
    }

    /// Puts another text in the place of all pieces; its entry point is [`Kernel::name`].
    pub fn set_source(&mut self, text: &str) {
        self.pieces = Pieces::whole(text);
    }
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
    /// `y[m, n]` = `x[m, k]` · weightsᵀ, for few activation rows: weights are loaded once for the `m`
    /// of [`Grid::Tiles`].
    Batch,
    /// `y[m, n]` = `x[m, k]` · weightsᵀ.
    Matmul,
    /// `y[m, k]` = the decoded rows that `m` indices name. Of a tensor in parts each writes its own
    /// rows; where there is no such row the part with the first one writes NaN.
    Gather,
    /// `y[m, used, n]` = for every row of `x[m, k]` the matrices `[n, k]`, of those that follow one
    /// another in the tensor, that `[m, used]` indices name, times the row. Of a tensor in parts each
    /// writes its own rows. Of the index `u32::MAX`, no matrix, the part with the first row writes 0, or
    /// adds nothing; where there is no such matrix, NaN. The grid covers `n` and `m · used`.
    MatvecExperts,
    /// The same for many rows: those with the same matrix are collected. The grid covers `n` and one
    /// more than there are matrices.
    MatmulExperts,
    /// `y` = `x[m, k]` as [`Activations::Int8`]; belongs to no format.
    Quantize,
}

/// How products read activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activations {
    /// As they are. Outputs are within 1e-5 of Σ|w·x|.
    #[default]
    F32,
    /// Rounded to 8 bits, 32 neighbours sharing a scale, and multiplied as integers; so are codebooks
    /// of floats. Magnitudes below 2^-100 count as zeros where all 32 are as small; an infinity or a
    /// NaN makes all outputs of its row NaN.
    ///
    /// On GPUs rows begin with a chunk, and a chunk of 32 activations, the last padded with zeros,
    /// takes [`CHUNK_BYTES`]: 32 signed bytes, the scale (f32, largest magnitude / 127), the sums of
    /// the first and of the last 16 bytes (i32), and 4 bytes that mean nothing.
    Int8,
    /// Rounded to f16, as the weights are, multiplied by matrix units (tensor cores) and added up in
    /// f32. Outputs are within 2e-3 of Σ|w·x|, but for magnitudes below 2^-14, which keep fewer bits
    /// or none, and for those beyond 65504, which become infinite.
    F16,
}

/// Element type of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE 754 binary32, 4 bytes.
    F32,
    /// IEEE 754 binary16, 2 bytes; rounded to nearest even.
    F16,
}

impl Kind {
    /// The word that stands for it in kernel names.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Dequant => "dequant",
            Kind::Matvec => "matvec",
            Kind::Batch => "batch",
            Kind::Matmul => "matmul",
            Kind::Gather => "gather",
            Kind::MatvecExperts => "matvec_experts",
            Kind::MatmulExperts => "matmul_experts",
            Kind::Quantize => "quantize",
        }
    }
}

impl Activations {
    /// The word that stands for it in kernel names.
    pub fn word(self) -> &'static str {
        match self {
            Activations::F32 => "f32",
            Activations::Int8 => "i8",
            Activations::F16 => "f16",
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

    /// Bytes of workgroup memory that a kernel may take: what WebGPU grants every device, and with matrix
    /// units what no device lacks that has them.
    pub const fn workgroup_bytes(self, matrices: bool) -> u32 {
        match (self, matrices) {
            (_, false) => 16384,
            (Backend::Wgsl, true) => 32768,
            (Backend::Hip, true) => 49152,
        }
    }
}
