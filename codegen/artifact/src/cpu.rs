//! What is generated for CPUs: functions over the bytes of a tensor, each in a version for every
//! level of instructions.

use crate::{Extent, List};

/// Decodes consecutive blocks of a tensor, from block number `first` on (rows one after another)
/// until `weights`, a multiple of the format's block, is full. `streams` are those of the whole
/// tensor, `dims` its [`Dims::words`](crate::Dims::words). Where streams are too short weights keep
/// their value or become those of zero bytes; the caller checks lengths first.
pub type DecodeFn =
    unsafe fn(streams: &[&[u8]], dims: &[u32; 4], first: usize, weights: &mut [f32]);

/// Like [`DecodeFn`], but hands out a byte per weight; [`Coded::values`] says what bytes mean.
pub type CodesFn = unsafe fn(streams: &[&[u8]], dims: &[u32; 4], first: usize, codes: &mut [u8]);

/// Like [`DecodeFn`], but hands out scale and offset of every run of [`Coded::run`] weights. Both
/// lists have as many items.
pub type ScalesFn = unsafe fn(
    streams: &[&[u8]],
    dims: &[u32; 4],
    first: usize,
    scales: &mut [f32],
    offsets: &mut [f32],
);

/// Rows that are prepared together: a vector has a lane for each.
pub const ROWS: usize = 16;

/// Scales and offsets of consecutive blocks of [`ROWS`] rows: `header[b, i]` is byte
/// [`Header::bytes`]`[i]` of each row's block `b`, `scales[b, r]` and `offsets[b, r]` are those of its
/// run `r`. As many blocks as all lists hold.
pub type RowScalesFn =
    unsafe fn(header: &[[u8; ROWS]], scales: &mut [[f32; ROWS]], offsets: &mut [[f32; ROWS]]);

/// The functions generated for one format. Safe code can read them, but not put others in their place:
/// who has a `Cpu` may call them.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    pub(super) decode: Versions<DecodeFn>,
    pub(super) coded: Option<&'static Coded>,
}

impl Cpu {
    /// Exact weights, by the formula.
    pub const fn decode(&self) -> &Versions<DecodeFn> {
        &self.decode
    }

    /// The same weights as bytes with scale and offset, where the formula has that form.
    pub const fn coded(&self) -> Option<&'static Coded> {
        self.coded
    }
}

/// A format's affine form: weight = scale · `values[byte]` + offset, constant scale and offset over
/// a run. It holds but for roundings of the formula, and where the formula overflows on the way.
#[derive(Clone, Debug)]
pub struct Coded {
    /// Weights of a block that share scale and offset; divides the block.
    pub run: u32,
    /// Over how many blocks each stored part of scale and offset is constant; none where they are
    /// constants. Where none is a single block's, longer runs than `run` share scale and offset. In a
    /// stream of [`Order::Flat`](crate::Order::Flat) runs are counted from the tensor's first block on,
    /// not from the row's.
    pub spans: List<Extent>,
    /// What a byte means; NaN for a byte that never occurs. 256 items at most.
    pub values: List<f32>,
    /// Whether there is an offset that is not zero.
    pub offset: bool,
    /// Whether the format rounds weights to f16, which the affine form does not.
    pub halved: bool,
    /// A byte per weight.
    pub codes: Versions<CodesFn>,
    /// Scales and offsets of a row's blocks.
    pub scales: Versions<ScalesFn>,
    /// Scales and offsets of many rows at once, for formats stored in blocks.
    pub header: Option<Header>,
}

/// The bytes of a block that scales and offsets are made of.
#[derive(Clone, Debug)]
pub struct Header {
    /// Places in the block, ascending.
    pub bytes: List<u32>,
    /// Computes scales and offsets of [`ROWS`] rows.
    pub scales: Versions<RowScalesFn>,
}

/// A function, compiled for several levels of instructions. All compute the same.
///
/// Pointers are `unsafe` to call: the caller must know that the processor has the instructions. The
/// portable version needs none.
#[derive(Clone, Copy, Debug)]
pub struct Versions<F> {
    /// Needs no more than the target has.
    pub portable: F,
    /// x86-64 with [`AVX2`].
    pub avx2: Option<F>,
    /// x86-64 with [`AVX512`].
    pub avx512: Option<F>,
}

impl<F> Versions<F> {
    /// A function that needs no more than the target has, and no other version.
    pub const fn only(portable: F) -> Versions<F> {
        Versions { portable, avx2: None, avx512: None }
    }
}

/// Target features of level `avx2`.
pub const AVX2: &str = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt";
/// Target features of level `avx512`.
pub const AVX512: &str = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vnni";
