//! The templates, embedded, and which of their variants a kernel is made of.

use super::Context;
use super::dialect::{LoadText, TableText};
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
    /// Row and block of a unit of decoding.
    place: String,
    /// Name of the buffer of tables, where there is one.
    tables_buffer: Vec<&'static str>,
    /// Loads and conversions that the program calls.
    helpers: Vec<String>,
    /// The function that brings tables to workgroup memory, its call, and a barrier for it where the
    /// kernel has no other use for one: empty where there are no tables.
    fill_tables: String,
    fill: String,
    barrier: String,
}

/// What decides which texts a kernel is made of.
pub(super) struct Variant<'a> {
    pub backend: Backend,
    pub output: Element,
    /// Weights per quad.
    pub lanes: usize,
    pub loads: &'a [LoadText],
    /// Conversions that the program calls.
    pub functions: &'a [&'static str],
    /// Tables of its text.
    pub tables: &'a [TableText],
    /// Whether it reads tables from a buffer.
    pub tables_buffer: bool,
    /// Whether units are blocks, so that a tensor may be taken as one row.
    pub plain: bool,
}

#[derive(Serialize)]
struct Tables<'a> {
    tables: &'a [TableText],
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
    let tables = variant.tables;
    let tabled = |name: &str| match tables.is_empty() {
        true => Ok(String::new()),
        false => text(backend, name, &tera::Context::from_serialize(&Tables { tables })?),
    };
    let mut helpers = Vec::new();
    for load in variant.loads {
        let context = tera::Context::from_serialize(load)?;
        for name in load_texts(backend, load) {
            let helper = text(backend, &name, &context)?;
            if !helpers.contains(&helper) {
                helpers.push(helper);
            }
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
        store: conversion + &plain(&format!("store.{}", variant.output.word()))?,
        place: plain(if variant.plain { "place.blocks" } else { "place.rows" })?,
        tables_buffer: if variant.tables_buffer { vec!["tables"] } else { Vec::new() },
        helpers,
        fill_tables: tabled("fill_tables")?,
        fill: tabled("fill")?,
        barrier: if backend == Backend::Hip { tabled("barrier")? } else { String::new() },
    })
}

/// Templates of a load and of what it calls.
fn load_texts(backend: Backend, load: &LoadText) -> Vec<String> {
    match (backend, load.width, load.align) {
        (Backend::Wgsl, width, align) => {
            let at = if load.wide { "at.vec4" } else { "at.u32" };
            let own = format!("load.u{width}.a{align}");
            if width == 128 && align != 4 { vec![own] } else { vec![at.into(), own] }
        }
        (Backend::Hip, 128, 1 | 2) => vec!["words".into(), "load.words.any".into()],
        (Backend::Hip, 128, _) => vec!["words".into(), "load.words".into()],
        (Backend::Hip, ..) => vec!["load".into()],
    }
}

/// Renders the template of a kernel kind.
pub(super) fn kernel(backend: Backend, kind: Kind, context: &Context) -> Result<String, Error> {
    let mut text = text(backend, kind.word(), &tera::Context::from_serialize(context)?)?;
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
            "dequant" "matvec" "matmul" "decode" "shape" "quad.vec4" "quad.f32" "dot.vec4" "dot.f32" "store.f32"
            "store.f16" "f16_to_f32" "f32_to_f16" "load.u8.a1" "load.u16.a1" "load.u16.a2" "load.u32.a1"
            "load.u32.a2" "load.u32.a4" "load.u128.a1" "load.u128.a2" "load.u128.a4" "load.u128.a16" "at.u32"
            "at.vec4" "rounded" "place.blocks" "place.rows" "tables" "fill_tables" "fill"),
        Backend::Hip => embed!("hip":
            "dequant" "matvec" "matmul" "decode" "prelude" "barrier" "sum" "quad.float4" "quad.float" "dot.float4"
            "dot.float" "store.f32" "store.f16" "f16_to_f32" "f32_to_f16" "bits_to_f32" "load" "words" "load.words"
            "load.words.any" "rounded" "min"
            "place.blocks" "place.rows" "tables" "fill_tables" "fill"),
    }
}
