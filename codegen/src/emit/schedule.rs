//! The numbers of a kernel's schedule: how work is cut for a workgroup.

use crate::artifact::Kind;
use serde::Serialize;

/// Numbers that the templates of all kinds draw from.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Schedule {
    /// Invocations per workgroup.
    pub workgroup: u32,
    /// Weight rows per workgroup of a matvec.
    pub rows: u32,
    /// Outputs per workgroup of a matmul: weight rows by activation rows.
    pub tile_n: u32,
    pub tile_m: u32,
    /// Invocations along the two sides of a tile.
    pub threads_n: u32,
    pub threads_m: u32,
    /// Strips of a row in one step along k.
    pub chunk: u32,
    /// Distance of two rows of a tile in quads.
    pub pitch: u32,
}

/// WebGPU grants every device this much workgroup memory, in bytes.
const WORKGROUP_BYTES: u32 = 16384;
/// Weights of a row in one step along k; more where a single strip has more.
const STEP: u32 = 32;

impl Schedule {
    /// The schedule for strips of `quads` quads with `lanes` weights each.
    pub fn new(kind: Kind, quads: u32, lanes: u32) -> Schedule {
        let chunk = (STEP / (quads * lanes)).max(1);
        let pitch = (chunk * quads) | 1;
        let (threads_n, threads_m) = (8, 16);
        let row_bytes = pitch * lanes * 4;
        // 8 x 2 outputs an invocation; fewer where strips are so long that the tiles would not fit.
        let tile_m = 2 * threads_m;
        let (many, lists) = match kind {
            Kind::Matmul => (true, 0),
            // A count of every invocation and all of them, and what is chosen.
            Kind::MatmulExperts => (true, 4 * (threads_n * threads_m + 1 + tile_m)),
            _ => (false, 0),
        };
        let tile_n = (1..=8)
            .rev()
            .map(|outputs| outputs * threads_n)
            .find(|tile_n| (tile_n + tile_m) * row_bytes + lists <= WORKGROUP_BYTES)
            .unwrap_or(threads_n);
        Schedule {
            workgroup: if many { threads_n * threads_m } else { 64 },
            rows: 2,
            tile_n,
            tile_m,
            threads_n,
            threads_m,
            chunk,
            pitch,
        }
    }
}
