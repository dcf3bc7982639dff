//! The two comparisons that everything comes down to: weights are equal bit for bit, products are
//! close.

use crate::{Epilogue, f16};
use rayon::prelude::*;

/// Largest error of a product, relative to Σ|w·x|.
pub const LIMIT: f64 = 1e-5;

/// How decoded weights compare with what they should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Weights with other bits. NaN equals NaN whatever its payload.
    pub different: u64,
    /// Weights that are as they should be where a GPU takes subnormals for 0, as it may.
    pub flushed: u64,
    /// The first of the different ones.
    pub first: Option<Different>,
}

/// A weight with other bits than it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Different {
    /// Its number, `[n, k]` row-major.
    pub index: usize,
    /// The bits it has; of binary16 the lower 16.
    pub got: u32,
    /// The bits it should have.
    pub expected: u32,
}

impl Decoded {
    /// Compares weight by weight with the f32 ones there should be, rounded to nearest even where
    /// they are stored in fewer bits. Missing weights and those too many are different.
    pub fn compare<T: Float>(weights: &[T], expected: &[f32]) -> Decoded {
        Decoded::compare_flushed(weights, expected, expected)
    }

    /// [`Decoded::compare`] where the weights of a device that flushes subnormals pass too.
    pub fn compare_flushed<T: Float>(weights: &[T], expected: &[f32], flushed: &[f32]) -> Decoded {
        let missing = weights.len().abs_diff(expected.len()) as u64;
        let mut found = Decoded { different: missing, ..Decoded::default() };
        let pairs = expected.iter().zip(flushed).map(|(&a, &b)| (T::rounded(a), T::rounded(b)));
        for (index, (weight, (expected, flushed))) in weights.iter().zip(pairs).enumerate() {
            if weight.is(expected) {
                continue;
            }
            let lost = flushed.is_zero() && !expected.is_zero();
            let zero = weight.is_zero() && (expected.is_subnormal() || lost);
            if zero || weight.is(flushed) {
                found.flushed += 1;
            } else {
                found.different += 1;
                let (got, expected) = (weight.bits(), expected.bits());
                found.first = found.first.or(Some(Different { index, got, expected }));
            }
        }
        found
    }

    /// Both together; the first difference is that of `self`, where it has one.
    pub fn and(self, other: Decoded) -> Decoded {
        Decoded {
            different: self.different + other.different,
            flushed: self.flushed + other.flushed,
            first: self.first.or(other.first),
        }
    }
}

/// A type of decoded weights.
pub trait Float: Copy {
    /// The nearest one, the even one of two.
    fn rounded(value: f32) -> Self;
    /// Its bits, in the lower ones.
    fn bits(self) -> u32;
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
    /// Whether it is 0 or -0.
    fn is_zero(self) -> bool;
    /// Whether it is subnormal.
    fn is_subnormal(self) -> bool;

    /// Whether both are the same to the bit, or not a number.
    fn is(self, other: Self) -> bool {
        self.bits() == other.bits() || self.is_nan() && other.is_nan()
    }
}

impl Float for f32 {
    fn rounded(value: f32) -> f32 {
        value
    }
    fn bits(self) -> u32 {
        self.to_bits()
    }
    fn is_nan(self) -> bool {
        self.is_nan()
    }
    fn is_zero(self) -> bool {
        self == 0.0
    }
    fn is_subnormal(self) -> bool {
        self.is_subnormal()
    }
}

impl Float for f16 {
    fn rounded(value: f32) -> f16 {
        f16::from_f32(value)
    }
    fn bits(self) -> u32 {
        self.to_bits().into()
    }
    fn is_nan(self) -> bool {
        self.is_nan()
    }
    fn is_zero(self) -> bool {
        self == f16::ZERO
    }
    fn is_subnormal(self) -> bool {
        self.classify() == std::num::FpCategory::Subnormal
    }
}

/// A sum of products in f64, and what its error is measured with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exact {
    /// `Σ w · x`.
    pub sum: f64,
    /// `Σ |w · x|`.
    pub magnitude: f64,
    /// What is lost where every subnormal on the way comes out as 0.
    pub flushed: f64,
}

impl Exact {
    /// `[m, n]`: activations `[m, k]` times decoded weights `[n, k]`.
    pub fn product(weights: &[f32], x: &[f32], k: usize) -> Vec<Exact> {
        let rows = x.par_chunks_exact(k.max(1)).flat_map(|x| {
            weights.par_chunks_exact(k.max(1)).map(move |row| {
                row.iter().zip(x).fold(Exact::default(), |exact, (&w, &x)| {
                    let term = f64::from(w) * f64::from(x);
                    Exact {
                        sum: exact.sum + term,
                        magnitude: exact.magnitude + term.abs(),
                        flushed: exact.flushed + 2.0 * f64::from(f32::MIN_POSITIVE),
                    }
                })
            })
        });
        rows.collect()
    }

    /// What there is no output for.
    pub const MISSING: Exact = Exact { sum: f64::NAN, magnitude: f64::NAN, flushed: 0.0 };

