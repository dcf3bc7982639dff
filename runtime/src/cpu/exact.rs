//! Products with activations as they are, in f32: a tile of 16 weight rows times a few activation
//! rows, from codes or from decoded weights.

use std::ops::Range;

use super::codebook::Codebook;
use super::quantize::CHUNK;
use super::simd::{Floats, Kernel, Line, Simd};

/// Some activation rows, side by side: `[k, row]`.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Rows.
    m: usize,
    values: Vec<f32>,
    /// Runs of a chunk of which there are sums.
    runs: usize,
    /// Sums of activations: `[chunk, run, row]`.
    sums: Vec<f32>,
}

impl Packed {
    /// Takes rows of activations, in chunks, and sums `runs` runs of each; what is not there is zeros.
    #[inline(always)]
    pub fn pack<'x>(
        &mut self,
        chunks: usize,
        runs: usize,
        m: usize,
        x: impl Iterator<Item = &'x [f32]>,
    ) {
        self.m = m;
        self.runs = runs;
        self.values.clear();
        self.values.resize(chunks * CHUNK * m, 0.0);
        self.sums.clear();
        self.sums.resize(chunks * runs * m, 0.0);
        for (row, x) in x.take(m).enumerate() {
            let places = self.values.iter_mut().skip(row).step_by(m);
            places.zip(x).for_each(|(place, x)| *place = *x);
            if let Some(run) = CHUNK.checked_div(runs) {
                let places = self.sums.iter_mut().skip(row).step_by(m);
                places.zip(x.chunks(run)).for_each(|(place, x)| *place = x.iter().sum());
            }
        }
    }

    /// Some of its chunks, and the sums of their runs.
    #[inline(always)]
    pub fn chunks(&self, chunks: Range<usize>) -> (&[f32], &[f32]) {
        let part = |of: usize| chunks.start * of * self.m..chunks.end * of * self.m;
        let values = self.values.get(part(CHUNK)).unwrap_or_default();
        (values, self.sums.get(part(self.runs)).unwrap_or_default())
    }
}

/// Indices of codes of 16 rows, and what they mean.
#[derive(Clone, Copy)]
pub(super) struct Indices<'a> {
    /// `[chunk, quad]`.
    pub codes: &'a [Line],
    /// `[chunk, run]`.
    pub scales: &'a [Floats],
    /// `[chunk, run]`; empty where there are none.
    pub offsets: &'a [Floats],
    /// Quads of a run.
    pub quads: usize,
    pub codebook: &'a Codebook,
}

/// The values of a quad's four codes, which [`Codebook::values`] says.
#[inline(always)]
pub(super) fn quad<S: Simd, const TABLE: bool>(
    simd: S,
    values: S::Floats,
    words: S::Words,
) -> [S::Floats; 4] {
    let mut weights = [values; 4];
    for (byte, weight) in weights.iter_mut().enumerate() {
        let code = simd.shr(words, 8 * byte as u32);
        *weight = match TABLE {
            true => simd.lookup_float(values, code),
            false => {
                let code = simd.and(code, simd.splat(0xff));
                simd.add(simd.to_floats(code), values)
            }
        };
    }
    weights
}

/// `y[row]` += codes times a few rows, straight from the codes. `chunks` are those of the panel.
#[inline(always)]
pub(super) fn multiply_codes<S: Simd>(
    simd: S,
    panel: Indices,
    x: &Packed,
    chunks: Range<usize>,
    y: &mut [Floats],
) {
    let x_chunks = x.chunks(chunks);
    match (x.m, panel.codebook.is_small()) {
        (1, true) => codes_by::<S, 1, true>(simd, panel, x_chunks, y),
        (2, true) => codes_by::<S, 2, true>(simd, panel, x_chunks, y),
        (3, true) => codes_by::<S, 3, true>(simd, panel, x_chunks, y),
        (_, true) => codes_by::<S, 4, true>(simd, panel, x_chunks, y),
        (1, false) => codes_by::<S, 1, false>(simd, panel, x_chunks, y),
        (2, false) => codes_by::<S, 2, false>(simd, panel, x_chunks, y),
        (3, false) => codes_by::<S, 3, false>(simd, panel, x_chunks, y),
        (_, false) => codes_by::<S, 4, false>(simd, panel, x_chunks, y),
    }
}

/// Most rows that [`multiply_codes`] takes.
pub(super) const FEW: usize = 4;

#[inline(always)]
fn codes_by<S: Simd, const M: usize, const TABLE: bool>(
    simd: S,
    panel: Indices,
    x: (&[f32], &[f32]),
    y: &mut [Floats],
) {
    let Some(y) = y.first_chunk_mut::<M>() else { return };
    simd.vectorize(Codes::<M, TABLE> { panel, x, y });
}

struct Codes<'a, const M: usize, const TABLE: bool> {
    panel: Indices<'a>,
    /// Activations and their sums.
    x: (&'a [f32], &'a [f32]),
    y: &'a mut [Floats; M],
}

