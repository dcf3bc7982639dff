//! Verified programs to kernel texts: the program's expressions in the words of a backend, inside
//! the template of a kernel.

mod constant;
pub mod cpu;
mod dialect;
mod dot_tiles;
mod dots;
mod facts;
mod fitting;
pub mod items;
mod manifest;
mod matrices;
mod names;
mod quantize;
mod runs;
mod schedule;
mod strips;
mod templates;
mod widths;

pub(crate) use fitting::Kernels;
pub use fitting::Missing;
pub use manifest::{manifest, tables};
pub(crate) use quantize::kernels as quantizers;

use crate::Error;
use crate::artifact::{Activations, Backend, Element, Grid, Kernel, Kind, kernel_name};
use crate::format::{Format, gcd};
use crate::ir::{Decoder, Value, Verified};
use crate::lower;
use dialect::{Body, Dialect, FirstWord, TableText, Variable};
use facts::{Buffer, bindings, buffers, functions, lanes, loads, table_bytes, weights};
pub use schedule::{Numbers, Schedules};
use schedule::{Program, Schedule};
use serde::Serialize;
use templates::{Parts, Variant};
use widths::Widths;

/// Bytes of the primary plane that one invocation decodes.
pub(crate) const STRIP_BYTES: u32 = 4;

/// Bytes of the widest load.
const WIDEST: u32 = 16;
/// Quads of weights in a strip of a matvec, at most: they and their activations stay in registers.
/// Dequantization takes half, so that neighbours store next to each other.
const QUADS: u32 = 8;

/// All kernels of a format, whose program is `row`, in the order of the manifest; and those that it
/// cannot have as they would need more than every device grants.
pub(crate) fn kernels(
    format: &Format,
    row: &Verified<Decoder>,
    schedules: &Schedules,
) -> Result<Kernels, Error> {
    schedules.check()?;
    // Dequantized weights are stored in fours: take as many blocks at once as make a four.
    let unit = format.repeated(4 / gcd(format.weights, 4));
    // Of longer units the last may end beyond the output, however that is rounded up.
    let whole = !format.is_plain() || unit.weights == 4 || unit.weights == format.weights;
    let row = lower::for_gpus(row)?;
    let wide = |format: &Format, quads| -> Result<_, Error> {
        Ok(lower::for_gpus(&lower::wide_weights(format, quads)?)?)
    };
    let mut flat = Widths::new(|quads| if whole { wide(&unit, quads) } else { Ok(row.clone()) });
    let mut long = Widths::new(|quads| wide(format, quads));
    let mut dots = Widths::new(|quads| Ok(lower::wide_dots(format, quads).transpose()?));
    let mut kernels = Kernels::default();
    for dialect in [&dialect::WGSL, &dialect::HIP] {
        for (kind, output) in [
            (Kind::Dequant, Element::F32),
            (Kind::Dequant, Element::F16),
            (Kind::Matvec, Element::F32),
            (Kind::Matmul, Element::F32),
            (Kind::Gather, Element::F32),
            (Kind::Gather, Element::F16),
            (Kind::MatvecExperts, Element::F32),
            (Kind::MatmulExperts, Element::F32),
        ] {
            let (backend, activations) = (dialect.backend, Activations::F32);
            let chosen = schedules.numbers(backend, kind, activations);
            let name = kernel_name(&format.name, kind, output, activations, false);
            let tries = fitting::tries(backend, kind, activations, chosen);
            kernels.add((name, backend), tries, |numbers| {
                let decoder = match kind {
                    Kind::Dequant => flat.of(numbers.quads.unwrap_or(QUADS / 2))?,
                    Kind::Matvec | Kind::MatvecExperts => {
                        long.of(numbers.quads.unwrap_or(QUADS))?
                    }
                    _ => &row,
                };
                kernel(format, decoder, dialect, kind, output, numbers)
            })?;
        }
    }
    matrices::kernels(format, &row, schedules, &mut kernels)?;
    dots::kernels(format, &mut dots, schedules, &mut kernels)?;
    Ok(kernels)
}

/// What a kernel computes, in which template, and how its work is cut.
struct Plan<S> {
    name: String,
    template: &'static str,
    /// Whether weights are stored one by one.
    single: bool,
    kind: Kind,
    output: Element,
    activations: Activations,
    matrix: u32,
    workgroup: u32,
    grid: Grid,
    /// Numbers that the template draws from.
    schedule: S,
}

/// What a template sees.
#[derive(Serialize)]
struct Context<'a, S> {
    /// Entry point.
    name: &'a str,
    format: &'a str,
    title: &'a str,
    /// Weights and strips of a unit of decoding: a block, or a few small ones.
    weights: u32,
    strips: u32,
    streams: Vec<String>,
    /// What is only read: the streams, and the buffer of tables where there is one.
    buffers: Vec<Buffer>,
    /// Tables of the text, and where those of the buffer begin.
    tables: Vec<TableText>,
    first_words: Vec<FirstWord>,
    /// Statements before the quads' starts, and before their weights.
    place_lets: Vec<Variable>,
    lets: Vec<Variable>,
    quads: Vec<QuadText>,
    /// Element of the output buffer.
    element: &'static str,
    #[serde(flatten)]
    parts: Parts,
    #[serde(flatten)]
    schedule: S,
}

