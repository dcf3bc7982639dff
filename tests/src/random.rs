//! Seeded random numbers, and random blocks of any format.

use crate::Failed;
use quantloom_codegen::Format;
use quantloom_codegen::format::{Field, Scalar};
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
    pub fn any_blocks(&mut self, format: &Format, blocks: usize) -> Vec<Vec<u8>> {
        let sizes = format.streams.iter().map(|stream| stream.bytes as usize * blocks);
        sizes.map(|size| (0..size).map(|_| self.bits() as u8).collect()).collect()
    }

    /// Random bytes, but every float field finite: 0, or a magnitude from 2^-8 to 1 with at most 8
    /// significant bits. Formulas over these round at most once, so that no fused or re-associated
    /// operation, which GPUs may use, can change a bit.
    pub fn finite_blocks(&mut self, format: &Format, blocks: usize) -> Vec<Vec<u8>> {
        let mut streams = self.any_blocks(format, blocks);
        for field in &format.fields {
            for block in 0..blocks {
                for value in 0..format.weights / field.per {
                    let significand = (128 + self.below(128)) as f32;
                    let sign = self.pick(&[1.0, -1.0]);
                    let number = match self.below(32) {
                        0 => 0.0,
                        _ => sign * significand * 2f32.powi(-8 - self.below(8) as i32),
                    };
                    let bits = match field.scalar {
                        Scalar::F32 => number.to_bits(),
                        Scalar::F16 => half::f16::from_f32(number).to_bits().into(),
                        Scalar::Bf16 => half::bf16::from_f32(number).to_bits().into(),
                        Scalar::Signed | Scalar::Unsigned => break,
                    };
                    store(format, field, &mut streams, block, value, bits);
                }
            }
        }
        streams
    }
}

/// Writes the stored bits of one value of a field.
fn store(
    format: &Format,
    field: &Field,
    streams: &mut [Vec<u8>],
    block: usize,
    value: u32,
    mut bits: u32,
) {
    for plane in &field.planes {
        let stream = format.members[plane.member].stream;
        let first = block * format.streams[stream].bytes as usize * 8;
        for bit in 0..plane.bits {
            let at = first + plane.position(value) as usize + bit as usize;
            let byte = &mut streams[stream][at / 8];
            *byte = *byte & !(1 << (at % 8)) | ((bits & 1) as u8) << (at % 8);
            bits >>= 1;
        }
    }
}

/// Adds the seed to what went wrong.
pub fn with_seed(result: Result<(), Failed>) -> Result<(), Failed> {
    result.map_err(|error| {
        let message = error.message().unwrap_or("failed");
        format!("{message}\n(repeat with SEED={})", *SEED).into()
    })
}
