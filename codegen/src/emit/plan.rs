//! What becomes a kernel: a row of the table, a template, and how the work is cut.

use super::decoder::{Decoder, Shape};
use super::facts::bindings;
use super::helpers::{included, word};
use super::sections::file;
use super::templates::{Piece, piece};
use super::vocabulary::vocabulary;
use crate::Error;
use crate::artifact::{Backend, Grid, Kernel, Pieces, Role, Row, as_section};
use serde::Serialize;

/// A kernel without its decoder.
pub(super) struct Plan<S> {
    pub row: Row,
    pub template: &'static str,
    /// Whether weights are stored one by one: rows, or the end, need not be where a quad may begin.
    pub single: bool,
    pub workgroup: u32,
    /// Of strips whose numbers are 0 those are the decoder's.
    pub grid: Grid,
    /// A short name for what the text depends on, of the schedule and of the decoder's shape.
    pub word: String,
    /// Numbers and texts that the template draws from.
    pub schedule: S,
}

/// What the template of a kernel sees.
#[derive(Serialize)]
struct Context<'a, S> {
    #[serde(flatten)]
    shape: &'a Shape,
    #[serde(flatten)]
    schedule: &'a S,
}

impl<S: Serialize> Plan<S> {
    /// The kernel of a format, around its decoder.
    pub fn kernel(&self, format: &str, decoder: &Decoder) -> Result<Kernel, Error> {
        let Plan { row, template, workgroup, grid, ref schedule, .. } = *self;
        let Row { backend, kind, output, activations, matrix, .. } = row;
        let shape = &decoder.shape;
        let read: Vec<Role> = shape.buffers.iter().map(|buffer| buffer.role).collect();
        let bindings = bindings(&read, backend, kind);
        let vocabulary = vocabulary(self, shape, &bindings)?;
        let included = included(backend, &shape.buffers, shape.filled)?;
        let helpers = vocabulary.iter().chain(&decoder.calls).chain(&included);
        let buffers = word(&shape.buffers);
        let name = format!("{}.{}", file(row), self.word);
        let own = piece(backend, &name, template, Context { shape, schedule })?;
        Ok(Kernel {
            name: row.name(format).into(),
            backend,
            kind,
            output,
            activations,
            // Subgroups hold matrices together.
            subgroups: row.subgroups || (matrix > 0 && backend == Backend::Wgsl),
            matrix,
            workgroup: [workgroup, 1, 1],
            grid: grid.of_unit(decoder.unit),
            padding: decoder.padding,
            pieces: Pieces {
                helpers: sections(helpers).into(),
                decoders: sections([&decoder.sizes, &decoder.text]).into(),
                kernels: sections([&own]).into(),
                vocabulary: list(&vocabulary).into(),
                decoder: decoder.text.name.clone().into(),
                calls: list(&decoder.calls).into(),
                buffers: buffers.into(),
                filled: shape.filled,
                unit: decoder.unit,
                kernel: name.into(),
            },
            bindings: bindings.into(),
        })
    }
}

/// Pieces as the sections of a file.
pub(super) fn sections<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> String {
    let mut text = String::new();
    let mut known: Vec<&Piece> = Vec::new();
    for piece in pieces {
        if !known.contains(&piece) {
            text += &as_section(&piece.name, &piece.text);
            known.push(piece);
        }
    }
    text
}

/// The names of pieces, with spaces between.
pub(super) fn list(pieces: &[Piece]) -> String {
    let names: Vec<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
    names.join(" ")
}
