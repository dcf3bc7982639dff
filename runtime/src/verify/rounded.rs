//! Products that round to 8 bits or to f16: how far that may take them from the exact ones.

use super::compare::{Exact, LIMIT};
use super::report::Fault;
use crate::{Epilogue, Format, Result, descriptor};

/// Largest sum of squared errors of outputs, of the sum of their squared terms. Roundings make a tenth
/// of it.
pub const MEAN_SQUARE: f64 = 5e-4;
/// Few roundings may add up to more by chance, so an error is also allowed that comes up once in e^28 times.
const CHANCE: f64 = 28.0;
/// Steps from the largest magnitude to its negative; a little fewer than there are.
const STEPS: f64 = 253.0;
/// Weights among which there is one of at least half the largest entry of their codebook.
const NEIGHBOURS: usize = 32;

/// What a product of two f16 is off at most, relative to the product: each has 11 significant bits, so it
/// loses 2^-11 where it is rounded to nearest and 2^-10 where it is cut off.
pub const HALVES: f64 = 2e-3;
/// Distance of two f16 below 2^-14.
pub const HALF_STEP: f64 = 1.0 / (1 << 24) as f64;

/// An output, and how far off it may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rounded {
    /// What an exact product gives.
    pub exact: Exact,
    /// What rounding can change. To 8 bits: half a step of every activation, and of every weight where
    /// the codebook is floats. To f16: see [`HALVES`] and [`HALF_STEP`].
    pub rounding: f64,
    /// `Σ (w · x)²`.
    squares: f64,
    /// The sum of the squares of what each rounding can change.
    roundings: f64,
    /// The activation row: outputs of one share their roundings.
    row: usize,
}

impl Rounded {
    /// `[m, n]`: activations `[m, k]` times decoded weights `[n, k]`. `codebook` says whether weights
    /// are rounded too, see [`has_codebook`].
    pub fn product(weights: &[f32], x: &[f32], k: usize, codebook: bool) -> Vec<Rounded> {
        Rounded::of_pairs(weights, x, k, |w, x| {
            let step = largest(x) / STEPS;
            let mut rounding = step * magnitude(w);
            let mut roundings = step.powi(2) * squares(w);
            if codebook {
                // A short row may have only small entries of the codebook.
                rounding += 16.0 * largest(w) * magnitude(x) / STEPS;
                let near = w.chunks(NEIGHBOURS).zip(x.chunks(NEIGHBOURS));
                let near = near.map(|(w, x)| (2.0 * largest(w) / STEPS).powi(2) * squares(x));
                roundings += near.sum::<f64>();
            }
            [rounding, roundings]
        })
    }

    /// The same of a product that rounds weights and activations to f16.
    pub fn product_of_halves(weights: &[f32], x: &[f32], k: usize) -> Vec<Rounded> {
        Rounded::of_pairs(weights, x, k, |w, x| {
            let pairs = w.iter().zip(x).map(|(w, x)| (f64::from(w.abs()), f64::from(x.abs())));
            let each = pairs.map(|(w, x)| HALVES * w * x + HALF_STEP * (w + x));
            each.fold([0.0; 2], |[sum, squares], own| [sum + own, squares + own * own])
        })
    }

