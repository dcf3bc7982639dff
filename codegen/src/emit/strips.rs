//! Decoders whose codes are multiplied with 8-bit activations: strips of signed bytes.

use super::WIDEST;
use super::decoder::{self, Decoder, Shape, Sizes, Tables};
use super::dialect::{Body, Dialect, Variable};
use super::facts::{Buffer, buffers, functions, loads};
use super::runs::{Runs, Sum, dot};
use super::templates::{Piece, piece, plain};
use crate::Error;
use crate::artifact::Backend;
use crate::format::Format;
use crate::ir::Value;
use crate::lower::Dots;
use serde::Serialize;

/// What the template of a decoder sees.
#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    tables: &'a Tables,
    buffers: &'a [Buffer],
    place_lets: Vec<Variable>,
    /// The first activation of each word, in the order of runs.
    places: Vec<String>,
    lets: Vec<Variable>,
    runs: Vec<Run>,
}

/// Weights that share a scale, in a strip.
#[derive(Serialize)]
struct Run {
    /// Codes, four to each, word by word.
    words: Vec<Vec<String>>,
    /// Scale, and offset where there is one.
    values: Vec<String>,
}

/// The decoder of such a program.
pub(super) fn decoder(format: &Format, dots: &Dots, dialect: &Dialect) -> Result<Decoder, Error> {
    let (program, backend) = (&dots.program, dialect.backend);
    let runs = Runs::of(program);
    let quads: Vec<_> = runs.order.iter().map(|&quad| &program.quads[quad]).collect();
    let starts: Vec<Value> = quads.iter().step_by(runs.word).map(|quad| quad.start).collect();
    let all: Vec<_> = quads.iter().filter_map(|quad| dot(quad)).collect();
    let shared = all.iter().step_by(runs.quads.max(1));
    let shared =
        shared.flat_map(|&(_, scale, offset)| [Some(scale), dots.offset.then_some(offset)]);
    let mut roots: Vec<Value> = all.iter().map(|&(codes, ..)| codes).collect();
    roots.extend(shared.flatten());
    let places = dialect.body(program, &starts);
    let Body { lets, results } = dialect.body(program, &roots);
    let (codes, values) = results.split_at(all.len());
    let words = |codes: &[String]| codes.chunks(runs.word).map(<[String]>::to_vec).collect();
    let run_texts: Vec<Run> = codes
        .chunks(runs.quads.max(1))
        .zip(values.chunks(1 + usize::from(dots.offset)))
        .map(|(codes, values)| Run { words: words(codes), values: values.to_vec() })
        .collect();
    let loads = loads(program);
    let tables = Tables::new(program, dialect)?;
    let shape = Shape {
        buffers: buffers(program, &loads),
        quads: quads.len() as u32,
        lanes: 4,
        runs: run_texts.len() as u32,
        run_words: (runs.quads / runs.word) as u32,
        filled: tables.filled(),
    };
    let name = decoder::name("i8", format, program, &shape);
    let sizes = Sizes {
        buffers: shape.buffers.len(),
        weights: program.weights,
        strips: program.strips,
        quads: shape.quads,
        runs: shape.runs,
        run_words: shape.run_words,
        zero: dots.signed.zero,
    };
    let context = Context {
        tables: &tables,
        buffers: &shape.buffers,
        place_lets: places.lets,
        places: places.results,
        lets,
        runs: run_texts,
    };
    let mut calls = decoder::calls(backend, &shape, &loads, &functions(program, backend))?;
    calls.extend(strip(backend, &runs, dots.offset, &shape)?);
    Ok(Decoder {
        sizes: piece(backend, &format!("{name}.sizes"), "sizes.i8", sizes)?,
        calls,
        text: piece(backend, &name, "decode.i8", context)?,
        padding: program.streams.iter().map(|s| s.bytes).max().unwrap_or(0) + WIDEST,
        unit: [program.weights, program.strips],
        shape,
    })
}

/// Types of a strip and of its activations, in the order in which they need each other.
fn strip(backend: Backend, runs: &Runs, offset: bool, shape: &Shape) -> Result<Vec<Piece>, Error> {
    let plain = |name: &str| plain(backend, name);
    let words = shape.run_words;
    let word = plain(if runs.word == 4 { "word.vec4" } else { "word.u32" })?;
    let run = plain(if offset { "run.offset" } else { "run.scale" })?;
    let share = match (runs.sum, backend) {
        (Sum::Chunk, _) => plain("share.chunk")?,
        (Sum::Half, _) => plain("share.half")?,
        (Sum::Words, Backend::Hip) => plain("share.words")?,
        (Sum::Words, Backend::Wgsl) => {
            piece(backend, &format!("share.words.{words}"), "share.words", shape)?
        }
    };
    let mut all = vec![plain("share")?, word];
    if backend == Backend::Hip {
        all.push(plain("run_words")?);
    }
    all.extend([run, share, plain("strips")?]);
    if backend == Backend::Wgsl {
        let name = format!("activations.r{}w{words}", shape.runs);
        all.push(piece(backend, &name, "activations", shape)?);
    }
    Ok(all)
}
