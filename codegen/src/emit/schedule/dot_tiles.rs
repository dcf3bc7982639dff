//! Schedules of tiles with 8-bit activations.

use super::{Numbers, WORKGROUP_BYTES, refused, within};
use crate::Error;
use crate::artifact::{Activations, Kind};
use crate::emit::runs::Runs;
use serde::Serialize;

/// Invocations along either side of a tile.
const THREADS: u32 = 16;
/// Outputs of an invocation: weight rows, and activation rows at most.
const EACH_N: u32 = 4;
const EACH_M: u32 = 4;
/// Weights of a row in one step along k, at most; more where a single strip has more.
const STEP: u32 = 64;

/// Numbers that the template of these matmuls draws from.
#[derive(Debug, Serialize)]
pub(in crate::emit) struct DotTiles {
    /// Outputs per workgroup: weight rows by activation rows.
    pub tile_n: u32,
    pub tile_m: u32,
    /// Invocations along the two sides of a tile, and outputs of each.
    pub threads_n: u32,
    pub threads_m: u32,
    pub each_n: u32,
    pub each_m: u32,
    /// Outputs along activation rows where a tile has no more of them than half.
    pub few: u32,
    /// Strips of a row in one step along k.
    pub chunk: u32,
    /// Distance of two rows of a tile in words and in runs.
    pub pitch: u32,
    pub run_pitch: u32,
}

impl DotTiles {
    /// The largest tiles that fit beside so many bytes of tables, in steps as long as can be; none where
    /// no number is given and the strips are too long for any.
    ///
    /// # Errors
    /// Where a number that is given is out of its range, or needs more workgroup memory than there is.
    pub fn new(
        runs: &Runs,
        offset: bool,
        tables: u32,
        numbers: &Numbers,
    ) -> Result<Option<DotTiles>, Error> {
        let (kind, activations) = (Kind::Matmul, Activations::Int8);
        numbers.check(kind, activations)?;
        let threads = [numbers.threads_n.unwrap_or(THREADS), numbers.threads_m.unwrap_or(THREADS)];
        let invocations = threads[0] * threads[1];
        if !(32..=256).contains(&invocations) {
            let problem =
                format!("`threads_n` x `threads_m` is {invocations}; it must be 32 to 256");
            return Err(refused(kind, activations, problem));
        }
        let each_n = numbers.each_n.unwrap_or(EACH_N);
        let along_m = numbers.each_m.map_or(1..=EACH_M, |each| each..=each);
        let steps = numbers.step.map_or([STEP, STEP / 2], |step| [step, step]);
        let sizes = along_m.rev().flat_map(|each_m| steps.map(|step| (each_m, step)));
        let all = sizes.map(|(each_m, step)| DotTiles::cut(runs, threads, [each_n, each_m], step));
        let bytes = |tiles: &DotTiles| tiles.bytes(runs, offset) + tables;
        let mut last = 0;
        let found = all.into_iter().find(|tiles| {
            last = bytes(tiles);
            last <= WORKGROUP_BYTES
        });
        match (found, *numbers == Numbers::NONE) {
            (None, false) => within(WORKGROUP_BYTES, last, kind, activations).map(|()| None),
            (found, _) => Ok(found),
        }
    }

    /// Bytes of workgroup memory.
    fn bytes(&self, runs: &Runs, offset: bool) -> u32 {
        let words = self.pitch * 4 * runs.word as u32;
        let (run_bytes, share_bytes) = (if offset { 8 } else { 4 }, 8);
        let weights = self.tile_n * (words + self.run_pitch * run_bytes);
        weights + self.tile_m * (words + self.run_pitch * share_bytes)
    }

    fn cut(
        runs: &Runs,
        [threads_n, threads_m]: [u32; 2],
        [each_n, each_m]: [u32; 2],
        step: u32,
    ) -> DotTiles {
        let quads = runs.order.len() as u32;
        let chunk = (step / (4 * quads)).max(1);
        DotTiles {
            tile_n: threads_n * each_n,
            tile_m: threads_m * each_m,
            threads_n,
            threads_m,
            each_n,
            each_m,
            few: each_m.div_ceil(2),
            chunk,
            pitch: (chunk * quads / runs.word as u32) | 1,
            run_pitch: (chunk * quads / runs.quads as u32) | 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::runs::Sum;

    fn tiles(quads: usize, run: usize, word: usize, tables: u32) -> Option<DotTiles> {
        let runs = Runs { order: (0..quads).collect(), quads: run, word, sum: Sum::Words };
        DotTiles::new(&runs, true, tables, &Numbers::NONE).unwrap()
    }

    #[test]
    fn tiles_are_as_large_as_fit() {
        let sizes = |tiles: DotTiles| [tiles.tile_n, tiles.tile_m, tiles.chunk, tiles.few];
        assert_eq!(tiles(16, 8, 4, 0).map(sizes), Some([64, 64, 1, 2]));
        assert_eq!(tiles(8, 8, 4, 0).map(sizes), Some([64, 64, 2, 2]));
        // Scales of short runs take much memory: shorter steps, else fewer rows.
        assert_eq!(tiles(1, 1, 1, 0).map(sizes), Some([64, 64, 8, 2]));
        assert_eq!(tiles(16, 2, 1, 0).map(sizes), Some([64, 48, 1, 2]));
        assert_eq!(tiles(16, 2, 1, 4096).map(sizes), Some([64, 16, 1, 1]));
        assert_eq!(tiles(16, 2, 1, 16384).map(sizes), None);
    }

    #[test]
    fn rows_of_tiles_start_in_different_banks() {
        for (quads, run, word) in [(16, 8, 4), (8, 4, 4), (4, 4, 4), (1, 1, 1), (2, 2, 1)] {
            let tiles = tiles(quads, run, word, 0).unwrap();
            assert_eq!((tiles.pitch % 2, tiles.run_pitch % 2), (1, 1));
            assert!(tiles.pitch as usize * word >= tiles.chunk as usize * quads);
        }
    }

    #[test]
    fn numbers_replace_the_compilers() {
        let runs = Runs { order: (0..8).collect(), quads: 8, word: 4, sum: Sum::Words };
        let of = |numbers: &Numbers| DotTiles::new(&runs, false, 0, numbers);
        let numbers = Numbers { threads_n: Some(8), each_n: Some(2), ..Numbers::NONE };
        let tiles = of(&Numbers { step: Some(32), ..numbers }).unwrap().unwrap();
        assert_eq!([tiles.tile_n, tiles.tile_m, tiles.chunk], [16, 64, 1]);
        let refusals = [
            (Numbers { threads_m: Some(32), ..Numbers::NONE }, "is 512"),
            (Numbers { each_n: Some(16), each_m: Some(16), ..Numbers::NONE }, "there may be 16384"),
            (Numbers { rows: Some(2), ..Numbers::NONE }, "there is no `rows`"),
        ];
        for (numbers, says) in refusals {
            let error = of(&numbers).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
