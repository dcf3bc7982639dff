//! Products of one activation row straight from interleaved storage: what a chunk holds never leaves
//! the registers. A panel would cost as much as the product.

use super::exact::{self, Packed};
use super::planes::{self, AHEAD};
use super::simd::{Floats, Kernel, Line, Simd};
use super::tile::Tile;

/// Chunks of a group of rows, as they are stored.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    /// Lines of the chunks.
    pub lines: &'a [Line],
    /// Lines per chunk.
    pub bits: usize,
    /// `[chunk, run]`.
    pub scales: &'a [Floats],
    /// `[chunk, run]`; empty where there are none.
    pub offsets: &'a [Floats],
    /// Runs of a chunk: 1, 2 or 4.
    pub runs: usize,
}

/// Calls a kernel for the number of bits, known when it is compiled.
macro_rules! by_bits {
    ($bits:expr, $call:ident $arguments:tt) => {
        match $bits {
            1 => $call::<S, 1> $arguments,
            2 => $call::<S, 2> $arguments,
            3 => $call::<S, 3> $arguments,
            4 => $call::<S, 4> $arguments,
            5 => $call::<S, 5> $arguments,
            6 => $call::<S, 6> $arguments,
            _ => $call::<S, 8> $arguments,
        }
    };
}

/// `y` += codes times quantized activations. `table` turns codes into the bytes that are multiplied.
#[inline(always)]
pub(super) fn multiply_int8<S: Simd>(
    simd: S,
    stored: Stored,
    table: Option<&[u8; 16]>,
    x: Tile,
    y: &mut Floats,
) {
    by_bits!(stored.bits, int8(simd, stored, table, x, y))
}

#[inline(always)]
fn int8<S: Simd, const BITS: usize>(
    simd: S,
    stored: Stored,
    table: Option<&[u8; 16]>,
    x: Tile,
    y: &mut Floats,
) {
    match table {
        Some(table) => simd.vectorize(Int8::<BITS, true> { stored, table, x, y }),
        None => simd.vectorize(Int8::<BITS, false> { stored, table: &[0; 16], x, y }),
    }
}

struct Int8<'a, const BITS: usize, const TABLE: bool> {
    stored: Stored<'a>,
    table: &'a [u8; 16],
    x: Tile<'a>,
    y: &'a mut Floats,
}

impl<const BITS: usize, const TABLE: bool> Kernel for Int8<'_, BITS, TABLE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match (self.stored.runs, self.stored.offsets.is_empty()) {
            (1, true) => self.chunks::<S, 1, 8, false>(simd),
            (1, false) => self.chunks::<S, 1, 8, true>(simd),
            (2, true) => self.chunks::<S, 2, 4, false>(simd),
            (2, false) => self.chunks::<S, 2, 4, true>(simd),
            (_, true) => self.chunks::<S, 4, 2, false>(simd),
            (_, false) => self.chunks::<S, 4, 2, true>(simd),
        }
    }
}

impl<const BITS: usize, const TABLE: bool> Int8<'_, BITS, TABLE> {
    /// A chunk has `R` runs of `Q` quads.
    #[inline(always)]
    fn chunks<S: Simd, const R: usize, const Q: usize, const OFFSET: bool>(self, simd: S) {
        let Int8 { stored, table, x, y } = self;
        let table = simd.table(table);
        let (lines, _) = stored.lines.as_chunks::<BITS>();
        let (words, _) = x.words.as_chunks::<Q>();
        let (words, _) = words.as_chunks::<R>();
        let (scales, _) = stored.scales.as_chunks::<R>();
        let (offsets, _) = stored.offsets.as_chunks::<R>();
        let (x_scales, _) = x.scales.as_chunks::<R>();
        let (starts, _) = x.starts.as_chunks::<R>();
        let (sums, _) = x.sums.as_chunks::<R>();
        let chunks = lines.len().min(words.len()).min(scales.len());
        let chunks = chunks.min(x_scales.len()).min(starts.len()).min(sums.len());
        let chunks = if OFFSET { chunks.min(offsets.len()) } else { chunks };
        let mut total = simd.load_floats(y);
        for chunk in 0..chunks {
            for line in &lines[chunk] {
                simd.prefetch(std::ptr::from_ref(line).wrapping_add(AHEAD));
            }
            let mut quads = planes::quads::<S, BITS>(simd, &lines[chunk]);
            if TABLE {
                for quad in &mut quads {
                    *quad = simd.lookup(table, *quad);
                }
            }
            // Activations share a scale in all runs of a chunk.
            let mut scaled = simd.splat_float(0.0);
            for run in 0..R {
                let mut dot = simd.splat(starts[chunk][run]);
                for quad in 0..Q {
                    dot = simd.dot_wide(dot, quads[run * Q + quad], words[chunk][run][quad]);
                }
                let dot = simd.to_floats(dot);
                let scale = simd.load_floats(&scales[chunk][run]);
                scaled = match run {
                    0 => simd.mul(scale, dot),
                    _ => simd.mul_add(scale, dot, scaled),
                };
                if OFFSET {
                    let offset = simd.load_floats(&offsets[chunk][run]);
                    total = simd.mul_add(offset, simd.splat_float(sums[chunk][run]), total);
                }
            }
            total = simd.mul_add(scaled, simd.splat_float(x_scales[chunk][0]), total);
        }
        simd.store_floats(total, y);
    }
}

