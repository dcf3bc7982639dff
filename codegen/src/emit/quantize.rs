//! The kernels that round activations to 8 bits, one a backend. They belong to no format.

use super::templates;
use crate::Error;
use crate::artifact::{
    Activations, Backend, Binding, CHUNK, CHUNK_BYTES, Element, Grid, Kernel, Kind, Role,
};
use serde::Serialize;

const WORKGROUP: u32 = 64;

/// What a template sees.
#[derive(Serialize)]
struct Context<'a> {
    name: &'a str,
    workgroup: u32,
    /// Activations that share a scale, and the words they become.
    chunk: u32,
    chunk_words: u32,
    /// Invocations per chunk.
    lanes: u32,
    /// Chunks per workgroup.
    chunks: u32,
    /// None: no program is in it.
    sizes: &'a str,
}

/// All of them, in the order of the manifest.
pub(crate) fn kernels() -> Result<Vec<Kernel>, Error> {
    [Backend::Wgsl, Backend::Hip].into_iter().map(kernel).collect()
}

fn kernel(backend: Backend) -> Result<Kernel, Error> {
    let kind = Kind::Quantize;
    let name = format!("{}_{}", kind.word(), Activations::Int8.word());
    let lanes = CHUNK / 4;
    let chunks = WORKGROUP / lanes;
    let context = Context {
        name: &name,
        workgroup: WORKGROUP,
        chunk: CHUNK,
        chunk_words: CHUNK_BYTES / 4,
        lanes,
        chunks,
        sizes: "",
    };
    let source = templates::kernel(backend, kind.word(), &context)?;
    let roles = [("x", Role::Activations), ("y", Role::Output), ("shape", Role::Shape)];
    let bindings = roles.map(|(name, role)| Binding { name: name.into(), role });
    Ok(Kernel {
        name: name.into(),
        backend,
        kind,
        output: Element::F32,
        activations: Activations::F32,
        subgroups: false,
        matrix: 0,
        workgroup: [WORKGROUP, 1, 1],
        bindings: bindings.to_vec().into(),
        grid: Grid::Chunks { per_workgroup: chunks },
        padding: 0,
        source: source.into(),
    })
}
