//! Matmuls by matrix units.

use super::dialect::Dialect;
use super::schedule::{Matrices, MatrixProgram, Schedules};
use super::templates;
use super::{Kernels, Plan, dialect, lanes, render, table_bytes};
use crate::Error;
use crate::artifact::{Activations, Element, Grid, Kernel, Kind, matrix_kernel_name};
use crate::format::Format;
use crate::ir::{Decoder, Verified};
use serde::Serialize;

/// Adds the matmuls of a format that round to f16.
pub(super) fn kernels(
    format: &Format,
    row: &Verified<Decoder>,
    schedules: &Schedules,
    kernels: &mut Kernels,
) -> Result<(), Error> {
    for (dialect, matrix) in [(&dialect::WGSL, 16), (&dialect::WGSL, 8), (&dialect::HIP, 16)] {
        let program = MatrixProgram {
            backend: dialect.backend,
            matrix,
            quads: row.quads.len() as u32,
            lanes: lanes(row),
            tables: table_bytes(row),
        };
        let numbers = schedules.numbers(dialect.backend, Kind::Matmul, Activations::F16);
        let name = matrix_kernel_name(&format.name, matrix);
        kernels.add((name, dialect.backend), vec![numbers], |numbers| {
            kernel(format, row, dialect, &Matrices::new(&program, numbers)?)
        })?;
    }
    Ok(())
}

/// Numbers and texts that the template of these matmuls draws from.
#[derive(Serialize)]
struct Tiles<'a> {
    #[serde(flatten)]
    tiles: &'a Matrices,
    /// Where a block of those invocations begins that bring weights, and of those that bring activations.
    weight_lanes: String,
    activation_lanes: String,
    /// Number of an invocation among the latter.
    activation_lane: String,
}

fn kernel(
    format: &Format,
    row: &Verified<Decoder>,
    dialect: &Dialect,
    tiles: &Matrices,
) -> Result<Kernel, Error> {
    let Matrices { matrix, workgroup, tile_n, tile_m, .. } = *tiles;
    let part = |name: &str| -> Result<String, Error> {
        Ok(templates::text(dialect.backend, name, tiles)?.trim_end().to_owned())
    };
    let weights = if tiles.weights_end == workgroup { "lanes.all" } else { "lanes.weights" };
    let (lanes, lane) = match (tiles.activations_first, tiles.activations_end) {
        (0, end) if end == workgroup => ("lanes.all", "lane.all"),
        (0, _) => ("lanes.activations", "lane.all"),
        (_, end) if end == workgroup => ("lanes.rest", "lane.rest"),
        _ => ("lanes.between", "lane.rest"),
    };
    let schedule = Tiles {
        tiles,
        weight_lanes: part(weights)?,
        activation_lanes: part(lanes)?,
        activation_lane: part(lane)?,
    };
    render(
        format,
        row,
        dialect,
        &Plan {
            name: matrix_kernel_name(&format.name, matrix),
            template: "matmul.f16",
            single: false,
            kind: Kind::Matmul,
            output: Element::F32,
            activations: Activations::F16,
            matrix,
            workgroup,
            grid: Grid::Tiles { n: tile_n, m: tile_m },
            schedule,
        },
    )
}
