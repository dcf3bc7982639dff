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
    /// Loads and conversions that the program calls.
    helpers: Vec<String>,
}

/// Chooses and renders the parts of a kernel.
pub(super) fn parts(
    backend: Backend,
    output: Element,
    lanes: usize,
    loads: &[LoadText],
    functions: &[&str],
) -> Result<Parts, Error> {
    let quad = match (backend, lanes) {
        (Backend::Wgsl, 4) => "vec4",
        (Backend::Wgsl, _) => "f32",
        (Backend::Hip, 4) => "float4",
        (Backend::Hip, _) => "float",
    };
    let plain = |name: &str| text(backend, name, &tera::Context::new());
    let mut helpers = Vec::new();
    for load in loads {
        let name = match backend {
            Backend::Wgsl => format!("load.u{}.a{}", load.width, load.align),
            Backend::Hip => "load".into(),
        };
        let helper = text(backend, &name, &tera::Context::from_serialize(load)?)?;
        if !helpers.contains(&helper) {
            helpers.push(helper);
        }
    }
    for function in functions {
        helpers.push(plain(function)?);
    }
    Ok(Parts {
        quad: plain(&format!("quad.{quad}"))?,
        dot: plain(&format!("dot.{quad}"))?,
        store: plain(&format!("store.{}", output.word()))?,
        helpers,
    })
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
            "load.u32.a2" "load.u32.a4"),
        Backend::Hip => embed!("hip":
            "dequant" "matvec" "matmul" "decode" "prelude" "barrier" "sum" "quad.float4" "quad.float" "dot.float4"
            "dot.float" "store.f32" "store.f16" "f16_to_f32" "f32_to_f16" "bits_to_f32" "load"),
    }
}
