//! Schedules: how the work of a kernel is cut for a workgroup, and whether every device can have it so.

mod dot_tiles;
mod matrices;
mod numbers;
mod rows;
mod tiles;

pub(super) use dot_tiles::DotTiles;
pub(super) use matrices::{Matrices, MatrixProgram};
pub use numbers::{Numbers, Schedules};
pub(super) use rows::Rows;
pub(super) use tiles::{Program, Schedule};

use crate::Error;
use crate::artifact::{Activations, Kind};

/// WebGPU grants every device this much workgroup memory, in bytes.
const WORKGROUP_BYTES: u32 = 16384;

/// Numbers that kernels cannot have.
pub(super) fn refused(kind: Kind, activations: Activations, problem: String) -> Error {
    Error::Schedule { kind: kind.word(), activations: activations.word(), problem }
}

/// Refuses what takes more than so many bytes of workgroup memory.
pub(super) fn within(
    most: u32,
    bytes: u32,
    kind: Kind,
    activations: Activations,
) -> Result<(), Error> {
    match bytes <= most {
        true => Ok(()),
        false => {
            let problem = format!("{bytes} bytes of workgroup memory; there may be {most}");
            Err(refused(kind, activations, problem))
        }
    }
}
