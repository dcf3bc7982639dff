//! Seeded random numbers, and random blocks of any format.

use crate::Failed;
use crate::naive::Reader;
use quantloom_codegen::Format;
use quantloom_codegen::artifact::Dims;
use quantloom_codegen::format::{Field, Plane, Scalar, SmallFloat, TableValues};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of this run: the environment's `SEED`, else the time. Failures name it.
pub static SEED: LazyLock<u64> = LazyLock::new(|| match std::env::var("SEED") {
    Ok(text) => text.parse().unwrap_or_else(|_| {
        eprintln!("SEED={text} is not a whole number");
        std::process::exit(2)
    }),
    Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs()),
});

/// A generator of random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator of its own for each `purpose`, all from [`SEED`].
    pub fn new(purpose: &str) -> Rng {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Rng(purpose.bytes().fold(*SEED ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`, which is at least 1.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// One of the items.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A number from -1 to 1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() as i64 as f64 / -(i64::MIN as f64)) as f32
    }

    /// Activations: from -1 to 1, some of them 0.
    pub fn activations(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| if self.below(16) == 0 { 0.0 } else { self.unit() }).collect()
    }

    /// Random bytes: every bit pattern of every field, one item per stream.
    pub fn any_bytes(&mut self, format: &Format, dims: &Dims) -> Vec<Vec<u8>> {
        let sizes = format.streams.iter().map(|stream| stream.artifact().len(dims).unwrap_or(0));
        sizes.map(|size| (0..size).map(|_| self.bits() as u8).collect()).collect()
    }

    /// Random bytes, but every float finite: 0, or a magnitude from 2^-8 to 1 with at most 8
    /// significant bits, so that products neither overflow nor drown in their sum.
    pub fn finite_bytes(&mut self, format: &Format, dims: &Dims) -> Vec<Vec<u8>> {
        let mut streams = self.any_bytes(format, dims);
        for table in &format.tables {
            if let TableValues::Stored { member, count } = table.values {
                let member = &format.members[member];
                for value in 0..count as usize {
                    let first = member.offset as usize + value * 4;
                    let bytes = self.number().to_le_bytes();
                    streams[member.stream][first..first + 4].copy_from_slice(&bytes);
                }
            }
        }
        // Numbers of units come first: what is gathered lies where they say.
        let (numbers, values): (Vec<&Field>, Vec<&Field>) =
            format.fields.iter().filter(|field| !field.padding).partition(|field| {
                format.fields.iter().any(|other| is_gathered_by(format, other, field))
            });
        for field in numbers.iter().chain(&values) {
            let integer = matches!(field.scalar, Scalar::Unsigned | Scalar::Signed);
            if integer && !numbers.iter().any(|number| number.name == field.name) {
                continue;
            }
            for row in 0..dims.n {
                for weight in (0..dims.blocks * format.weights).step_by(field.per as usize) {
                    let bits = match &field.scalar {
                        Scalar::F32 => self.number().to_bits(),
                        Scalar::F16 => half::f16::from_f32(self.number()).to_bits().into(),
                        Scalar::Bf16 => half::bf16::from_f32(self.number()).to_bits().into(),
                        Scalar::Small(float) => self.small(float),
                        // A number of a unit: mostly one that there is.
                        Scalar::Unsigned | Scalar::Signed => self.below(9) as u32,
                    };
                    let reader = Reader { format, dims, streams: &streams, row, weight };
                    let places = places(&reader, field);
                    for ((stream, at), bit) in places.into_iter().zip(0..) {
                        let byte = &mut streams[stream][at / 8];
                        *byte = *byte & !(1 << (at % 8)) | ((bits >> bit & 1) as u8) << (at % 8);
                    }
                }
            }
        }
        streams
    }

    fn number(&mut self) -> f32 {
        let significand = (128 + self.below(128)) as f32;
        let sign = self.pick(&[1.0, -1.0]);
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
        if codes.is_empty() { 0 } else { self.pick(&codes) }
    }
}

fn is_gathered_by(format: &Format, field: &Field, by: &Field) -> bool {
    field.gather.is_some_and(|gather| format.fields[gather].name == by.name)
}

/// Stream and place in bits of every bit of a field's value.
fn places(reader: &Reader, field: &Field) -> Vec<(usize, usize)> {
    let stream = |plane: &Plane| reader.format.members[plane.member].stream;
    let all = field.planes.iter().flat_map(|plane| (0..plane.bits).map(move |bit| (plane, bit)));
    all.map(|(plane, bit)| (stream(plane), reader.address(field, plane, bit))).collect()
}

/// Adds the seed to what went wrong.
pub fn with_seed(result: Result<(), Failed>) -> Result<(), Failed> {
    result.map_err(|error| {
        let message = error.message().unwrap_or("failed");
        format!("{message}\n(repeat with SEED={})", *SEED).into()
    })
}
