//! Products of few activation rows with weights as they lie: a weight row is decoded a piece at a
//! time and multiplied on the spot.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::columns::Columns;
use super::decoded::Decoded;
use super::product::Rows;
use super::simd::{Floats, Kernel, ROWS, Simd};

/// Weight rows times a few activation rows.
#[derive(Clone, Copy)]
pub(super) struct RowProduct<'a> {
    pub decoded: Decoded<'a>,
    /// First weight row taken, and how many.
    pub first: usize,
    pub n: usize,
    /// Activations `[_, k]`.
    pub x: &'a [f32],
    /// Rows of `x` that are taken, and of the output that are written.
    pub rows: Rows<'a>,
}

/// Weights decoded at a time: small enough to stay in the first-level cache.
const RUN: usize = 1024;

impl RowProduct<'_> {
    /// Writes `[rows, n]`.
    pub fn compute(&self, y: &mut [f32]) {
        let columns = Columns::new(y, self.n);
        (0..self.n.div_ceil(ROWS)).into_par_iter().for_each(|task| {
            thread_local! {
                static DECODED: Cell<Vec<f32>> = Cell::default();
            }
            let mut decoded = DECODED.take();
            let rows = task * ROWS..self.n.min((task + 1) * ROWS);
            self.decoded.isa.run(Task { product: self, rows, decoded: &mut decoded, columns });
            DECODED.set(decoded);
        });
    }
}

/// Some weight rows.
struct Task<'a, 'p> {
    product: &'a RowProduct<'p>,
    rows: Range<usize>,
    decoded: &'a mut Vec<f32>,
    columns: Columns<'a>,
}

impl Kernel for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let RowProduct { decoded, first, x, rows: x_rows, .. } = self.product;
        let Decoded { k, block, .. } = *decoded;
        let per_row = k / block;
        let step = (RUN / block).max(1);
        for row in self.rows {
            let mut sums = [0.0f64; super::weights::MANY];
            for start in (0..per_row).step_by(step) {
                let blocks = start..per_row.min(start + step);
                let places = blocks.start * block..blocks.end * block;
                self.decoded.resize(places.len(), 0.0);
                decoded.blocks((first + row) * per_row + blocks.start, self.decoded);
                for (number, sum) in sums.iter_mut().enumerate().take(x_rows.len()) {
                    let at = x_rows.of_x(number).saturating_mul(k);
                    let places = at + places.start..at + places.end;
                    *sum += dot(simd, self.decoded, x.get(places).unwrap_or_default());
                }
            }
            for (number, sum) in sums.into_iter().enumerate().take(x_rows.len()) {
                // SAFETY: every weight row is a column of its own, and belongs to one task.
                unsafe { self.columns.write(x_rows.at(number), row, &[sum as f32]) }
            }
        }
    }
}

/// `w · x`. Every lane sums in f32; the rest adds up in f64.
#[inline(always)]
fn dot<S: Simd>(simd: S, w: &[f32], x: &[f32]) -> f64 {
    const SUMS: usize = 4;
    let mut sums = [simd.splat_float(0.0); SUMS];
    let (w, w_rest) = w.as_chunks::<ROWS>();
    let (x, x_rest) = x.as_chunks::<ROWS>();
    for (w, x) in w.chunks(SUMS).zip(x.chunks(SUMS)) {
        for (sum, (w, x)) in sums.iter_mut().zip(w.iter().zip(x)) {
            *sum = simd.mul_add(simd.load_row(w), simd.load_row(x), *sum);
        }
    }
    let [a, b, c, d] = sums;
    let mut lanes = Floats::ZERO;
    simd.store_floats(simd.add(simd.add(a, b), simd.add(c, d)), &mut lanes);
    let rest: f64 = w_rest.iter().zip(x_rest).map(|(w, x)| f64::from(w * x)).sum();
    lanes.0.into_iter().map(f64::from).sum::<f64>() + rest
}
