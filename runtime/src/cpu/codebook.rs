//! What the bytes that a format's code function hands out mean, and how few bits can tell them apart.

use std::array::from_fn;

use super::simd::Floats;

/// Codes as unsigned bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Codebook {
    /// Index of every byte that occurs.
    pub index: Box<[u8; 256]>,
    /// Bits of an index.
    pub bits: u32,
    /// What an index means.
    pub meaning: Meaning,
    /// How bytes become those of a panel.
    pub mapping: Mapping,
}

/// How the bytes of a code function become bytes of a panel: indices, and for integers with a table
/// the table's bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mapping {
    /// This is added, modulo 256.
    Add(u8),
    /// Bytes are below 16 and entries of this table.
    Table([u8; 16]),
    /// An entry of this table.
    Any(Box<[u8; 256]>),
}

/// What the index of a code means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meaning {
    /// The integer `index - zero`.
    Integer {
        /// Index of zero.
        zero: i32,
    },
    /// The integer `bytes[index] - zero`.
    Table {
        /// A byte for every index.
        bytes: [u8; 16],
        /// The byte of zero, whether it occurs or not.
        zero: i32,
    },
    /// A float, for products in 8 bits about `(bytes[index] - ROUNDED_ZERO) · unit`.
    Float {
        /// The float of every index.
        values: [f32; 16],
        /// A byte for every index.
        bytes: [u8; 16],
        /// The largest magnitude over 127.
        unit: f32,
    },
}

impl Codebook {
    /// The codebook of the values of bytes, NaN where one never occurs; `None` where they are neither
    /// integers of 8 bits nor at most 16 floats.
    pub fn new(values: &[f32]) -> Option<Codebook> {
        let occurring = values.iter().copied().filter(|value| !value.is_nan());
        let mut distinct: Vec<f32> = occurring.collect();
        distinct.sort_unstable_by(f32::total_cmp);
        distinct.dedup_by(|a, b| a.to_bits() == b.to_bits());
        let (&low, &high) = (distinct.first()?, distinct.last()?);
        let whole = |value: &f32| value.fract() == 0.0 && value.to_bits() != (-0.0f32).to_bits();
        let integers =
            distinct.iter().all(whole) && low >= -255.0 && high <= 255.0 && high - low < 256.0;
        let few = distinct.len() <= 16;
        let span = bits((high - low) as u32);
        let narrow = bits(distinct.len() as u32 - 1);
        let zero = if integers { -(low as i32) } else { 0 }; // floats may be any
        let (bits, meaning) = match integers {
            true if few && narrow < span.min(7) => {
                let bytes = table(&distinct, |value| (value as i32 + zero) as u8);
                (narrow, Meaning::Table { bytes, zero })
            }
            true => (span, Meaning::Integer { zero }),
            false if few => {
                let unit = high.abs().max(low.abs()) / 127.0;
                let bytes = table(&distinct, |value| rounded(value / unit));
                (narrow, Meaning::Float { values: table(&distinct, |value| value), bytes, unit })
            }
            false => return None,
        };
        let mut index = Box::new([0; 256]);
        for (index, value) in index.iter_mut().zip(values).filter(|(_, value)| !value.is_nan()) {
            *index = match meaning {
                Meaning::Integer { zero } => (*value as i32 + zero) as u8,
                _ => distinct.iter().position(|other| other.to_bits() == value.to_bits())? as u8,
            };
        }
        let mapping = Mapping::new(values, &index, &meaning);
        Some(Codebook { index, bits, meaning, mapping })
    }

    /// What the integers of a panel are multiples of: 1, where codes are integers.
    pub fn unit(&self) -> f32 {
        match self.meaning {
            Meaning::Float { unit, .. } => unit,
            _ => 1.0,
        }
    }

    /// The byte of an integer panel that means zero.
    pub fn zero(&self) -> i32 {
        match self.meaning {
            Meaning::Integer { zero } | Meaning::Table { zero, .. } => zero,
            Meaning::Float { .. } => ROUNDED_ZERO,
        }
    }

    /// Table from index to the byte of an integer panel, where they differ.
    pub fn bytes(&self) -> Option<&[u8; 16]> {
        match &self.meaning {
            Meaning::Table { bytes, .. } | Meaning::Float { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// Whether bytes of an integer panel may be 128 or more.
    pub fn is_wide(&self) -> bool {
        match &self.meaning {
            Meaning::Table { bytes, .. } | Meaning::Float { bytes, .. } => {
                bytes.iter().any(|&byte| byte >= 128)
            }
            _ => self.bits > 7,
        }
    }

    /// Whether there are at most 16 indices.
    pub fn is_small(&self) -> bool {
        self.bits <= 4
    }

    /// The value of every index where there are at most 16; else what is added to all.
    pub fn values(&self) -> Floats {
        let small = self.is_small();
        Floats(match &self.meaning {
            Meaning::Integer { zero } => {
                from_fn(|index| if small { index as i32 - zero } else { -zero } as f32)
            }
            Meaning::Table { bytes, zero } => bytes.map(|byte| (i32::from(byte) - zero) as f32),
            Meaning::Float { values, .. } => *values,
        })
    }
}

/// The byte that means 0 where floats are rounded.
const ROUNDED_ZERO: i32 = 127;

/// A float of at most 127 as a byte.
fn rounded(value: f32) -> u8 {
    (value.round_ties_even() as i32 + ROUNDED_ZERO) as u8
}

impl Mapping {
    fn new(values: &[f32], index: &[u8; 256], meaning: &Meaning) -> Mapping {
        let panel = index.map(|index| match meaning {
            Meaning::Table { bytes, .. } | Meaning::Float { bytes, .. } => {
                bytes[usize::from(index & 15)]
            }
            _ => index,
        });
        let occurring = || (0..=255u8).zip(values).filter(|(_, value)| !value.is_nan());
        let moved = |byte: u8| panel[usize::from(byte)].wrapping_sub(byte);
        let by = occurring().next().map_or(0, |(byte, _)| moved(byte));
        if occurring().all(|(byte, _)| moved(byte) == by) {
            Mapping::Add(by)
        } else if occurring().all(|(byte, _)| byte < 16) {
            Mapping::Table(from_fn(|byte| panel[byte]))
        } else {
            Mapping::Any(Box::new(panel))
        }
    }
}

/// Bits that hold a number.
fn bits(number: u32) -> u32 {
    (u32::BITS - number.leading_zeros()).max(1)
}

/// Values as a table; entries past the last repeat it.
fn table<T: Copy + Default>(values: &[f32], entry: impl Fn(f32) -> T) -> [T; 16] {
    from_fn(|index| {
        let value = values.get(index).or(values.last());
        value.map_or(T::default(), |&value| entry(value))
    })
}
