//! The kernels that round activations to 8 bits, one a backend. They belong to no format.

use super::facts::bindings;
use super::plan::{list, sections};
use super::templates::{Piece, piece, plain};
use super::vocabulary;
use crate::Error;
use crate::artifact::{Backend, CHUNK, CHUNK_BYTES, Element, Grid, Kernel, Kind, Pieces, Row};
use serde::Serialize;

const WORKGROUP: u32 = 64;

/// What a template sees.
#[derive(Serialize)]
struct Context {
    workgroup: u32,
    /// Activations that share a scale, and the words they become.
    chunk: u32,
    chunk_words: u32,
    /// Invocations per chunk.
    lanes: u32,
    /// Chunks per workgroup.
    chunks: u32,
}

/// All of them, in the order of the catalogue.
pub(crate) fn kernels() -> Result<Vec<Kernel>, Error> {
    [Backend::Wgsl, Backend::Hip].into_iter().map(kernel).collect()
}

fn kernel(backend: Backend) -> Result<Kernel, Error> {
    let row = Row::exact(backend, Kind::Quantize, Element::F32);
    let lanes = CHUNK / 4;
    let chunks = WORKGROUP / lanes;
    let chunk_words = CHUNK_BYTES / 4;
    let context = Context { workgroup: WORKGROUP, chunk: CHUNK, chunk_words, lanes, chunks };
    let bindings = bindings(&[], backend, row.kind);
    let vocabulary: Vec<Piece> = match backend {
        Backend::Wgsl => vocabulary::wgsl(row, 0, &bindings)?,
        Backend::Hip => {
            let mut all = vocabulary::hip(WORKGROUP)?;
            all.push(plain(backend, "barrier")?);
            all
        }
    };
    let name = row.word();
    let kernel = piece(backend, &name, row.kind.word(), context)?;
    let pieces = Pieces {
        helpers: sections(&vocabulary).into(),
        vocabulary: list(&vocabulary).into(),
        kernels: sections([&kernel]).into(),
        kernel: kernel.name.into(),
        ..Pieces::whole("")
    };
    Ok(Kernel {
        name: name.into(),
        backend,
        kind: row.kind,
        output: row.output,
        activations: row.activations,
        subgroups: false,
        matrix: 0,
        workgroup: [WORKGROUP, 1, 1],
        bindings: bindings.into(),
        grid: Grid::Chunks { per_workgroup: chunks },
        padding: 0,
        pieces,
    })
}
