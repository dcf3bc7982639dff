//! Matmuls by matrix units: how their tiles are cut.

use super::dialect::Dialect;
use super::{Plan, dialect, render};
use crate::Error;
use crate::artifact::{Activations, Element, Grid, Kernel, Kind, matrix_kernel_name};
use crate::format::Format;
use crate::ir::{Decoder, Verified};
use serde::Serialize;

/// The matmuls of a format that round to f16; none where strips fit no tile.
pub(super) fn kernels(format: &Format, row: &Verified<Decoder>) -> Result<Vec<Kernel>, Error> {
    let (quads, lanes) = (row.quads.len() as u32, super::lanes(row));
    let all = [(&dialect::WGSL, 16), (&dialect::WGSL, 8), (&dialect::HIP, 16)];
    let fitting = all.into_iter().filter_map(|(dialect, matrix)| {
        Tiles::new(quads, lanes, matrix).map(|tiles| kernel(format, row, dialect, &tiles))
    });
    fitting.collect()
}

fn kernel(
    format: &Format,
    row: &Verified<Decoder>,
    dialect: &Dialect,
    tiles: &Tiles,
) -> Result<Kernel, Error> {
    render(
        format,
        row,
        dialect,
        &Plan {
            name: matrix_kernel_name(&format.name, tiles.matrix),
            template: "matmul.f16",
            single: false,
            kind: Kind::Matmul,
            output: Element::F32,
            activations: Activations::F16,
            matrix: tiles.matrix,
            workgroup: tiles.workgroup,
            grid: Grid::Tiles { n: tiles.tile_n, m: tiles.tile_m },
            schedule: tiles,
        },
    )
}

/// Matrices of outputs that a subgroup adds up: activation rows by weight rows.
const OWN: [u32; 2] = [2, 4];
/// Subgroups along the two sides of a tile, activation rows first.
const SUBGROUPS: [u32; 2] = [4, 2];
/// Invocations of 8 subgroups of 32.
const WORKGROUP: u32 = 256;
/// Weights of a row in one step along k; more where a single strip has more.
const STEP: u32 = 32;
/// Rows lie so many f16 further apart than they are long: so 8 rows that are read at once begin in
/// different banks.
const APART: u32 = 8;
/// Workgroup memory that no device with cooperative matrices lacks, in bytes.
const WORKGROUP_BYTES: u32 = 32768;

/// Numbers that the template of these matmuls draws from.
#[derive(Serialize)]
struct Tiles {
    /// Side of the matrices: their outputs either way, and weights of k that they take at a time.
    matrix: u32,
    workgroup: u32,
    /// Outputs per workgroup: weight rows by activation rows.
    tile_n: u32,
    tile_m: u32,
    /// Subgroups that multiply, and how many of them share the tile's activation rows.
    subgroups: u32,
    subgroups_n: u32,
    /// Matrices of outputs of a subgroup.
    own_m: u32,
    own_n: u32,
    /// Strips of a row in one step along k, and matrices along k.
    chunk: u32,
    slices: u32,
    /// Weights in a quad.
    lanes: u32,
    /// Quads of a row in a matrix, and distance of two rows of a tile in quads.
    slice_quads: u32,
    pitch: u32,
    /// Strips of a tile that an invocation brings in one step.
    each: u32,
    /// Which invocations bring weights and which activations, where there are more of them than
    /// strips in a tile, and how the latter are counted.
    weight_lanes: String,
    activation_lanes: String,
    activation_lane: String,
}

impl Tiles {
    /// The tiles for strips of `quads` quads with `lanes` weights each, and matrices of this side.
    fn new(quads: u32, lanes: u32, matrix: u32) -> Option<Tiles> {
        let strip = quads * lanes;
        let chunk = (STEP.div_ceil(strip)..=STEP).find(|c| (c * strip).is_multiple_of(matrix))?;
        let step = chunk * strip;
        let pitch = (step + APART) / lanes;
        let tile = |side: usize| SUBGROUPS[side] * OWN[side] * matrix;
        let (tile_m, tile_n) = (tile(0), tile(1));
        let subgroups = SUBGROUPS[0] * SUBGROUPS[1];
        let bytes = (tile_m + tile_n) * pitch * lanes * 2 + subgroups * matrix * matrix * 4;
        let strips = tile_n * chunk;
        let text = |busy: bool, text: String| if busy { String::new() } else { text };
        let (all, all_but_weights) = (strips >= WORKGROUP, 2 * strips >= WORKGROUP);
        let end = text(all_but_weights, format!(" && lane < {}u", 2 * strips));
        (bytes <= WORKGROUP_BYTES).then(|| Tiles {
            matrix,
            workgroup: WORKGROUP,
            tile_n,
            tile_m,
            subgroups,
            subgroups_n: SUBGROUPS[1],
            own_m: OWN[0],
            own_n: OWN[1],
            chunk,
            slices: step / matrix,
            lanes,
            slice_quads: matrix / lanes,
            pitch,
            each: strips.div_ceil(WORKGROUP),
            weight_lanes: text(all, format!("if (lane < {strips}u) ")),
            activation_lanes: text(all, format!("if (lane >= {strips}u{end}) ")),
            activation_lane: "lane".to_owned() + &text(all, format!(" - {strips}u")),
        })
    }
}
