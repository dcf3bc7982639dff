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

/// Decodes consecutive blocks: `streams[s]` starts at the same block in every stream, and
/// `weights.len()` is a multiple of the format's block. Short streams decode as many blocks as
/// they hold; the caller checks lengths first.
pub type DecodeFn = fn(streams: &[&[u8]], weights: &mut [f32]);

/// Everything generated for one format.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The format's name, as in its descriptor.
    pub name: Text,
    /// One line that says what it is.
    pub title: Text,
    /// Number of the format's type in GGUF files, where it has one.
    pub gguf: Option<u32>,
    /// Weights per block, the smallest unit that decodes alone; `k` must be a multiple of it.
    pub weights: u32,
    /// Where the bytes lie: one stream for block formats, several for planar ones.
    pub streams: List<Stream>,
    /// Kernels for every kind and backend.
    pub kernels: List<Kernel>,
    /// The CPU decoder, where it was compiled into the program.
    pub decode: Option<DecodeFn>,
    /// The descriptor's own text.
    pub descriptor: Text,
}

/// One contiguous run of bytes that stores part of every block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Name in the descriptor, and of the kernels' binding.
    pub name: Text,
    /// Bytes per block.
    pub bytes: u32,
}

impl Artifact {
    /// Bits stored per weight, over all streams.
    pub fn bits_per_weight(&self) -> f64 {
        let bytes: u32 = self.streams.iter().map(|stream| stream.bytes).sum();
        f64::from(bytes) * 8.0 / f64::from(self.weights)
    }

    /// The kernel of this backend, kind and output element.
    pub fn kernel(&self, backend: Backend, kind: Kind, output: Element) -> Option<&Kernel> {
        self.kernels
            .iter()
            .find(|kernel| (kernel.backend, kernel.kind, kernel.output) == (backend, kind, output))
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
    /// Column of the output that row 0 of the bound weights belongs to.
    pub first: u32,
    /// Length of an output row: all weight rows, where a tensor is split over several launches.
    pub stride: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

impl Shape {
    /// The eight words a kernel reads.
    pub fn words(&self) -> [u32; 8] {
        [self.n, self.k, self.m, self.first, self.stride, 0, 0, 0]
    }
}

/// How many workgroups cover a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// One invocation per strip of weights: `strips` strips decode `weights` weights, and the
    /// tensor is taken as `n·k` weights in a row.
    Strips {
        /// Weights that `strips` invocations decode together.
        weights: u32,
        /// Invocations per `weights` weights.
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
