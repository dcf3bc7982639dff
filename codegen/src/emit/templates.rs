//! The templates, embedded, and which of their variants a kernel is made of.

use super::dialect::{LoadText, TableText};
use crate::Error;
use crate::artifact::{Backend, Binding, Element, Role};
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
    /// What becomes of sums; empty where there are none.
    epilogue: String,
    /// Row and block of a unit of decoding.
    place: String,
    /// Name of the buffer of tables, where there is one.
    tables_buffer: Vec<&'static str>,
    /// Loads and conversions that the program calls.
    helpers: Vec<String>,
    #[serde(flatten)]
    filling: Filling,
    /// Constants of a program's size, where the kernel's template does not state them.
    sizes: String,
}

/// What decides which texts a kernel is made of.
pub(super) struct Variant<'a> {
    pub backend: Backend,
    pub output: Element,
    /// Whether weights are stored one by one: rows, or the end, need not be where a quad may begin.
    pub single: bool,
    pub bindings: &'a [Binding],
    /// Weights per quad.
    pub lanes: u32,
    pub loads: &'a [LoadText],
    /// Conversions that the program calls.
    pub functions: &'a [&'static str],
    /// Tables of its text.
    pub tables: &'a [TableText],
    /// Whether it reads tables from a buffer.
    pub tables_buffer: bool,
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
    let store = if variant.single { "store_one" } else { "store" };
    Ok(Parts {
        quad: plain(&format!("quad.{quad}"))?,
        half: conversions(of_half)? + &plain(&format!("half.{quad}"))?,
        dot: plain(&format!("dot.{quad}"))?,
        store: conversions(of_store)? + &plain(&format!("{store}.{}", variant.output.word()))?,
        epilogue: epilogue(backend, variant.bindings)?,
        place: plain(if variant.plain { "place.blocks" } else { "place.rows" })?,
        tables_buffer: if variant.tables_buffer { vec!["tables"] } else { Vec::new() },
        helpers: helpers(backend, variant.loads, variant.functions)?,
        filling: Filling::new(backend, variant.tables)?,
        sizes: sizes(backend, variant.sizes)?,
    })
}

/// What becomes of the sums of a product with these bindings; empty where it is none.
pub(super) fn epilogue(backend: Backend, bindings: &[Binding]) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Bias {
        binding: usize,
    }
    let bound = |role: Role| bindings.iter().position(|binding| binding.role == role);
    match (bound(Role::Activations), bound(Role::Bias)) {
        (None, _) => Ok(String::new()),
        (_, Some(binding)) => text(backend, "epilogue", Bias { binding }),
        (_, None) => text(backend, "epilogue.none", Nothing {}),
    }
}

/// Tables in workgroup memory; all empty where there are none.
#[derive(Clone, Serialize)]
pub(super) struct Filling {
    /// The function that brings them there.
    fill_tables: String,
    /// Its call.
    fill: String,
    /// The barrier it needs, for kernels that have no other use for one.
    barrier: String,
}

impl Filling {
    pub fn new(backend: Backend, tables: &[TableText]) -> Result<Filling, Error> {
        #[derive(Serialize)]
        struct Tables<'a> {
            tables: &'a [TableText],
        }
        let part = |name: &str| match tables.is_empty() {
            true => Ok(String::new()),
            false => text(backend, name, Tables { tables }),
        };
        Ok(Filling {
            fill_tables: part("fill_tables")?,
            fill: part("fill")?,
            barrier: if backend == Backend::Hip { part("barrier")? } else { String::new() },
        })
    }
}

/// The loads and conversions of a program.
pub(super) fn helpers(
    backend: Backend,
    loads: &[LoadText],
    functions: &[&str],
) -> Result<Vec<String>, Error> {
    let mut helpers = Vec::new();
    for load in loads {
        for name in load_texts(backend, load) {
            let helper = text(backend, &name, load)?;
            if !helpers.contains(&helper) {
                helpers.push(helper);
            }
        }
    }
    for function in functions {
        helpers.push(text(backend, function, Nothing {})?);
    }
    Ok(helpers)
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
            "load.u32.a2" "load.u32.a4" "load.u128.a1" "load.u128.a2" "load.u128.a4" "load.u128.a16" "at.u32"
            "at.vec4" "quotient" "rounded" "place.blocks" "place.rows" "tables" "fill_tables" "fill" "decode.i8" "rows.i8"
            "word.vec4" "word.u32" "run.scale" "run.offset" "share.chunk" "share.half" "share.words"
            "matmul.i8" "arguments.workgroup" "arguments.subgroups" "total.workgroup"
            "total.subgroups" "quantize" "matmul.f16" "half.vec4" "half.f32" "gather" "gather.single" "dequant.single"
            "matvec_experts" "matmul_experts" "sum_rows" "tile" "store_one.f32" "store_one.f16" "absent" "epilogue"
            "epilogue.none" "lanes.all" "lanes.weights" "lanes.activations" "lanes.rest" "lanes.between" "lane.all" "lane.rest"),
        Backend::Hip => embed!("hip":
            "dequant" "matvec" "matmul" "decode" "prelude" "barrier" "sum" "quad.float4" "quad.float" "dot.float4"
            "dot.float" "store.f32" "store.f16" "f16_to_f32" "f32_to_f16" "bits_to_f32" "load" "words" "word" "load.words"
            "load.words.any" "quotient" "rounded" "min"
            "place.blocks" "place.rows" "sizes" "tables" "fill_tables" "fill" "dot4" "decode.i8" "rows.i8" "word.vec4" "word.u32"
            "run.scale" "run.offset" "share.chunk" "share.half" "share.words" "matmul.i8"
            "quantize" "half.float4" "half.float" "matmul.f16" "matrices" "gather" "gather.single" "dequant.single" "matvec_experts"
            "matmul_experts" "sum_rows" "tile" "store_one.f32" "store_one.f16" "absent" "epilogue" "lanes.all" "lanes.weights"
            "lanes.activations" "lanes.rest" "lanes.between" "lane.all" "lane.rest"),
    }
}
