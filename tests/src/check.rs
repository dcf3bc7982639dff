//! The two checks that everything comes down to: weights are equal bit for bit, products are close.

use crate::{Failed, note};
use half::f16;

/// Decoded weights.
pub type Weights = Vec<f32>;

/// Decoded weights must be equal bit for bit: NaN equals NaN whatever its payload. A subnormal
/// that came out as 0 is let pass, and reported under the test's name at the end.
pub fn same_weights(test: &str, got: &[f32], expected: &[f32]) -> Result<(), Failed> {
    let class = |weight: f32| match weight {
        _ if weight.is_nan() => Bits { bits: u32::MAX, subnormal: false },
        _ => Bits { bits: weight.to_bits(), subnormal: weight.is_subnormal() },
    };
    let zero = |bits: u32| bits << 1 == 0;
    same(test, &list(got, class), &list(expected, class), zero)
}

/// Like [`same_weights`] for binary16, where each is the f32 weight rounded to nearest even.
pub fn same_halves(test: &str, got: &[f16], expected: &[f32]) -> Result<(), Failed> {
    let class = |weight: f16| match weight {
        _ if weight.is_nan() => Bits { bits: u32::MAX, subnormal: false },
        _ => Bits {
            bits: weight.to_bits().into(),
            subnormal: weight.classify() == std::num::FpCategory::Subnormal,
        },
    };
    let expected: Vec<f16> = expected.iter().map(|&weight| f16::from_f32(weight)).collect();
    let zero = |bits: u32| bits & 0x7fff == 0;
    same(&format!("{test}, f16"), &list(got, class), &list(&expected, class), zero)
}

#[derive(Clone, Copy, PartialEq)]
struct Bits {
    bits: u32,
    subnormal: bool,
}

fn list<T: Copy>(weights: &[T], class: impl Fn(T) -> Bits) -> Vec<Bits> {
    weights.iter().map(|&weight| class(weight)).collect()
}

fn same(
    test: &str,
    got: &[Bits],
    expected: &[Bits],
    zero: impl Fn(u32) -> bool,
) -> Result<(), Failed> {
    if got.len() != expected.len() {
        return Err(format!("{test}: {} weights, expected {}", got.len(), expected.len()).into());
    }
    let (mut flushed, mut wrong, mut first) = (0, 0, None);
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        if got == expected {
            continue;
        }
        if expected.subnormal && zero(got.bits) {
            flushed += 1;
        } else {
            wrong += 1;
            first = first.or(Some((index, got.bits, expected.bits)));
        }
    }
    if flushed > 0 {
        note(format!("{test}: {flushed} subnormal weights came out as 0"));
    }
    match first {
        None => Ok(()),
        Some((index, bits, wanted)) => Err(format!(
            "{test}: {wrong} of {} weights differ; the first is number {index}, with bits {bits:#010x}, expected \
             {wanted:#010x}",
            got.len()
        )
        .into()),
    }
}

/// A product in f64, and what it is measured against.
pub struct Product {
    /// Weight rows.
    n: usize,
    /// `y[m, n]`.
    y: Vec<f64>,
    /// `Σ |w · x|` for each.
    scale: Vec<f64>,
}

impl Product {
    /// Multiplies weights `[n, k]` with activations `[m, k]`.
    pub fn new(weights: &[f32], x: &[f32], k: usize) -> Product {
        let mut product = Product { n: weights.len() / k, y: Vec::new(), scale: Vec::new() };
        for x in x.chunks_exact(k) {
            for weights in weights.chunks_exact(k) {
                let (mut y, mut scale) = (0.0, 0.0);
                for (&w, &x) in weights.iter().zip(x) {
                    let term = f64::from(w) * f64::from(x);
                    y += term;
                    scale += term.abs();
                }
                product.y.push(y);
                product.scale.push(scale);
            }
        }
        product
    }

    /// The error of each of the first `rows` rows of outputs is at most 1e-5 of `Σ |w · x|`.
    pub fn check(&self, test: &str, got: &[f32], rows: usize) -> Result<(), Failed> {
        let Some(expected) = self.y.get(..rows * self.n).filter(|y| y.len() == got.len()) else {
            let expected = rows * self.n;
            return Err(format!("{test}: {} outputs, expected {expected}", got.len()).into());
        };
        for (index, ((&got, expected), scale)) in
            got.iter().zip(expected).zip(&self.scale).enumerate()
        {
            let error = (f64::from(got) - expected).abs();
            if error.is_nan() || error > 1e-5 * scale {
                return Err(format!(
                    "{test}: output {index} is {got}, expected {expected}: off by {error:.3e}, which is {:.3e} of Σ|w·x|",
                    error / scale
                )
                .into());
            }
        }
        Ok(())
    }
}
