//! Codes as signed bytes, for integer dot products.

use super::Coding;

/// How the byte of a code becomes a signed byte: code = unit · (signed byte - zero).
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    /// What is done to the byte.
    pub make: Make,
    /// The signed byte, or a number beyond, that means 0.
    pub zero: i32,
    /// What codes are multiples of. Codebooks of floats are rounded to multiples of the largest
    /// magnitude over 127, unless they are multiples of a power of two.
    pub unit: f32,
}

/// What makes a byte signed.
#[derive(Clone, Debug, PartialEq)]
pub enum Make {
    /// These bits are flipped.
    Flip(u8),
    /// It selects one of these.
    Table(Vec<i8>),
}

/// Larger tables are not part of a kernel's text.
const LARGEST: usize = 64;

impl Coding {
    /// Codes as signed bytes; `None` where 8 bits do not hold them: where they are many floats, or
    /// integers too far apart.
    pub fn signed(&self) -> Option<Signed> {
        let bits = (0..8).map(|bit| 1u8 << bit);
        let flipped = std::iter::once(0).chain(bits).find_map(|flip| {
            let zero = self.zero(flip)?;
            Some(Signed { make: Make::Flip(flip), zero, unit: 1.0 })
        });
        flipped.or_else(|| self.table())
    }

    /// The byte that means 0, if all do by their distance from it once these bits are flipped.
    fn zero(&self, flip: u8) -> Option<i32> {
        let zeros = (0..=u8::MAX).zip(&self.values).filter(|(_, value)| !value.is_nan());
        let mut zeros = zeros.map(|(byte, &value)| f32::from((byte ^ flip) as i8) - value);
        let first = zeros.next()?;
        let same = first.fract() == 0.0 && first.abs() < 256.0 && zeros.all(|zero| zero == first);
        same.then_some(first as i32)
    }

    fn table(&self) -> Option<Signed> {
        let values = || self.values.iter().copied().filter(|value| !value.is_nan());
        let largest = values().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        if self.values.len() > LARGEST || largest == 0.0 || !largest.is_finite() {
            return None;
        }
        let whole = |unit: &f32| values().all(|value| (value / unit).fract() == 0.0);
        let exact = (0..8).map(|power| 0.5f32.powi(power)).find(whole);
        let unit = exact.filter(|unit| largest <= 127.0 * unit).unwrap_or(largest / 127.0);
        let entry = |&value: &f32| match value.is_nan() {
            true => 0,
            false => (value / unit).round_ties_even() as i8,
        };
        Some(Signed { make: Make::Table(self.values.iter().map(entry).collect()), zero: 0, unit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Affine, Byte, Formula};

    fn signed(values: Vec<f32>) -> Option<Signed> {
        let number = Formula::Number(1.0);
        let affine =
            Affine { code: number.clone(), scale: number.clone(), offset: number, halved: false };
        Coding { affine, byte: Byte::Value, values, run: 32, spans: Vec::new() }.signed()
    }

    /// What the bytes mean after they were made signed.
    fn meanings(signed: &Signed, bytes: usize) -> Vec<f32> {
        let byte = |byte: usize| match &signed.make {
            Make::Flip(bits) => (byte as u8 ^ bits) as i8,
            Make::Table(entries) => entries[byte],
        };
        (0..bytes).map(|b| (i32::from(byte(b)) - signed.zero) as f32 * signed.unit).collect()
    }

    #[test]
    fn integers_keep_their_value() {
        let biased: Vec<f32> = (-8i8..8).map(f32::from).collect();
        let wide: Vec<f32> = (0..=255u8).map(f32::from).collect();
        let complement: Vec<f32> = (0..16u8).map(|b| f32::from((b ^ 8) as i8 - 8)).collect();
        let bytes: Vec<f32> = (0..=255u8).map(|b| f32::from(b as i8)).collect();
        let uneven = vec![-127.0, -104.0, -83.0, 113.0];
        let halves = vec![-6.0, -0.5, 1.5, 4.0];
        for values in [biased, wide, complement, bytes, uneven, halves] {
            let signed = signed(values.clone()).unwrap();
            assert_eq!(meanings(&signed, values.len()), values);
        }
    }

    #[test]
    fn floats_are_rounded() {
        let values = vec![-1.0, -0.6962, 0.0, 0.0796, 1.0];
        let signed = signed(values.clone()).unwrap();
        for (meaning, value) in meanings(&signed, values.len()).iter().zip(values) {
            assert!((meaning - value).abs() <= 0.5 / 127.0, "{meaning} for {value}");
        }
    }

    #[test]
    fn some_codes_are_no_bytes() {
        let squares = (0..256).map(|b| (b * b) as f32).collect();
        assert_eq!(signed(squares), None);
        assert_eq!(signed(vec![0.0; 300].into_iter().map(|_| f32::NAN).collect()), None);
    }
}
