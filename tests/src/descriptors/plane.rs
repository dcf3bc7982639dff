//! Where the values of a unit lie: side by side, in any order.

use crate::seed::pick;
use quantloom::verify::random::Rng;

/// Values of a unit along k, for each of its rows, of so many bits.
pub struct Unit {
    pub values: usize,
    pub rows: usize,
    pub bits: usize,
}

impl Unit {
    pub fn bytes(&self) -> usize {
        self.values * self.rows * self.bits / 8
    }

    /// The member that holds them all.
    pub fn member(&self, rng: &mut Rng) -> String {
        let bytes = self.bytes();
        let types = [("u8", 1), ("u16", 2), ("u32", 4), ("u8", 1)];
        let fit: Vec<_> =
            types.into_iter().filter(|(_, size)| bytes.is_multiple_of(*size)).collect();
        let (ty, size) = pick(rng, &fit);
        format!("\"{ty}[{}]\"", bytes / size)
    }

    /// Layouts along k and over the rows that place every value once.
    pub fn plane(&self, rng: &mut Rng) -> String {
        let (along, across) = (digits(rng, self.values), digits(rng, self.rows));
        let count = along.len();
        let all: Vec<usize> = along.iter().chain(&across).copied().collect();
        let mut order: Vec<usize> = (0..all.len()).collect();
        // Half of them as they are, the others in any order.
        if rng.below(2) == 0 {
            for last in (1..order.len()).rev() {
                order.swap(last, rng.below(last + 1));
            }
        }
        let (mut at, mut stride) = (0, self.bits as i64);
        let mut strides = vec![0; all.len()];
        for digit in order {
            let backwards = rng.below(6) == 0;
            at += if backwards { (all[digit] as i64 - 1) * stride } else { 0 };
            strides[digit] = if backwards { -stride } else { stride };
            stride *= all[digit] as i64;
        }
        let layout = |range: std::ops::Range<usize>| match range.is_empty() {
            true => "1:0".to_owned(),
            false => format!("({}):({})", list(&all[range.clone()]), list(&strides[range])),
        };
        let n = match self.rows {
            1 => String::new(),
            _ => format!(", n: \"{}\"", layout(count..all.len())),
        };
        format!("at: {at}, k: \"{}\"{n}", layout(0..count))
    }
}

/// A number as a product, largest factor anywhere.
fn digits(rng: &mut Rng, mut number: usize) -> Vec<usize> {
    let mut digits = Vec::new();
    while number > 1 {
        let factors: Vec<usize> =
            divisors(number).into_iter().filter(|&factor| factor > 1).collect();
        let digit = pick(rng, &factors);
        digits.push(digit);
        number /= digit;
    }
    digits
}

/// All divisors, the least first.
pub fn divisors(number: usize) -> Vec<usize> {
    (1..=number).filter(|&divisor| number.is_multiple_of(divisor)).collect()
}

fn list<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}
