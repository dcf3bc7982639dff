//! Matmuls with 8-bit activations: tiles of outputs.

use super::runs::Runs;
use super::schedule::{DotTiles, Schedules};
use super::strips::{self, Plan};
use super::{dialect, table_bytes};
use crate::Error;
use crate::artifact::{Activations, Kernel, Kind};
use crate::format::Format;
use crate::lower::{self, Dots};

/// The matmuls of a format for many activation rows, whose other kernels decode by `dots`; none where
/// strips fit no tile.
pub(super) fn kernels(
    format: &Format,
    dots: &Dots,
    schedules: &Schedules,
) -> Result<Vec<Kernel>, Error> {
    let long = lower::long_dots(format).transpose()?;
    // The scale of a run is multiplied in once for all its dot products: longer runs pay.
    let longer = |long: &&Dots| Runs::of(&long.program).quads > Runs::of(&dots.program).quads;
    let dots = long.as_ref().filter(longer).unwrap_or(dots);
    let runs = Runs::of(&dots.program);
    let mut kernels = Vec::new();
    for dialect in [&dialect::WGSL, &dialect::HIP] {
        let numbers = schedules.numbers(dialect.backend, Kind::Matmul, Activations::Int8);
        let tables = table_bytes(&dots.program);
        let Some(tiles) = DotTiles::new(&runs, dots.offset, tables, &numbers)? else { continue };
        let plan = Plan {
            kind: Kind::Matmul,
            template: "matmul.i8",
            subgroups: false,
            workgroup: tiles.threads_n * tiles.threads_m,
            tile: [tiles.tile_n, tiles.tile_m],
            schedule: tiles,
        };
        kernels.push(strips::kernel(format, dots, dialect, &plan)?);
    }
    Ok(kernels)
}