impl<const M: usize, const TABLE: bool> Kernel for Codes<'_, M, TABLE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Codes { panel, x, y } = self;
        let values = simd.load_floats(&panel.codebook.values());
        let (sums, _) = x.1.as_chunks::<M>();
        let (x, _) = x.0.as_chunks::<M>();
        let (x, _) = x.as_chunks::<4>();
        let mut totals = [simd.splat_float(0.0); M];
        for (total, y) in totals.iter_mut().zip(&*y) {
            *total = simd.load_floats(y);
        }
        let runs = panel.codes.chunks_exact(panel.quads).zip(x.chunks_exact(panel.quads));
        let scales = panel.scales.iter().zip(sums);
        for ((run, (codes, x)), (scale, sums)) in runs.enumerate().zip(scales) {
            let mut dots = [simd.splat_float(0.0); M];
            for (line, x) in codes.iter().zip(x) {
                let weights = quad::<S, TABLE>(simd, values, simd.load(line));
                for byte in 0..4 {
                    for row in 0..M {
                        let x = simd.splat_float(x[byte][row]);
                        dots[row] = simd.mul_add(weights[byte], x, dots[row]);
                    }
                }
            }
            let scale = simd.load_floats(scale);
            for row in 0..M {
                totals[row] = simd.mul_add(scale, dots[row], totals[row]);
            }
            if let Some(offset) = panel.offsets.get(run) {
                let offset = simd.load_floats(offset);
                for row in 0..M {
                    totals[row] = simd.mul_add(offset, simd.splat_float(sums[row]), totals[row]);
                }
            }
        }
        for row in 0..M {
            simd.store_floats(totals[row], &mut y[row]);
        }
    }
}

/// Decodes a panel: `weights[k]`.
#[inline(always)]
pub(super) fn decode<S: Simd>(simd: S, panel: Indices, weights: &mut [Floats]) {
    match panel.codebook.is_small() {
        true => decode_by::<S, true>(simd, panel, weights),
        false => decode_by::<S, false>(simd, panel, weights),
    }
}

#[inline(always)]
fn decode_by<S: Simd, const TABLE: bool>(simd: S, panel: Indices, to: &mut [Floats]) {
    let values = simd.load_floats(&panel.codebook.values());
    let (to, _) = to.as_chunks_mut::<4>();
    let runs = panel.codes.chunks_exact(panel.quads).zip(to.chunks_exact_mut(panel.quads));
    for ((run, (codes, to)), scale) in runs.enumerate().zip(panel.scales) {
        let scale = simd.load_floats(scale);
        let offset = simd.load_floats(panel.offsets.get(run).unwrap_or(&Floats::ZERO));
        for (line, to) in codes.iter().zip(to) {
            let weights = quad::<S, TABLE>(simd, values, simd.load(line));
            for byte in 0..4 {
                let weight = simd.mul_add(scale, weights[byte], offset);
                simd.store_floats(weight, &mut to[byte]);
            }
        }
    }
}

/// `y[row]` += decoded weights `[k]` times a few rows.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    weights: &[Floats],
    x: &Packed,
    chunks: Range<usize>,
    y: &mut [Floats],
) {
    let (x_values, _) = x.chunks(chunks);
    match x.m {
        12 if S::TILE >= 12 => by::<S, 12>(simd, weights, x_values, y),
        8 if S::TILE >= 8 => by::<S, 8>(simd, weights, x_values, y),
        6 if S::TILE >= 6 => by::<S, 6>(simd, weights, x_values, y),
        4 => by::<S, 4>(simd, weights, x_values, y),
        3 => by::<S, 3>(simd, weights, x_values, y),
        2 => by::<S, 2>(simd, weights, x_values, y),
        _ => by::<S, 1>(simd, weights, x_values, y),
    }
}

#[inline(always)]
fn by<S: Simd, const M: usize>(simd: S, weights: &[Floats], x: &[f32], y: &mut [Floats]) {
    let Some(y) = y.first_chunk_mut::<M>() else { return };
    simd.vectorize(Weights::<M> { weights, x, y });
}

struct Weights<'a, const M: usize> {
    weights: &'a [Floats],
    x: &'a [f32],
    y: &'a mut [Floats; M],
}

impl<const M: usize> Kernel for Weights<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Weights { weights, x, y } = self;
        let (x, _) = x.as_chunks::<M>();
        let mut totals = [simd.splat_float(0.0); M];
        for (total, y) in totals.iter_mut().zip(&*y) {
            *total = simd.load_floats(y);
        }
        for (weight, x) in weights.iter().zip(x) {
            let weight = simd.load_floats(weight);
            for row in 0..M {
                totals[row] = simd.mul_add(weight, simd.splat_float(x[row]), totals[row]);
            }
        }
        for row in 0..M {
            simd.store_floats(totals[row], &mut y[row]);
        }
    }
}
