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

    /// A tensor's bytes, one item per stream: every bit pattern of every field. Numbers of units past the
    /// last one are among them, which mean the last, and which [`Tensor::new`](crate::Tensor::new) refuses.
    pub fn any_bytes(&mut self, format: &Format, dims: &Dims) -> Vec<Vec<u8>> {
        let sizes = format.streams.iter().map(|stream| stream.artifact().len(dims).unwrap_or(0));
        sizes.map(|size| (0..size).map(|_| self.bits() as u8).collect()).collect()
    }

    /// [`Rng::any_bytes`] with numbers of units that there are.
    ///
    /// # Errors
    /// Where the format's planes leave its streams, which no format does that was compiled.
    pub fn tensor_bytes(&mut self, format: &Format, dims: &Dims) -> Result<Vec<Vec<u8>>> {
        let mut streams = self.any_bytes(format, dims);
        let written = self.fields(format, dims, &mut streams, |numbers, _| numbers);
        written.map(|()| streams).ok_or_else(|| outside(format))
    }

    /// [`Rng::tensor_bytes`] with every float finite: 0, or a magnitude from 2^-8 to 1 with at most 8
    /// significant bits, so that products neither overflow nor drown in their sum.
    ///
    /// # Errors
    /// As those of [`Rng::tensor_bytes`].
    pub fn finite_bytes(&mut self, format: &Format, dims: &Dims) -> Result<Vec<Vec<u8>>> {
        let mut streams = self.tensor_bytes(format, dims)?;
        let written = self.finite_tables(format, &mut streams);
        let written = written.and_then(|()| {
            self.fields(format, dims, &mut streams, |numbers, scalar| {
                !numbers && !is_integer(scalar)
            })
        });
        written.map(|()| streams).ok_or_else(|| outside(format))
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

    /// Writes some of the fields: which, told by whether a field's values are numbers of units, and how
    /// it is read. Where values lie that others gather depends on such numbers, so they come first.
    fn fields(
        &mut self,
        format: &Format,
        dims: &Dims,
        streams: &mut [Vec<u8>],
        which: impl Fn(bool, &Scalar) -> bool,
    ) -> Option<()> {
        for (number, field) in format.fields.iter().enumerate().filter(|(_, field)| !field.padding)
        {
            let units = units(format, dims, number);
            if !which(units.is_some(), &field.scalar) {
                continue;
            }
            for row in 0..dims.n {
                for weight in (0..dims.blocks * format.weights).step_by(field.per as usize) {
                    let bits = match units {
                        Some(units) => self.below(units) as u32,
                        None => self.stored(&field.scalar),
                    };
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

    /// The bits of a stored float.
    fn stored(&mut self, scalar: &Scalar) -> u32 {
        match scalar {
            Scalar::F32 => self.number().to_bits(),
            Scalar::F16 => half::f16::from_f32(self.number()).to_bits().into(),
            Scalar::Bf16 => half::bf16::from_f32(self.number()).to_bits().into(),
            Scalar::Small(float) => self.small(float),
            Scalar::Unsigned | Scalar::Signed => self.bits() as u32,
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

/// Units along k that a field's values number; `None` where they number none.
fn units(format: &Format, dims: &Dims, field: usize) -> Option<usize> {
    let gathered = format.fields.iter().filter(|other| other.gather == Some(field));
    let streams = gathered
        .flat_map(|other| &other.planes)
        .filter_map(|plane| format.streams.get(format.members.get(plane.member)?.stream));
    let units = streams.map(|stream| stream.artifact().units_per_row(dims)).min()?;
    usize::try_from(units).ok().filter(|&units| units > 0)
}

fn outside(format: &Format) -> Error {
    Error::Format {
        format: format.name.clone(),
        problem: "a plane leaves the bytes of its stream".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    /// Numbers of groups of 3 bits for each row, of 5 bits in two planes for pairs of rows, and in words
    /// that lie apart.
    const NUMBERED: [&str; 3] = [
        "g: {tile: {k: 8}, unit: {bits: \"u8[3]\"}}\nfields: {group: {from: bits, bits: 3, k: \"8:3\"}",
        "g: {tile: {k: 8, n: 2}, unit: {low: \"u8[8]\", high: \"u8[2]\"}}\nfields: {group: {planes: [\
         {from: low, bits: 4, k: \"8:4\", n: \"2:32\"}, {from: high, bits: 1, k: \"8:1\", n: \"2:8\"}]}",
        "g: {tile: {k: 8}, view: columns, word: 4, unit: {bits: \"u32[2]\"}}\n\
         fields: {group: {from: bits, bits: 8, k: \"8:8\"}",
    ];

    #[test]
    fn tensors_have_numbers_of_units_that_there_are() {
        for (number, numbered) in NUMBERED.iter().enumerate() {
            let text = format!(
                "format: a\ntitle: a\nweights: 8\nstreams:\n  q: {{tile: {{k: 8}}, unit: {{c: \"u8[8]\"}}}}\n  \
                 s: {{tile: {{k: 16}}, unit: {{d: f16}}}}\n  {numbered}, scale: {{from: d, gather: group}}}}\n\
                 value: scale * c\n"
            );
            let format = crate::Format::compile(&text, "a.yaml").unwrap();
            let meaning = crate::descriptor::parse(&format).unwrap();
            let index = meaning.fields.iter().position(|field| field.name == "group").unwrap();
            let mut rng = Rng::new(0, "numbers");
            let (mut fits, mut refused) = (0, 0);
            for round in 0..40 {
                let (n, k) = (1 + round % 5, 8 * (1 + round % 7));
                let dims = format.dims(n, k).unwrap();
                let tensor = |streams| Tensor::new("t", &format, n, k, streams);
                tensor(rng.tensor_bytes(&meaning, &dims).unwrap()).unwrap();
                let mut streams = rng.finite_bytes(&meaning, &dims).unwrap();
                tensor(streams.clone()).unwrap();
                // One number changed, wherever the language's own reader finds its bits.
                let (row, weight) = (rng.below(n) as u32, rng.below(k) as u32);
                let streams_before = streams.clone();
                let reader =
                    Reader { format: &meaning, dims: &dims, streams: &streams_before, row, weight };
                let units = k.div_ceil(16);
                let field = &meaning.fields[index];
                let changed = rng.below(1 << field.bits());
                for (place, bit) in reader.places(field).zip(0..) {
                    let (stream, at) = place.unwrap();
                    let byte = &mut streams[stream][at / 8];
                    *byte = *byte & !(1 << (at % 8)) | ((changed >> bit & 1) as u8) << (at % 8);
                }
                match tensor(streams) {
                    Ok(_) => {
                        assert!(changed < units, "format {number}: {changed} of {units} let pass");
                        fits += 1;
                    }
                    Err(error) => {
                        let wanted = format!(
                            "`g` says {changed} for row {row}, column {weight}; stream `s`"
                        );
                        assert!(changed >= units && error.to_string().contains(&wanted), "{error}");
                        refused += 1;
                    }
                }
            }
            assert!(fits > 0 && refused > 0, "format {number}: {fits} fit, {refused} refused");
        }
    }
}
