//! Verified programs to kernel texts: the program's expressions in the words of a backend, inside
//! the template of a kernel.

mod constant;
pub mod cpu;
mod dialect;
mod dot_tiles;
mod dots;
pub mod items;
mod manifest;
mod matrices;
mod names;
mod quantize;
mod runs;
mod schedule;
mod strips;
mod templates;

pub use manifest::{manifest, tables};
pub(crate) use quantize::kernels as quantizers;

use crate::Error;
use crate::artifact::{
    Activations, Backend, Binding, Element, Grid, Kernel, Kind, Role, Stream, kernel_name,
};
use crate::format::{Format, gcd};
use crate::ir::{Binary, Decoder, Lanes, Let, Op, Quad, Unary, Value, Verified};
use crate::lower;
use dialect::{Body, Dialect, FirstWord, LoadText, TableText, Variable};
use schedule::Schedule;
pub use schedule::{Numbers, Schedules};
use serde::Serialize;
use templates::{Parts, Variant};

/// Bytes of the primary plane that one invocation decodes.
pub(crate) const STRIP_BYTES: u32 = 4;

/// Bytes of the widest load.
const WIDEST: u32 = 16;
/// Quads of weights in a strip of a matvec, at most: they and their activations stay in registers.
/// Dequantization takes half, so that neighbours store next to each other.
const QUADS: usize = 8;
/// WebGPU grants every device so many storage buffers; where a bias would be one more there is no epilogue.
const STORAGE_BUFFERS: usize = 8;

