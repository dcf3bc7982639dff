//! Verified programs to kernel texts: the program's expressions in the words of a backend, inside
//! the template of a kernel.

mod constant;
pub mod cpu;
mod dialect;
pub mod items;
mod manifest;
mod names;
mod schedule;
mod templates;

pub use manifest::{manifest, tables};

use crate::Error;
use crate::artifact::{Backend, Binding, Element, Grid, Kernel, Kind, Role, kernel_name};
use crate::format::{Format, gcd};
use crate::ir::{Binary, Decoder, Lanes, Op, Quad, Unary, Value, Verified};
use crate::lower;
use dialect::{Body, Dialect, FirstWord, LoadText, TableText, Variable};
use schedule::Schedule;
use serde::Serialize;
use templates::{Parts, Variant};

/// Bytes of the primary plane that one invocation decodes.
pub(crate) const STRIP_BYTES: u32 = 4;

/// WebGPU grants every device so many storage buffers; where a bias would be one more there is no epilogue.
const STORAGE_BUFFERS: usize = 8;

/// All kernels of a format, whose program is `row`, in the order of the manifest.
pub(crate) fn kernels(format: &Format, row: &Verified<Decoder>) -> Result<Vec<Kernel>, Error> {
    // Dequantized weights are stored in fours: take as many blocks at once as make a four.
    let unit = format.repeated(4 / gcd(format.weights, 4));
    let flat = lower::weights(&unit, STRIP_BYTES)?;
    // Of longer units the last may end beyond the output, however that is rounded up.
    let whole = !format.is_plain() || flat.weights == 4 || flat.weights == format.weights;
    let mut kernels = Vec::new();
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
            let decoder = if kind == Kind::Dequant && whole { &flat } else { row };
            kernels.push(kernel(format, decoder, dialect, kind, output)?);
        }
    }
    Ok(kernels)
}

/// What a template sees.
#[derive(Serialize)]
struct Context<'a> {
    /// Entry point.
    name: &'a str,
    format: &'a str,
    title: &'a str,
    /// Weights and strips of a unit of decoding: a block, or a few small ones.
    weights: u32,
    strips: u32,
    streams: Vec<String>,
    /// What is only read: the streams, and the buffer of tables where there is one.
    buffers: Vec<String>,
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
    schedule: Schedule,
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
) -> Result<Kernel, Error> {
    let name = kernel_name(&format.name, kind, output);
    let lanes = decoder.quads.iter().map(|quad| weights(quad).len()).max().unwrap_or(1);
    let schedule = Schedule::new(kind, decoder.quads.len() as u32, lanes as u32);
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
    let streams: Vec<String> =
        decoder.streams.iter().map(|stream| names::stream(&stream.name)).collect();
    let tables = (!first_words.is_empty()).then(|| "tables".to_owned());
    let functions = functions(decoder, dialect.backend);
    let bindings = bindings(decoder, dialect.backend, kind, !first_words.is_empty());
    let variant = Variant {
        backend: dialect.backend,
        kind,
        output,
        bias: bindings.iter().position(|binding| binding.role == Role::Bias),
        lanes,
        loads: &loads,
        functions: &functions,
        tables: !first_words.is_empty(),
        plain: format.is_plain(),
    };
    let context = Context {
        name: &name,
        format: &format.name,
        title: &format.title,
        weights: decoder.weights,
        strips: decoder.strips,
        buffers: streams.iter().cloned().chain(tables).collect(),
        streams,
        parts: templates::parts(&variant)?,
        tables: dialect.tables(decoder),
        first_words,
        place_lets: places.lets,
        lets,
        quads: quads.collect(),
        element: match output {
            Element::F32 => "Quad",
            Element::F16 if variant.single() => "u32",
            Element::F16 => "vec2<u32>",
        },
        schedule,
    };
    let source = templates::kernel(dialect.backend, variant.body(), &context)?;
    let unit_bytes = |bytes: u32| bytes - bytes / (decoder.weights / format.weights);
    Ok(Kernel {
        source: source.into(),
        backend: dialect.backend,
        kind,
        output,
        workgroup: [context.schedule.workgroup, 1, 1],
        bindings: bindings.into(),
        grid: match kind {
            _ if variant.single() => {
                Grid::Strips { weights: 4, strips: 1, per_workgroup: context.schedule.workgroup }
            }
            Kind::Dequant | Kind::Gather => Grid::Strips {
                weights: decoder.weights,
                strips: decoder.strips,
                per_workgroup: context.schedule.workgroup,
            },
            Kind::Matvec => Grid::Rows { per_workgroup: context.schedule.rows },
            Kind::MatvecExperts => Grid::Tiles { n: context.schedule.rows, m: 1 },
            Kind::MatmulExperts => Grid::Tiles { n: context.schedule.tile_n, m: 1 },
            Kind::Matmul => Grid::Tiles { n: context.schedule.tile_n, m: context.schedule.tile_m },
        },
        // A unit may reach past the last block, and a word load past the last byte.
        padding: decoder.streams.iter().map(|s| unit_bytes(s.bytes)).max().unwrap_or(0) + 4,
        name: name.into(),
    })
}

fn weights(quad: &Quad) -> &[Value] {
    match &quad.lanes {
        Lanes::Weights(weights) => weights,
        Lanes::Codes(_) | Lanes::Code(_) | Lanes::Scale { .. } => &[],
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
        Kind::Matvec | Kind::Matmul => (x, [bias, None]),
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

/// The distinct loads of a program.
fn loads(decoder: &Decoder) -> Vec<LoadText> {
    let mut loads: Vec<LoadText> = decoder
        .lets
        .iter()
        .filter_map(|stated| match stated.op {
            Op::Load { stream, bits, align, .. } => Some(LoadText {
                stream: names::stream(&decoder.streams[stream as usize].name),
                width: bits,
                align,
            }),
            _ => None,
        })
        .collect();
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
    ]
    .into_iter()
    .filter_map(|(name, called)| called.then_some(name))
    .collect()
}

fn minimum(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| matches!(stated.op, Op::Binary(Binary::Min, ..)))
}