    /// What an epilogue makes of it in this column, where the output held `before`.
    pub fn stored(&self, epilogue: &Epilogue<&[f32]>, column: usize, before: f32) -> Exact {
        let bias = epilogue.bias.and_then(|bias| bias.get(column)).copied().unwrap_or_default();
        let before = if epilogue.add { f64::from(before) } else { 0.0 };
        let (scale, bias) = (f64::from(epilogue.scale), f64::from(bias));
        Exact {
            sum: scale * self.sum + bias + before,
            magnitude: scale.abs() * self.magnitude + bias.abs() + before.abs(),
            flushed: scale.abs() * self.flushed + 2.0 * f64::from(f32::MIN_POSITIVE),
        }
    }

    /// Error of `y`, relative to the magnitude; infinite where no rounding and no flushed subnormal
    /// explains it.
    pub fn error(&self, y: f32) -> f64 {
        let same = f64::from(y) == self.sum || y == self.sum as f32;
        // Terms or their sum may leave the range of f32.
        let large = self.magnitude.is_nan() || self.magnitude > f32::MAX.into();
        let beyond = !y.is_finite() && large;
        let off = (f64::from(y) - self.sum).abs();
        if same || beyond || off <= self.flushed {
            return 0.0;
        }
        let error = off / self.magnitude;
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

/// The largest error of a product; infinite where it has not as many values as it should.
pub fn worst(y: &[f32], exact: &[Exact]) -> f64 {
    if y.len() != exact.len() {
        return f64::INFINITY;
    }
    y.iter().zip(exact).map(|(&y, exact)| exact.error(y)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_compared_by_their_bits() {
        let compare = |weight: f32, expected: f32| {
            let Decoded { different, flushed, .. } = Decoded::compare(&[weight], &[expected]);
            (different, flushed)
        };
        assert_eq!(compare(1.5, 1.5), (0, 0));
        assert_eq!(compare(0.0, -0.0), (1, 0));
        assert_eq!(compare(f32::NAN, -f32::NAN), (0, 0));
        assert_eq!(compare(f32::NAN, 1.0), (1, 0));
        assert_eq!(compare(0.0, 1e-40), (0, 1));
        assert_eq!(compare(0.0, 1e-30), (1, 0));
        assert_eq!(Decoded::compare::<f32>(&[], &[1.0]).different, 1);
        let some = Decoded::compare(&[1.0, 2.0, 3.0], &[1.0, -2.0, -3.0]);
        let first = Different { index: 1, got: 0x4000_0000, expected: 0xc000_0000 };
        assert_eq!(some, Decoded { different: 2, flushed: 0, first: Some(first) });
        // A scale of 1e-40 times 1e5, and 0 times infinity.
        let weights = [0.0, f32::NAN, 1e-35, 0.0];
        let found = Decoded::compare_flushed(&weights, &[1e-35; 4], &[-0.0, f32::NAN, 0.0, 1.0]);
        assert_eq!((found.flushed, found.different), (2, 1));
        let flushed = Decoded { flushed: 4, ..Decoded::default() };
        assert_eq!(flushed.and(some), Decoded { flushed: 4, ..some });
    }

    #[test]
    fn halves_are_rounded_to_nearest_even() {
        let compare = |bits: u16, expected: f32| {
            let Decoded { different, flushed, .. } =
                Decoded::compare(&[f16::from_bits(bits)], &[expected]);
            (different, flushed)
        };
        assert_eq!(compare(0x3c00, 1.0 + 2f32.powi(-11)), (0, 0));
        assert_eq!(compare(0x3c01, 1.0 + 2f32.powi(-11)), (1, 0));
        assert_eq!(compare(0x7c00, 1e6), (0, 0));
        assert_eq!(compare(0x7e01, f32::NAN), (0, 0));
        assert_eq!(compare(0x0000, 2f32.powi(-24)), (0, 1));
        assert_eq!(compare(0x0000, 2f32.powi(-14)), (1, 0));
    }

    #[test]
    fn products_are_compared_with_the_sum_of_magnitudes() {
        let exact = Exact::product(&[1.0, -1.0, 2.0, 2.0], &[1.0, 1.0], 2);
        assert_eq!(worst(&[0.0, 4.0], &exact), 0.0);
        assert_eq!(worst(&[0.5, 4.0], &exact), 0.25);
        assert_eq!(worst(&[0.0, 5.0], &exact), 0.25);
        assert_eq!(worst(&[0.0], &exact), f64::INFINITY);
        assert_eq!(worst(&[f32::NAN, 4.0], &exact), f64::INFINITY);
        let nothing = Exact::default();
        assert_eq!(nothing.error(0.0), 0.0);
        assert_eq!(nothing.error(1e-30), f64::INFINITY);
    }

    #[test]
    fn products_may_leave_the_range_of_f32() {
        let small = Exact::product(&[1e-40], &[1.0], 1);
        assert_eq!(worst(&[0.0], &small), 0.0);
        assert!(worst(&[1e-30], &small) > LIMIT);
        let large = Exact::product(&[3e38, 3e38, -3e38], &[1.0; 3], 3);
        assert_eq!(worst(&[f32::INFINITY], &large), 0.0);
        assert_eq!(worst(&[3e38], &large), 0.0);
        assert!(worst(&[2e38], &large) > LIMIT);
        let undefined = Exact::product(&[f32::NAN], &[1.0], 1);
        assert_eq!(worst(&[f32::NAN], &undefined), 0.0);
        assert_eq!(worst(&[1.0], &undefined), f64::INFINITY);
        let finite = Exact::product(&[1.0], &[1.0], 1);
        assert_eq!(worst(&[f32::INFINITY], &finite), f64::INFINITY);
    }
}
