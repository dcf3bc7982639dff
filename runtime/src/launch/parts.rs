//! How a tensor is cut: rows into buffers, blocks into launches.

use std::ops::Range;

use super::limits::{ADDRESSABLE, Limits};
use crate::Format;
use crate::artifact::{Dims, Grid, Order, Stream};

/// Outputs and activations hold so many elements: a multiple of 4.
pub(super) fn rounded(elements: u64) -> u64 {
    elements.next_multiple_of(4)
}

/// Splits rows into parts that each fit a binding of every stream; the problem where rows cannot be
/// split far enough.
pub(super) fn parts(
    dims: &Dims,
    k: u64,
    format: &Format,
    padding: u32,
    limits: &Limits,
) -> Result<Vec<Range<u64>>, String> {
    let n = u64::from(dims.n);
    let largest = limits.bindable();
    if k > ADDRESSABLE {
        return Err(format!("one row of {k} weights; kernels count at most {ADDRESSABLE} of them"));
    }
    let mut most = (ADDRESSABLE / k).min(n);
    let mut unsplit = 1; // rows that no part may divide
    for stream in format.streams.iter() {
        let rows = together(stream, dims);
        unsplit = multiple(unsplit, rows);
        let bytes = |rows: u64| {
            let range = range(stream, dims, &(0..rows));
            range.end - range.start + u64::from(padding)
        };
        // The most rows whose bytes fit: bytes grow with the rows.
        let (mut fit, mut burst) = (0, most + 1);
        while burst - fit > 1 {
            let rows = fit + (burst - fit) / 2;
            if bytes(rows) <= largest { fit = rows } else { burst = rows }
        }
        most = fit;
        if most < unsplit.min(n) {
            let rows = unsplit.min(n);
            let bytes = bytes(rows) - u64::from(padding);
            let (have, split) = match rows {
                1 => (format!("one row of {k} weights has"), "rows cannot be split"),
                rows => {
                    (format!("{rows} rows of {k} weights lie together and have"), "cannot be split")
                }
            };
            return Err(format!(
                "{have} {bytes} bytes in stream `{}`; a binding holds {largest} with \
                 its padding of {padding}, and {split}",
                stream.name
            ));
        }
    }
    // Where it can be had, parts begin where an output of either element type may be bound.
    let aligned = step(k * 2, limits.alignment);
    let aligned = multiple(aligned, unsplit);
    let rows = match most {
        most if most >= n => n,
        most if most >= aligned => most / aligned * aligned,
        most => most / unsplit * unsplit,
    };
    Ok(cut(n, rows))
}

/// The least number of rows at whose multiples a stream may be cut.
fn together(stream: &Stream, dims: &Dims) -> u64 {
    match stream.units.order {
        Order::Columns => dims.n.into(),
        Order::Rows => stream.units.rows.max(1).into(),
        Order::Flat => {
            let shared = stream.units.blocks.blocks(dims);
            shared / gcd(shared, dims.blocks.into())
        }
    }
}

/// Bytes of a stream that store some rows, which begin where the stream may be cut; all of them where
/// it is the same for all rows.
pub(super) fn range(stream: &Stream, dims: &Dims, rows: &Range<u64>) -> Range<u64> {
    let bytes = |rows: u64| {
        let part = Dims { n: rows as u32, ..*dims };
        stream.len(&part).unwrap_or(u64::MAX)
    };
    match stream.units.rows {
        0 => 0..bytes(dims.n.into()),
        _ => bytes(rows.start)..bytes(rows.end),
    }
}