    /// `[m, n]` with what roundings can change of a weight row times an activation row.
    fn of_pairs(
        weights: &[f32],
        x: &[f32],
        k: usize,
        change: impl Fn(&[f32], &[f32]) -> [f64; 2],
    ) -> Vec<Rounded> {
        let change = &change;
        let pairs = x
            .chunks_exact(k.max(1))
            .enumerate()
            .flat_map(|(row, x)| weights.chunks_exact(k.max(1)).map(move |w| (row, w, x)));
        let outputs = Exact::product(weights, x, k).into_iter().zip(pairs);
        let outputs = outputs.map(|(exact, (row, w, x))| {
            let [rounding, roundings] = change(w, x);
            let terms = w.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x));
            Rounded {
                exact,
                rounding,
                squares: terms.map(|term| term * term).sum(),
                roundings,
                row,
            }
        });
        outputs.collect()
    }

    /// What there is no output for.
    pub const MISSING: Rounded =
        Rounded { exact: Exact::MISSING, rounding: 0.0, squares: 0.0, roundings: 0.0, row: 0 };

    /// What an epilogue makes of it in this column, where the output held `before`.
    pub fn stored(&self, epilogue: &Epilogue<&[f32]>, column: usize, before: f32) -> Rounded {
        let scale = f64::from(epilogue.scale.abs());
        Rounded {
            exact: self.exact.stored(epilogue, column, before),
            rounding: scale * self.rounding,
            squares: scale.powi(2) * self.squares,
            roundings: scale.powi(2) * self.roundings,
            row: self.row,
        }
    }

    /// How far off an output is, but for what f32 loses.
    fn off(&self, y: f32) -> f64 {
        let off = (f64::from(y) - self.exact.sum).abs();
        match off.is_nan() {
            true => off,
            false => (off - LIMIT * self.exact.magnitude - self.exact.flushed).max(0.0),
        }
    }

    /// Whether rounding does not explain an output.
    fn is_beyond(&self, y: f32) -> bool {
        if self.exact.sum.is_nan() {
            return !y.is_nan();
        }
        let off = self.off(y);
        off.is_nan() || off > self.rounding
    }

    /// What is wrong with outputs, if anything. Activations should be random, so that roundings are.
    pub fn fault(y: &[f32], outputs: &[Rounded]) -> Option<Fault> {
        if y.len() != outputs.len() {
            return Some(Fault::Length { got: y.len(), expected: outputs.len() });
        }
        let mut beyond = y.iter().zip(outputs).enumerate();
        if let Some((index, (&got, output))) = beyond.find(|(_, (y, output))| output.is_beyond(**y))
        {
            let Rounded { exact, rounding, .. } = *output;
            return Some(Fault::Rounding { index, got, expected: exact.sum, rounding });
        }
        let errors: f64 = y.iter().zip(outputs).map(|(&y, output)| output.off(y).powi(2)).sum();
        let squares: f64 = outputs.iter().map(|output| output.squares).sum();
        let most = f64::max(MEAN_SQUARE * squares, Rounded::chance(outputs));
        (errors > most).then(|| Fault::MeanSquare { error: errors / squares, most: most / squares })
    }

    /// What the sum of squared errors stays below but once in e^[`CHANCE`] times, whatever the weights
    /// are and however the outputs of an activation row depend on one another.
    ///
    /// The errors of a row are `A δ`, where the roundings `δ` are independent, 0 in the mean and at most
    /// 1, and `A` holds what each can change of each output. Such squares are below
    /// `tr Σ + 2 √(t · tr Σ²) + 2 t ‖Σ‖` but for a chance of `e^-t`, `Σ = Aᵀ A` of all rows (Hsu, Kakade and
    /// Zhang 2012, theorem 2.1). Rows are independent, and within one neither `√(tr Σ²)` nor `‖Σ‖` exceeds
    /// `tr Σ`, which is the sum of `roundings`.
    fn chance(outputs: &[Rounded]) -> f64 {
        let rows = outputs.iter().map(|output| output.row + 1).max().unwrap_or_default();
        let mut traces = vec![0.0; rows];
        for output in outputs {
            if let Some(trace) = traces.get_mut(output.row) {
                *trace += output.roundings;
            }
        }
        let sum: f64 = traces.iter().sum();
        let squares: f64 = traces.iter().map(|trace| trace * trace).sum();
        let largest = traces.iter().copied().fold(0.0, f64::max);
        sum + 2.0 * (CHANCE * squares).sqrt() + 2.0 * CHANCE * largest
    }
}

fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0f32, |largest, value| largest.max(value.abs())).into()
}

fn magnitude(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(value.abs())).sum()
}

fn squares(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum()
}

