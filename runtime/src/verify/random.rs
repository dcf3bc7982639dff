//! Seeded random numbers, and random tensors of any format.

use super::meaning::Reader;
use crate::artifact::{Dims, Size};
use crate::{Error, Result};
use quantloom_codegen::Format;
use quantloom_codegen::format::{Scalar, SmallFloat, TableValues};

/// A generator of random numbers (SplitMix64): the same ones for the same seed and purpose, always.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator of its own for each purpose of a seed.
    pub fn new(seed: u64, purpose: &str) -> Rng {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Rng(purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`; 0 where there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        self.bits().checked_rem(limit as u64).unwrap_or_default() as usize
    }

    /// Activations: from -1 to 1, some of them 0.
    pub fn activations(&mut self, count: usize) -> Vec<f32> {
        let unit = |bits: u64| (bits as i64 as f64 / -(i64::MIN as f64)) as f32;
        (0..count).map(|_| if self.below(16) == 0 { 0.0 } else { unit(self.bits()) }).collect()
    }

    /// A tensor's bytes, one item per stream: every bit pattern of every field.
    pub fn any_bytes(&mut self, format: &Format, dims: &Dims) -> Vec<Vec<u8>> {
        let sizes = format.streams.iter().map(|stream| stream.artifact().len(dims).unwrap_or(0));
        sizes.map(|size| (0..size).map(|_| self.bits() as u8).collect()).collect()
    }

    /// A tensor's bytes with every float finite: 0, or a magnitude from 2^-8 to 1 with at most 8
    /// significant bits, so that products neither overflow nor drown in their sum.
    ///
    /// # Errors
    /// Where the format's planes leave its streams, which no format does that was compiled.
    pub fn finite_bytes(&mut self, format: &Format, dims: &Dims) -> Result<Vec<Vec<u8>>> {
        let mut streams = self.any_bytes(format, dims);
        let written = self.finite_tables(format, &mut streams);
        let written = written.and_then(|()| self.finite_fields(format, dims, &mut streams));
        written.map(|()| streams).ok_or_else(|| Error::Format {
            format: format.name.clone(),
            problem: "a plane leaves the bytes of its stream".to_owned(),
        })
    }

    fn finite_tables(&mut self, format: &Format, streams: &mut [Vec<u8>]) -> Option<()> {
        for table in &format.tables {
            if let TableValues::Stored { member, count } = table.values {
                let member = format.members.get(member)?;
                let bytes = streams.get_mut(member.stream)?.get_mut(member.offset as usize..)?;
                let (words, _) = bytes.as_chunks_mut();
                for word in words.get_mut(..count as usize)? {
                    *word = self.number().to_le_bytes();
                }
            }
        }
        Some(())
    }

    fn finite_fields(
        &mut self,
        format: &Format,
        dims: &Dims,
        streams: &mut [Vec<u8>],
    ) -> Option<()> {
        // Unit numbers stand first: where other values lie depends on them.
        let gathers = |number: usize| format.fields.iter().any(|f| f.gather == Some(number));
        let mut fields: Vec<_> = format.fields.iter().enumerate().collect();
        fields.sort_by_key(|(number, _)| !gathers(*number));
        for (number, field) in fields.into_iter().filter(|(_, field)| !field.padding) {
            if is_integer(&field.scalar) && !gathers(number) {
                continue;
            }
            for row in 0..dims.n {
                for weight in (0..dims.blocks * format.weights).step_by(field.per as usize) {
                    let bits = self.stored(&field.scalar);
                    let reader = Reader { format, dims, streams: &*streams, row, weight };
                    let places: Option<Vec<_>> = reader.places(field).collect();
                    for ((stream, at), bit) in places?.into_iter().zip(0..) {
                        let byte = streams.get_mut(stream)?.get_mut(at / 8)?;
                        *byte = *byte & !(1 << (at % 8)) | ((bits >> bit & 1) as u8) << (at % 8);
                    }
                }
            }
        }
        Some(())
    }

    /// The bits of a stored float, or of a unit's number: mostly one that there is.
    fn stored(&mut self, scalar: &Scalar) -> u32 {
        match scalar {
            Scalar::F32 => self.number().to_bits(),
            Scalar::F16 => half::f16::from_f32(self.number()).to_bits().into(),
            Scalar::Bf16 => half::bf16::from_f32(self.number()).to_bits().into(),
            Scalar::Small(float) => self.small(float),
            Scalar::Unsigned | Scalar::Signed => self.below(9) as u32,
        }
    }

    fn number(&mut self) -> f32 {
        let significand = (128 + self.below(128)) as f32;
        let sign = if self.below(2) == 0 { 1.0 } else { -1.0 };
        match self.below(32) {
            0 => 0.0,
            _ => sign * significand * 2f32.powi(-8 - self.below(8) as i32),
        }
    }

    /// A code of a small float whose value is neither special nor extreme, where there is one.
    fn small(&mut self, float: &SmallFloat) -> u32 {
        let codes: Vec<u32> = (0..1 << float.bits())
            .filter(|&code| (2f64.powi(-8)..2.0).contains(&float.value(code).abs()))
            .collect();
        codes.get(self.below(codes.len())).copied().unwrap_or_default()
    }
}

fn is_integer(scalar: &Scalar) -> bool {
    matches!(scalar, Scalar::Unsigned | Scalar::Signed)
}

/// Choices of a format's sizes that are worth a test, by name and weights: the defaults, the least
/// there can be, and one in between that is no power of two. A single empty one without sizes.
pub fn sizes(sizes: &[Size], block: u32) -> Vec<Vec<(String, u32)>> {
    let each = |weights: fn(u32, u32) -> u32| -> Vec<(String, u32)> {
        sizes.iter().map(|size| (size.name.to_string(), weights(size.default, block))).collect()
    };
    let mut all = vec![each(|default, _| default)];
    for other in [each(|_, block| block), each(|_, block| block.saturating_mul(3))] {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}
