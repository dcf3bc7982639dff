//! A tensor through its format's exact decoder: any rows, and panels of 16.

use std::ops::Range;

use super::isa::Isa;
use super::quantize::CHUNK;
use super::simd::{Floats, ROWS};
use crate::artifact::Cpu;

/// The bytes of a tensor, and the decoder of its format.
#[derive(Clone, Copy)]
pub(super) struct Decoded<'a> {
    pub streams: &'a [&'a [u8]],
    pub dims: [u32; 4],
    pub isa: Isa,
    pub functions: &'a Cpu,
    /// Weight rows.
    pub n: usize,
    /// Weights per row.
    pub k: usize,
    /// Weights per block.
    pub block: usize,
}

impl Decoded<'_> {
    /// Decodes blocks, rows one after another, from number `first` on; they fill `weights`.
    pub fn blocks(&self, first: usize, weights: &mut [f32]) {
        let function = self.isa.version(self.functions.decode());
        // SAFETY: `Cpu::new` promises a function that needs the version's instructions alone, and those
        // were detected.
        unsafe { function(self.streams, &self.dims, first, weights) }
    }

    /// Chunks after which blocks begin anew.
    pub fn period(&self) -> usize {
        let mut chunks = 1;
        while !(chunks * CHUNK).is_multiple_of(self.block) {
            chunks += 1;
        }
        chunks
    }

    /// Chunks of a group of rows: `weights[k]`; zeros where there are no rows or columns.
    pub fn panel(
        &self,
        group: usize,
        chunks: Range<usize>,
        row: &mut Vec<f32>,
        weights: &mut Vec<Floats>,
    ) {
        let per_row = self.k / self.block;
        let first = chunks.start * CHUNK / self.block;
        let last = (chunks.end * CHUNK).div_ceil(self.block).min(per_row);
        row.resize((last - first) * self.block, 0.0);
        weights.clear();
        weights.resize(chunks.len() * CHUNK, Floats::ZERO);
        for lane in 0..ROWS.min(self.n - group * ROWS) {
            self.blocks((group * ROWS + lane) * per_row + first, row);
            for (weights, weight) in weights.iter_mut().zip(&*row) {
                weights.0[lane] = *weight;
            }
        }
    }
}
