//! Activations as signed bytes, packed for the integer tile.
//!
//! Every 32 activations of a row share a scale: their largest magnitude over 127. Sums of codes are
//! exact integers. Zeros stay zeros; a run whose largest magnitude is below 2^-100 counts as zeros; an
//! infinity or a NaN makes its run's scale NaN, and so every output of that row.

use std::ops::Range;

use super::tile::Tile;

/// Activations that share a scale.
pub(super) const CHUNK: usize = 32;
/// Quads of a chunk.
pub(super) const QUADS: usize = CHUNK / 4;

/// What of the weights the packing depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Packing {
    /// Activations per row.
    pub k: usize,
    /// Runs of a chunk: 1, 2 or 4.
    pub runs: usize,
    /// The code that means zero.
    pub zero: i32,
    /// What codes are multiples of.
    pub unit: f32,
}

impl Packing {
    /// Chunks of a row, the last perhaps padded with zeros.
    pub fn chunks(&self) -> usize {
        self.k.div_ceil(CHUNK)
    }
}

/// Some activation rows, side by side, quantized.
#[derive(Debug, Default)]
pub(super) struct Quantized {
    /// Rows.
    m: usize,
    packing: Packing,
    /// Four signed bytes: `[chunk, quad, row]`.
    words: Vec<i32>,
    /// Scales, times the unit of codes: `[chunk, run, row]`.
    scales: Vec<f32>,
    /// What integer sums start with, -zero · Σq: `[chunk, run, row]`.
    starts: Vec<i32>,
    /// Sums of activations, scale · Σq: `[chunk, run, row]`.
    sums: Vec<f32>,
}

impl Quantized {
    /// Quantizes rows of `k` activations; what was there before is forgotten. Rows up to `m` that `x`
    /// has not are zeros.
    #[inline(always)]
    pub fn pack<'x>(&mut self, packing: Packing, m: usize, x: impl Iterator<Item = &'x [f32]>) {
        let chunks = packing.chunks();
        self.m = m;
        self.packing = packing;
        self.words.resize(m * chunks * QUADS, 0);
        self.starts.resize(m * chunks * packing.runs, 0);
        self.scales.resize(m * chunks * packing.runs, 0.0);
        self.sums.resize(m * chunks * packing.runs, 0.0);
        let none = std::iter::repeat(&[][..]);
        for (row, x) in x.chain(none).take(m).enumerate() {
            self.pack_row(row, x);
        }
    }

    #[inline(always)]
    fn pack_row(&mut self, row: usize, x: &[f32]) {
        let Packing { runs, zero, unit, .. } = self.packing;
        let words = self.words.chunks_exact_mut(QUADS * self.m);
        let runs_of = |chunk: usize| chunk * runs * self.m + row;
        let present = x.chunks(CHUNK).chain(std::iter::repeat(&[][..]));
        for ((chunk, x), words) in present.enumerate().zip(words) {
            let (scale, codes) = match x.first_chunk() {
                Some(x) => quantize(x),
                None => {
                    let mut padded = [0.0; CHUNK];
                    padded.iter_mut().zip(x).for_each(|(padded, x)| *padded = *x);
                    quantize(&padded)
                }
            };
            let (quads, _) = codes.as_chunks::<4>();
            for (quad, word) in quads.iter().zip(words.iter_mut().skip(row).step_by(self.m)) {
                *word = i32::from_le_bytes(quad.map(|byte| byte as u8));
            }
            for (run, codes) in codes.chunks_exact(CHUNK / runs).enumerate() {
                let sum: i32 = codes.iter().map(|&code| i32::from(code)).sum();
                let at = runs_of(chunk) + run * self.m;
                self.scales[at] = scale * unit;
                self.starts[at] = -zero * sum;
                self.sums[at] = scale * sum as f32;
            }
        }
    }

    /// Some of its chunks.
    #[inline(always)]
    pub fn tile(&self, chunks: Range<usize>) -> Tile<'_> {
        let words = QUADS * self.m;
        let runs = self.packing.runs * self.m;
        let runs = chunks.start * runs..chunks.end * runs;
        Tile {
            m: self.m,
            words: &self.words[chunks.start * words..chunks.end * words],
            scales: &self.scales[runs.clone()],
            starts: &self.starts[runs.clone()],
            sums: &self.sums[runs],
        }
    }
}

/// Scale and codes of a chunk; codes are -127 to 127.
#[inline(always)]
fn quantize(x: &[f32; CHUNK]) -> (f32, [i8; CHUNK]) {
    let largest = x.iter().fold(0u32, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff));
    let largest = f32::from_bits(largest); // NaN is larger than infinity as an integer
    if !largest.is_finite() {
        return (f32::NAN, [0; CHUNK]);
    }
    if largest < SMALLEST {
        return (0.0, [0; CHUNK]);
    }
    let inverse = 127.0 / largest;
    // Adding 1.5 · 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits.
    let codes = x.map(|x| (x * inverse + ROUND).to_bits() as i8);
    (largest / 127.0, codes)
}

const ROUND: f32 = 12_582_912.0;
const SMALLEST: f32 = 7.888_609e-31; // 2^-100