/// All kernels of a format, whose program is `row`, in the order of the manifest.
pub(crate) fn kernels(
    format: &Format,
    row: &Verified<Decoder>,
    schedules: &Schedules,
) -> Result<Vec<Kernel>, Error> {
    // Dequantized weights are stored in fours: take as many blocks at once as make a four.
    let unit = format.repeated(4 / gcd(format.weights, 4));
    let flat = lower::for_gpus(&lower::wide_weights(&unit, QUADS / 2)?)?;
    let row = lower::for_gpus(row)?;
    let long = lower::for_gpus(&lower::wide_weights(format, QUADS)?)?;
    // Of longer units the last may end beyond the output, however that is rounded up.
    let whole = !format.is_plain() || flat.weights == 4 || flat.weights == format.weights;
    let flat = if whole { &flat } else { &row };
    let mut kernels = Vec::new();
    for dialect in [&dialect::WGSL, &dialect::HIP] {
        for (kind, output, decoder) in [
            (Kind::Dequant, Element::F32, flat),
            (Kind::Dequant, Element::F16, flat),
            (Kind::Matvec, Element::F32, &long),
            (Kind::Matmul, Element::F32, &row),
            (Kind::Gather, Element::F32, &row),
            (Kind::Gather, Element::F16, &row),
            (Kind::MatvecExperts, Element::F32, &long),
            (Kind::MatmulExperts, Element::F32, &row),
        ] {
            let numbers = schedules.numbers(dialect.backend, kind);
            kernels.push(kernel(format, decoder, dialect, kind, output, &numbers)?);
        }
    }
    kernels.extend(matrices::kernels(format, &row)?);
    if let Some(dots) = lower::dots(format) {
        kernels.extend(dots::kernels(format, &dots?)?);
    }
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

/// A buffer that is only read.
#[derive(Clone, Serialize)]
struct Buffer {
    name: String,
    /// Element of the buffer in WGSL.
    element: &'static str,
    /// What a pointer to it points to in HIP.
    #[serde(rename = "type")]
    ty: &'static str,
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
    let schedule = Schedule::new(kind, decoder.quads.len() as u32, lanes(decoder), numbers)?;
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

/// Weights per quad.
fn lanes(decoder: &Decoder) -> u32 {
    decoder.quads.iter().map(|quad| weights(quad).len()).max().unwrap_or(1) as u32
}

fn weights(quad: &Quad) -> &[Value] {
    match &quad.lanes {
        Lanes::Weights(weights) => weights,
        Lanes::Codes(_) | Lanes::Code(_) | Lanes::Dot { .. } | Lanes::Scale { .. } => &[],
    }
}

fn bindings(decoder: &Decoder, backend: Backend, kind: Kind, tables: bool) -> Vec<Binding> {
    let streams = decoder.streams.iter().enumerate();
    let streams = streams.map(|(i, own)| (names::stream(&own.name), Role::Weights(i as u32)));
    let tables = tables.then_some(("tables", Role::Tables));
    let x = Some(("x", Role::Activations));
    let bias = Some(("bias", Role::Bias));
    let indices = Some(("indices", Role::Indices));
    let (before, after) = match kind {
        Kind::Dequant => (None, [None, None]),
        Kind::Gather => (None, [indices, None]),
        Kind::Quantize => (x, [None, None]),
        Kind::Matvec | Kind::Batch | Kind::Matmul => (x, [bias, None]),
        Kind::MatvecExperts | Kind::MatmulExperts => (x, [indices, bias]),
    };
    let own = [tables, before, Some(("y", Role::Output)), Some(("shape", Role::Shape))];
    let named = own.into_iter().chain(after).flatten();
    let named = named.map(|(name, role)| (name.to_owned(), role));
    let binding = |(name, role): (String, Role)| Binding { name: name.into(), role };
    let mut bindings: Vec<Binding> = streams.chain(named).map(binding).collect();
    let granted = backend == Backend::Hip || bindings.len() <= STORAGE_BUFFERS + 1;
    bindings.retain(|binding| granted || binding.role != Role::Bias);
    bindings
}

/// The streams, and the buffer of tables where there is one.
fn buffers(decoder: &Decoder, loads: &[LoadText]) -> Vec<Buffer> {
    let stream = |stream: &Stream| {
        let name = names::stream(&stream.name);
        let wide = loads.iter().any(|load| load.stream == name && load.wide);
        Buffer { name, element: if wide { "vec4<u32>" } else { "u32" }, ty: "ql_u8" }
    };
    let mut buffers: Vec<Buffer> = decoder.streams.iter().map(stream).collect();
    if !dialect::first_words(decoder).is_empty() {
        buffers.push(Buffer { name: "tables".into(), element: "u32", ty: "ql_u32" });
    }
    buffers
}

/// The distinct loads of a program.
fn loads(decoder: &Decoder) -> Vec<LoadText> {
    let load = |stated: &Let| match stated.op {
        Op::Load { stream, bits, align, .. } => Some((stream, bits, align)),
        Op::Word { stream, align, .. } => Some((stream, 128, align)),
        _ => None,
    };
    let all: Vec<_> = decoder.lets.iter().filter_map(load).collect();
    // Four loads are as good as a wide one whose address is no multiple of 16, where they are aligned.
    let wide =
        |stream| all.iter().any(|&(own, bits, align)| own == stream && bits == 128 && align != 4);
    let text = |&(stream, width, align): &(u32, u32, u32)| LoadText {
        stream: names::stream(&decoder.streams[stream as usize].name),
        width,
        align,
        wide: wide(stream),
    };
    let mut loads: Vec<LoadText> = all.iter().map(text).collect();
    loads.sort();
    loads.dedup();
    loads
}

/// Names of the conversion functions a program calls and the backend does not have built in.
fn functions(decoder: &Decoder, backend: Backend) -> Vec<&'static str> {
    let calls = |wanted: Unary| {
        decoder.lets.iter().any(|stated| matches!(stated.op, Op::Unary(op, _) if op == wanted))
    };
    let hip = backend == Backend::Hip;
    [
        ("f16_to_f32", calls(Unary::F32FromF16)),
        ("f32_to_f16", calls(Unary::F16FromF32)),
        ("rounded", calls(Unary::Rounded)),
        ("bits_to_f32", hip && calls(Unary::F32FromBits)),
        ("min", hip && minimum(decoder)),
        ("word", hip && picks(decoder)),
        ("quotient", divides(decoder)),
    ]
    .into_iter()
    .filter_map(|(name, called)| called.then_some(name))
    .collect()
}

fn minimum(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| matches!(stated.op, Op::Binary(Binary::Min, ..)))
}

/// Whether a program divides by a number that is not known before it runs.
fn divides(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| match stated.op {
        Op::Binary(Binary::Div, _, by) => !matches!(decoder.get(by).op, Op::U32(_)),
        _ => false,
    })
}

/// Whether a program picks one of the words of a wide load by a number that is not known before.
fn picks(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| match stated.op {
        Op::Word { index, .. } => !matches!(decoder.get(index).op, Op::U32(_)),
        _ => false,
    })
}
