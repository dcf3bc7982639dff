//! Weights to measure with, and what products of them must be.

use super::Result;
use super::options::Shape;
use quantloom::artifact::{Dims, Extent, Order};
use quantloom::verify::random::Rng;
use quantloom::verify::random_cases;
use quantloom::{Device, Format, Tensor};

/// A tensor `[n, k]` of random weights: every row is put together from pieces out of a small pool, so
/// that exact products of all rows cost no more than those of the pool.
pub struct Weights {
    pub format: Format,
    pub shape: Shape,
    /// The bytes of each stream.
    pub streams: Vec<Vec<u8>>,
    /// Weights of a piece.
    piece: usize,
    /// The pool's pieces, decoded one after another.
    pool: Vec<f32>,
    /// The pieces of each row.
    pieces: Vec<usize>,
}

impl Weights {
    /// Random weights with finite scales.
    ///
    /// # Errors
    /// Where `k` is no multiple of a piece, or the format stores columns.
    pub fn random(format: &Format, shape: Shape) -> Result<Weights> {
        if format.streams.iter().any(|stream| stream.units.order == Order::Columns) {
            return Err(
                format!("format `{}` stores columns; only rows are measured", format.name).into()
            );
        }
        let cases = random_cases(format, 0)?;
        let finite = cases.iter().filter(|case| !case.activations().is_empty());
        let fitting = finite
            .map(|case| case.tensor())
            .filter(|pool| pool.n() >= 16 && shape.k.is_multiple_of(pool.k()) && whole_rows(pool));
        let pool = fitting.max_by_key(|pool| pool.k()).ok_or_else(|| {
            format!(
                "rows of {} weights of format `{}` cannot be put together from rows of 512, or units of \
                 its bytes span more than that",
                shape.k, format.name
            )
        })?;
        let mut rng = Rng::new(0, "pieces");
        let per_row = shape.k / pool.k();
        let pieces: Vec<usize> = (0..shape.n * per_row).map(|_| rng.below(pool.n())).collect();
        let streams = pool.streams().iter().map(|bytes| {
            let length = bytes.len() / pool.n();
            pieces.iter().flat_map(|&piece| &bytes[piece * length..][..length]).copied().collect()
        });
        Ok(Weights {
            format: format.clone(),
            shape,
            streams: streams.collect(),
            piece: pool.k(),
            pool: pool.upload(&Device::reference())?.dequantize()?,
            pieces,
        })
    }

    /// The tensor, with a copy of the bytes.
    pub fn tensor(&self) -> Result<Tensor> {
        let Shape { n, k } = self.shape;
        Ok(Tensor::new("weights", &self.format, n, k, self.streams.clone())?)
    }

    /// Bytes in all streams.
    pub fn bytes(&self) -> usize {
        self.streams.iter().map(Vec::len).sum()
    }

    /// Every weight, a row after the other.
    pub fn decoded(&self) -> impl Iterator<Item = f32> {
        self.pieces
            .iter()
            .flat_map(|&piece| &self.pool[piece * self.piece..][..self.piece])
            .copied()
    }

    /// The product with activations `[m, k]`, in f64: `[m, n]`.
    pub fn product(&self, x: &[f32]) -> Vec<f64> {
        let (k, per_row) = (self.shape.k, self.shape.k / self.piece);
        let pool = self.pool.len() / self.piece;
        let mut product = Vec::with_capacity(x.len() / k * self.shape.n);
        let mut parts = vec![0.0; per_row * pool];
        for x in x.chunks_exact(k) {
            for (x, parts) in x.chunks_exact(self.piece).zip(parts.chunks_exact_mut(pool)) {
                for (w, part) in self.pool.chunks_exact(self.piece).zip(parts) {
                    *part = dot(w, x);
                }
            }
            product.extend(self.pieces.chunks_exact(per_row).map(|pieces| {
                let parts = pieces.iter().zip(parts.chunks_exact(pool));
                parts.map(|(&piece, parts)| parts[piece]).sum::<f64>()
            }));
        }
        product
    }
}

/// Whether rows of the pool are bytes of their own, which may be put one after another.
fn whole_rows(pool: &Tensor) -> bool {
    let format = pool.format();
    let whole = |blocks: u64| (pool.k() as u64 / u64::from(format.weights)).is_multiple_of(blocks);
    let dims = Dims {
        n: pool.n() as u32,
        blocks: (pool.k() / format.weights as usize) as u32,
        sizes: std::array::from_fn(|size| {
            format.sizes.get(size).map_or(0, |size| size.default / format.weights)
        }),
    };
    format.streams.iter().all(|stream| {
        let units = stream.units;
        units.rows == 1 && units.blocks != Extent::Row && whole(units.blocks.blocks(&dims))
    })
}

/// `w · x`, several sums side by side.
fn dot(w: &[f32], x: &[f32]) -> f64 {
    let mut sums = [0.0; 16];
    for (w, x) in w.chunks(16).zip(x.chunks(16)) {
        for ((sum, &w), &x) in sums.iter_mut().zip(w).zip(x) {
            *sum += f64::from(w) * f64::from(x);
        }
    }
    sums.iter().sum()
}

/// Mean squared error relative to the mean square of what is expected: 0 where all is equal, and
/// infinite where an output is not finite, is missing or too much.
pub fn nmse(got: &[f32], expected: impl IntoIterator<Item = f64>) -> f64 {
    let (mut error, mut square) = (0.0, 0.0);
    let mut got = got.iter();
    for expected in expected {
        let Some(&got) = got.next() else { return f64::INFINITY };
        error += (f64::from(got) - expected).powi(2);
        square += expected * expected;
    }
    let nmse = error / square;
    if nmse.is_finite() && got.next().is_none() { nmse } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_decoded_tensor() -> Result<()> {
        for format in quantloom::formats() {
            let shape = Shape { n: 5, k: 1024 };
            let Ok(weights) = Weights::random(&format.into(), shape) else { continue };
            let decoded = weights.tensor()?.upload(&Device::cpu())?.dequantize()?;
            assert!(weights.decoded().eq(decoded.iter().copied()), "{}", format.name);
            let x = Rng::new(1, "x").activations(2 * shape.k);
            let product = weights.product(&x);
            for (x, y) in x.chunks(shape.k).zip(product.chunks(shape.n)) {
                for (w, &y) in decoded.chunks(shape.k).zip(y) {
                    let exact: f64 =
                        w.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
                    assert!((exact - y).abs() <= 1e-9 * exact.abs().max(1.0), "{}", format.name);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn errors_are_relative_and_never_hidden() {
        let nmse = |got: &[f32]| nmse(got, [1.0, 2.0]);
        assert_eq!(nmse(&[1.0, 2.0]), 0.0);
        assert_eq!(nmse(&[1.0, 3.0]), 0.2);
        assert_eq!(nmse(&[f32::NAN, 2.0]), f64::INFINITY);
        assert_eq!(nmse(&[1.0]), f64::INFINITY);
        assert_eq!(nmse(&[1.0, 2.0, 3.0]), f64::INFINITY);
    }
}
