//! The templates, embedded, and which of their variants a kernel is made of.

use super::Context;
use super::dialect::LoadText;
use crate::Error;
use crate::artifact::{Backend, Element, Kind};
use serde::Serialize;
use std::sync::OnceLock;

/// Texts that a kernel's template puts in their places: variants are files of their own, and which
/// file stands under a name is decided here.
#[derive(Serialize)]
pub(super) struct Parts {
    quad: String,
    dot: String,
    store: String,
    /// What becomes of sums.
    epilogue: String,
    /// Row and block of a unit of decoding.
    place: String,
    /// Name of the buffer of tables, where there is one.
    tables_buffer: Vec<&'static str>,
    /// Loads and conversions that the program calls.
    helpers: Vec<String>,
}

/// What decides which texts a kernel is made of.
pub(super) struct Variant<'a> {
    pub backend: Backend,
    pub kind: Kind,
    pub output: Element,
    /// Number of the bias among the bindings, where it is bound.
    pub bias: Option<usize>,
    /// Weights per quad.
    pub lanes: usize,
    pub loads: &'a [LoadText],
    /// Conversions that the program calls.
    pub functions: &'a [&'static str],
    /// Whether it reads tables from a buffer.
    pub tables: bool,
    /// Whether units are blocks, so that a tensor may be taken as one row.
    pub plain: bool,
}

/// Chooses and renders the parts of a kernel.
pub(super) fn parts(variant: &Variant) -> Result<Parts, Error> {
    let backend = variant.backend;
    let quad = match (backend, variant.lanes) {
        (Backend::Wgsl, 4) => "vec4",
        (Backend::Wgsl, _) => "f32",
        (Backend::Hip, 4) => "float4",
        (Backend::Hip, _) => "float",
    };
    let plain = |name: &str| text(backend, name, &tera::Context::new());
    let mut helpers = Vec::new();
    for load in variant.loads {
        let name = match backend {
            Backend::Wgsl => format!("load.u{}.a{}", load.width, load.align),
            Backend::Hip => "load".into(),
        };
        let helper = text(backend, &name, &tera::Context::from_serialize(load)?)?;
        if !helpers.contains(&helper) {
            helpers.push(helper);
        }
    }
    for function in variant.functions {
        helpers.push(plain(function)?);
    }
    // A conversion stands once, with its first user.
    let converts = variant.output == Element::F16 && !variant.functions.contains(&"f32_to_f16");
    let conversion = if converts { plain("f32_to_f16")? } else { String::new() };
    Ok(Parts {
        quad: plain(&format!("quad.{quad}"))?,
        dot: plain(&format!("dot.{quad}"))?,
        store: conversion + &plain(&format!("{}.{}", variant.store(), variant.output.word()))?,
        epilogue: variant.epilogue()?,
        place: plain(if variant.plain { "place.blocks" } else { "place.rows" })?,
        tables_buffer: if variant.tables { vec!["tables"] } else { Vec::new() },
        helpers,
    })
}

impl Variant<'_> {
    /// Whether weights are stored one by one: rows, or the end, need not be where a quad may begin.
    pub fn single(&self) -> bool {
        matches!(self.kind, Kind::Dequant | Kind::Gather) && self.lanes != 4
    }

    /// Name of the kernel's template.
    pub fn body(&self) -> &'static str {
        match self.kind {
            Kind::Gather if self.single() => "gather.single",
            Kind::Dequant if self.single() => "dequant.single",
            kind => kind.word(),
        }
    }

    fn epilogue(&self) -> Result<String, Error> {
        let mut context = tera::Context::new();
        let name = match self.bias {
            Some(binding) => {
                context.insert("binding", &binding);
                "epilogue"
            }
            None if matches!(self.kind, Kind::Dequant | Kind::Gather) => return Ok(String::new()),
            None => "epilogue.none",
        };
        text(self.backend, name, &context)
    }

    fn store(&self) -> &'static str {
        if self.single() { "store_one" } else { "store" }
    }
}

/// Renders the template of a kernel.
pub(super) fn kernel(backend: Backend, body: &str, context: &Context) -> Result<String, Error> {
    let mut text = text(backend, body, &tera::Context::from_serialize(context)?)?;
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}

fn text(backend: Backend, name: &str, context: &tera::Context) -> Result<String, Error> {
    static WGSL: OnceLock<tera::TeraResult<tera::Tera>> = OnceLock::new();
    static HIP: OnceLock<tera::TeraResult<tera::Tera>> = OnceLock::new();
    let tera = match backend {
        Backend::Wgsl => &WGSL,
        Backend::Hip => &HIP,
    };
    let tera = tera.get_or_init(|| {
        let mut tera = tera::Tera::new();
        tera.autoescape_on(Vec::<&str>::new());
        tera.add_raw_templates(texts(backend).iter().copied())?;
        Ok(tera)
    });
    match tera {
        Ok(tera) => Ok(tera.render(name, context)?),
        Err(error) => Err(Error::Template(tera::Error::message(error))),
    }
}

/// Name and text of every template of a backend.
fn texts(backend: Backend) -> &'static [(&'static str, &'static str)] {
    macro_rules! embed {
        ($backend:literal: $($name:literal)*) => {
            &[$(($name, include_str!(concat!("../../templates/", $backend, "/", $name, ".", $backend, ".tera")))),*]
        };
    }
    match backend {
        Backend::Wgsl => embed!("wgsl":
            "dequant" "matvec" "matmul" "gather" "gather.single" "dequant.single" "matvec_experts" "matmul_experts" "sum_rows" "tile"
            "store_one.f32" "store_one.f16" "epilogue" "epilogue.none" "decode" "shape" "quad.vec4" "quad.f32" "dot.vec4" "dot.f32" "store.f32"
            "store.f16" "f16_to_f32" "f32_to_f16" "load.u8.a1" "load.u16.a1" "load.u16.a2" "load.u32.a1"
            "load.u32.a2" "load.u32.a4" "rounded" "place.blocks" "place.rows"),
        Backend::Hip => embed!("hip":
            "dequant" "matvec" "matmul" "gather" "gather.single" "dequant.single" "matvec_experts" "matmul_experts" "sum_rows" "tile"
            "store_one.f32" "store_one.f16" "epilogue" "decode" "prelude" "barrier" "sum" "quad.float4" "quad.float" "dot.float4"
            "dot.float" "store.f32" "store.f16" "f16_to_f32" "f32_to_f16" "bits_to_f32" "load" "rounded" "min"
            "place.blocks" "place.rows"),
    }
}
