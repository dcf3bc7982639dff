//! Loads and conversions that a decoder calls.

use super::dialect::LoadText;
use super::facts::Buffer;
use super::templates::{Piece, piece, plain};
use crate::Error;
use crate::artifact::{Backend, Role};
use serde::Serialize;

/// The pieces of what a program calls, and in WGSL of the buffers that it reads.
pub(super) fn helpers(
    backend: Backend,
    buffers: &[Buffer],
    loads: &[LoadText],
    functions: &[&str],
) -> Result<Vec<Piece>, Error> {
    let mut helpers = Vec::new();
    if backend == Backend::Wgsl {
        for (number, buffer) in buffers.iter().enumerate() {
            helpers.push(read(number, buffer)?);
        }
    }
    for load in loads {
        for template in templates(backend, load) {
            let name = match backend {
                Backend::Wgsl => format!("{}.{template}", load.stream),
                Backend::Hip if template == "words" => template.clone(),
                Backend::Hip => format!("{template}.u{}.a{}", load.width, load.align),
            };
            helpers.push(piece(backend, &name, &template, load)?);
        }
    }
    for function in functions {
        helpers.push(plain(backend, function)?);
    }
    Ok(helpers)
}

/// Templates of a load and of what it calls.
fn templates(backend: Backend, load: &LoadText) -> Vec<String> {
    match (backend, load.width, load.align) {
        (Backend::Wgsl, width, align) => {
            let own = format!("load.u{width}.a{align}");
            let by_words = width != 128 || align == 4;
            if load.wide && by_words { vec!["at.vec4".into(), own] } else { vec![own] }
        }
        (Backend::Hip, 128, 1 | 2) => vec!["words".into(), "load.words.any".into()],
        (Backend::Hip, 128, _) => vec!["words".into(), "load.words".into()],
        (Backend::Hip, ..) => vec!["load".into()],
    }
}

/// A variable of WGSL that stands for a buffer.
#[derive(Serialize)]
pub(super) struct Bound<'a> {
    /// Number of the binding, an expression.
    pub number: String,
    pub access: &'static str,
    pub name: &'a str,
    #[serde(rename = "type")]
    pub ty: String,
}

/// What declares these variables.
pub(super) fn bound(name: &str, bindings: &[Bound]) -> Result<Piece, Error> {
    #[derive(Serialize)]
    struct Bindings<'a> {
        bindings: &'a [Bound<'a>],
    }
    piece(Backend::Wgsl, name, "bindings", Bindings { bindings })
}

/// A buffer of weights or tables.
fn read(number: usize, buffer: &Buffer) -> Result<Piece, Error> {
    if let (Role::Weights(_), "u32") = (buffer.role, buffer.element) {
        #[derive(Serialize)]
        struct Words<'a> {
            number: usize,
            stream: &'a str,
        }
        let (name, stream) = (format!("{}.u32", buffer.name), buffer.name.as_str());
        return piece(Backend::Wgsl, &name, "words", Words { number, stream });
    }
    let ty = format!("array<{}>", buffer.element);
    let name = match buffer.role {
        Role::Tables => format!("{}.{number}", buffer.name),
        _ => format!("{}.vec4", buffer.name),
    };
    bound(
        &name,
        &[Bound { number: number.to_string(), access: "storage, read", name: &buffer.name, ty }],
    )
}

/// What stands in kernels around a decoder for its buffers and tables.
pub(super) fn included(
    backend: Backend,
    buffers: &[Buffer],
    filled: bool,
) -> Result<Vec<Piece>, Error> {
    #[derive(Serialize)]
    struct Buffers<'a> {
        buffers: &'a [Buffer],
    }
    let mut all = if filled { vec![plain(backend, "fill")?] } else { Vec::new() };
    if backend == Backend::Hip {
        for name in ["parameters", "arguments"] {
            let own = format!("{name}.{}", word(buffers));
            all.push(piece(backend, &own, name, Buffers { buffers })?);
        }
    }
    Ok(all)
}

/// A short name for buffers: `s2t` are two streams and the tables.
pub(super) fn word(buffers: &[Buffer]) -> String {
    match buffers.last() {
        Some(last) if last.role == Role::Tables => format!("s{}t", buffers.len() - 1),
        _ => format!("s{}", buffers.len()),
    }
}
