//! Facts that no compiler makes but a hand could.

use super::Format;
use crate::artifact::{Extent, Grid, MOST_BYTES, MOST_ROWS, MOST_TILE, MOST_WEIGHTS, Stream};
use crate::{Error, Result};

impl Format {
    /// Refuses facts that no compiler makes but a hand could, so that nobody divides by zero and no
    /// number of a unit wraps.
    pub(crate) fn check(&self) -> Result<()> {
        let error = |problem: &str| {
            Err(Error::Format { format: self.name.to_string(), problem: problem.to_owned() })
        };
        if !(1..=MOST_WEIGHTS).contains(&self.weights) {
            return error(&format!(
                "a block of {} weights; it has 1 to {MOST_WEIGHTS}",
                self.weights
            ));
        }
        if self.streams.is_empty() {
            return error("no stream of bytes; it needs at least 1");
        }
        self.streams
            .iter()
            .try_for_each(|stream| self.check_stream(stream))
            .or_else(|problem| error(&problem))?;
        let own = 0..self.artifact().sizes.len();
        let sizes = own.zip(self.sizes).try_for_each(|(index, size)| self.check_size(index, size));
        sizes.or_else(|problem| error(&problem))?;
        if let Some(kernel) = self.kernels.iter().find(|kernel| is_empty(kernel.grid)) {
            let name = &kernel.name;
            return error(&format!("kernel `{name}` has a grid with a 0; each needs at least 1"));
        }
        Ok(())
    }

    fn check_stream(&self, stream: &Stream) -> Result<(), String> {
        let Stream { name, bytes, units } = stream;
        let all_bytes = u64::from(*bytes) * u64::from(units.per_block);
        if !(1..=u64::from(MOST_BYTES)).contains(&all_bytes) {
            return Err(format!(
                "stream `{name}` has units of {bytes} bytes, {} in a block; together 1 to {MOST_BYTES}",
                units.per_block
            ));
        }
        if units.rows > MOST_ROWS {
            return Err(format!(
                "units of stream `{name}` for {} rows; they are for {MOST_ROWS} at most",
                units.rows
            ));
        }
        let covers = match units.blocks {
            Extent::Blocks(blocks) => {
                (1..=u64::from(MOST_TILE)).contains(&(u64::from(blocks) * u64::from(self.weights)))
            }
            // How large a size may be depends on its factor: `check_size`.
            Extent::Sizes { size, times } => {
                times > 0 && (size as usize) < self.artifact().sizes.len()
            }
            Extent::Row => true,
        };
        match covers {
            true => Ok(()),
            false => Err(format!(
                "units of stream `{name}` cover no block, or more than {MOST_TILE} weights of a row"
            )),
        }
    }
}

fn is_empty(grid: Grid) -> bool {
    match grid {
        Grid::Strips { weights, strips, per_workgroup } => {
            weights == 0 || strips == 0 || per_workgroup == 0
        }
        Grid::Rows { per_workgroup } | Grid::Chunks { per_workgroup } => per_workgroup == 0,
        Grid::Tiles { n, m } => n == 0 || m == 0,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::artifact::{Artifact, Size, Units};

    /// A format whose scale is shared by `times` times a size.
    pub fn sized(times: u32, default: u32) -> Artifact {
        let units = Units { blocks: Extent::Sizes { size: 0, times }, ..Units::BLOCKS };
        let streams = vec![
            Stream { name: "codes".into(), bytes: 4, units: Units::BLOCKS },
            Stream { name: "scales".into(), bytes: 4, units },
        ];
        let sizes = vec![Size { name: "g".into(), default }];
        Artifact { weights: 8, streams: streams.into(), sizes: sizes.into(), ..Artifact::default() }
    }

    #[test]
    fn facts_that_could_wrap_are_refused() {
        type Change = fn(&mut Artifact);
        let refused = |change: Change| {
            let mut artifact = sized(256, 64);
            change(&mut artifact);
            Format::from(artifact).check().unwrap_err().to_string()
        };
        let cases: [(Change, &str); 9] = [
            (|a| a.weights = 1 << 15, "a block of 32768 weights"),
            (|a| a.sizes.to_mut()[0].default = 0, "a size `g` of 0 weights"),
            (|a| a.sizes.to_mut()[0].default = 1 << 23, "from 8 to 4194304"),
            (|a| a.streams.to_mut()[0].bytes = 0, "units of 0 bytes"),
            (|a| a.streams.to_mut()[0].units.per_block = 1 << 30, "1073741824 in a block"),
            (|a| a.streams.to_mut()[0].units.rows = 257, "for 257 rows"),
            (|a| a.streams.to_mut()[0].units.blocks = Extent::Blocks(0), "cover no block"),
            (|a| a.streams.to_mut()[0].units.blocks = Extent::Blocks(1 << 28), "or more than"),
            (
                |a| a.streams.to_mut()[1].units.blocks = Extent::Sizes { size: 1, times: 1 },
                "no block",
            ),
        ];
        for (change, says) in cases {
            let error = refused(change);
            assert!(error.contains(says), "{error}");
        }
    }
}
