//! What a kernel is written with: which pieces stand before its decoder, by the kernel's row and the
//! decoder's shape.

use super::decoder::Shape;
use super::helpers::{Bound, bound};
use super::plan::Plan;
use super::templates::{Piece, piece, plain};
use crate::Error;
use crate::artifact::{Activations, Backend, Binding, Element, Kind, Role, Row};
use serde::Serialize;

/// The pieces, in the order in which they need each other.
pub(super) fn vocabulary<S>(
    plan: &Plan<S>,
    shape: &Shape,
    bindings: &[Binding],
) -> Result<Vec<Piece>, Error> {
    let names = names(plan.row, plan.single, shape, bindings);
    let mut all = match plan.row.backend {
        Backend::Wgsl => wgsl(plan.row, shape.buffers.len(), bindings)?,
        Backend::Hip => hip(plan.workgroup)?,
    };
    for name in names {
        all.push(plain(plan.row.backend, name)?);
    }
    Ok(all)
}

/// What HIP texts begin with.
pub(super) fn hip(workgroup: u32) -> Result<Vec<Piece>, Error> {
    #[derive(Serialize)]
    struct Workgroup {
        workgroup: u32,
    }
    let name = format!("workgroup.{workgroup}");
    let workgroup = piece(Backend::Hip, &name, "workgroup", Workgroup { workgroup })?;
    Ok(vec![plain(Backend::Hip, "prelude")?, workgroup])
}

/// What WGSL texts begin with: extensions, and all bindings but those that the decoder reads.
pub(super) fn wgsl(row: Row, buffers: usize, bindings: &[Binding]) -> Result<Vec<Piece>, Error> {
    let mut all = Vec::new();
    if row.activations == Activations::F16 {
        all.push(plain(Backend::Wgsl, "enable.matrices")?);
    }
    all.push(plain(Backend::Wgsl, "shape")?);
    let own = bindings.iter().skip(buffers).enumerate();
    let declared: Vec<Bound> = own.map(|(number, own)| declared(row, number, own)).collect();
    let words = declared.iter().filter_map(|Bound { name, ty, .. }| {
        let element = ty.strip_prefix("array<")?.strip_suffix('>')?.to_lowercase();
        Some(format!("{name}_{element}"))
    });
    let name = format!("bindings.{}", words.collect::<Vec<_>>().join("."));
    all.push(bound(&name, &declared)?);
    Ok(all)
}

/// The variable of WGSL for a binding, which is the kernel's own of this number.
fn declared(row: Row, number: usize, binding: &Binding) -> Bound<'_> {
    let access = match binding.role {
        Role::Shape => "uniform",
        Role::Output => "storage, read_write",
        _ => "storage, read",
    };
    let ty = match (binding.role, row.kind, row.activations) {
        (Role::Shape, ..) => "Shape",
        (Role::Indices | Role::Weights(_) | Role::Tables, ..) => "array<u32>",
        (Role::Activations, _, Activations::Int8) => "array<Word>",
        (Role::Activations, Kind::Quantize, _) | (Role::Bias, ..) => "array<f32>",
        (Role::Activations, ..) => "array<Quad>",
        (Role::Output, Kind::Quantize, _) => "array<u32>",
        (Role::Output, Kind::Dequant | Kind::Gather, _) => "array<Element>",
        (Role::Output, ..) => "array<f32>",
    };
    let number = match (row.kind, number) {
        (Kind::Quantize, number) => number.to_string(),
        (_, 0) => "BUFFERS".to_owned(),
        (_, number) => format!("BUFFERS + {number}u"),
    };
    Bound { number, access, name: &binding.name, ty: ty.to_owned() }
}

/// Templates that stand before the decoder as they are.
fn names(row: Row, single: bool, shape: &Shape, bindings: &[Binding]) -> Vec<&'static str> {
    let Row { backend, kind, output, activations, .. } = row;
    let hip = backend == Backend::Hip;
    let four = shape.lanes == 4;
    let product = !matches!(kind, Kind::Dequant | Kind::Gather | Kind::Quantize);
    let experts = matches!(kind, Kind::MatvecExperts | Kind::MatmulExperts);
    let bias = bindings.iter().any(|binding| binding.role == Role::Bias);
    let mut names = Vec::new();
    let mut also = |needed: bool, own: &[&'static str]| {
        if needed {
            names.extend(own);
        }
    };
    also(hip && product, &["barrier"]);
    let sums = matches!(kind, Kind::Matvec | Kind::MatvecExperts | Kind::Batch);
    also(hip && sums, &["sum"]);
    match (activations, hip) {
        (Activations::Int8, _) => also(hip, &["dot4"]),
        (_, true) => also(true, if four { &["quad.float4"] } else { &["quad.float"] }),
        (_, false) => also(true, if four { &["quad.vec4"] } else { &["quad.f32"] }),
    }
    match (activations, hip) {
        (Activations::F32, true) => {
            also(product, if four { &["dot.float4"] } else { &["dot.float"] })
        }
        (Activations::F32, false) => also(product, if four { &["dot.vec4"] } else { &["dot.f32"] }),
        (Activations::F16, true) if four => also(true, &["half.float4", "matrices"]),
        (Activations::F16, true) => also(true, &["f32_to_f16", "half.float", "matrices"]),
        (Activations::F16, false) => also(true, if four { &["half.vec4"] } else { &["half.f32"] }),
        (Activations::Int8, _) => {}
    }
    also(product && (bias || hip), &["epilogue"]);
    also(product && !bias && !hip, &["epilogue.none"]);
    also(experts, &["absent"]);
    match (product, output, single) {
        (true, ..) => {}
        (false, Element::F32, false) => also(true, &["store.f32"]),
        (false, Element::F32, true) => also(true, &["store_one.f32"]),
        (false, Element::F16, false) => also(true, &["f32_to_f16", "store.f16"]),
        (false, Element::F16, true) => also(true, &["f32_to_f16", "store_one.f16"]),
    }
    names
}
