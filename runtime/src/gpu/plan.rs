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
    for stream in format.streams.iter() {
        let row = (k / u64::from(format.weights)).saturating_mul(stream.bytes.into());
        most = most.min(largest.saturating_sub(padding.into()) / row);
        if most == 0 {
            return Err(format!(
                "one row of {k} weights has {row} bytes in stream `{}`; a binding holds {largest} with its padding \
                 of {padding}, and rows cannot be split",
                stream.name
            ));
        }
    }
    if n <= most {
        return Ok(vec![0..n]);
    }
    // Where it can be had, parts begin where an output of either element type may be bound.
    let aligned = step(k * 2, limits.alignment);
    let rows = if most >= aligned { most / aligned * aligned } else { most };
    Ok((0..n).step_by(rows as usize).map(|first| first..n.min(first + rows)).collect())
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
        return Ok(vec![0..blocks]);
    }
    let streams = format.streams.iter().map(|stream| u64::from(stream.bytes));
    let aligned = streams.chain([block]).map(|bytes| step(bytes, limits.alignment)).max();
    let aligned = aligned.unwrap_or(1);
    let most = room / block / aligned * aligned;
    if most == 0 {
        return Err(format!(
            "{aligned} blocks decode to {} bytes, which is the least that can be bound on its own; a binding \
             holds {room}",
            aligned * block
        ));
    }
    Ok((0..blocks).step_by(most as usize).map(|first| first..blocks.min(first + most)).collect())
}

/// The least count of things of `bytes` each that is a multiple of `alignment`, a power of two.
fn step(bytes: u64, alignment: u64) -> u64 {
    alignment.max(1) >> bytes.trailing_zeros().min(alignment.max(1).trailing_zeros())
}
