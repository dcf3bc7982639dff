//! Output larger than the caches, written past them: a line that is not fetched first costs half.

use super::decoded::Decoded;
use super::simd::{Floats, Kernel, ROWS, Simd};

/// Floats from which on an output is written past the caches, which could not keep it.
pub(super) const LARGE: usize = 8 << 20;

/// Weights decoded at a time: so few that the next are computed while these are written.
const PIECE: usize = 512;

/// Decodes blocks as [`Decoded::blocks`] does, past the caches.
pub(super) fn blocks(decoded: &Decoded, first: usize, weights: &mut [f32]) {
    let piece = PIECE / decoded.block * decoded.block;
    if piece == 0 {
        return decoded.blocks(first, weights);
    }
    let mut room = [Floats::ZERO; PIECE / ROWS];
    let room: &mut [f32] = bytemuck::cast_slice_mut(&mut room);
    for (number, weights) in weights.chunks_mut(piece).enumerate() {
        let Some(room) = room.get_mut(..weights.len()) else { return };
        decoded.blocks(first + number * (piece / decoded.block), room);
        decoded.isa.run(Copy { from: room, to: weights });
    }
    decoded.isa.run(Fence);
}

/// Copies a list to one of the same length.
struct Copy<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Copy<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (head, lines, tail) = bytemuck::pod_align_to_mut::<f32, Floats>(self.to);
        let Some((from_head, from)) = self.from.split_at_checked(head.len()) else { return };
        let Some((from, from_tail)) = from.split_at_checked(lines.len() * ROWS) else { return };
        for (line, from) in lines.iter_mut().zip(from.as_chunks().0) {
            simd.stream(simd.load_row(from), line);
        }
        for (to, from) in [(head, from_head), (tail, from_tail)] {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
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
