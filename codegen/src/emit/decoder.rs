//! Decoders: the pieces of a kernel's text that are a format's own, and what they call.

use super::WIDEST;
use super::dialect::{self, Body, Dialect, FirstWord, LoadText, TableText, Variable};
use super::facts::{Buffer, buffers, functions, lanes, loads, weights};
use super::helpers::helpers;
use super::templates::{Piece, piece, plain, text};
use crate::Error;
use crate::artifact::Backend;
use crate::format::Format;
use crate::ir::{self, Value, Verified};
use serde::Serialize;

/// A decoder in the language of a backend.
pub(super) struct Decoder {
    pub sizes: Piece,
    /// Loads, conversions and types that it needs, in their order.
    pub calls: Vec<Piece>,
    pub text: Piece,
    /// Bytes that must be readable past the last block of every stream.
    pub padding: u32,
    /// Weights and strips of a unit of decoding: a block, or a few small ones.
    pub unit: [u32; 2],
    pub shape: Shape,
}

/// What the kernel around a decoder depends on.
#[derive(Clone, Serialize)]
pub(super) struct Shape {
    /// The streams, and the buffer of tables where there is one.
    pub buffers: Vec<Buffer>,
    /// Quads of a strip, and weights in each.
    pub quads: u32,
    pub lanes: u32,
    /// Runs of a strip and words of each, where codes are multiplied; else 0.
    pub runs: u32,
    pub run_words: u32,
    /// Whether tables must be brought to workgroup memory.
    pub filled: bool,
}

/// What the template of a decoder sees.
#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    tables: &'a Tables,
    buffers: &'a [Buffer],
    /// Statements before the quads' starts, and before their weights.
    place_lets: Vec<Variable>,
    lets: Vec<Variable>,
    quads: Vec<QuadText>,
}

#[derive(Serialize)]
struct QuadText {
    start: String,
    weights: Vec<String>,
}

/// Constants of a decoder's size.
#[derive(Serialize)]
pub(super) struct Sizes {
    pub buffers: usize,
    pub weights: u32,
    pub strips: u32,
    pub quads: u32,
    pub runs: u32,
    pub run_words: u32,
    /// The code that means 0.
    pub zero: i32,
}

/// Tables of a decoder.
#[derive(Serialize)]
pub(super) struct Tables {
    /// Tables of the text, and where those of the buffer begin.
    tables: Vec<TableText>,
    first_words: Vec<FirstWord>,
    /// The function that brings those of the text to workgroup memory.
    fill_tables: String,
}

impl Tables {
    pub fn new(decoder: &ir::Decoder, dialect: &Dialect) -> Result<Tables, Error> {
        #[derive(Serialize)]
        struct Own<'a> {
            tables: &'a [TableText],
        }
        let tables = dialect.tables(decoder);
        let fill_tables = match tables.is_empty() {
            true => String::new(),
            false => text(dialect.backend, "fill_tables", Own { tables: &tables })?,
        };
        Ok(Tables { first_words: dialect::first_words(decoder), fill_tables, tables })
    }

    /// Whether there are some in the text.
    pub fn filled(&self) -> bool {
        !self.tables.is_empty()
    }
}

impl Decoder {
    /// One that hands out weights.
    pub fn of_weights(
        format: &Format,
        program: &Verified<ir::Decoder>,
        dialect: &Dialect,
    ) -> Result<Decoder, Error> {
        let (starts, weight_lists): (Vec<Value>, Vec<&[Value]>) =
            program.quads.iter().map(|quad| (quad.start, weights(quad))).unzip();
        let places = dialect.body(program, &starts);
        let Body { lets, results } = dialect.body(program, &weight_lists.concat());
        let mut results = results.into_iter();
        let quads = places.results.into_iter().zip(&weight_lists).map(|(start, weights)| {
            QuadText { start, weights: results.by_ref().take(weights.len()).collect() }
        });
        let loads = loads(program);
        let (backend, buffers) = (dialect.backend, buffers(program, &loads));
        let tables = Tables::new(program, dialect)?;
        let shape = Shape {
            buffers,
            quads: program.quads.len() as u32,
            lanes: lanes(program),
            runs: 0,
            run_words: 0,
            filled: tables.filled(),
        };
        let name = name("f32", format, program, &shape);
        let sizes = Sizes {
            buffers: shape.buffers.len(),
            weights: program.weights,
            strips: program.strips,
            quads: shape.quads,
            runs: 0,
            run_words: 0,
            zero: 0,
        };
        let context = Context {
            tables: &tables,
            buffers: &shape.buffers,
            place_lets: places.lets,
            lets,
            quads: quads.collect(),
        };
        Ok(Decoder {
            sizes: piece(backend, &format!("{name}.sizes"), "sizes", sizes)?,
            calls: calls(backend, &shape, &loads, &functions(program, backend))?,
            text: piece(backend, &name, "decode", context)?,
            padding: padding(format, program),
            unit: [program.weights, program.strips],
            shape,
        })
    }
}

/// What a decoder of this shape calls.
pub(super) fn calls(
    backend: Backend,
    shape: &Shape,
    loads: &[LoadText],
    functions: &[&str],
) -> Result<Vec<Piece>, Error> {
    let mut calls = helpers(backend, &shape.buffers, loads, functions)?;
    if shape.filled && backend == Backend::Hip {
        calls.insert(0, plain(backend, "barrier")?);
    }
    Ok(calls)
}

/// The name of a decoder among its format's.
pub(super) fn name(
    codes: &str,
    format: &Format,
    program: &ir::Decoder,
    Shape { quads, lanes, runs, run_words, .. }: &Shape,
) -> String {
    let blocks = match program.weights / format.weights {
        1 => String::new(),
        blocks => format!("_b{blocks}"),
    };
    let lanes = if *lanes == 1 { "x1" } else { "" };
    let runs = if *runs > 0 { format!("_r{runs}w{run_words}") } else { String::new() };
    format!("{codes}_q{quads}{lanes}{blocks}{runs}")
}

/// A unit may reach past the last block, and a load past the last byte.
pub(super) fn padding(format: &Format, program: &ir::Decoder) -> u32 {
    let unit_bytes = |bytes: u32| bytes - bytes / (program.weights / format.weights);
    program.streams.iter().map(|stream| unit_bytes(stream.bytes)).max().unwrap_or(0) + WIDEST
}
