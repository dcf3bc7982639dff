//! Verified programs to kernel texts: the program's expressions in the words of a backend, between the
//! pieces that kernels of several formats have in common.

mod catalogue;
mod constant;
pub mod cpu;
mod decoder;
mod dialect;
mod dot_tiles;
mod exact;
mod facts;
mod fitting;
mod helpers;
pub mod items;
mod matrices;
mod names;
mod plan;
mod programs;
mod quantize;
mod rows;
mod runs;
mod schedule;
mod sections;
mod strips;
mod table;
mod templates;
mod vocabulary;
mod widths;

pub use catalogue::{Tree, tree};
pub(crate) use fitting::Kernels;
pub use fitting::Missing;
pub(crate) use quantize::kernels as quantizers;
pub use schedule::{Numbers, Schedules};
pub use table::TABLE;

use crate::Error;
use crate::artifact::{Activations, Kernel, Kind, Row};
use crate::format::Format;
use crate::ir::{Decoder, Verified};
use dot_tiles::Tiles;
use facts::table_bytes;
use programs::{Lowered, Programs};
use runs::Runs;
use schedule::{Matrices, MatrixProgram, Rows};

/// Bytes of the primary plane that one invocation decodes.
pub(crate) const STRIP_BYTES: u32 = 4;

/// Bytes of the widest load.
const WIDEST: u32 = 16;
/// Quads of weights in a strip of a matvec, at most: they and their activations stay in registers.
/// Dequantization takes half, so that neighbours store next to each other.
const QUADS: u32 = 8;

/// All kernels of a format, whose program is `row`, in the order of the [`TABLE`]; and those that it
/// cannot have as they would need more than every device grants.
pub(crate) fn kernels(
    format: &Format,
    row: &Verified<Decoder>,
    schedules: &Schedules,
) -> Result<Kernels, Error> {
    schedules.check()?;
    let mut programs = Programs::new(format, row)?;
    let mut kernels = Kernels::default();
    for row in TABLE {
        let Row { backend, kind, activations, subgroups, .. } = row;
        let chosen = schedules.numbers(backend, kind, activations);
        let unwanted = subgroups && chosen.subgroups == Some(false);
        if unwanted || programs.of(kind, activations, None)?.is_none() {
            continue;
        }
        let tries = fitting::tries(backend, kind, activations, chosen);
        kernels.add((row.name(&format.name), backend), tries, |numbers| {
            let lowered = programs.of(kind, activations, numbers.quads)?;
            let lowered = lowered.ok_or_else(|| no_codes(kind))?;
            kernel(format, &lowered, row, numbers)
        })?;
    }
    Ok(kernels)
}

/// A format has codes of 8 bits whatever its strips.
fn no_codes(kind: Kind) -> Error {
    schedule::refused(kind, Activations::Int8, "there are no 8-bit codes".to_owned())
}

/// The kernel of a row.
fn kernel(
    format: &Format,
    lowered: &Lowered,
    row: Row,
    numbers: &Numbers,
) -> Result<Kernel, Error> {
    let tables = table_bytes(lowered.program());
    let decoder = lowered.decoder(format, row.backend)?;
    let shape = &decoder.shape;
    let name = &format.name;
    match (row.activations, row.kind, lowered) {
        (Activations::Int8, Kind::Matmul, Lowered::Dots(dots)) => {
            let runs = Runs::of(&dots.own.program);
            let tiles = Tiles::new(&runs, dots.own.offset, tables, numbers)?;
            tiles.plan(row, shape).kernel(name, decoder)
        }
        (Activations::Int8, ..) => {
            let rows = Rows::new(row.backend, row.kind, tables, numbers)?;
            rows::plan(row, shape, rows)?.kernel(name, decoder)
        }
        (Activations::F16, ..) => {
            let (backend, matrix) = (row.backend, row.matrix);
            let (quads, lanes) = (shape.quads, shape.lanes);
            let program = MatrixProgram { backend, matrix, quads, lanes, tables };
            let tiles = Matrices::new(&program, numbers)?;
            matrices::plan(row, shape, tiles)?.kernel(name, decoder)
        }
        (Activations::F32, ..) => {
            exact::plan(row, shape, tables, format.is_plain(), numbers)?.kernel(name, decoder)
        }
    }
}
