//! Storage as it lies in a file: codes and scales of single rows, interleaved on the way into a
//! panel.

use std::ops::Range;

use super::codebook::Mapping;
use super::coded::{Coded, Reader};
use super::panel::Rows;
use super::quantize::CHUNK;
use super::simd::{Floats, Line, ROWS, Simd};

/// Codes of chunks of a group of rows. `chunks` begins where a block does.
#[inline(always)]
pub(super) fn codes<S: Simd>(
    simd: S,
    coded: &Coded,
    reader: &Reader,
    group: usize,
    chunks: Range<usize>,
    rows: &mut Rows,
    to: &mut [Line],
) {
    let per_row = coded.k / coded.block;
    let first = chunks.start * CHUNK / coded.block;
    let blocks = first..(chunks.end * CHUNK).div_ceil(coded.block).min(per_row);
    let length = blocks.len() * coded.block;
    let stride = length.max(chunks.len() * CHUNK).next_multiple_of(PIECE);
    rows.codes.resize(ROWS * stride, 0);
    let present = ROWS.min(coded.n - group * ROWS);
    for (row, codes) in rows.codes.chunks_exact_mut(stride).enumerate() {
        let (codes, rest) = codes.split_at_mut(length);
        rest.fill(0);
        match row < present {
            true => reader.codes(coded.functions, (group * ROWS + row) * per_row + first, codes),
            false => codes.fill(0),
        }
    }
    match &coded.codebook.mapping {
        Mapping::Add(0) | Mapping::Table(_) => {}
        Mapping::Add(by) => rows.codes.iter_mut().for_each(|code| *code = code.wrapping_add(*by)),
        Mapping::Any(table) => {
            rows.codes.iter_mut().for_each(|code| *code = table[usize::from(*code)])
        }
    }
    interleave(simd, &rows.codes, stride, to);
    if let Mapping::Table(table) = &coded.codebook.mapping {
        let table = simd.table(table);
        for line in to {
            let bytes = simd.lookup(table, simd.load(line));
            simd.store(bytes, line);
        }
    }
}

/// Codes of a row that are interleaved at a time.
const PIECE: usize = 4 * ROWS;

/// Four codes of every row side by side.
#[inline(always)]
fn interleave<S: Simd>(simd: S, rows: &[u8], stride: usize, to: &mut [Line]) {
    for (piece, to) in to.chunks_mut(ROWS).enumerate() {
        let mut pieces = [simd.splat(0); ROWS];
        for (row, codes) in pieces.iter_mut().zip(rows.chunks_exact(stride)) {
            if let Some(codes) = codes.get(piece * PIECE..).and_then(|codes| codes.first_chunk()) {
                *row = simd.load_bytes(codes);
            }
        }
        for (to, quads) in to.iter_mut().zip(simd.transpose(pieces)) {
            simd.store(quads, to);
        }
    }
}

/// Scales and offsets of the same chunks, for every run.
pub(super) fn scales(
    coded: &Coded,
    reader: &Reader,
    group: usize,
    chunks: Range<usize>,
    rows: &mut Rows,
    scales: &mut [Floats],
    offsets: &mut [Floats],
) {
    let per_row = coded.k / coded.block;
    let first = chunks.start * CHUNK / coded.block;
    let blocks = first..(chunks.end * CHUNK).div_ceil(coded.block).min(per_row);
    let stored = coded.functions.run as usize;
    let runs = blocks.len() * (coded.block / stored);
    rows.scales.resize(runs, 0.0);
    rows.offsets.resize(runs, 0.0);
    for row in 0..ROWS.min(coded.n - group * ROWS) {
        let first = (group * ROWS + row) * per_row + first;
        reader.scales(coded.functions, first, &mut rows.scales, &mut rows.offsets);
        for (from, to) in [(&rows.scales, &mut *scales), (&rows.offsets, &mut *offsets)] {
            match (stored.is_multiple_of(coded.run), coded.run.is_multiple_of(stored)) {
                (true, _) => {
                    let runs = to.chunks_mut(stored / coded.run);
                    for (from, to) in from.iter().zip(runs) {
                        to.iter_mut().for_each(|to| to.0[row] = *from);
                    }
                }
                (_, true) => {
                    let every = from.iter().step_by(coded.run / stored);
                    every.zip(to).for_each(|(from, to)| to.0[row] = *from);
                }
                // Blocks that share scales need not be made of whole runs.
                (false, false) => {
                    let every = (0..).map_while(|run| from.get(run * coded.run / stored));
                    every.zip(to).for_each(|(from, to)| to.0[row] = *from);
                }
            }
        }
    }
}
