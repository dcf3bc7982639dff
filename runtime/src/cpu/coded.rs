//! A tensor as codes with scales and offsets: how its runs lie in chunks of 32, and the generated
//! functions that read it.

use super::codebook::Codebook;
use super::isa::Isa;
use super::quantize::CHUNK;
use super::simd::{Floats, ROWS};
use crate::Tensor;
use crate::artifact;

/// What the coded kernels need to know of a tensor.
#[derive(Clone, Debug)]
pub(super) struct Coded {
    pub functions: &'static artifact::Coded,
    pub codebook: Codebook,
    /// Weight rows.
    pub n: usize,
    /// Weights per row.
    pub k: usize,
    /// Weights of a block.
    pub block: usize,
    /// Weights that share scale and offset for sure, at most a chunk: 8, 16 or 32.
    pub run: usize,
    /// Weights that share scale and offset: a multiple of `run`.
    pub group: usize,
}

impl Coded {
    /// `None` where the format has no codes, or too few weights share a scale.
    pub fn new(tensor: &Tensor) -> Option<Coded> {
        let functions = tensor.format().cpu.as_ref()?.coded()?;
        let codebook = Codebook::new(&functions.values)?;
        let block = tensor.format().weights as usize;
        let in_block = functions.run as usize;
        if in_block == 0 || !block.is_multiple_of(in_block) {
            return None;
        }
        // Runs longer than a block: none of what scales are made of belongs to a single block.
        let dims = tensor.layout();
        let blocks = functions.spans.iter().map(|span| span.blocks(dims));
        let blocks = blocks.reduce(gcd).unwrap_or(dims.blocks.into());
        let group = match blocks {
            0 | 1 => in_block,
            blocks => gcd(blocks * block as u64, tensor.k() as u64) as usize,
        };
        let run = gcd(group as u64, CHUNK as u64) as usize;
        (run >= 8).then(|| Coded {
            functions,
            codebook,
            n: tensor.n(),
            k: tensor.k(),
            block,
            run,
            group,
        })
    }

    /// Groups of [`ROWS`] rows, the last perhaps of fewer.
    pub fn row_groups(&self) -> usize {
        self.n.div_ceil(ROWS)
    }

    /// Chunks of a row, the last perhaps of fewer weights.
    pub fn chunks(&self) -> usize {
        self.k.div_ceil(CHUNK)
    }

    /// Runs of a chunk: 1, 2 or 4.
    pub fn runs(&self) -> usize {
        CHUNK / self.run
    }

    /// Chunks after which blocks begin anew.
    pub fn period(&self) -> usize {
        self.block / gcd(self.block as u64, CHUNK as u64) as usize
    }
}

/// Greatest common divisor.
fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The streams of a tensor, and the functions of its format for some instructions.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub streams: &'a [&'a [u8]],
    pub dims: [u32; 4],
    pub isa: Isa,
}

impl Reader<'_> {
    /// A byte per weight for the blocks from `first` on; they fill `codes`.
    pub fn codes(&self, coded: &artifact::Coded, first: usize, codes: &mut [u8]) {
        let function = self.isa.version(&coded.codes);
        // SAFETY: the version is one for instructions that were detected.
        unsafe { function(self.streams, &self.dims, first, codes) }
    }

    /// Scale and offset of every run of the blocks from `first` on; they fill both lists.
    pub fn scales(
        &self,
        coded: &artifact::Coded,
        first: usize,
        scales: &mut [f32],
        offsets: &mut [f32],
    ) {
        let function = self.isa.version(&coded.scales);
        // SAFETY: as above.
        unsafe { function(self.streams, &self.dims, first, scales, offsets) }
    }
}

/// Scales and offsets of blocks of [`ROWS`] rows, from their headers.
#[inline(always)]
pub(super) fn row_scales(
    isa: Isa,
    header: &artifact::Header,
    bytes: &[[u8; ROWS]],
    scales: &mut [Floats],
    offsets: &mut [Floats],
) {
    let function = isa.version(&header.scales);
    let scales = bytemuck::cast_slice_mut(scales);
    let offsets = bytemuck::cast_slice_mut(offsets);
    // SAFETY: the version is one for instructions that were detected.
    unsafe { function(bytes, scales, offsets) }
}