/// Whether products with 8-bit activations round the weights of a format too: where the numbers that
/// codes stand for are not all integers.
///
/// # Errors
/// [`Error::Format`](crate::Error::Format) where the artifact does not fit its descriptor.
pub fn has_codebook(format: &Format) -> Result<bool> {
    let coding = descriptor::parse(format)?.coding();
    Ok(coding.is_some_and(|coding| {
        coding.values.iter().any(|value| !value.is_nan() && value.fract() != 0.0)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::random::Rng;
    use super::*;

    #[test]
    fn outputs_are_as_near_as_rounding_takes_them() {
        let (weights, x) = ([1.0, -1.0, 2.0, 2.0], [1.0, 1.0]);
        let outputs = Rounded::product(&weights, &x, 2, false);
        assert_eq!(Rounded::fault(&[0.0, 4.0], &outputs), None);
        assert_eq!(Rounded::fault(&[0.007, 3.99], &outputs), None);
        let beyond = Fault::Rounding { index: 1, got: 4.02, expected: 4.0, rounding: 4.0 / STEPS };
        assert_eq!(Rounded::fault(&[0.0, 4.02], &outputs), Some(beyond));
        assert!(Rounded::fault(&[f32::NAN, 4.0], &outputs).is_some());
        assert_eq!(Rounded::fault(&[0.0], &outputs), Some(Fault::Length { got: 1, expected: 2 }));
        assert_eq!(Rounded::fault(&[0.0, 4.02], &Rounded::product(&weights, &x, 2, true)), None);
    }

    #[test]
    fn halves_are_nearer() {
        let outputs = Rounded::product_of_halves(&[1.0, -1.0, 2.0, 2.0], &[1.0, 1.0], 2);
        assert_eq!(Rounded::fault(&[0.003, 4.007], &outputs), None);
        assert!(Rounded::fault(&[0.0, 4.009], &outputs).is_some());
        assert!(Rounded::fault(&[f32::INFINITY, 4.0], &outputs).is_some());
        let small = Rounded::product_of_halves(&[1.0], &[1e-7], 1);
        assert_eq!(Rounded::fault(&[5.960_464_5e-8], &small), None);
    }

    /// Activations rounded to 8 bits, 32 at a time.
    fn rounded(x: &[f32]) -> Vec<f32> {
        let chunks = x.chunks(32).flat_map(|chunk| {
            let step = (largest(chunk) / 127.0) as f32;
            chunk.iter().map(move |x| if step > 0.0 { (x / step).round() * step } else { 0.0 })
        });
        chunks.collect()
    }

    fn sum(w: &[f32], x: &[f32]) -> f64 {
        w.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum()
    }

    #[test]
    fn a_single_output_is_no_mean() {
        let k = 2048;
        let (mut small, mut found) = (0, 0);
        for seed in 0..400 {
            let mut rng = Rng::new(seed, "a single output");
            let (w, x) = (rng.activations(k), rng.activations(k));
            let outputs = Rounded::product(&w, &x, k, false);
            let y = sum(&w, &rounded(&x)) as f32;
            assert_eq!(Rounded::fault(&[y], &outputs), None, "seed {seed}");
            // Where the sum is small by chance, the error is not small beside it.
            small +=
                u32::from(outputs[0].off(y).powi(2) > MEAN_SQUARE * outputs[0].exact.sum.powi(2));
            // A tenth of the terms is missing.
            let part = sum(&w[..k * 9 / 10], &x) as f32;
            found += u32::from(Rounded::fault(&[part], &outputs).is_some());
        }
        assert!(small > 4, "{small} of 400 sums are small: the test shows nothing");
        assert!(found > 300, "{found} of 400 mistakes are found");
    }

    #[test]
    fn many_outputs_are_nearer_on_average() {
        let (n, m, k) = (16, 64, 512);
        let mut rng = Rng::new(0, "many outputs");
        let (w, x) = (rng.activations(n * k), rng.activations(m * k));
        let outputs = Rounded::product(&w, &x, k, false);
        let product = |k_used: usize, x: &[f32]| -> Vec<f32> {
            let rows = x
                .chunks(k)
                .flat_map(|x| w.chunks(k).map(move |w| sum(&w[..k_used], &x[..k_used]) as f32));
            rows.collect()
        };
        let near = rounded(&x);
        assert_eq!(Rounded::fault(&product(k, &near), &outputs), None);
        // One term of 512 is missing.
        let error = Rounded::fault(&product(k - 1, &near), &outputs);
        assert!(matches!(error, Some(Fault::MeanSquare { .. })), "{error:?}");
    }
}
