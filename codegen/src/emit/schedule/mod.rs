//! Schedules: how the work of a kernel is cut for a workgroup, and whether every device can have it so.

mod matrices;
mod numbers;
mod rows;
mod tiles;

pub(super) use matrices::{Matrices, MatrixProgram};
pub use numbers::{Numbers, Schedules};
pub(super) use rows::Rows;
pub(super) use tiles::{Program, Schedule};

use crate::Error;
use crate::artifact::{Activations, Backend, Kind};

/// Workgroup memory of kernels without matrix units, in bytes.
const WORKGROUP_BYTES: u32 = Backend::Wgsl.workgroup_bytes(false);

/// Numbers that kernels cannot have.
pub(in crate::emit) fn refused(kind: Kind, activations: Activations, problem: String) -> Error {
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
        false => Err(too_much(bytes, most, kind, activations)),
    }
}

/// Refuses tiles of too few invocations, or of too many.
pub(super) fn threads(
    [along_n, along_m]: [u32; 2],
    kind: Kind,
    activations: Activations,
) -> Result<(), Error> {
    let threads = along_n * along_m;
    if (32..=256).contains(&threads) {
        return Ok(());
    }
    let problem = format!("`threads_n` x `threads_m` is {threads}; it must be 32 to 256");
    Err(refused(kind, activations, problem))
}

/// The first of these tiles that takes no more workgroup memory than every device grants.
pub(super) fn largest<T>(
    tiles: impl IntoIterator<Item = T>,
    bytes: impl Fn(&T) -> u32,
    kind: Kind,
    activations: Activations,
) -> Result<T, Error> {
    let mut least = u32::MAX;
    let mut fits = |tiles: &T| {
        least = least.min(bytes(tiles));
        bytes(tiles) <= WORKGROUP_BYTES
    };
    match tiles.into_iter().find(|tiles| fits(tiles)) {
        Some(tiles) => Ok(tiles),
        None => Err(too_much(least, WORKGROUP_BYTES, kind, activations)),
    }
}

fn too_much(bytes: u32, most: u32, kind: Kind, activations: Activations) -> Error {
    let problem = format!("{bytes} bytes of workgroup memory; there may be {most}");
    refused(kind, activations, problem)
}