#[derive(Serialize)]
struct QuadText {
    start: String,
    weights: Vec<String>,
}

fn kernel(
    format: &Format,
    decoder: &Verified<Decoder>,
    dialect: &Dialect,
    kind: Kind,
    output: Element,
    numbers: &Numbers,
) -> Result<Kernel, Error> {
    let program = Program {
        kind,
        quads: decoder.quads.len() as u32,
        lanes: lanes(decoder),
        tables: table_bytes(decoder),
    };
    let schedule = Schedule::new(&program, numbers)?;
    let workgroup = schedule.workgroup;
    // Where quads are single weights, so are strips, and rows, or the end, need not be where four begin.
    let single = matches!(kind, Kind::Dequant | Kind::Gather) && lanes(decoder) != 4;
    let grid = match kind {
        _ if single => Grid::Strips { weights: 4, strips: 1, per_workgroup: workgroup },
        Kind::Dequant | Kind::Gather => Grid::Strips {
            weights: decoder.weights,
            strips: decoder.strips,
            per_workgroup: workgroup,
        },
        Kind::Matvec => Grid::Rows { per_workgroup: schedule.rows },
        Kind::MatvecExperts => Grid::Tiles { n: schedule.rows, m: 1 },
        Kind::MatmulExperts => Grid::Tiles { n: schedule.tile_n, m: 1 },
        Kind::Batch | Kind::Matmul | Kind::Quantize => {
            Grid::Tiles { n: schedule.tile_n, m: schedule.tile_m }
        }
    };
    let activations = Activations::F32;
    let plan = Plan {
        name: kernel_name(&format.name, kind, output, activations, false),
        template: match kind {
            Kind::Dequant if single => "dequant.single",
            Kind::Gather if single => "gather.single",
            _ => kind.word(),
        },
        single,
        kind,
        output,
        activations,
        matrix: 0,
        workgroup,
        grid,
        schedule,
    };
    render(format, decoder, dialect, &plan)
}

fn render<S: Serialize>(
    format: &Format,
    decoder: &Verified<Decoder>,
    dialect: &Dialect,
    plan: &Plan<S>,
) -> Result<Kernel, Error> {
    let Plan { ref name, template, single, kind, output, activations, .. } = *plan;
    let Plan { matrix, workgroup, grid, .. } = *plan;
    let (starts, weight_lists): (Vec<Value>, Vec<&[Value]>) =
        decoder.quads.iter().map(|quad| (quad.start, weights(quad))).unzip();
    let places = dialect.body(decoder, &starts);
    let Body { lets, results } = dialect.body(decoder, &weight_lists.concat());
    let mut results = results.into_iter();
    let quads = places.results.into_iter().zip(&weight_lists).map(|(start, weights)| QuadText {
        start,
        weights: results.by_ref().take(weights.len()).collect(),
    });
    let loads = loads(decoder);
    let first_words = dialect::first_words(decoder);
    let tables = dialect.tables(decoder);
    let streams: Vec<String> =
        decoder.streams.iter().map(|stream| names::stream(&stream.name)).collect();
    let bindings = bindings(decoder, dialect.backend, kind, !first_words.is_empty());
    let context = Context {
        name,
        format: &format.name,
        title: &format.title,
        weights: decoder.weights,
        strips: decoder.strips,
        buffers: buffers(decoder, &loads),
        streams,
        parts: templates::parts(&Variant {
            backend: dialect.backend,
            output,
            single,
            bindings: &bindings,
            lanes: lanes(decoder),
            loads: &loads,
            functions: &functions(decoder, dialect.backend),
            tables: &tables,
            tables_buffer: !first_words.is_empty(),
            plain: format.is_plain(),
            sizes: templates::Sizes {
                weights: decoder.weights,
                strips: decoder.strips,
                quads: decoder.quads.len(),
            },
        })?,
        tables,
        first_words,
        place_lets: places.lets,
        lets,
        quads: quads.collect(),
        element: match output {
            Element::F32 => "Quad",
            Element::F16 if single => "u32",
            Element::F16 => "vec2<u32>",
        },
        schedule: &plan.schedule,
    };
    let source = templates::kernel(dialect.backend, template, &context)?;
    let unit_bytes = |bytes: u32| bytes - bytes / (decoder.weights / format.weights);
    Ok(Kernel {
        source: source.into(),
        backend: dialect.backend,
        kind,
        output,
        activations,
        // Subgroups hold matrices together.
        subgroups: matrix > 0 && dialect.backend == Backend::Wgsl,
        matrix,
        workgroup: [workgroup, 1, 1],
        bindings: bindings.into(),
        grid,
        // A unit may reach past the last block, and a load past the last byte.
        padding: decoder.streams.iter().map(|s| unit_bytes(s.bytes)).max().unwrap_or(0) + WIDEST,
        name: name.clone().into(),
    })
}
