//! Kernels that compute with f32: the plan of each kind.

use super::Numbers;
use super::decoder::Shape;
use super::plan::Plan;
use super::schedule::{Program, Schedule};
use super::templates::{Nothing, text};
use crate::Error;
use crate::artifact::{Backend, Grid, Kind, Row};
use serde::Serialize;

/// Numbers and texts that the templates draw from.
#[derive(Serialize)]
pub(super) struct Exact {
    #[serde(flatten)]
    schedule: Schedule,
    /// Row and block of a unit of decoding.
    place: String,
}

/// The plan of a row around a decoder with so many bytes of tables in workgroup memory; `plain` formats have
/// blocks as units, so that a tensor may be taken as one row.
///
/// # Errors
/// Where numbers of the schedule are refused.
pub(super) fn plan(
    row: Row,
    shape: &Shape,
    tables: u32,
    plain: bool,
    numbers: &Numbers,
) -> Result<Plan<Exact>, Error> {
    let Row { backend, kind, .. } = row;
    let Shape { quads, lanes, .. } = *shape;
    let schedule = Schedule::new(&Program { kind, quads, lanes, tables }, numbers)?;
    let Schedule { workgroup, rows, tile_n, tile_m, chunk, pitch, .. } = schedule;
    // Where quads are single weights, so are strips, and rows, or the end, need not be where four begin.
    let single = matches!(kind, Kind::Dequant | Kind::Gather) && lanes != 4;
    let place = if plain { "blocks" } else { "rows" };
    let grid = match kind {
        _ if single => Grid::Strips { weights: 4, strips: 1, per_workgroup: workgroup },
        // The decoder says how many weights and strips a unit has.
        Kind::Dequant | Kind::Gather => {
            Grid::Strips { weights: 0, strips: 0, per_workgroup: workgroup }
        }
        Kind::Matvec => Grid::Rows { per_workgroup: rows },
        Kind::MatvecExperts => Grid::Tiles { n: rows, m: 1 },
        Kind::MatmulExperts => Grid::Tiles { n: tile_n, m: 1 },
        Kind::Batch | Kind::Matmul | Kind::Quantize => Grid::Tiles { n: tile_n, m: tile_m },
    };
    let numbers = match kind {
        Kind::Matmul | Kind::MatmulExperts => format!("n{tile_n}_m{tile_m}_k{chunk}_p{pitch}"),
        Kind::Matvec | Kind::MatvecExperts => format!("n{rows}"),
        Kind::Dequant if !single => place.to_owned(),
        _ => format!("w{workgroup}"),
    };
    let word = format!("{}_{numbers}", quads_word(backend, shape));
    let template = match kind {
        Kind::Dequant if single => "dequant.single",
        Kind::Gather if single => "gather.single",
        _ => kind.word(),
    };
    let place = text(backend, &format!("place.{place}"), Nothing {})?.trim_end().to_owned();
    Ok(Plan { row, template, single, workgroup, grid, word, schedule: Exact { schedule, place } })
}

/// What texts depend on of quads: in WGSL their number, as loops over them are written out, and everywhere
/// whether they are single weights.
pub(super) fn quads_word(backend: Backend, Shape { quads, lanes, .. }: &Shape) -> String {
    match (backend, lanes) {
        (Backend::Wgsl, _) => format!("q{quads}x{lanes}"),
        (Backend::Hip, lanes) => format!("x{lanes}"),
    }
}
