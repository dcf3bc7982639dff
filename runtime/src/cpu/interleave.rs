//! Storage for speed: codes of 16 rows side by side in bit planes, so that a vector has a lane for
//! each row and nothing is summed across lanes. It is the format's own layout with a row axis added:
//! as many bits per code, and the bytes that scales are made of as they were, interleaved by row.

use rayon::prelude::*;
use std::ops::Range;

use super::coded::{Coded, Reader, row_scales};
use super::isa::Isa;
use super::planes;
use super::quantize::{CHUNK, QUADS};
use super::simd::{Floats, Line, ROWS, Simd};
use crate::artifact::Header;
use crate::memory::filled;
use crate::{Result, Tensor};

/// A tensor's codes, interleaved.
#[derive(Debug)]
pub(super) struct Interleaved {
    /// Lines per chunk.
    bits: usize,
    /// `[group of rows, chunk, line of the chunk]`.
    codes: Vec<Line>,
    scales: Scales,
}

/// What scales are made of.
#[derive(Debug)]
enum Scales {
    /// The blocks' own bytes: `[group of rows, block, byte of the header]`.
    Bytes { header: &'static Header, bytes: Vec<[u8; ROWS]> },
    /// Where blocks share them: `[group of rows, group of weights]`; offsets may be empty.
    Floats { scales: Vec<Floats>, offsets: Vec<Floats> },
}

impl Interleaved {
    /// Interleaves a tensor.
    ///
    /// # Errors
    /// Where memory is exhausted.
    pub fn new(tensor: &Tensor, coded: &Coded, isa: Isa) -> Result<Interleaved> {
        let streams = tensor.stream_bytes();
        let reader = Reader { streams: &streams, dims: tensor.layout().words(), isa };
        let bits = planes::stored_bits(coded.codebook.bits);
        let per_group = coded.chunks() * bits;
        let mut codes = filled(coded.row_groups() * per_group, Line::ZERO, "interleaved codes")?;
        codes.par_chunks_mut(per_group).enumerate().for_each_init(
            || vec![0; coded.k],
            |row, (group, lines)| pack_group(coded, &reader, group, row, bits, lines),
        );
        Ok(Interleaved { bits, codes, scales: Scales::new(coded, &reader)? })
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        let scales = match &self.scales {
            Scales::Bytes { bytes, .. } => size_of_val(&**bytes),
            Scales::Floats { scales, offsets } => size_of_val(&**scales) + size_of_val(&**offsets),
        };
        size_of_val(&*self.codes) + scales
    }

    /// Unpacks chunks of a group of rows: a byte per code, which is the code's own where `table` is none.
    #[inline(always)]
    pub fn codes<S: Simd>(
        &self,
        simd: S,
        coded: &Coded,
        table: Option<&[u8; 16]>,
        group: usize,
        chunks: Range<usize>,
        to: &mut [Line],
    ) {
        if let Some((bits, lines)) = self.lines(coded, group, chunks) {
            planes::unpack(simd, bits, table, lines, to);
        }
    }

    /// Lines per chunk, and the lines of chunks of a group of rows.
    #[inline(always)]
    pub fn lines(
        &self,
        coded: &Coded,
        group: usize,
        chunks: Range<usize>,
    ) -> Option<(usize, &[Line])> {
        let first = group * coded.chunks();
        let lines = (first + chunks.start) * self.bits..(first + chunks.end) * self.bits;
        Some((self.bits, self.codes.get(lines)?))
    }

    /// Scales and offsets of the same chunks, for every run. `chunks` begins where a block does.
    #[inline(always)]
    pub fn scales<S: Simd>(
        &self,
        simd: S,
        isa: Isa,
        coded: &Coded,
        group: usize,
        chunks: Range<usize>,
        [scales, offsets]: [&mut [Floats]; 2],
    ) {
        // As far ahead as the codes are fetched, counted in calls like this one.
        let calls = planes::AHEAD.div_ceil((chunks.len() * self.bits).max(1));
        match &self.scales {
            Scales::Bytes { header, bytes } => {
                let per_row = coded.k / coded.block;
                let length = header.bytes.len();
                let runs = coded.block / coded.run;
                let first = chunks.start * CHUNK / coded.block;
                let blocks = (group * per_row + first) * length..(group + 1) * per_row * length;
                let Some(bytes) = bytes.get(blocks) else { return };
                fetch(simd, bytes, (chunks.len() * CHUNK).div_ceil(coded.block) * length, calls);
                let repeated = coded.functions.run as usize / coded.run;
                if repeated == 1 {
                    return row_scales(isa, header, bytes, scales, offsets);
                }
                let outputs = scales.chunks_mut(runs).zip(offsets.chunks_mut(runs));
                for (block, (scales, offsets)) in outputs.enumerate() {
                    let bytes = bytes.get(block * length..(block + 1) * length).unwrap_or_default();
                    row_scales(isa, header, bytes, scales, offsets);
                    repeat(repeated, scales);
                    repeat(repeated, offsets);
                }
            }
            Scales::Floats { scales: from, offsets: from_offsets } => {
                let per_row = coded.k / coded.group;
                let first = chunks.start * CHUNK / coded.run;
                let times = coded.group / coded.run;
                let groups = group * per_row + first / times;
                for list in [from, from_offsets] {
                    let list = list.get(groups..).unwrap_or_default();
                    fetch(simd, list, scales.len().div_ceil(times), calls);
                }
                let from_group = |from: &'_ [Floats], to: &mut [Floats]| {
                    for (run, to) in (first..).zip(to) {
                        let at = (run / times).min(per_row - 1);
                        *to = from.get(group * per_row + at).copied().unwrap_or(Floats::ZERO);
                    }
                };
                from_group(from, scales);
                if !from_offsets.is_empty() {
                    from_group(from_offsets, offsets);
                }
            }
        }
    }
}

