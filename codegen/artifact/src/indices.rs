//! Numbers among a tensor's bytes that say which unit of another stream holds a weight's values.

use crate::{Dims, List, Stream};

/// Stored numbers of units (act-order): the values of a weight are those of the unit along k that its
/// number says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The stream whose units are numbered, from 0 along k.
    pub of: u32,
    /// Where the numbers lie, low bits first.
    pub planes: List<Bits>,
}

/// Some bits of every number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The stream that holds them.
    pub stream: u32,
    /// Bits of each number.
    pub bits: u32,
    /// Rows whose places differ; row `r` has those of row `r % rows`.
    pub rows: u32,
    /// First bit of each number of a block, counted in the block's units, for each of the rows.
    pub at: List<u32>,
}

/// A number past the last unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Row of the first weight that has it.
    pub row: u32,
    /// That weight's number in the row.
    pub column: u64,
    /// What is stored.
    pub number: u32,
    /// Units there are.
    pub units: u64,
}

impl Index {
    /// The first number of a tensor that is past the last unit; `None` in `Ok` where all are right.
    ///
    /// # Errors
    /// Where a number lies outside the streams' bytes.
    pub fn beyond<B: AsRef<[u8]>>(
        &self,
        streams: &[Stream],
        weights: u32,
        dims: &Dims,
        bytes: &[B],
    ) -> Result<Option<Beyond>, Outside> {
        let units = streams.get(self.of as usize).ok_or(Outside)?.units_per_row(dims);
        let own = |plane: &Bits| streams.get(plane.stream as usize);
        let shared = self.planes.iter().filter_map(own).all(|stream| stream.units.rows == 0);
        let rows = if shared { dims.n.min(1) } else { dims.n };
        let numbers = self.planes.first().map_or(0, Bits::numbers);
        for row in 0..rows {
            for block in 0..dims.blocks {
                for value in 0..numbers {
                    let number = self.number(streams, dims, bytes, row, block, value);
                    let number = number.ok_or(Outside)?;
                    if u64::from(number) >= units {
                        let within = value * (weights / numbers.max(1));
                        let column = u64::from(block) * u64::from(weights) + u64::from(within);
                        return Ok(Some(Beyond { row, column, number, units }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A number of a block.
    fn number<B: AsRef<[u8]>>(
        &self,
        streams: &[Stream],
        dims: &Dims,
        bytes: &[B],
        row: u32,
        block: u32,
        value: u32,
    ) -> Option<u32> {
        let (mut number, mut low) = (0, 0);
        for plane in self.planes.iter() {
            let stream = streams.get(plane.stream as usize)?;
            let bytes = bytes.get(plane.stream as usize)?.as_ref();
            let unit_bits = u64::from(stream.bytes) * 8;
            let first = row.checked_rem(plane.rows)? * plane.numbers() + value;
            let first = u64::from(*plane.at.get(first as usize)?);
            // Bit by bit: the units of a block may lie apart.
            for bit in first..first + u64::from(plane.bits) {
                let unit = stream.unit(dims, row, block, bit.checked_div(unit_bits)?);
                let at = unit.checked_mul(unit_bits)?.checked_add(bit % unit_bits)?;
                let byte = bytes.get(usize::try_from(at / 8).ok()?)?;
                number |= u32::from(byte >> (at % 8) & 1).checked_shl(low)?;
                low += 1;
            }
        }
        Some(number)
    }
}

/// A number lies outside the streams' bytes, which the compiler's facts never say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outside;

impl Bits {
    /// Numbers of a block.
    fn numbers(&self) -> u32 {
        (self.at.len() as u32).checked_div(self.rows).unwrap_or_default()
    }
}
