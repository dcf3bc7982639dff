//! Bit planes of interleaved codes: a chunk of 32 codes of 16 rows in as many lines as a code has
//! bits.
//!
//! A line of the 4-bit plane holds quad `q` in its low and quad `q + 4` in its high nibbles, one of
//! the 2-bit plane quads `q`, `q + 2`, `q + 4` and `q + 6`, the line of the 1-bit plane all eight. So
//! that every quad is a shift and a mask away.

use super::quantize::QUADS;
use super::simd::{Line, Simd};

/// Bits of a stored code, for as many as a code has: the planes have 4, 2 and 1 bits, or 8.
pub(super) fn stored_bits(bits: u32) -> usize {
    if bits > 6 { 8 } else { bits.max(1) as usize }
}

/// The planes of a code, in the order they are stored: `(bits, first bit of the code)`.
fn planes(bits: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    [8, 4, 2, 1].into_iter().filter_map(move |plane| {
        let stored = bits & plane != 0;
        let first = at;
        at += if stored { plane } else { 0 };
        stored.then_some((plane, first))
    })
}

/// Stores a chunk of codes, `[quad]`, in `bits` lines.
pub(super) fn pack(codes: &[Line; QUADS], bits: usize, to: &mut [Line]) {
    to.fill(Line::ZERO);
    let mut lines = to.iter_mut();
    for (plane, first) in planes(bits) {
        let mask = (((1u32 << plane) - 1) << first) as u8;
        for number in 0..plane {
            let Some(line) = lines.next() else { return };
            for (place, quad) in codes.iter().skip(number).step_by(plane).enumerate() {
                for (to, code) in line.0.iter_mut().zip(quad.0) {
                    *to |= (code & mask) >> first << (place * plane);
                }
            }
        }
    }
}

/// Lines after which memory has had time to answer: 8 KiB take 200 ns at 40 GB/s.
pub(super) const AHEAD: usize = 128;

/// Unpacks chunks to a byte per code.
#[inline(always)]
pub(super) fn unpack<S: Simd>(
    simd: S,
    bits: usize,
    table: Option<&[u8; 16]>,
    from: &[Line],
    to: &mut [Line],
) {
    match (bits, table) {
        (1, None) => chunks::<S, 1, false>(simd, &[0; 16], from, to),
        (2, None) => chunks::<S, 2, false>(simd, &[0; 16], from, to),
        (3, None) => chunks::<S, 3, false>(simd, &[0; 16], from, to),
        (4, None) => chunks::<S, 4, false>(simd, &[0; 16], from, to),
        (5, _) => chunks::<S, 5, false>(simd, &[0; 16], from, to),
        (6, _) => chunks::<S, 6, false>(simd, &[0; 16], from, to),
        (1, Some(table)) => chunks::<S, 1, true>(simd, table, from, to),
        (2, Some(table)) => chunks::<S, 2, true>(simd, table, from, to),
        (3, Some(table)) => chunks::<S, 3, true>(simd, table, from, to),
        (4, Some(table)) => chunks::<S, 4, true>(simd, table, from, to),
        _ => chunks::<S, 8, false>(simd, &[0; 16], from, to),
    }
}

#[inline(always)]
fn chunks<S: Simd, const BITS: usize, const TABLE: bool>(
    simd: S,
    table: &[u8; 16],
    from: &[Line],
    to: &mut [Line],
) {
    let table = simd.table(table);
    let (from, _) = from.as_chunks::<BITS>();
    let (to, _) = to.as_chunks_mut::<QUADS>();
    for (from, to) in from.iter().zip(to) {
        for line in from {
            simd.prefetch(std::ptr::from_ref(line).wrapping_add(AHEAD));
        }
        let quads = quads::<S, BITS>(simd, from);
        for (quad, to) in quads.into_iter().zip(to) {
            let bytes = if TABLE { simd.lookup(table, quad) } else { quad };
            simd.store(bytes, to);
        }
    }
}

/// The eight quads of a chunk.
#[inline(always)]
pub(super) fn quads<S: Simd, const BITS: usize>(
    simd: S,
    lines: &[Line; BITS],
) -> [S::Words; QUADS] {
    let mut quads = [simd.splat(0); QUADS];
    if BITS == QUADS {
        for (quad, line) in quads.iter_mut().zip(lines) {
            *quad = simd.load(line);
        }
        return quads;
    }
    if BITS & 4 != 0 {
        add_plane::<S, 4>(simd, lines, 0, &mut quads);
    }
    if BITS & 2 != 0 {
        add_plane::<S, 2>(simd, lines, BITS & 4, &mut quads);
    }
    if BITS & 1 != 0 {
        add_plane::<S, 1>(simd, lines, BITS & 6, &mut quads);
    }
    quads
}

/// Adds the bits from `first` on, which stand in the lines from there on.
#[inline(always)]
fn add_plane<S: Simd, const PLANE: usize>(
    simd: S,
    lines: &[Line],
    first: usize,
    quads: &mut [S::Words; QUADS],
) {
    let Some(lines) = lines.get(first..).and_then(|lines| lines.first_chunk::<PLANE>()) else {
        return;
    };
    let mut words = [simd.splat(0); PLANE];
    for (words, line) in words.iter_mut().zip(lines) {
        *words = simd.load(line);
    }
    let mask = simd.splat(0x0101_0101 * (((1 << PLANE) - 1) << first));
    for (number, quad) in quads.iter_mut().enumerate() {
        let line = words[number % PLANE];
        let at = number / PLANE * PLANE;
        let moved = match at >= first {
            true => simd.shr(line, (at - first) as u32),
            false => simd.shl(line, (first - at) as u32),
        };
        let bits = simd.and(moved, mask);
        *quad = if first == 0 { bits } else { simd.or(*quad, bits) };
    }
}