/// Fetches what the call after so many `calls` reads, where each reads as many `items` on from the
/// start of a list.
#[inline(always)]
fn fetch<S: Simd, T>(simd: S, list: &[T], items: usize, calls: usize) {
    let first: *const Line = list.as_ptr().wrapping_add(items * calls).cast();
    for line in 0..(items * size_of::<T>()).div_ceil(size_of::<Line>()) {
        simd.prefetch(first.wrapping_add(line));
    }
}

/// Spreads the first items of a list so that each stands `times` times.
#[inline(always)]
fn repeat(times: usize, list: &mut [Floats]) {
    if times > 1 {
        for at in (0..list.len()).rev() {
            list[at] = list[at / times];
        }
    }
}

impl Scales {
    /// The smaller way to store them.
    fn new(coded: &Coded, reader: &Reader) -> Result<Scales> {
        let floats = if coded.functions.offset { 2 } else { 1 } * size_of::<f32>();
        let whole = coded.block.is_multiple_of(CHUNK);
        match &coded.functions.header {
            Some(header) if whole && header.bytes.len() * coded.group <= floats * coded.block => {
                Scales::bytes(coded, reader, header)
            }
            _ => Scales::floats(coded, reader),
        }
    }

    fn bytes(coded: &Coded, reader: &Reader, header: &'static Header) -> Result<Scales> {
        let per_row = coded.k / coded.block;
        let length = header.bytes.len();
        let blocks = reader.streams.first().copied().unwrap_or_default();
        let unit = blocks.len() / (coded.n * per_row).max(1);
        let mut bytes =
            filled(coded.row_groups() * per_row * length, [0; ROWS], "interleaved scales")?;
        // A format may have no stored scale.
        bytes.par_chunks_mut((per_row * length).max(1)).enumerate().for_each(|(group, bytes)| {
            for row in 0..ROWS.min(coded.n - group * ROWS) {
                let first = (group * ROWS + row) * per_row;
                for (block, bytes) in (first..).zip(bytes.chunks_exact_mut(length.max(1))) {
                    let from = blocks.get(block * unit..).unwrap_or_default();
                    for (to, &place) in bytes.iter_mut().zip(header.bytes.iter()) {
                        to[row] = from.get(place as usize).copied().unwrap_or_default();
                    }
                }
            }
        });
        Ok(Scales::Bytes { header, bytes })
    }

    fn floats(coded: &Coded, reader: &Reader) -> Result<Scales> {
        let per_row = coded.k / coded.group;
        let len = coded.row_groups() * per_row;
        let has_offsets = coded.functions.offset;
        let mut scales = filled(len, Floats::ZERO, "interleaved scales")?;
        let mut offsets = filled(len, Floats::ZERO, "interleaved offsets")?;
        scales
            .par_chunks_mut(per_row)
            .zip(offsets.par_chunks_mut(per_row))
            .enumerate()
            .for_each_init(
                || {
                    (
                        vec![0.0; coded.k / coded.functions.run as usize],
                        vec![0.0; coded.k / coded.functions.run as usize],
                    )
                },
                |(row_scales, row_offsets), (group, (scales, offsets))| {
                    let step = coded.group / coded.functions.run as usize;
                    for row in 0..ROWS.min(coded.n - group * ROWS) {
                        let first = (group * ROWS + row) * (coded.k / coded.block);
                        reader.scales(coded.functions, first, row_scales, row_offsets);
                        for (lists, to) in
                            [(&row_scales, &mut *scales), (&row_offsets, &mut *offsets)]
                        {
                            for (from, to) in lists.iter().step_by(step.max(1)).zip(to) {
                                to.0[row] = *from;
                            }
                        }
                    }
                },
            );
        if !has_offsets {
            offsets = Vec::new();
        }
        Ok(Scales::Floats { scales, offsets })
    }
}

/// Interleaves the codes of a group of rows; `row` has room for one.
fn pack_group(
    coded: &Coded,
    reader: &Reader,
    group: usize,
    row: &mut [u8],
    bits: usize,
    lines: &mut [Line],
) {
    let index = &coded.codebook.index;
    // Rows and weights that are not there have the code of index 0; their activations are zeros.
    let mut chunks = vec![[Line::ZERO; QUADS]; coded.chunks()];
    for number in 0..ROWS.min(coded.n - group * ROWS) {
        let first = (group * ROWS + number) * (coded.k / coded.block);
        reader.codes(coded.functions, first, row);
        for (quads, codes) in chunks.iter_mut().zip(row.chunks(CHUNK)) {
            for (quad, codes) in quads.iter_mut().zip(codes.chunks(4)) {
                for (to, &code) in quad.0.iter_mut().skip(4 * number).zip(codes) {
                    *to = index[usize::from(code)];
                }
            }
        }
    }
    for (quads, lines) in chunks.iter().zip(lines.chunks_exact_mut(bits)) {
        planes::pack(quads, bits, lines);
    }
}
