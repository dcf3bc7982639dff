//! Products that round to 8 bits or to f16: how far that may take them from the exact ones.

use super::compare::{Exact, LIMIT};
use super::report::Fault;
use crate::{Epilogue, Format, Result, descriptor};

/// Largest mean square error of outputs, of their mean square.
pub const MEAN_SQUARE: f64 = 5e-4;
/// Fewer products of weight and activation may all be small by chance: only each output is checked.
const FEW: usize = 1 << 16;
/// Steps from the largest magnitude to its negative; a little fewer than there are.
const STEPS: f64 = 253.0;

/// What a product of two f16 is off at most, relative to the product: each has 11 significant bits, so it
/// loses 2^-11 where it is rounded to nearest and 2^-10 where it is cut off.
pub const HALVES: f64 = 2e-3;
/// Distance of two f16 below 2^-14.
pub const HALF_STEP: f64 = 1.0 / (1 << 24) as f64;

/// An output, and how far off it may be.
#[derive(Clone, Copy, Debug)]
pub struct Rounded {
    /// What an exact product gives.
    pub exact: Exact,
    /// What rounding can change. To 8 bits: half a step of every activation, and of every weight where
    /// the codebook is floats. To f16: see [`HALVES`] and [`HALF_STEP`].
    pub rounding: f64,
}

impl Rounded {
    /// `[m, n]`: activations `[m, k]` times decoded weights `[n, k]`. `codebook` says whether weights
    /// are rounded too, see [`has_codebook`].
    pub fn product(weights: &[f32], x: &[f32], k: usize, codebook: bool) -> Vec<Rounded> {
        let largest = |row: &[f32]| row.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
        let sum = |row: &[f32]| -> f64 { row.iter().map(|v| f64::from(v.abs())).sum() };
        let pairs = x.chunks_exact(k.max(1)).flat_map(|x| {
            weights.chunks_exact(k.max(1)).map(move |w| {
                let of_x = f64::from(largest(x)) * sum(w);
                // A short row may have only small entries of the codebook.
                let of_w = if codebook { 16.0 * f64::from(largest(w)) * sum(x) } else { 0.0 };
                (of_x + of_w) / STEPS
            })
        });
        let exact = Exact::product(weights, x, k).into_iter();
        exact.zip(pairs).map(|(exact, rounding)| Rounded { exact, rounding }).collect()
    }

    /// The same of a product that rounds weights and activations to f16.
    pub fn product_of_halves(weights: &[f32], x: &[f32], k: usize) -> Vec<Rounded> {
        let pairs = x.chunks_exact(k.max(1)).flat_map(|x| {
            weights.chunks_exact(k.max(1)).map(move |w| -> f64 {
                let pairs = w.iter().zip(x).map(|(w, x)| (f64::from(w.abs()), f64::from(x.abs())));
                pairs.map(|(w, x)| HALVES * w * x + HALF_STEP * (w + x)).sum()
            })
        });
        let exact = Exact::product(weights, x, k).into_iter();
        exact.zip(pairs).map(|(exact, rounding)| Rounded { exact, rounding }).collect()
    }

    /// What there is no output for.
    pub const MISSING: Rounded = Rounded { exact: Exact::MISSING, rounding: 0.0 };

    /// What an epilogue makes of it in this column, where the output held `before`.
    pub fn stored(&self, epilogue: &Epilogue<&[f32]>, column: usize, before: f32) -> Rounded {
        let rounding = f64::from(epilogue.scale.abs()) * self.rounding;
        Rounded { exact: self.exact.stored(epilogue, column, before), rounding }
    }

    fn off(&self, y: f32) -> f64 {
        (f64::from(y) - self.exact.sum).abs()
    }

    /// Whether rounding does not explain an output.
    fn is_beyond(&self, y: f32) -> bool {
        if self.exact.sum.is_nan() {
            return !y.is_nan();
        }
        let off = self.off(y);
        off.is_nan() || off > self.rounding + LIMIT * self.exact.magnitude + self.exact.flushed
    }

    /// What is wrong with outputs of rows of `k` weights, if anything.
    pub fn fault(y: &[f32], outputs: &[Rounded], k: usize) -> Option<Fault> {
        if y.len() != outputs.len() {
            return Some(Fault::Length { got: y.len(), expected: outputs.len() });
        }
        let mut beyond = y.iter().zip(outputs).enumerate();
        if let Some((index, (&got, output))) = beyond.find(|(_, (y, output))| output.is_beyond(**y))
        {
            let Rounded { exact, rounding } = *output;
            return Some(Fault::Rounding { index, got, expected: exact.sum, rounding });
        }
        let errors: f64 = y.iter().zip(outputs).map(|(&y, output)| output.off(y).powi(2)).sum();
        let squares: f64 = outputs.iter().map(|output| output.exact.sum.powi(2)).sum();
        let many = y.len() * k >= FEW;
        (many && errors > MEAN_SQUARE * squares)
            .then(|| Fault::MeanSquare { error: errors / squares })
    }
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
    use super::*;

    #[test]
    fn outputs_are_as_near_as_rounding_takes_them() {
        let (weights, x) = ([1.0, -1.0, 2.0, 2.0], [1.0, 1.0]);
        let outputs = Rounded::product(&weights, &x, 2, false);
        assert_eq!(Rounded::fault(&[0.0, 4.0], &outputs, 2), None);
        assert_eq!(Rounded::fault(&[0.007, 3.99], &outputs, 2), None);
        let beyond = Fault::Rounding { index: 1, got: 4.02, expected: 4.0, rounding: 4.0 / STEPS };
        assert_eq!(Rounded::fault(&[0.0, 4.02], &outputs, 2), Some(beyond));
        assert!(Rounded::fault(&[f32::NAN, 4.0], &outputs, 2).is_some());
        assert_eq!(
            Rounded::fault(&[0.0], &outputs, 2),
            Some(Fault::Length { got: 1, expected: 2 })
        );
        assert_eq!(Rounded::fault(&[0.0, 4.02], &Rounded::product(&weights, &x, 2, true), 2), None);
    }

    #[test]
    fn halves_are_nearer() {
        let outputs = Rounded::product_of_halves(&[1.0, -1.0, 2.0, 2.0], &[1.0, 1.0], 2);
        assert_eq!(Rounded::fault(&[0.003, 4.007], &outputs, 2), None);
        assert!(Rounded::fault(&[0.0, 4.009], &outputs, 2).is_some());
        assert!(Rounded::fault(&[f32::INFINITY, 4.0], &outputs, 2).is_some());
        let small = Rounded::product_of_halves(&[1.0], &[1e-7], 1);
        assert_eq!(Rounded::fault(&[5.960_464_5e-8], &small, 1), None);
    }

    #[test]
    fn many_outputs_are_nearer_on_average() {
        let k = FEW;
        let x: Vec<f32> = (0..k).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let weights = vec![1.0; k];
        let outputs = Rounded::product(&weights, &x, k, false);
        assert_eq!(Rounded::fault(&[0.0], &outputs, k), None);
        let error = Rounded::fault(&[1.0], &outputs, k);
        assert_eq!(error, Some(Fault::MeanSquare { error: f64::INFINITY }));
    }
}
