//! The integer tile: 16 weight rows times a few activation rows. All formats with integer codes
//! share it.

use super::simd::{Floats, Kernel, Line, Simd};

/// Codes of 16 weight rows, decoded to bytes, and what scales them.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// Unsigned codes: `[chunk, quad]`.
    pub codes: &'a [Line],
    /// `[chunk, run]`.
    pub scales: &'a [Floats],
    /// `[chunk, run]`; empty where there are none.
    pub offsets: &'a [Floats],
    /// Runs of a chunk: 1, 2 or 4.
    pub runs: usize,
    /// Whether codes may be 128 or more.
    pub wide: bool,
}

/// The same chunks of a tile's activations; see [`Quantized`](super::quantize::Quantized).
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// Rows of the tile.
    pub m: usize,
    pub words: &'a [i32],
    pub scales: &'a [f32],
    pub starts: &'a [i32],
    pub sums: &'a [f32],
}

/// `y[row of the tile]` += panel times tile.
#[inline(always)]
pub(super) fn multiply<S: Simd>(simd: S, panel: Panel, x: Tile, y: &mut [Floats]) {
    match panel.runs {
        1 => runs::<S, 8>(simd, panel, x, y),
        2 => runs::<S, 4>(simd, panel, x, y),
        _ => runs::<S, 2>(simd, panel, x, y),
    }
}

/// `Q` quads are a run.
#[inline(always)]
fn runs<S: Simd, const Q: usize>(simd: S, panel: Panel, x: Tile, y: &mut [Floats]) {
    match x.m {
        12 if S::TILE >= 12 => rows_of::<S, Q, 12>(simd, panel, x, y),
        8 if S::TILE >= 8 => rows_of::<S, Q, 8>(simd, panel, x, y),
        6 if S::TILE >= 6 => rows_of::<S, Q, 6>(simd, panel, x, y),
        4 => rows_of::<S, Q, 4>(simd, panel, x, y),
        3 => rows_of::<S, Q, 3>(simd, panel, x, y),
        2 => rows_of::<S, Q, 2>(simd, panel, x, y),
        _ => rows_of::<S, Q, 1>(simd, panel, x, y),
    }
}

/// `M` is the tile's rows.
#[inline(always)]
fn rows_of<S: Simd, const Q: usize, const M: usize>(
    simd: S,
    panel: Panel,
    x: Tile,
    y: &mut [Floats],
) {
    let Some(y) = y.first_chunk_mut::<M>() else { return };
    let wide = S::NARROW && panel.wide;
    match (panel.offsets.is_empty(), wide) {
        (true, false) => simd.vectorize(Body::<Q, M, false, false> { panel, x, y }),
        (true, true) => simd.vectorize(Body::<Q, M, false, true> { panel, x, y }),
        (false, false) => simd.vectorize(Body::<Q, M, true, false> { panel, x, y }),
        (false, true) => simd.vectorize(Body::<Q, M, true, true> { panel, x, y }),
    }
}

/// One tile, with all that decides its registers known.
struct Body<'a, const Q: usize, const M: usize, const OFFSET: bool, const WIDE: bool> {
    panel: Panel<'a>,
    x: Tile<'a>,
    y: &'a mut [Floats; M],
}

impl<const Q: usize, const M: usize, const OFFSET: bool, const WIDE: bool> Kernel
    for Body<'_, Q, M, OFFSET, WIDE>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Body { panel, x, y } = self;
        let (codes, _) = panel.codes.as_chunks::<Q>();
        let (words, _) = x.words.as_chunks::<M>();
        let (words, _) = words.as_chunks::<Q>();
        let (scales, _) = x.scales.as_chunks::<M>();
        let (starts, _) = x.starts.as_chunks::<M>();
        let (sums, _) = x.sums.as_chunks::<M>();
        let runs = codes.len().min(words.len()).min(panel.scales.len());
        let runs = runs.min(scales.len()).min(starts.len()).min(sums.len());
        let runs = if OFFSET { runs.min(panel.offsets.len()) } else { runs };
        let mut totals = [simd.splat_float(0.0); M];
        for (total, y) in totals.iter_mut().zip(&*y) {
            *total = simd.load_floats(y);
        }
        for run in 0..runs {
            let mut dots = [simd.splat(0); M];
            for (dot, start) in dots.iter_mut().zip(starts[run]) {
                *dot = simd.splat(start);
            }
            for quad in 0..Q {
                let line = simd.load(&codes[run][quad]);
                for row in 0..M {
                    let x = words[run][quad][row];
                    dots[row] = match WIDE {
                        true => simd.dot_wide(dots[row], line, x),
                        false => simd.dot(dots[row], line, x),
                    };
                }
            }
            let scale = simd.load_floats(&panel.scales[run]);
            for row in 0..M {
                let scale = simd.mul(scale, simd.splat_float(scales[run][row]));
                totals[row] = simd.mul_add(scale, simd.to_floats(dots[row]), totals[row]);
            }
            if OFFSET {
                let offset = simd.load_floats(&panel.offsets[run]);
                for row in 0..M {
                    let sum = simd.splat_float(sums[run][row]);
                    totals[row] = simd.mul_add(offset, sum, totals[row]);
                }
            }
        }
        for row in 0..M {
            simd.store_floats(totals[row], &mut y[row]);
        }
    }
}
