//! Panels: some chunks of 16 weight rows, decoded to bytes, with their scales. The two kinds of
//! storage differ only in how they fill one.

use std::ops::Range;

use super::coded::{Coded, Reader};
use super::interleave::Interleaved;
use super::native;
use super::quantize::QUADS;
use super::simd::{Floats, Line, Simd};
use super::storage::Stored;
use super::tile::Panel;

/// Where codes come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub coded: &'a Coded,
    pub reader: Reader<'a>,
    /// Where the tensor was prepared.
    pub interleaved: Option<&'a Interleaved>,
}

/// What bytes a panel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Integers, each larger by the codebook's zero.
    Integers,
    /// Indices of the codebook; only what is interleaved has them.
    Indices,
}

/// Room for a panel, reused.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    codes: Vec<Line>,
    scales: Vec<Floats>,
    offsets: Vec<Floats>,
    rows: Rows,
    /// Where it is in the tensor.
    group: usize,
}

/// Codes and scales of single rows, on their way into a panel.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub codes: Vec<u8>,
    pub scales: Vec<f32>,
    pub offsets: Vec<f32>,
}

impl Buffers {
    /// Fills a panel with chunks of a group of rows. `chunks` begins where a block does. Without
    /// `bytes` only scales are decoded, for [`Buffers::stored`].
    #[inline(always)]
    pub fn fill<S: Simd>(
        &mut self,
        simd: S,
        source: &Source,
        bytes: Option<Bytes>,
        group: usize,
        chunks: Range<usize>,
    ) {
        let Source { coded, reader, interleaved } = source;
        let runs = coded.runs();
        self.group = group;
        for list in [&mut self.scales, &mut self.offsets] {
            list.resize(chunks.len() * runs, Floats::ZERO);
        }
        let (scales, offsets) = (&mut *self.scales, &mut *self.offsets);
        match interleaved {
            Some(stored) => {
                if let Some(bytes) = bytes {
                    self.codes.resize(chunks.len() * QUADS, Line::ZERO);
                    let table = match bytes {
                        Bytes::Integers => coded.codebook.bytes(),
                        Bytes::Indices => None,
                    };
                    stored.codes(simd, coded, table, group, chunks.clone(), &mut self.codes);
                }
                let to = [&mut *scales, &mut *offsets];
                stored.scales(simd, reader.isa, coded, group, chunks.clone(), to);
            }
            None => {
                self.codes.resize(chunks.len() * QUADS, Line::ZERO);
                let rows = &mut self.rows;
                native::codes(simd, coded, reader, group, chunks.clone(), rows, &mut self.codes);
                native::scales(coded, reader, group, chunks.clone(), rows, scales, offsets);
            }
        }
        // Past the end of the rows nothing may be a NaN.
        let present = (coded.k / coded.run).saturating_sub(chunks.start * runs);
        for list in [&mut *scales, &mut *offsets] {
            list.iter_mut().skip(present).for_each(|past| *past = Floats::ZERO);
        }
    }

    /// The same chunks where they are stored; `None` unless they are interleaved.
    pub fn stored<'b>(&'b self, source: &Source<'b>, chunks: Range<usize>) -> Option<Stored<'b>> {
        let Source { coded, interleaved, .. } = source;
        let Panel { scales, offsets, runs, .. } = self.panel(coded);
        let (bits, lines) = interleaved.as_ref()?.lines(coded, self.group, chunks)?;
        Some(Stored { lines, bits, scales, offsets, runs })
    }

    /// The panel, as it was filled.
    pub fn panel(&self, coded: &Coded) -> Panel<'_> {
        Panel {
            codes: &self.codes,
            scales: &self.scales,
            offsets: if coded.functions.offset { &self.offsets } else { &[] },
            runs: coded.runs(),
            wide: coded.codebook.is_wide(),
        }
    }
}
