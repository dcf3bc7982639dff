//! What a call becomes: kernels, their shapes and grids, and the memory that each of their bindings is
//! bound to. Once for all devices, which open, own memory, and execute what is planned here.
//!
//! A [`Planner`] knows a tensor and what its device grants. It makes a [`Plan`] of a [`Call`] with
//! [`Operands`] in the device's [`Memory`], and [`Step`]s of a call with slices of the host's.

#[cfg(any(feature = "hip", feature = "wgpu", feature = "web"))]
mod calls;
mod choice;
mod kept;
mod limits;
#[cfg(any(feature = "hip", feature = "wgpu", feature = "web"))]
mod methods;
mod operands;
mod parts;
mod plan;
mod planner;
mod resident;
mod steps;
#[cfg(test)]
mod tests;

use std::ops::Range;

#[cfg(any(feature = "hip", feature = "wgpu", feature = "web"))]
pub(crate) use self::calls::calls;
pub(crate) use self::choice::Choice;
pub use self::choice::FEW_ROWS;
pub(crate) use self::kept::{Kept, grown, locked};
pub(crate) use self::limits::Limits;
#[cfg(any(feature = "wgpu", feature = "web"))]
pub(crate) use self::limits::is_callers;
#[cfg(any(feature = "hip", feature = "wgpu", feature = "web"))]
pub(crate) use self::methods::methods;
pub(crate) use self::operands::Operands;
pub(crate) use self::planner::Planner;
pub(crate) use self::resident::Runs;
pub(crate) use self::steps::Step;
use crate::artifact::{Element, Kernel, Shape};
use crate::{Experts, Result};

/// What is computed with a tensor `[n, k]` on a device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    /// `y[m, n] = x[m, k] · weightsᵀ`.
    Product { m: u32 },
    /// `y[m, used, n / matrices]` = rows of `x[m, k]` times the matrices that indices choose.
    Experts(Experts),
    /// `y[rows, k]` = the decoded rows that indices name.
    Gather { rows: u32, element: Element },
    /// `y[n, k]` = all weights decoded.
    Dequant { element: Element },
    /// The beginning of `y` = some decoded blocks of a part.
    Piece { part: usize, blocks: Range<u64>, element: Element },
    /// What a product of `x[m, k]` does first where it rounds to 8 bits.
    Rounding { m: u32 },
}

/// A range of a device's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span<B> {
    pub buffer: B,
    /// Byte of the buffer, or address.
    pub begin: u64,
    pub bytes: u64,
}

impl<B> Span<B> {
    /// A part of it, cut off at its end.
    pub fn part(self, offset: u64, bytes: u64) -> Span<B> {
        let bytes = bytes.min(self.bytes.saturating_sub(offset));
        Span { begin: self.begin + offset, bytes, ..self }
    }
}

/// A device's memory, as plans see it.
pub(crate) trait Memory {
    type Buffer: Copy + PartialEq;

    /// A stream of a part of the tensor.
    fn stream(&self, part: usize, stream: usize) -> Option<Span<Self::Buffer>>;
    /// The format's tables.
    fn tables(&self) -> Option<Span<Self::Buffer>>;
    /// So many bytes that calls leave to one another. A plan asks once for each purpose.
    fn scratch(&self, purpose: Scratch, bytes: u64) -> Result<Span<Self::Buffer>>;
}

/// What memory that calls leave to one another is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scratch {
    /// Activations in 8 bits.
    Rounded,
    /// Zeros, which no kernel writes.
    Zeros,
    /// Copies of what lies in the buffer that a kernel writes.
    Activations,
    Indices,
    Bias,
}

impl Scratch {
    /// How many purposes there are.
    pub const COUNT: usize = 5;

    /// What memory for it is called.
    pub fn word(self) -> &'static str {
        match self {
            Scratch::Rounded => "activations in 8 bits",
            Scratch::Zeros => "zeros",
            Scratch::Activations | Scratch::Indices | Scratch::Bias => "a copy of an operand",
        }
    }
}

/// What a device does for a call: copies first, then launches, one after another.
pub(crate) struct Plan<'p, B> {
    /// Spans to copy, and where to.
    pub copies: Vec<[Span<B>; 2]>,
    pub launches: Vec<Launch<'p, B>>,
}

/// One launch of a kernel.
pub(crate) struct Launch<'p, B> {
    pub kernel: &'p Kernel,
    pub shape: Shape,
    /// Workgroups.
    pub grid: [u32; 3],
    /// What each of the kernel's bindings is bound to.
    pub bound: Vec<Bound<B>>,
}

/// What a binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound<B> {
    Read(Span<B>),
    Written(Span<B>),
    /// The launch's shape.
    Shape,
}
