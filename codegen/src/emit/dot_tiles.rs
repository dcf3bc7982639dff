//! Matmuls with 8-bit activations: how their tiles are cut.

use super::decoder::Shape;
use super::plan::Plan;
use super::rows::runs_word;
use super::runs::Runs;
use super::schedule::{self, Numbers};
use crate::Error;
use crate::artifact::{Activations, Grid, Kind, Row};
use serde::Serialize;

const KIND: Kind = Kind::Matmul;
const ACTIVATIONS: Activations = Activations::Int8;
/// Invocations along either side of a tile.
const THREADS: u32 = 16;
/// Outputs of an invocation: weight rows, and activation rows at most.
const EACH_N: u32 = 4;
const EACH_M: u32 = 4;
/// Weights of a row in one step along k, at most; more where a single strip has more.
const STEP: u32 = 64;

/// Numbers that the template of these matmuls draws from.
#[derive(Serialize)]
pub(super) struct Tiles {
    workgroup: u32,
    /// Outputs per workgroup: weight rows by activation rows.
    tile_n: u32,
    tile_m: u32,
    /// Invocations along the two sides of a tile, and outputs of each.
    threads_n: u32,
    threads_m: u32,
    each_n: u32,
    each_m: u32,
    /// Outputs along activation rows where a tile has no more of them than half.
    few: u32,
    /// Strips of a row in one step along k.
    chunk: u32,
    /// Distance of two rows of a tile in words and in runs.
    pitch: u32,
    run_pitch: u32,
}

impl Tiles {
    /// The largest tiles that fit beside so many bytes of tables, in steps as long as can be.
    ///
    /// # Errors
    /// Where a number that is given is out of its range, or tiles need more workgroup memory than there
    /// is; also for the compiler's own numbers, where strips are long.
    pub fn new(runs: &Runs, offset: bool, tables: u32, numbers: &Numbers) -> Result<Tiles, Error> {
        numbers.check(KIND, ACTIVATIONS)?;
        let threads = [numbers.threads_n, numbers.threads_m].map(|own| own.unwrap_or(THREADS));
        schedule::threads(threads, KIND, ACTIVATIONS)?;
        let each_n = numbers.each_n.unwrap_or(EACH_N);
        let steps = numbers.step.map_or([STEP, STEP / 2], |step| [step; 2]);
        let each_m = numbers.each_m.map_or(1..=EACH_M, |each_m| each_m..=each_m);
        let sizes = each_m.rev().flat_map(|each_m| steps.map(|step| (each_m, step)));
        let bytes = |tiles: &Tiles| {
            let Tiles { tile_n, tile_m, pitch, run_pitch, .. } = *tiles;
            let words = pitch * 4 * runs.word as u32;
            let (run_bytes, share_bytes) = (if offset { 8 } else { 4 }, 8);
            let weights = tile_n * (words + run_pitch * run_bytes);
            let activations = tile_m * (words + run_pitch * share_bytes);
            weights + activations + tables
        };
        let tiles = sizes.map(|(each_m, step)| Tiles::cut(runs, threads, [each_n, each_m], step));
        schedule::largest(tiles, bytes, KIND, ACTIVATIONS)
    }

    fn cut(
        runs: &Runs,
        [threads_n, threads_m]: [u32; 2],
        [each_n, each_m]: [u32; 2],
        step: u32,
    ) -> Tiles {
        let quads = runs.order.len() as u32;
        let chunk = (step / (4 * quads)).max(1);
        Tiles {
            workgroup: threads_n * threads_m,
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

    pub fn plan(self, row: Row, shape: &Shape) -> Plan<Tiles> {
        let Tiles { tile_n, tile_m, chunk, pitch, run_pitch, .. } = self;
        let runs = runs_word(row.backend, shape);
        Plan {
            row,
            template: "matmul.i8",
            single: false,
            workgroup: self.workgroup,
            grid: Grid::Tiles { n: tile_n, m: tile_m },
            word: format!("{runs}n{tile_n}_m{tile_m}_k{chunk}_p{pitch}_{run_pitch}"),
            schedule: self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::runs::Sum;
    use super::*;

    fn tiles(quads: usize, run: usize, word: usize, tables: u32) -> Option<Tiles> {
        let runs = Runs { order: (0..quads).collect(), quads: run, word, sum: Sum::Words };
        Tiles::new(&runs, true, tables, &Numbers::NONE).ok()
    }

    #[test]
    fn tiles_are_as_large_as_fit() {
        let sizes = |tiles: Tiles| [tiles.tile_n, tiles.tile_m, tiles.chunk, tiles.few];
        assert_eq!(tiles(16, 8, 4, 0).map(sizes), Some([64, 64, 1, 2]));
        assert_eq!(tiles(8, 8, 4, 0).map(sizes), Some([64, 64, 2, 2]));
        // Scales of short runs take much memory: shorter steps, else fewer rows.
        assert_eq!(tiles(1, 1, 1, 0).map(sizes), Some([64, 64, 8, 2]));
        assert_eq!(tiles(16, 2, 1, 0).map(sizes), Some([64, 48, 1, 2]));
        assert_eq!(tiles(16, 2, 1, 4096).map(sizes), Some([64, 16, 1, 1]));
        assert_eq!(tiles(16, 2, 1, 16384).map(sizes), None);
    }

    #[test]
    fn numbers_replace_the_compilers_or_are_refused() {
        let runs = Runs { order: (0..16).collect(), quads: 8, word: 4, sum: Sum::Words };
        let of = |threads: [u32; 2], each_m, step| {
            let [threads_n, threads_m] = threads.map(Some);
            let (each_m, step) = (Some(each_m), Some(step));
            let numbers = Numbers { threads_n, threads_m, each_m, step, ..Numbers::NONE };
            Tiles::new(&runs, true, 64, &numbers)
        };
        let own = of([8, 4], 5, 128).unwrap();
        assert_eq!([own.tile_n, own.tile_m, own.chunk, own.few], [32, 20, 2, 3]);
        let refusals = [(of([8, 2], 1, 64), "is 16"), (of([16, 16], 16, 64), "there may be 16384")];
        for (refused, says) in refusals {
            let error = refused.err().unwrap().to_string();
            assert!(error.contains(says) && error.contains("matmul kernels with i8"), "{error}");
        }
    }

    #[test]
    fn rows_of_tiles_start_in_different_banks() {
        for (quads, run, word) in [(16, 8, 4), (8, 4, 4), (4, 4, 4), (1, 1, 1), (2, 2, 1)] {
            let tiles = tiles(quads, run, word, 0).unwrap();
            assert_eq!((tiles.pitch % 2, tiles.run_pitch % 2), (1, 1));
            assert!(tiles.pitch as usize * word >= tiles.chunk as usize * quads);
        }
    }
}
