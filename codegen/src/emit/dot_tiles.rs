//! Matmuls with 8-bit activations: how their tiles are cut.

use super::dialect;
use super::runs::Runs;
use super::strips::{self, Plan};
use crate::Error;
use crate::artifact::{Kernel, Kind};
use crate::format::Format;
use crate::ir::Decoder;
use crate::lower::{self, Dots};
use serde::Serialize;

/// The matmuls of a format for many activation rows, whose other kernels decode by `dots`; none where
/// strips fit no tile.
pub(super) fn kernels(format: &Format, dots: &Dots) -> Result<Vec<Kernel>, Error> {
    let long = lower::long_dots(format).transpose()?;
    // The scale of a run is multiplied in once for all its dot products: longer runs pay.
    let longer = |long: &&Dots| Runs::of(&long.program).quads > Runs::of(&dots.program).quads;
    let dots = long.as_ref().filter(longer).unwrap_or(dots);
    let runs = Runs::of(&dots.program);
    let Some(tiles) = Tiles::new(&runs, dots.offset, table_bytes(&dots.program)) else {
        return Ok(Vec::new());
    };
    let plan = Plan {
        kind: Kind::Matmul,
        template: "matmul.i8",
        subgroups: false,
        workgroup: tiles.threads_n * tiles.threads_m,
        tile: [tiles.tile_n, tiles.tile_m],
        schedule: tiles,
    };
    let dialects = [&dialect::WGSL, &dialect::HIP];
    dialects.into_iter().map(|dialect| strips::kernel(format, dots, dialect, &plan)).collect()
}

/// Invocations along either side of a tile.
const THREADS: u32 = 16;
/// Outputs of an invocation: weight rows, and activation rows at most.
const EACH_N: u32 = 4;
const EACH_M: u32 = 4;
/// Weights of a row in one step along k, at most; more where a single strip has more.
const STEP: u32 = 64;
/// WebGPU grants every device this much workgroup memory, in bytes.
const WORKGROUP_BYTES: u32 = 16384;

/// Numbers that the template of these matmuls draws from.
#[derive(Serialize)]
struct Tiles {
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
    fn new(runs: &Runs, offset: bool, tables: u32) -> Option<Tiles> {
        let sizes = (1..=EACH_M).rev().flat_map(|each_m| [(each_m, STEP), (each_m, STEP / 2)]);
        sizes.map(|(each_m, step)| Tiles::cut(runs, each_m, step)).find(|tiles| {
            let Tiles { tile_n, tile_m, pitch, run_pitch, .. } = *tiles;
            let words = pitch * 4 * runs.word as u32;
            let (run_bytes, share_bytes) = (if offset { 8 } else { 4 }, 8);
            let weights = tile_n * (words + run_pitch * run_bytes);
            let activations = tile_m * (words + run_pitch * share_bytes);
            weights + activations + tables <= WORKGROUP_BYTES
        })
    }

    fn cut(runs: &Runs, each_m: u32, step: u32) -> Tiles {
        let quads = runs.order.len() as u32;
        let chunk = (step / (4 * quads)).max(1);
        Tiles {
            tile_n: THREADS * EACH_N,
            tile_m: THREADS * each_m,
            threads_n: THREADS,
            threads_m: THREADS,
            each_n: EACH_N,
            each_m,
            few: each_m.div_ceil(2),
            chunk,
            pitch: (chunk * quads / runs.word as u32) | 1,
            run_pitch: (chunk * quads / runs.quads as u32) | 1,
        }
    }
}

/// Bytes that the tables of a program's text take in workgroup memory.
fn table_bytes(decoder: &Decoder) -> u32 {
    let texts = decoder.tables.iter().filter(|table| table.at.is_none());
    texts.map(|table| (4 * table.entries.len() as u32).next_multiple_of(16)).sum()
}

#[cfg(test)]
mod tests {
    use super::super::runs::Sum;
    use super::*;

    fn tiles(quads: usize, run: usize, word: usize, tables: u32) -> Option<Tiles> {
        let runs = Runs { order: (0..quads).collect(), quads: run, word, sum: Sum::Words };
        Tiles::new(&runs, true, tables)
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
    fn rows_of_tiles_start_in_different_banks() {
        for (quads, run, word) in [(16, 8, 4), (8, 4, 4), (4, 4, 4), (1, 1, 1), (2, 2, 1)] {
            let tiles = tiles(quads, run, word, 0).unwrap();
            assert_eq!((tiles.pitch % 2, tiles.run_pitch % 2), (1, 1));
            assert!(tiles.pitch as usize * word >= tiles.chunk as usize * quads);
        }
    }
}
