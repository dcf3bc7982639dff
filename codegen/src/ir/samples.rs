//! The places in tensors that a program is proven for: every one in small tensors, and all of the
//! largest at once.

use super::Decoder;
use super::interval::Interval;
use crate::artifact::{Dims, Extent, MOST_UNITS, Units, largest_size};
use std::fmt;

/// Rows and blocks of a tensor.
pub(super) struct Sample {
    pub dims: Dims,
    pub row: Interval,
    pub block: Interval,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dims { n, blocks, sizes } = self.dims;
        let (row, block) = (self.row, self.block);
        write!(f, "row {row}, block {block} of {n} x {blocks} with sizes {sizes:?}")
    }
}

/// Every place of small tensors, whose sizes show every way in which units can be numbered; then those
/// of the largest tensors.
pub(super) fn all(decoder: &Decoder) -> impl Iterator<Item = Sample> {
    let small = small(decoder).into_iter().enumerate().flat_map(|(number, dims)| {
        // Rows of a tile differ in the same way whatever the tensor: in others the outermost will do.
        let rows = (0..dims.n).filter(move |&row| number == 0 || row == 0 || row + 1 == dims.n);
        let places = rows.flat_map(move |row| (0..dims.blocks).map(move |block| [row, block]));
        places.map(move |place| {
            let [row, block] = place.map(|number| Interval::exact(number.into()));
            Sample { dims, row, block }
        })
    });
    let whole = |count: u32| Interval::new(0, i64::from(count) - 1);
    let apart = decoder.rows == 1;
    let large = large(decoder).into_iter().flat_map(move |dims| {
        let rows = match apart {
            true => vec![whole(dims.n)],
            false => vec![Interval::exact(0), Interval::exact(i64::from(dims.n) - 1)],
        };
        rows.into_iter().map(move |row| Sample { dims, row, block: whole(dims.blocks) })
    });
    small.chain(large)
}

fn is_plain(decoder: &Decoder) -> bool {
    decoder.rows == 1 && decoder.streams.iter().all(|stream| stream.units.are_blocks())
}

fn small(decoder: &Decoder) -> Vec<Dims> {
    if is_plain(decoder) {
        return vec![Dims { n: 1, blocks: 1, sizes: [1; 2] }];
    }
    let shared = decoder.streams.iter().map(|stream| match stream.units.blocks {
        Extent::Blocks(blocks) => blocks.min(64),
        Extent::Sizes { .. } | Extent::Row => 1,
    });
    let longest = shared.max().unwrap_or(1);
    let mut samples = Vec::new();
    for n in [decoder.rows + 1, 1] {
        for blocks in [2, 1, longest + 1] {
            for sizes in [[1, 1], [2, 1], [3, 2]] {
                samples.push(Dims { n, blocks, sizes });
            }
        }
    }
    samples
}

/// Tensors of a single row, of a single block, and square ones, each as large as there may be, with the
/// least and the largest sizes.
fn large(decoder: &Decoder) -> Vec<Dims> {
    let units = || decoder.streams.iter().map(|stream| stream.units);
    let largest =
        |number| (largest_size(units(), number, decoder.weights) / decoder.weights).max(1);
    let measured = |number: u32| {
        units().any(
            |Units { blocks, .. }| matches!(blocks, Extent::Sizes { size, .. } if size == number),
        )
    };
    let sizes = |number| match measured(number) {
        true => vec![1, largest(number)],
        false => vec![1],
    };
    let fits = |dims: Dims| {
        let units = decoder.streams.iter().map(|stream| stream.count(&dims));
        let blocks = u64::from(dims.n) * u64::from(dims.blocks);
        units.chain([blocks]).all(|count| count <= MOST_UNITS)
    };
    let mut samples = Vec::new();
    for (first, second) in sizes(0)
        .into_iter()
        .flat_map(|first| sizes(1).into_iter().map(move |second| (first, second)))
    {
        let dims = |n, blocks| Dims { n, blocks, sizes: [first, second] };
        let wide = most(|blocks| fits(dims(1, blocks)));
        let long = most(|n| fits(dims(n, 1)));
        let side = most(|side| fits(dims(side, side)));
        samples.extend([dims(1, wide), dims(long, 1), dims(side, side)]);
    }
    samples
}

/// The largest number that fits, of those below which all do; at least 1.
fn most(fits: impl Fn(u32) -> bool) -> u32 {
    let (mut least, mut beyond) = (1, MOST_UNITS as u32 + 1);
    while beyond - least > 1 {
        let middle = least + (beyond - least) / 2;
        if fits(middle) { least = middle } else { beyond = middle }
    }
    least
}
