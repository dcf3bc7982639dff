//! How far results are from what they should be.

use rayon::prelude::*;

/// Largest error of a product, relative to Σ|w·x|.
pub const LIMIT: f64 = 1e-5;

/// How decoded weights compare with the reference's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Weights with other bits.
    pub different: u64,
    /// Weights that are 0 where the reference has a subnormal: a GPU may flush those.
    pub flushed: u64,
}

impl Decoded {
    /// Compares weight by weight. NaNs are equal whatever they carry.
    pub fn compare(weights: &[f32], reference: &[f32]) -> Decoded {
        let missing = weights.len().abs_diff(reference.len()) as u64;
        let pairs = weights.iter().zip(reference);
        pairs.fold(Decoded { different: missing, flushed: 0 }, |mut found, (weight, reference)| {
            if weight.to_bits() != reference.to_bits() && !(weight.is_nan() && reference.is_nan()) {
                match reference.is_subnormal() && *weight == 0.0 {
                    true => found.flushed += 1,
                    false => found.different += 1,
                }
            }
            found
        })
    }

    /// Both together.
    pub fn and(self, other: Decoded) -> Decoded {
        Decoded {
            different: self.different + other.different,
            flushed: self.flushed + other.flushed,
        }
    }
}

/// A sum in f64, and the sum of its terms' magnitudes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exact {
    pub sum: f64,
    pub magnitude: f64,
}

impl Exact {
    /// `[m, n]`: activations `[m, k]` times decoded weights `[n, k]`.
    pub fn product(weights: &[f32], x: &[f32], k: usize) -> Vec<Exact> {
        let rows = x.par_chunks_exact(k.max(1)).flat_map(|x| {
            weights.par_chunks_exact(k.max(1)).map(move |row| {
                row.iter().zip(x).fold(Exact::default(), |exact, (&w, &x)| {
                    let term = f64::from(w) * f64::from(x);
                    Exact { sum: exact.sum + term, magnitude: exact.magnitude + term.abs() }
                })
            })
        });
        rows.collect()
    }

    /// Error of `y`, relative to the magnitude.
    pub fn error(&self, y: f32) -> f64 {
        let same = f64::from(y) == self.sum || y == self.sum as f32;
        if same || (y.is_nan() && !self.magnitude.is_finite()) {
            return 0.0;
        }
        let error = (f64::from(y) - self.sum).abs() / self.magnitude;
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

/// `len` activations in [-1, 1), always the same.
pub fn activations(len: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // 24 bits are exact in f32.
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_compared_by_their_bits() {
        let compare = |weight, reference| Decoded::compare(&[weight], &[reference]);
        let found = |different, flushed| Decoded { different, flushed };
        assert_eq!(compare(1.5, 1.5), found(0, 0));
        assert_eq!(compare(0.0, -0.0), found(1, 0));
        assert_eq!(compare(f32::NAN, -f32::NAN), found(0, 0));
        assert_eq!(compare(0.0, 1e-40), found(0, 1));
        assert_eq!(compare(0.0, 1e-30), found(1, 0));
        assert_eq!(Decoded::compare(&[], &[1.0]), found(1, 0));
        assert_eq!(found(1, 2).and(found(3, 4)), found(4, 6));
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
        let beyond = Exact { sum: 1e39, magnitude: 1e39 };
        assert_eq!(beyond.error(f32::INFINITY), 0.0);
        let undefined = Exact { sum: f64::NAN, magnitude: f64::NAN };
        assert_eq!(undefined.error(f32::NAN), 0.0);
        assert_eq!(undefined.error(1.0), f64::INFINITY);
    }

    #[test]
    fn activations_stay_in_range() {
        let x = activations(10_000);
        assert!(x.iter().all(|x| (-1.0..1.0).contains(x)));
        let mean = x.iter().sum::<f32>() / x.len() as f32;
        assert!(mean.abs() < 0.05, "{mean}");
    }
}
