//! Products with activations as they are, in f32: a tile of 16 weight rows times a few activation
//! rows, from codes or from decoded weights.

use std::array::from_fn;
use std::ops::Range;

use super::codebook::{Codebook, Meaning};
use super::simd::{Floats, Kernel, Line, Simd};

/// Some activation rows, side by side: `[k, row]`.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// Rows.
    m: usize,
    values: Vec<f32>,
}

impl Packed {
    /// Takes rows of at most `k` values; what is not there is zeros.
    #[inline(always)]
    pub fn pack<'x>(&mut self, k: usize, m: usize, x: impl Iterator<Item = &'x [f32]>) {
        self.m = m;
        self.values.clear();
        self.values.resize(k * m, 0.0);
        for (row, x) in x.take(m).enumerate() {
            let places = self.values.iter_mut().skip(row).step_by(self.m);
            places.zip(x).for_each(|(place, x)| *place = *x);
        }
    }

    /// Some of its columns.
    fn columns(&self, columns: Range<usize>) -> &[f32] {
        self.values.get(columns.start * self.m..columns.end * self.m).unwrap_or_default()
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

/// What turns indices into floats.
#[derive(Clone, Copy)]
enum Values {
    Table([f32; 16]),
    Less(f32),
}

impl Values {
    fn new(codebook: &Codebook) -> Values {
        match (codebook.floats(), &codebook.meaning) {
            (Some(floats), _) => Values::Table(floats),
            (None, Meaning::Integer { zero }) => Values::Less(*zero as f32),
            (None, _) => Values::Less(0.0),
        }
    }
}

/// The values of a quad's four codes.
#[inline(always)]
fn quad<S: Simd, const TABLE: bool>(simd: S, values: S::Floats, line: &Line) -> [S::Floats; 4] {
    let words = simd.load(line);
    from_fn(|byte| {
        let code = simd.shr(words, 8 * byte as u32);
        match TABLE {
            true => simd.lookup_float(values, code),
            false => {
                let code = simd.and(code, simd.splat(0xff));
                simd.add(simd.to_floats(code), values)
            }
        }
    })
}

/// `y[row]` += codes times a few rows, straight from the codes. `columns` are those of the panel.
#[inline(always)]
pub(super) fn multiply_codes<S: Simd>(
    simd: S,
    panel: Indices,
    x: &Packed,
    columns: Range<usize>,
    y: &mut [Floats],
) {
    let values = Values::new(panel.codebook);
    let x_values = x.columns(columns);
    match (x.m, values) {
        (1, Values::Table(values)) => codes_by::<S, 1, true>(simd, panel, Floats(values), x_values, y),
        (2, Values::Table(values)) => codes_by::<S, 2, true>(simd, panel, Floats(values), x_values, y),
        (3, Values::Table(values)) => codes_by::<S, 3, true>(simd, panel, Floats(values), x_values, y),
        (_, Values::Table(values)) => codes_by::<S, 4, true>(simd, panel, Floats(values), x_values, y),
        (1, Values::Less(zero)) => codes_by::<S, 1, false>(simd, panel, Floats([-zero; 16]), x_values, y),
        (2, Values::Less(zero)) => codes_by::<S, 2, false>(simd, panel, Floats([-zero; 16]), x_values, y),
        (3, Values::Less(zero)) => codes_by::<S, 3, false>(simd, panel, Floats([-zero; 16]), x_values, y),
        (_, Values::Less(zero)) => codes_by::<S, 4, false>(simd, panel, Floats([-zero; 16]), x_values, y),
    }
}

/// Most rows that [`multiply_codes`] takes.
pub(super) const FEW: usize = 4;

#[inline(always)]
fn codes_by<S: Simd, const M: usize, const TABLE: bool>(
    simd: S,
    panel: Indices,
    values: Floats,
    x: &[f32],
    y: &mut [Floats],
) {
    let Some(y) = y.first_chunk_mut::<M>() else { return };
    simd.vectorize(Codes::<M, TABLE> { panel, values, x, y });
}

struct Codes<'a, const M: usize, const TABLE: bool> {
    panel: Indices<'a>,
    values: Floats,
    x: &'a [f32],
    y: &'a mut [Floats; M],
}

impl<const M: usize, const TABLE: bool> Kernel for Codes<'_, M, TABLE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Codes { panel, values, x, y } = self;
        let values = simd.load_floats(&values);
        let (x, _) = x.as_chunks::<M>();
        let (x, _) = x.as_chunks::<4>();
        let mut totals: [S::Floats; M] = from_fn(|row| simd.load_floats(&y[row]));
        let runs = panel.codes.chunks_exact(panel.quads).zip(x.chunks_exact(panel.quads));
        for ((run, (codes, x)), scale) in runs.enumerate().zip(panel.scales) {
            let mut dots = [simd.splat_float(0.0); M];
            let mut sums = [[0.0f32; 4]; M];
            for (line, x) in codes.iter().zip(x) {
                let weights = quad::<S, TABLE>(simd, values, line);
                for byte in 0..4 {
                    for row in 0..M {
                        dots[row] = simd.mul_add(weights[byte], simd.splat_float(x[byte][row]), dots[row]);
                        sums[row][byte] += x[byte][row];
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
                    let sum: f32 = sums[row].iter().sum();
                    totals[row] = simd.mul_add(offset, simd.splat_float(sum), totals[row]);
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
    match Values::new(panel.codebook) {
        Values::Table(values) => decode_by::<S, true>(simd, panel, Floats(values), weights),
        Values::Less(zero) => decode_by::<S, false>(simd, panel, Floats([-zero; 16]), weights),
    }
}

#[inline(always)]
fn decode_by<S: Simd, const TABLE: bool>(simd: S, panel: Indices, values: Floats, to: &mut [Floats]) {
    let values = simd.load_floats(&values);
    let (to, _) = to.as_chunks_mut::<4>();
    let runs = panel.codes.chunks_exact(panel.quads).zip(to.chunks_exact_mut(panel.quads));
    for ((run, (codes, to)), scale) in runs.enumerate().zip(panel.scales) {
        let scale = simd.load_floats(scale);
        let offset = simd.load_floats(panel.offsets.get(run).unwrap_or(&Floats::ZERO));
        for (line, to) in codes.iter().zip(to) {
            let weights = quad::<S, TABLE>(simd, values, line);
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
    columns: Range<usize>,
    y: &mut [Floats],
) {
    let x_values = x.columns(columns);
    match x.m {
        12 => by::<S, 12>(simd, weights, x_values, y),
        8 => by::<S, 8>(simd, weights, x_values, y),
        6 => by::<S, 6>(simd, weights, x_values, y),
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
        let mut totals: [S::Floats; M] = from_fn(|row| simd.load_floats(&y[row]));
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
