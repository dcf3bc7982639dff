//! Output larger than the caches, written past them: a line that is not fetched first costs half.

use bytemuck::Pod;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::cell::Cell;

use super::decoded::Decoded;
use super::simd::{Floats, Halves, Kernel, ROWS, Simd};

/// Bytes from which on an output is written past the caches, which could not keep it.
pub(super) const LARGE: usize = 32 << 20;

/// Weights decoded at a time: so few that the next are computed while these are written.
const PIECE: usize = 512;

thread_local! {
    static ROOM: Cell<Vec<Floats>> = Cell::default();
}

/// What weights are written as.
pub(super) trait Output: Pod + Send {
    /// A cache line of them.
    type Line: Pod;

    /// Rounds a line's weights and writes it past the caches.
    fn stream<S: Simd>(simd: S, from: &[[f32; ROWS]], to: &mut Self::Line);
    /// Rounds weights; both lists are equally long.
    fn round(from: &[f32], to: &mut [Self]);
}

/// Decodes blocks as [`Decoded::blocks`] does, by way of a small buffer, and past the caches where the
/// output is `large`.
pub(super) fn blocks<T: Output>(decoded: &Decoded, first: usize, weights: &mut [T], large: bool) {
    let piece = (PIECE / decoded.block).max(1);
    let mut room = ROOM.take();
    room.resize((piece * decoded.block).div_ceil(ROWS), Floats::ZERO);
    let list: &mut [f32] = bytemuck::cast_slice_mut(&mut room);
    for (number, to) in weights.chunks_mut(piece * decoded.block).enumerate() {
        let Some(from) = list.get_mut(..to.len()) else { break };
        decoded.blocks(first + number * piece, from);
        match large {
            true => decoded.isa.run(Copy { from, to }),
            false => T::round(from, to),
        }
    }
    if large {
        decoded.isa.run(Fence);
    }
    ROOM.set(room);
}

/// Copies a list to one of the same length.
struct Copy<'a, T> {
    from: &'a [f32],
    to: &'a mut [T],
}

impl<T: Output> Kernel for Copy<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let per_line = size_of::<T::Line>() / size_of::<T>();
        let (head, lines, tail) = bytemuck::pod_align_to_mut::<T, T::Line>(self.to);
        let Some((from_head, from)) = self.from.split_at_checked(head.len()) else { return };
        let Some((from, from_tail)) = from.split_at_checked(lines.len() * per_line) else { return };
        for (line, from) in lines.iter_mut().zip(from.as_chunks().0.chunks(per_line / ROWS)) {
            T::stream(simd, from, line);
        }
        T::round(from_head, head);
        T::round(from_tail, tail);
    }
}

impl Output for f32 {
    type Line = Floats;

    #[inline(always)]
    fn stream<S: Simd>(simd: S, from: &[[f32; ROWS]], to: &mut Floats) {
        if let [from] = from {
            simd.stream(simd.load_row(from), to);
        }
    }

    fn round(from: &[f32], to: &mut [f32]) {
        to.copy_from_slice(from);
    }
}

impl Output for f16 {
    type Line = Halves;

    #[inline(always)]
    fn stream<S: Simd>(simd: S, from: &[[f32; ROWS]], to: &mut Halves) {
        if let [low, high] = from {
            simd.stream_halves([simd.load_row(low), simd.load_row(high)], to);
        }
    }

    fn round(from: &[f32], to: &mut [f16]) {
        to.convert_from_f32_slice(from);
    }
}

/// Waits until what was streamed is there for other threads.
struct Fence;

impl Kernel for Fence {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.fence();
    }
}
