//! The vector that CPU kernels are written in: a lane for each of 16 weight rows.
//!
//! Kernels are generic over [`Simd`] and hold no intrinsics. A value of a type that implements it is
//! the proof that the processor has its instructions: only detection makes one.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(super) mod neon;
pub(super) mod portable;
#[cfg(test)]
mod tests;

use half::f16;
use half::slice::HalfFloatSliceExt;

pub(super) use crate::artifact::ROWS;

/// 64 bytes on a cache line of their own: four code bytes of every row.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub [u8; 4 * ROWS]);

// SAFETY: bytes without padding (see `SIZES`), and every value of them is one.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Line {}

impl Line {
    pub const ZERO: Line = Line([0; 4 * ROWS]);
}

/// One f32 of every row.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Floats(pub [f32; ROWS]);

// SAFETY: floats without padding (see `SIZES`), and every value of their bytes is one.
unsafe impl bytemuck::Zeroable for Floats {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Floats {}

impl Floats {
    pub const ZERO: Floats = Floats([0.0; ROWS]);
}

/// A cache line of f16.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Halves(pub [f16; 2 * ROWS]);

// SAFETY: f16 without padding (see `SIZES`), and every value of their bytes is one.
unsafe impl bytemuck::Zeroable for Halves {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Halves {}

/// A line each, and no more than what is in it: nothing is padded.
const SIZES: () = {
    assert!(size_of::<Line>() == 4 * ROWS);
    assert!(size_of::<Floats>() == size_of::<[f32; ROWS]>());
    assert!(size_of::<Halves>() == size_of::<[f16; 2 * ROWS]>());
};
const _: () = SIZES;

/// A computation written once for all instructions.
pub(super) trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`, as all it calls with `simd`: only what is inlined into
    /// [`Simd::vectorize`] is compiled with the instructions. So no closure may compute with `simd`:
    /// nobody promises that it is inlined.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Operations on 16 lanes.
pub(super) trait Simd: Copy + Send + Sync + 'static {
    /// 16 lanes of 32 bits, or 64 bytes.
    type Words: Copy;
    /// 16 lanes of f32.
    type Floats: Copy;

    /// Whether [`Simd::dot`] needs codes below 128, and [`Simd::dot_wide`] serves the others.
    const NARROW: bool;

    /// Whether a chunk fits in registers, so that kernels straight from storage pay.
    const DIRECT: bool;
    /// Activation rows that a tile can have without running out of registers.
    const TILE: usize;

    /// Runs a kernel with the instructions switched on.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output;

    fn load(self, from: &Line) -> Self::Words;
    /// 64 bytes, wherever they lie.
    fn load_bytes(self, from: &[u8; 4 * ROWS]) -> Self::Words;
    fn store(self, words: Self::Words, to: &mut Line);
    /// Lane `i` of item `j` becomes lane `j` of item `i`.
    fn transpose(self, rows: [Self::Words; ROWS]) -> [Self::Words; ROWS];
    /// The same number in every lane.
    fn splat(self, number: i32) -> Self::Words;
    fn and(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn or(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// Every lane shifted left.
    fn shl(self, a: Self::Words, by: u32) -> Self::Words;
    /// Every lane shifted right, zeros from the top.
    fn shr(self, a: Self::Words, by: u32) -> Self::Words;
    /// The same 16 bytes four times, as a table for [`Simd::lookup`].
    fn table(self, entries: &[u8; 16]) -> Self::Words;
    /// `table[byte]` for every byte; bytes are below 16.
    fn lookup(self, table: Self::Words, bytes: Self::Words) -> Self::Words;
    /// Adds to every lane the products of its four unsigned bytes and the four signed bytes of `x`,
    /// none of which is -128.
    fn dot(self, sum: Self::Words, codes: Self::Words, x: i32) -> Self::Words;
    /// [`Simd::dot`] for any code.
    fn dot_wide(self, sum: Self::Words, codes: Self::Words, x: i32) -> Self::Words;

    /// Signed lanes as floats.
    fn to_floats(self, words: Self::Words) -> Self::Floats;
    fn load_floats(self, from: &Floats) -> Self::Floats;
    /// 16 neighbours, wherever they lie.
    fn load_row(self, from: &[f32; ROWS]) -> Self::Floats;
    fn store_floats(self, floats: Self::Floats, to: &mut Floats);
    fn splat_float(self, number: f32) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a · b + c`.
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// `table[lane & 15]` for every lane.
    fn lookup_float(self, table: Self::Floats, lanes: Self::Words) -> Self::Floats;
    /// Fetches what is likely read soon, wherever that is.
    fn prefetch(self, _: *const Line) {}
    /// Stores past the caches where that is possible; [`Simd::fence`] must follow before other threads
    /// may read.
    #[inline(always)]
    fn stream(self, floats: Self::Floats, to: &mut Floats) {
        self.store_floats(floats, to);
    }
    /// [`Simd::stream`] of floats rounded to f16, to nearest even.
    #[inline(always)]
    fn stream_halves(self, floats: [Self::Floats; 2], to: &mut Halves) {
        let mut rounded = [Floats::ZERO; 2];
        for (to, floats) in rounded.iter_mut().zip(floats) {
            self.store_floats(floats, to);
        }
        to.0.convert_from_f32_slice(bytemuck::cast_slice(&rounded));
    }
    /// Waits for [`Simd::stream`] and [`Simd::stream_halves`].
    #[inline(always)]
    fn fence(self) {}
}
