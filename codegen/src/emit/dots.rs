//! Kernels that multiply 8-bit activations.

use super::dialect::{self, Body, Dialect, FirstWord, TableText, Variable};
use super::runs::{Runs, Sum, dot};
use super::schedule::{Rows, Schedules};
use super::templates::{self, Filling, Nothing, Sizes};
use super::widths::Widths;
use super::{Buffer, WIDEST, bindings, buffers, functions, loads, table_bytes};
use crate::Error;
use crate::artifact::{Activations, Backend, Element, Grid, Kernel, Kind, kernel_name};
use crate::format::Format;
use crate::ir::Value;
use crate::lower::{self, Dots};
use serde::Serialize;

/// All kernels with 8-bit activations of a format, which is lowered by `programs`; none where it has no
/// 8-bit codes.
pub(super) fn kernels(
    format: &Format,
    programs: &mut Widths<Option<Dots>, impl Fn(u32) -> Result<Option<Dots>, Error>>,
    schedules: &Schedules,
) -> Result<Vec<Kernel>, Error> {
    let mut kernels = Vec::new();
    for (dialect, subgroups) in
        [(&dialect::WGSL, false), (&dialect::WGSL, true), (&dialect::HIP, false)]
    {
        for kind in [Kind::Matvec, Kind::Batch] {
            let numbers = schedules.numbers(dialect.backend, kind, Activations::Int8);
            if subgroups && numbers.subgroups == Some(false) {
                continue;
            }
            let Some(dots) = programs.of(numbers.quads.unwrap_or(lower::DOT_QUADS))? else {
                continue;
            };
            let tables = table_bytes(&dots.program);
            let rows = Rows::new(dialect.backend, kind, tables, &numbers)?;
            kernels.push(kernel(format, dots, dialect, kind, subgroups, rows)?);
        }
    }
    Ok(kernels)
}

/// What a template sees.
#[derive(Clone, Serialize)]
struct Context {
    name: String,
    format: String,
    title: String,
    weights: u32,
    strips: u32,
    zero: i32,
    workgroup: u32,
    rows: u32,
    columns: u32,
    buffers: Vec<Buffer>,
    helpers: Vec<String>,
    first_words: Vec<FirstWord>,
    tables: Vec<TableText>,
    #[serde(flatten)]
    filling: Filling,
    place_lets: Vec<Variable>,
    places: Vec<String>,
    lets: Vec<Variable>,
    codes: Vec<String>,
    runs: Vec<Run>,
    sizes: String,
    epilogue: String,
    word: String,
    run: String,
    share: String,
    shares: String,
    arguments: String,
    total: String,
}

#[derive(Clone, Serialize)]
struct Run {
    values: Vec<String>,
    /// Its first word of activations.
    word: usize,
    dots: Vec<Dot>,
}

#[derive(Clone, Serialize)]
struct Dot {
    code: usize,
    word: usize,
    part: &'static str,
}

fn kernel(
    format: &Format,
    dots: &Dots,
    dialect: &Dialect,
    kind: Kind,
    subgroups: bool,
    Rows { workgroup, rows, columns }: Rows,
) -> Result<Kernel, Error> {
    let (decoder, backend) = (&dots.program, dialect.backend);
    let runs = Runs::of(decoder);
    let quads: Vec<_> = runs.order.iter().map(|&quad| &decoder.quads[quad]).collect();
    let starts: Vec<Value> = quads.iter().step_by(runs.word).map(|quad| quad.start).collect();
    let all: Vec<_> = quads.iter().filter_map(|quad| dot(quad)).collect();
    let shared = all.iter().step_by(runs.quads.max(1));
    let shared: Vec<Vec<Value>> = shared
        .map(|&(_, scale, offset)| if dots.offset { vec![scale, offset] } else { vec![scale] })
        .collect();
    let mut roots: Vec<Value> = all.iter().map(|&(codes, ..)| codes).collect();
    roots.extend(shared.iter().flatten());
    let places = dialect.body(decoder, &starts);
    let Body { lets, results } = dialect.body(decoder, &roots);
    let (codes, values) = results.split_at(all.len());
    let parts = if runs.word == 4 { &[".x", ".y", ".z", ".w"][..] } else { &[""] };
    let own = |number: usize| Dot {
        code: number,
        word: number / runs.word,
        part: parts[number % runs.word],
    };
    let run_texts =
        values.chunks(1 + usize::from(dots.offset)).enumerate().map(|(run, values)| Run {
            values: values.to_vec(),
            word: run * runs.quads / runs.word,
            dots: (run * runs.quads..(run + 1) * runs.quads).map(own).collect(),
        });
    let first_words = dialect::first_words(decoder);
    let (loads, tables) = (loads(decoder), dialect.tables(decoder));
    let plain = |name: &str| templates::text(backend, name, Nothing {});
    let (share, shares) = match runs.sum {
        Sum::Chunk => ("share.chunk", "shares.header"),
        Sum::Half => ("share.half", "shares.header"),
        Sum::Words => ("share.words", "shares.words"),
    };
    let name = kernel_name(&format.name, kind, Element::F32, Activations::Int8, subgroups);
    let sizes = Sizes { weights: decoder.weights, strips: decoder.strips, quads: quads.len() };
    let bindings = bindings(decoder, backend, kind, !first_words.is_empty());
    let mut context = Context {
        name: name.clone(),
        format: format.family.clone(),
        title: format.title.clone(),
        weights: decoder.weights,
        strips: decoder.strips,
        zero: dots.signed.zero,
        workgroup,
        rows,
        columns,
        buffers: buffers(decoder, &loads),
        helpers: templates::helpers(backend, &loads, &functions(decoder, backend))?,
        filling: Filling::new(backend, &tables)?,
        tables,
        place_lets: places.lets,
        places: places.results,
        lets,
        codes: codes.to_vec(),
        runs: run_texts.collect(),
        sizes: templates::sizes(backend, sizes)?,
        epilogue: templates::epilogue(backend, &bindings)?,
        word: plain(if runs.word == 4 { "word.vec4" } else { "word.u32" })?,
        run: plain(if dots.offset { "run.offset" } else { "run.scale" })?,
        share: plain(share)?,
        shares: String::new(),
        arguments: String::new(),
        total: String::new(),
        first_words,
    };
    let part = |name: &str, context: &Context| -> Result<String, Error> {
        Ok(templates::text(backend, name, context)?.trim_end().to_owned())
    };
    context.shares = part(shares, &context)?;
    if backend == Backend::Wgsl {
        let variant = if subgroups { "subgroups" } else { "workgroup" };
        context.arguments = part(&format!("arguments.{variant}"), &context)?;
        context.total = part(&format!("total.{variant}"), &context)?;
    }
    Ok(Kernel {
        source: templates::kernel(backend, "rows.i8", &context)?.into(),
        backend,
        kind,
        output: Element::F32,
        activations: Activations::Int8,
        subgroups,
        matrix: 0,
        workgroup: [workgroup, 1, 1],
        bindings: bindings.into(),
        grid: Grid::Tiles { n: rows, m: columns },
        padding: decoder.streams.iter().map(|s| s.bytes).max().unwrap_or(0) + WIDEST,
        name: name.into(),
    })
}
