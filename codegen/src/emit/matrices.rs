//! Matmuls by matrix units.

use super::decoder::Shape;
use super::exact::quads_word;
use super::plan::Plan;
use super::schedule::Matrices;
use super::templates::text;
use crate::Error;
use crate::artifact::{Grid, Row};
use serde::Serialize;

/// Numbers and texts that the template of these matmuls draws from.
#[derive(Serialize)]
pub(super) struct Tiles {
    #[serde(flatten)]
    tiles: Matrices,
    /// Where a block of those invocations begins that bring weights, and of those that bring activations.
    weight_lanes: String,
    activation_lanes: String,
    /// Number of an invocation among the latter.
    activation_lane: String,
}

/// The plan of a row whose tiles are cut so.
pub(super) fn plan(row: Row, shape: &Shape, tiles: Matrices) -> Result<Plan<Tiles>, Error> {
    let Matrices { workgroup, tile_n, tile_m, chunk, pitch, .. } = tiles;
    let quads = quads_word(row.backend, shape);
    let part = |name: &str| -> Result<String, Error> {
        Ok(text(row.backend, name, tiles)?.trim_end().to_owned())
    };
    let weights = if tiles.weights_end == workgroup { "lanes.all" } else { "lanes.weights" };
    let (lanes, lane) = match (tiles.activations_first, tiles.activations_end) {
        (0, end) if end == workgroup => ("lanes.all", "lane.all"),
        (0, _) => ("lanes.activations", "lane.all"),
        (_, end) if end == workgroup => ("lanes.rest", "lane.rest"),
        _ => ("lanes.between", "lane.rest"),
    };
    Ok(Plan {
        row,
        template: "matmul.f16",
        single: false,
        workgroup,
        grid: Grid::Tiles { n: tile_n, m: tile_m },
        word: format!("{quads}_n{tile_n}_m{tile_m}_k{chunk}_p{pitch}"),
        schedule: Tiles {
            weight_lanes: part(weights)?,
            activation_lanes: part(lanes)?,
            activation_lane: part(lane)?,
            tiles,
        },
    })
}