/// `y` += weights times activations, `first` the number of the first chunk; `values` are those of
/// [`Codebook::values`](super::codebook::Codebook::values).
#[inline(always)]
pub(super) fn multiply_f32<S: Simd>(
    simd: S,
    stored: Stored,
    values: &Floats,
    x: &Packed,
    first: usize,
    y: &mut Floats,
) {
    by_bits!(stored.bits, f32(simd, stored, values, x, first, y))
}

#[inline(always)]
fn f32<S: Simd, const BITS: usize>(
    simd: S,
    stored: Stored,
    values: &Floats,
    x: &Packed,
    first: usize,
    y: &mut Floats,
) {
    simd.vectorize(F32::<BITS> { stored, values, x, first, y });
}

struct F32<'a, const BITS: usize> {
    stored: Stored<'a>,
    values: &'a Floats,
    x: &'a Packed,
    /// First chunk.
    first: usize,
    y: &'a mut Floats,
}

impl<const BITS: usize> Kernel for F32<'_, BITS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match (self.stored.runs, self.stored.offsets.is_empty()) {
            (1, true) => self.chunks::<S, 1, 8, false>(simd),
            (1, false) => self.chunks::<S, 1, 8, true>(simd),
            (2, true) => self.chunks::<S, 2, 4, false>(simd),
            (2, false) => self.chunks::<S, 2, 4, true>(simd),
            (_, true) => self.chunks::<S, 4, 2, false>(simd),
            (_, false) => self.chunks::<S, 4, 2, true>(simd),
        }
    }
}

impl<const BITS: usize> F32<'_, BITS> {
    /// A chunk has `R` runs of `Q` quads.
    #[inline(always)]
    fn chunks<S: Simd, const R: usize, const Q: usize, const OFFSET: bool>(self, simd: S) {
        let F32 { stored, values, x, first, y } = self;
        let values = simd.load_floats(values);
        let (lines, _) = stored.lines.as_chunks::<BITS>();
        let (x, sums) = x.chunks(first..first + lines.len());
        let (x, _) = x.as_chunks::<4>();
        let (x, _) = x.as_chunks::<Q>();
        let (x, _) = x.as_chunks::<R>();
        let (scales, _) = stored.scales.as_chunks::<R>();
        let (offsets, _) = stored.offsets.as_chunks::<R>();
        let (sums, _) = sums.as_chunks::<R>();
        let chunks = lines.len().min(x.len()).min(scales.len()).min(sums.len());
        let chunks = if OFFSET { chunks.min(offsets.len()) } else { chunks };
        let mut total = simd.load_floats(y);
        for chunk in 0..chunks {
            for line in &lines[chunk] {
                simd.prefetch(std::ptr::from_ref(line).wrapping_add(AHEAD));
            }
            let quads = planes::quads::<S, BITS>(simd, &lines[chunk]);
            for run in 0..R {
                // Several sums, so that none waits for the one before.
                let mut dots = [simd.splat_float(0.0); 4];
                for quad in 0..Q {
                    let words = quads[run * Q + quad];
                    let weights = match BITS <= 4 {
                        true => exact::quad::<S, true>(simd, values, words),
                        false => exact::quad::<S, false>(simd, values, words),
                    };
                    for byte in 0..4 {
                        let x = simd.splat_float(x[chunk][run][quad][byte]);
                        dots[byte] = simd.mul_add(weights[byte], x, dots[byte]);
                    }
                }
                let dot = simd.add(simd.add(dots[0], dots[1]), simd.add(dots[2], dots[3]));
                total = simd.mul_add(simd.load_floats(&scales[chunk][run]), dot, total);
                if OFFSET {
                    let offset = simd.load_floats(&offsets[chunk][run]);
                    total = simd.mul_add(offset, simd.splat_float(sums[chunk][run]), total);
                }
            }
        }
        simd.store_floats(total, y);
    }
}
