//! Limits under which numbers of units never wrap: kernels count in 32 bits, and no intermediate
//! result of a unit's number reaches twice what is allowed here. The verifier proves it for the largest
//! tensors that there may be.

use crate::{Dims, Extent, Stream, Units};

/// Weights of a block, at most.
pub const MOST_WEIGHTS: u32 = 1 << 14;
/// Bytes of a stream for one block, or for the unit that several blocks share, at most.
pub const MOST_BYTES: u32 = 1 << 20;
/// Weights that a unit covers along k, at most, so a size times its factor; `all` is not limited.
pub const MOST_TILE: u32 = 1 << 30;
/// Rows that a unit covers, at most, and the least common multiple of these over all streams; `all` is
/// not limited.
pub const MOST_ROWS: u32 = 256;
/// Rows of a tensor, blocks in all of its rows, and units of each stream, at most.
pub const MOST_UNITS: u64 = 1 << 31;

/// The largest value of a size, in weights, that all tiles allow which are multiples of it; a multiple
/// of the block.
pub fn largest_size(units: impl Iterator<Item = Units>, number: u32, block: u32) -> u32 {
    let factors = units.filter_map(|units| match units.blocks {
        Extent::Sizes { size, times } if size == number => Some(times),
        _ => None,
    });
    let largest = MOST_TILE / factors.max().unwrap_or(1).max(1);
    largest - largest % block.max(1)
}

impl Dims {
    /// Refuses tensors that are too large for their units to be numbered, and says what is. Where units
    /// are blocks, in every stream, none is too large: parts of it are numbered on their own.
    pub fn check(&self, streams: &[Stream]) -> Result<(), String> {
        if streams.iter().all(|stream| stream.units.are_blocks()) {
            return Ok(());
        }
        let (n, blocks) = (u64::from(self.n), u64::from(self.blocks));
        let units =
            |stream: &Stream| (format!("units of stream `{}`", stream.name), stream.count(self));
        let counts = [("rows".to_owned(), n), ("blocks".to_owned(), n * blocks)];
        let all = counts.into_iter().chain(streams.iter().map(units));
        match all.into_iter().find(|&(_, count)| count > MOST_UNITS) {
            None => Ok(()),
            Some((what, count)) => Err(format!("{count} {what}; there may be {MOST_UNITS}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Order;

    #[test]
    fn factors_make_sizes_smaller() {
        let of = |times| Units { blocks: Extent::Sizes { size: 0, times }, ..Units::BLOCKS };
        let largest = |times: &[u32]| largest_size(times.iter().map(|&times| of(times)), 0, 8);
        assert_eq!(largest(&[]), 1 << 30);
        assert_eq!(largest(&[1, 256]), 1 << 22);
        assert_eq!(largest(&[65535]), 16384);
        assert_eq!(largest(&[65536, 3]), 16384);
        assert_eq!(largest_size([of(256)].into_iter(), 1, 8), 1 << 30);
        assert_eq!(largest_size([of(3)].into_iter(), 0, 48), (1 << 30) / 3 / 48 * 48);
    }

    #[test]
    fn tensors_end_where_units_cannot_be_numbered() {
        let units = Units { per_block: 3, order: Order::Columns, ..Units::BLOCKS };
        let apart = [Stream { name: "apart".into(), bytes: 4, units }];
        let check =
            |n, blocks, streams: &[Stream]| Dims { n, blocks, sizes: [0; 2] }.check(streams);
        assert_eq!(check(1 << 15, 21845, &apart), Ok(()));
        let error = check(1 << 15, 21846, &apart).unwrap_err();
        assert_eq!(error, "2147549184 units of stream `apart`; there may be 2147483648");
        assert!(check(u32::MAX, 1, &apart).unwrap_err().starts_with("4294967295 rows"));
        let flat = Units { blocks: Extent::Row, order: Order::Flat, ..Units::BLOCKS };
        let flat = [Stream { name: "flat".into(), bytes: 4, units: flat }];
        assert!(check(1 << 16, 1 << 16, &flat).unwrap_err().starts_with("4294967296 blocks"));
        let plain = [Stream { name: "plain".into(), bytes: 4, units: Units::BLOCKS }];
        assert_eq!(check(u32::MAX, u32::MAX, &plain), Ok(()));
    }
}