/// Weights per unit of decoding of a dequantization.
pub(super) fn unit(grid: Grid, format: &Format) -> u64 {
    match grid {
        Grid::Strips { weights, .. } => weights.into(),
        _ => format.weights.into(),
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The least common multiple; the largest number there is where that is beyond.
fn multiple(a: u64, b: u64) -> u64 {
    (a / gcd(a, b)).saturating_mul(b)
}

/// Splits blocks into pieces whose decoded weights fit `room` bytes at `bytes` each, whose launches fit a
/// grid, and which begin where weights and outputs may be bound.
pub(super) fn pieces(
    blocks: u64,
    format: &Format,
    bytes: u64,
    room: u64,
    grid: Grid,
    limits: &Limits,
) -> Result<Vec<Range<u64>>, String> {
    let weights = u64::from(format.weights);
    let room = room.min(limits.bindable());
    let launched = launched(grid, limits) / weights;
    if rounded(blocks * weights) * bytes <= room && blocks <= launched {
        return Ok(cut(blocks, blocks));
    }
    // Only blocks of a plain format are cut out; else kernels are told where to begin.
    let plain = format.streams.iter().filter(|_| format.is_plain());
    let streams = plain.map(|stream| u64::from(stream.bytes));
    let aligned = streams.chain([weights * bytes]).map(|bytes| step(bytes, limits.alignment)).max();
    let aligned = aligned.unwrap_or(1);
    let most = launched.min(room / (weights * bytes)) / aligned * aligned;
    if most == 0 {
        let most = limits.workgroups;
        return Err(format!(
            "{aligned} blocks decode to {} bytes, which is the least that can be bound on its own; a \
             binding holds {room}, and more than {most} x {most} workgroups cannot be launched",
            aligned * weights * bytes
        ));
    }
    Ok(cut(blocks, most))
}

/// The most weights that a launch decodes.
fn launched(grid: Grid, limits: &Limits) -> u64 {
    let workgroups = u64::from(limits.workgroups).pow(2);
    match grid {
        Grid::Strips { weights, strips, per_workgroup } => {
            (workgroups.saturating_mul(per_workgroup.into()) / u64::from(strips.max(1)))
                .saturating_mul(weights.into())
        }
        _ => u64::MAX,
    }
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
    use crate::artifact::{Artifact, Extent, Units};

    fn format(weights: u32, bytes: &[u32]) -> Format {
        let stream = |&bytes: &u32| Stream { name: "s".into(), bytes, units: Units::BLOCKS };
        let streams = bytes.iter().map(stream).collect();
        Format::from(Artifact { weights, streams, ..Artifact::default() })
    }

    fn dims(n: u32, k: u32, format: &Format) -> Dims {
        Dims { n, blocks: k / format.weights, sizes: [0; 2] }
    }

    fn limits(binding: u64) -> Limits {
        Limits { binding, alignment: 256, ..Limits::ADDRESSES }
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
            let dims = dims(n, k, &format);
            let parts = parts(&dims, k.into(), &format, padding, &limits(binding)).unwrap();
            assert_covers(&parts, n.into());
            for part in &parts {
                let bytes = (part.end - part.start) * u64::from(k / 32) * 17;
                assert!((bytes + u64::from(padding)).next_multiple_of(16) <= binding, "{part:?}");
            }
        }
    }

    #[test]
    fn parts_begin_where_outputs_may_be_bound() {
        // 96 weights are 192 bytes of f16: 4 rows are 3 times 256.
        let format = format(32, &[18]);
        let parts = parts(&dims(1000, 96, &format), 96, &format, 0, &limits(54 * 103)).unwrap();
        assert_eq!(parts.first(), Some(&(0..100)));
    }

    #[test]
    fn shared_units_are_not_divided() {
        // 3 blocks a row, a unit of 4 bytes for 8 blocks: every 8 rows a unit begins.
        let mut format = format(32, &[16]);
        let units = Units { blocks: Extent::Blocks(8), order: Order::Flat, ..Units::BLOCKS };
        let shared = Stream { name: "shared".into(), bytes: 4, units };
        format = Format::from(Artifact {
            weights: 32,
            streams: vec![format.streams[0].clone(), shared].into(),
            ..Artifact::default()
        });
        let dims = dims(1001, 96, &format);
        let parts = parts(&dims, 96, &format, 4, &limits(48 * 100)).unwrap();
        assert_covers(&parts, 1001);
        assert!(parts.len() > 10 && parts.iter().all(|part| part.start % 8 == 0), "{parts:?}");
        let bytes = |part| range(&format.streams[1], &dims, part);
        assert_eq!(bytes(&(16..24)), 24..36);
        assert_eq!(bytes(&parts[parts.len() - 1]).end, (1001u64 * 3).div_ceil(8) * 4);
    }

    #[test]
    fn rows_that_never_begin_together_are_not_divided() {
        let units =
            |blocks| Units { blocks: Extent::Blocks(blocks), order: Order::Flat, ..Units::BLOCKS };
        let shared = |blocks| Stream { name: "s".into(), bytes: 1, units: units(blocks) };
        let primes = [536870909, 536870879, 536870869];
        let streams = primes.map(shared).to_vec().into();
        let format = Format::from(Artifact { weights: 1, streams, ..Artifact::default() });
        let dims = dims(1000, 7, &format);
        let parts = parts(&dims, 7, &format, 0, &limits(1 << 20)).unwrap();
        assert!(parts.len() == 1 && parts[0] == (0..1000), "{parts:?}");
    }

    #[test]
    fn kernels_never_count_beyond_u32() {
        let format = format(32, &[18]);
        let dims = dims(1 << 20, 1 << 14, &format);
        let parts = parts(&dims, 1 << 14, &format, 0, &limits(u64::MAX)).unwrap();
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
                let grid = Grid::Rows { per_workgroup: 1 };
                let limits = limits(room);
                let pieces = pieces(1 << 18, &format, element, room, grid, &limits).unwrap();
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
