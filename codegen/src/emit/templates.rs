//! The templates, embedded, and which of their variants a kernel is made of.

use super::dialect::LoadText;
use crate::Error;
use crate::artifact::{Backend, Element};
use serde::Serialize;
use std::sync::OnceLock;

/// Texts that a kernel's template puts in their places: variants are files of their own, and which
/// file stands under a name is decided here.
#[derive(Serialize)]
pub(super) struct Parts {
    quad: String,
    /// The type that matrix units take a quad in.
    half: String,
    dot: String,
    store: String,
    /// Row and block of a unit of decoding.
    place: String,
    /// Name of the buffer of tables, where there is one.
    tables_buffer: Vec<&'static str>,
    /// Loads and conversions that the program calls.
    helpers: Vec<String>,
    /// Constants of a program's size, where the kernel's template does not state them.
    sizes: String,
}

/// What decides which texts a kernel is made of.
pub(super) struct Variant<'a> {
    pub backend: Backend,
    pub output: Element,
    /// Weights per quad.
    pub lanes: u32,
    pub loads: &'a [LoadText],
    /// Conversions that the program calls.
    pub functions: &'a [&'static str],
    /// Whether it reads tables from a buffer.
    pub tables: bool,
    /// Whether units are blocks, so that a tensor may be taken as one row.
    pub plain: bool,
    pub sizes: Sizes,
}

/// Numbers of a program.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Sizes {
    /// Weights and strips of a unit of decoding.
    pub weights: u32,
    pub strips: u32,
    /// Quads of a strip.
    pub quads: usize,
}

/// What texts without variables are rendered with.
#[derive(Serialize)]
pub(super) struct Nothing {}

/// Chooses and renders the parts of a kernel.
pub(super) fn parts(variant: &Variant) -> Result<Parts, Error> {
    let backend = variant.backend;
    let quad = match (backend, variant.lanes) {
        (Backend::Wgsl, 4) => "vec4",
        (Backend::Wgsl, _) => "f32",
        (Backend::Hip, 4) => "float4",
        (Backend::Hip, _) => "float",
    };
    let plain = |name: &str| text(backend, name, Nothing {});
    // A conversion stands once, with its first user.
    let conversions = |names: &[&'static str]| -> Result<String, Error> {
        names
            .iter()
            .filter(|name| !variant.functions.contains(name))
            .map(|name| plain(name))
            .collect()
    };
    let of_half: &[_] = if quad == "float" { &["f32_to_f16"] } else { &[] };
    let of_store: &[_] = match variant.output {
        Element::F32 => &[],
        Element::F16 => &["f32_to_f16"],
    };
    Ok(Parts {
        quad: plain(&format!("quad.{quad}"))?,
        half: conversions(of_half)? + &plain(&format!("half.{quad}"))?,
        dot: plain(&format!("dot.{quad}"))?,
        store: conversions(of_store)? + &plain(&format!("store.{}", variant.output.word()))?,
        place: plain(if variant.plain { "place.blocks" } else { "place.rows" })?,
        tables_buffer: if variant.tables { vec!["tables"] } else { Vec::new() },
        helpers: helpers(backend, variant.loads, variant.functions)?,
        sizes: sizes(backend, variant.sizes)?,
    })
}

/// The loads and conversions of a program.
pub(super) fn helpers(
    backend: Backend,
    loads: &[LoadText],
    functions: &[&str],
) -> Result<Vec<String>, Error> {
    let mut helpers = Vec::new();
    for load in loads {
        let name = match backend {
            Backend::Wgsl => format!("load.u{}.a{}", load.width, load.align),
            Backend::Hip => "load".into(),
        };
        let helper = text(backend, &name, load)?;
        if !helpers.contains(&helper) {
            helpers.push(helper);
        }
    }
    for function in functions {
        helpers.push(text(backend, function, Nothing {})?);
    }
    Ok(helpers)
}

/// The constants of a program's size; WGSL kernels state them themselves.
pub(super) fn sizes(backend: Backend, sizes: Sizes) -> Result<String, Error> {
    match backend {
        Backend::Wgsl => Ok(String::new()),
        Backend::Hip => text(backend, "sizes", sizes),
    }
}

/// Renders the template of a kernel.
pub(super) fn kernel(
    backend: Backend,
    name: &str,
    context: impl Serialize,
) -> Result<String, Error> {
    let mut text = text(backend, name, context)?;
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}

/// Renders a template.
pub(super) fn text(backend: Backend, name: &str, context: impl Serialize) -> Result<String, Error> {
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
        Ok(tera) => Ok(tera.render(name, &tera::Context::from_serialize(&context)?)?),
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
            "load.u32.a2" "load.u32.a4" "rounded" "place.blocks" "place.rows" "tables" "tables.workgroup" "decode.i8"
            "rows.i8" "word.vec4" "word.u32" "run.scale" "run.offset" "share.chunk" "share.half" "share.words"
            "shares.header" "shares.words" "arguments.workgroup" "arguments.subgroups" "total.workgroup"
            "total.subgroups" "quantize" "matmul.f16" "half.vec4" "half.f32"),
        Backend::Hip => embed!("hip":
            "dequant" "matvec" "matmul" "decode" "prelude" "barrier" "sum" "quad.float4" "quad.float" "dot.float4"
            "dot.float" "store.f32" "store.f16" "f16_to_f32" "f32_to_f16" "bits_to_f32" "load" "rounded" "min"
            "place.blocks" "place.rows" "sizes" "tables" "dot4" "decode.i8" "rows.i8" "word.vec4" "word.u32"
            "run.scale" "run.offset" "share.chunk" "share.half" "share.words" "shares.header" "shares.words"
            "quantize" "half.float4" "half.float" "matmul.f16" "matrices"),
    }
}
