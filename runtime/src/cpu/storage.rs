//! Products of one activation row straight from interleaved storage: what a chunk holds never leaves
//! the registers. A panel would cost as much as the product.

use super::exact::{self, Packed};
use super::planes;
use super::quantize::{CHUNK, QUADS};
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
        let Int8 { stored, table, x, y } = self;
        let table = simd.table(table);
        let ahead = stored.lines.len();
        let (lines, _) = stored.lines.as_chunks::<BITS>();
        let (words, _) = x.words.as_chunks::<QUADS>();
        let mut total = simd.load_floats(y);
        for (chunk, (lines, words)) in lines.iter().zip(words).enumerate() {
            for line in lines {
                simd.prefetch(std::ptr::from_ref(line).wrapping_add(ahead));
            }
            let mut quads = planes::quads::<S, BITS>(simd, lines);
            if TABLE {
                for quad in &mut quads {
                    *quad = simd.lookup(table, *quad);
                }
            }
            total = match stored.runs {
                1 => scaled::<S, 8>(simd, chunk, &quads, words, &stored, &x, total),
                2 => scaled::<S, 4>(simd, chunk, &quads, words, &stored, &x, total),
                _ => scaled::<S, 2>(simd, chunk, &quads, words, &stored, &x, total),
            };
        }
        simd.store_floats(total, y);
    }
}

/// Adds the products of a chunk; `Q` quads are a run.
#[inline(always)]
fn scaled<S: Simd, const Q: usize>(
    simd: S,
    chunk: usize,
    quads: &[S::Words; QUADS],
    words: &[i32; QUADS],
    stored: &Stored,
    x: &Tile,
    mut total: S::Floats,
) -> S::Floats {
    let (quads, _) = quads.as_chunks::<Q>();
    let (words, _) = words.as_chunks::<Q>();
    for (run, (quads, words)) in (chunk * (QUADS / Q)..).zip(quads.iter().zip(words)) {
        let (Some(scale), Some(x_scale), Some(start), Some(sum)) =
            (stored.scales.get(run), x.scales.get(run), x.starts.get(run), x.sums.get(run))
        else {
            return total;
        };
        let mut dot = simd.splat(*start);
        for (quad, word) in quads.iter().zip(words) {
            dot = simd.dot_wide(dot, *quad, *word);
        }
        let scale = simd.mul(simd.load_floats(scale), simd.splat_float(*x_scale));
        total = simd.mul_add(scale, simd.to_floats(dot), total);
        if let Some(offset) = stored.offsets.get(run) {
            total = simd.mul_add(simd.load_floats(offset), simd.splat_float(*sum), total);
        }
    }
    total
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
        let F32 { stored, values, x, first, y } = self;
        let values = simd.load_floats(values);
        let ahead = stored.lines.len();
        let (lines, _) = stored.lines.as_chunks::<BITS>();
        let (x_chunks, sums) = x.chunks(first..first + lines.len());
        let (x_chunks, _) = x_chunks.as_chunks::<CHUNK>();
        let mut total = simd.load_floats(y);
        for (chunk, (lines, x)) in lines.iter().zip(x_chunks).enumerate() {
            for line in lines {
                simd.prefetch(std::ptr::from_ref(line).wrapping_add(ahead));
            }
            let quads = planes::quads::<S, BITS>(simd, lines);
            let quads_per_run = QUADS / stored.runs;
            let (x, _) = x.as_chunks::<4>();
            let mut dots = [simd.splat_float(0.0); 2];
            for quad in 0..QUADS {
                let weights = match BITS <= 4 {
                    true => exact::quad::<S, true>(simd, values, quads[quad]),
                    false => exact::quad::<S, false>(simd, values, quads[quad]),
                };
                for byte in 0..4 {
                    let x = simd.splat_float(x[quad][byte]);
                    dots[byte % 2] = simd.mul_add(weights[byte], x, dots[byte % 2]);
                }
                if (quad + 1) % quads_per_run == 0 {
                    let run = chunk * stored.runs + quad / quads_per_run;
                    let (Some(scale), Some(sum)) = (stored.scales.get(run), sums.get(run)) else {
                        return;
                    };
                    let dot = simd.add(dots[0], dots[1]);
                    dots = [simd.splat_float(0.0); 2];
                    total = simd.mul_add(simd.load_floats(scale), dot, total);
                    if let Some(offset) = stored.offsets.get(run) {
                        let sum = simd.splat_float(*sum);
                        total = simd.mul_add(simd.load_floats(offset), sum, total);
                    }
                }
            }
        }
        simd.store_floats(total, y);
    }
}
