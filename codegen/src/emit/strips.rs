//! Kernels that multiply strips of signed bytes with 8-bit activations: what they have in common.

use super::dialect::{self, Body, Dialect, FirstWord, TableText, Variable};
use super::runs::{Runs, Sum, dot};
use super::templates::{self, Filling, Nothing, Sizes};
use super::{Buffer, WIDEST, bindings, buffers, functions, loads};
use crate::Error;
use crate::artifact::{Activations, Element, Grid, Kernel, Kind, kernel_name};
use crate::format::Format;
use crate::ir::Value;
use crate::lower::Dots;
use serde::Serialize;

/// What such a kernel computes, in which template, and how its work is cut.
pub(super) struct Plan<S> {
    pub kind: Kind,
    pub template: &'static str,
    pub subgroups: bool,
    pub workgroup: u32,
    /// Outputs per workgroup: weight rows by activation rows.
    pub tile: [u32; 2],
    /// What else the template draws from.
    pub schedule: S,
}

/// Renders the kernel of a plan.
pub(super) fn kernel<S: Serialize>(
    format: &Format,
    dots: &Dots,
    dialect: &Dialect,
    plan: &Plan<S>,
) -> Result<Kernel, Error> {
    let Plan { kind, template, subgroups, workgroup, tile: [n, m], .. } = *plan;
    let (decoder, backend) = (&dots.program, dialect.backend);
    let name = kernel_name(&format.name, kind, Element::F32, Activations::Int8, subgroups);
    let tables_buffer = !dialect::first_words(decoder).is_empty();
    let bindings = bindings(decoder, backend, kind, tables_buffer);
    let context = Context {
        name: &name,
        format: &format.family,
        title: &format.title,
        workgroup,
        epilogue: templates::epilogue(backend, &bindings)?,
        strips: Strips::new(dots, dialect)?,
        schedule: &plan.schedule,
    };
    Ok(Kernel {
        source: templates::kernel(backend, template, &context)?.into(),
        backend,
        kind,
        output: Element::F32,
        activations: Activations::Int8,
        subgroups,
        matrix: 0,
        workgroup: [workgroup, 1, 1],
        bindings: bindings.into(),
        grid: Grid::Tiles { n, m },
        padding: decoder.streams.iter().map(|s| s.bytes).max().unwrap_or(0) + WIDEST,
        name: name.into(),
    })
}

/// What a template sees.
#[derive(Serialize)]
struct Context<'a, S> {
    name: &'a str,
    format: &'a str,
    title: &'a str,
    workgroup: u32,
    epilogue: String,
    #[serde(flatten)]
    strips: Strips,
    #[serde(flatten)]
    schedule: &'a S,
}

/// How a strip is decoded, and where its activations lie.
#[derive(Serialize)]
struct Strips {
    weights: u32,
    strips: u32,
    zero: i32,
    buffers: Vec<Buffer>,
    helpers: Vec<String>,
    first_words: Vec<FirstWord>,
    tables: Vec<TableText>,
    #[serde(flatten)]
    filling: Filling,
    place_lets: Vec<Variable>,
    /// The first activation of each word, in the order of runs.
    places: Vec<String>,
    lets: Vec<Variable>,
    runs: Vec<Run>,
    /// Words of a run.
    run_words: usize,
    sizes: String,
    word: String,
    run: String,
    share: String,
}

/// Weights that share a scale, in a strip.
#[derive(Serialize)]
struct Run {
    /// Codes, four to each, word by word.
    words: Vec<Vec<String>>,
    /// Scale, and offset where there is one.
    values: Vec<String>,
}

impl Strips {
    fn new(dots: &Dots, dialect: &Dialect) -> Result<Strips, Error> {
        let (decoder, backend) = (&dots.program, dialect.backend);
        let runs = Runs::of(decoder);
        let quads: Vec<_> = runs.order.iter().map(|&quad| &decoder.quads[quad]).collect();
        let starts: Vec<Value> = quads.iter().step_by(runs.word).map(|quad| quad.start).collect();
        let all: Vec<_> = quads.iter().filter_map(|quad| dot(quad)).collect();
        let shared = all.iter().step_by(runs.quads.max(1));
        let shared =
            shared.flat_map(|&(_, scale, offset)| [Some(scale), dots.offset.then_some(offset)]);
        let mut roots: Vec<Value> = all.iter().map(|&(codes, ..)| codes).collect();
        roots.extend(shared.flatten());
        let places = dialect.body(decoder, &starts);
        let Body { lets, results } = dialect.body(decoder, &roots);
        let (codes, values) = results.split_at(all.len());
        let words = |codes: &[String]| codes.chunks(runs.word).map(<[String]>::to_vec).collect();
        let run_texts = codes
            .chunks(runs.quads.max(1))
            .zip(values.chunks(1 + usize::from(dots.offset)))
            .map(|(codes, values)| Run { words: words(codes), values: values.to_vec() });
        let (loads, tables) = (loads(decoder), dialect.tables(decoder));
        let sizes = Sizes { weights: decoder.weights, strips: decoder.strips, quads: quads.len() };
        let run_words = runs.quads / runs.word;
        #[derive(Serialize)]
        struct RunWords {
            run_words: usize,
        }
        let plain = |name: &str| templates::text(backend, name, Nothing {});
        let share = match runs.sum {
            Sum::Chunk => "share.chunk",
            Sum::Half => "share.half",
            Sum::Words => "share.words",
        };
        Ok(Strips {
            weights: decoder.weights,
            strips: decoder.strips,
            zero: dots.signed.zero,
            buffers: buffers(decoder, &loads),
            helpers: templates::helpers(backend, &loads, &functions(decoder, backend))?,
            first_words: dialect::first_words(decoder),
            filling: Filling::new(backend, &tables)?,
            tables,
            place_lets: places.lets,
            places: places.results,
            lets,
            runs: run_texts.collect(),
            run_words,
            sizes: templates::sizes(backend, sizes)?,
            word: plain(if runs.word == 4 { "word.vec4" } else { "word.u32" })?,
            run: plain(if dots.offset { "run.offset" } else { "run.scale" })?,
            share: templates::text(backend, share, RunWords { run_words })?,
        })
    }
}
