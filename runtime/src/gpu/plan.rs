//! How a tensor is cut: rows into buffers, blocks into launches. Pure arithmetic.

use std::ops::Range;

use super::Limits;
use crate::Format;

/// Kernels count weights and bytes in u32. Staying this far below leaves room for the invocations
/// past the end of a grid.
const ADDRESSABLE: u64 = 1 << 31;

/// Buffers and bindings end at a multiple of the widest load.
const ROUND: u64 = 16;

/// Bytes of a buffer that holds `bytes` of weights and the `padding` that kernels may read.
pub(super) fn padded(bytes: u64, padding: u32) -> u64 {
    (bytes + u64::from(padding)).next_multiple_of(ROUND)
}

/// Outputs and activations hold so many elements: a multiple of 4.
pub(super) fn rounded(elements: u64) -> u64 {
    elements.next_multiple_of(4)
}

/// The most bytes of a binding.
pub(super) fn bindable(limits: &Limits) -> u64 {
    limits.binding.min(ADDRESSABLE) / ROUND * ROUND
}

/// Splits rows into parts that each fit a binding of every stream; the problem where one row does
/// not.
pub(super) fn parts(
    n: u64,
    k: u64,
    format: &Format,
    padding: u32,
    limits: &Limits,
) -> Result<Vec<Range<u64>>, String> {
    let largest = bindable(limits);
    let mut most = ADDRESSABLE / k;
    if most == 0 {
        return Err(format!("one row of {k} weights; kernels count at most {ADDRESSABLE} of them"));
    }
    for stream in format.streams.iter() {
        let row = (k / u64::from(format.weights)).saturating_mul(stream.bytes.into());
        most = most.min(largest.saturating_sub(padding.into()) / row);
        if most == 0 {
            return Err(format!(
                "one row of {k} weights has {row} bytes in stream `{}`; a binding holds {largest} \
                 with its padding of {padding}, and rows cannot be split",
                stream.name
            ));
        }
    }
    // Where it can be had, parts begin where an output of either element type may be bound.
    let aligned = step(k * 2, limits.alignment);
    let rows = match most {
        most if most >= n => n,
        most if most >= aligned => most / aligned * aligned,
        most => most,
    };
    Ok(cut(n, rows))
}

/// Splits blocks into pieces whose decoded weights fit `room` bytes at `bytes` each, and which
/// begin where weights and outputs may be bound.
pub(super) fn pieces(
    blocks: u64,
    format: &Format,
    bytes: u64,
    room: u64,
    limits: &Limits,
) -> Result<Vec<Range<u64>>, String> {
    let block = u64::from(format.weights) * bytes;
    let room = room.min(bindable(limits));
    if rounded(blocks * u64::from(format.weights)) * bytes <= room {
        return Ok(cut(blocks, blocks));
    }
    let streams = format.streams.iter().map(|stream| u64::from(stream.bytes));
    let aligned = streams.chain([block]).map(|bytes| step(bytes, limits.alignment)).max();
    let aligned = aligned.unwrap_or(1);
    let most = room / block / aligned * aligned;
    if most == 0 {
        return Err(format!(
            "{aligned} blocks decode to {} bytes, which is the least that can be bound on its \
             own; a binding holds {room}",
            aligned * block
        ));
    }
    Ok(cut(blocks, most))
}

/// `0..all` in ranges of at most `most`, which is at least 1.
fn cut(all: u64, most: u64) -> Vec<Range<u64>> {
    (0..all.div_ceil(most)).map(|i| i * most..all.min((i + 1) * most)).collect()
}

/// The least count of things of `bytes` each that is a multiple of `alignment`, a power of two.
fn step(bytes: u64, alignment: u64) -> u64 {
    alignment.max(1) >> bytes.trailing_zeros().min(alignment.max(1).trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Artifact, Stream};

    fn format(weights: u32, bytes: &[u32]) -> Format {
        let stream = |&bytes: &u32| Stream { name: "s".into(), bytes };
        Format::from(Artifact {
            name: "f".into(),
            title: "".into(),
            gguf: None,
            weights,
            streams: bytes.iter().map(stream).collect::<Vec<_>>().into(),
            kernels: vec![].into(),
            decode: None,
            descriptor: "".into(),
        })
    }

    fn limits(binding: u64) -> Limits {
        Limits { binding, alignment: 256, workgroups: 65_535 }
    }

    /// Ranges cover `0..all` in order, without gaps.
    fn assert_covers(ranges: &[Range<u64>], all: u64) {
        let mut at = 0;
        for range in ranges {
            assert!(range.start == at && range.end > at, "{ranges:?}");
            at = range.end;
        }
        assert_eq!(at, all);
    }

    #[test]
    fn parts_fit_their_binding_with_padding() {
        let format = format(32, &[17, 2]);
        for (n, k, binding, padding) in
            [(1, 32, 64, 3), (1000, 32, 64, 3), (1000, 320, 1000, 16), (7, 32, 1 << 40, 0)]
        {
            let parts = parts(n, k, &format, padding, &limits(binding)).unwrap();
            assert_covers(&parts, n);
            for part in &parts {
                let bytes = (part.end - part.start) * (k / 32) * 17;
                assert!(padded(bytes, padding) <= binding, "{part:?}");
            }
        }
    }

    #[test]
    fn parts_begin_where_outputs_may_be_bound() {
        // 96 weights are 192 bytes of f16: 4 rows are 3 times 256.
        let parts = parts(1000, 96, &format(32, &[18]), 0, &limits(54 * 103)).unwrap();
        assert_eq!(parts.first(), Some(&(0..100)));
    }

    #[test]
    fn kernels_never_count_beyond_u32() {
        let parts = parts(1 << 20, 1 << 14, &format(32, &[18]), 0, &limits(u64::MAX)).unwrap();
        assert_covers(&parts, 1 << 20);
        for part in parts {
            assert!((part.end - part.start) << 14 <= ADDRESSABLE);
        }
    }

    #[test]
    fn pieces_begin_where_both_sides_may_be_bound() {
        for (weights, bytes) in [(32, 18), (32, 17), (256, 144), (256, 210), (1, 2), (64, 33)] {
            for element in [2, 4] {
                let format = format(weights, &[bytes]);
                let room = 1 << 20;
                let pieces = pieces(1 << 18, &format, element, room, &limits(room)).unwrap();
                assert_covers(&pieces, 1 << 18);
                for piece in &pieces {
                    assert!(piece.start * u64::from(bytes) % 256 == 0, "{piece:?}");
                    assert!(piece.start * u64::from(weights) * element % 256 == 0, "{piece:?}");
                    assert!((piece.end - piece.start) * u64::from(weights) * element <= room);
                }
            }
        }
    }
}
