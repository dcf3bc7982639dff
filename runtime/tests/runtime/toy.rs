//! Two formats of 4 weights a block: a scale byte and a byte of four 2-bit codes, low bits first.
//! A weight is scale · code. One keeps both in a block, the other in two streams.

use quantloom::artifact::{
    Activations, Artifact, Backend, Binding, Cpu, DecodeFn, Element, Grid, Kernel, Kind, Pieces,
    Role, Row, Stream, Units, Versions,
};
use quantloom::{Format, Tensor};

/// Scale and codes side by side, 2 bytes per block.
pub fn blocked() -> Artifact {
    let load = "fn weight(i: u32) -> f32 {
    let block = (blocks[i / 8u] >> (16u * ((i / 4u) % 2u))) & 0xffffu;
    return f32(block & 0xffu) * f32((block >> (8u + 2u * (i % 4u))) & 3u);
}";
    fn decode(streams: &[&[u8]], _: &[u32; 4], first: usize, weights: &mut [f32]) {
        for (block, weights) in streams[0].chunks(2).skip(first).zip(weights.chunks_mut(4)) {
            for (i, weight) in weights.iter_mut().enumerate() {
                *weight = f32::from(block[0]) * f32::from(block[1] >> (2 * i) & 3);
            }
        }
    }
    artifact("blocked", &[("blocks", 2)], load, decode)
}

/// A stream of codes and a stream of scales, 1 byte per block each.
pub fn planar() -> Artifact {
    let load = "fn weight(i: u32) -> f32 {
    let at = i / 16u;
    let shift = 8u * ((i / 4u) % 4u);
    return f32((scales[at] >> shift) & 0xffu) * f32((codes[at] >> (shift + 2u * (i % 4u))) & 3u);
}";
    fn decode(streams: &[&[u8]], _: &[u32; 4], first: usize, weights: &mut [f32]) {
        let blocks = streams[0].iter().zip(streams[1]).skip(first);
        for ((code, scale), weights) in blocks.zip(weights.chunks_mut(4)) {
            for (i, weight) in weights.iter_mut().enumerate() {
                *weight = f32::from(*scale) * f32::from(code >> (2 * i) & 3);
            }
        }
    }
    artifact("planar", &[("codes", 1), ("scales", 1)], load, decode)
}

/// A tensor of varied bytes, and its weights.
pub fn tensor(artifact: &Artifact, n: usize, k: usize) -> (Tensor, Vec<f32>) {
    let mut state = 1u32;
    let streams: Vec<Vec<u8>> = artifact
        .streams
        .iter()
        .map(|stream| {
            let byte = |_| {
                state = state.wrapping_mul(1664525).wrapping_add(1013904223);
                (state >> 24) as u8
            };
            (0..n * k / 4 * stream.bytes as usize).map(byte).collect()
        })
        .collect();
    let mut weights = vec![0.0; n * k];
    let slices: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    // SAFETY: the portable version needs no instructions beyond the target's.
    unsafe { (artifact.cpu.unwrap().decode().portable)(&slices, &[1; 4], 0, &mut weights) };
    let format = Format::from(artifact.clone());
    (Tensor::new("toy", format, n, k, streams).unwrap(), weights)
}

/// Activations `[m, k]`.
pub fn activations(m: usize, k: usize) -> Vec<f32> {
    (0..m * k).map(|i| ((i * 37 % 101) as f32 - 50.0) / 16.0).collect()
}

/// `y[m, n]` in f64, and Σ|w·x| of each.
pub fn product(weights: &[f32], x: &[f32], k: usize) -> Vec<(f64, f64)> {
    let term = |(w, x): (&f32, &f32)| f64::from(*w) * f64::from(*x);
    x.chunks(k)
        .flat_map(|x| {
            weights.chunks(k).map(move |w| {
                let terms = || w.iter().zip(x).map(term);
                (terms().sum(), terms().map(f64::abs).sum())
            })
        })
        .collect()
}

/// Fails where a product is off by more than the tolerance of f32 kernels.
pub fn assert_close(y: &[f32], wanted: &[(f64, f64)], context: &str) {
    assert_eq!(y.len(), wanted.len(), "{context}");
    for (i, (y, (wanted, scale))) in y.iter().zip(wanted).enumerate() {
        let error = (f64::from(*y) - wanted).abs();
        assert!(error <= 1e-5 * scale, "{context}: y[{i}] = {y}, not {wanted}");
    }
}

fn artifact(
    name: &'static str,
    streams: &[(&'static str, u32)],
    load: &str,
    decode: DecodeFn,
) -> Artifact {
    let kernel = |kind: Kind, output, workgroup, grid, body: &str| {
        let entry = Row::exact(Backend::Wgsl, kind, output).name(name);
        let mut bindings: Vec<Binding> =
            (0..).zip(streams).map(|(i, (stream, _))| binding(stream, Role::Weights(i))).collect();
        if kind != Kind::Dequant {
            bindings.push(binding("x", Role::Activations));
        }
        bindings.push(binding("y", Role::Output));
        bindings.push(binding("shape", Role::Shape));
        let source = source(&entry, &bindings, output, workgroup, load, body);
        Kernel {
            name: entry.into(),
            backend: Backend::Wgsl,
            kind,
            output,
            activations: Activations::F32,
            subgroups: false,
            matrix: 0,
            workgroup,
            bindings: bindings.into(),
            grid,
            padding: 0,
            pieces: Pieces::whole(&source),
        }
    };
    let strips = Grid::Strips { weights: 4, strips: 1, per_workgroup: 4 };
    let kernels = vec![
        kernel(Kind::Dequant, Element::F32, [4, 1, 1], strips, DEQUANT),
        kernel(Kind::Dequant, Element::F16, [4, 1, 1], strips, DEQUANT_F16),
        kernel(Kind::Matvec, Element::F32, [4, 1, 1], Grid::Rows { per_workgroup: 4 }, MATVEC),
        kernel(Kind::Matmul, Element::F32, [4, 2, 1], Grid::Tiles { n: 4, m: 2 }, MATMUL),
    ];
    Artifact {
        name: name.into(),
        title: "made up for tests".into(),
        gguf: Some(if name == "blocked" { 1000 } else { 1001 }),
        weights: 4,
        streams: streams
            .iter()
            .map(|&(name, bytes)| Stream { name: name.into(), bytes, units: Units::BLOCKS })
            .collect::<Vec<_>>()
            .into(),
        kernels: kernels.into(),
        // SAFETY: the toys' functions are safe ones.
        cpu: Some(unsafe { Cpu::new(Versions::only(decode), None) }),
        ..Artifact::default()
    }
}

fn binding(name: &'static str, role: Role) -> Binding {
    Binding { name: name.into(), role }
}

fn source(
    entry: &str,
    bindings: &[Binding],
    output: Element,
    [x, y, z]: [u32; 3],
    load: &str,
    body: &str,
) -> String {
    let mut text = "struct Shape { n: u32, k: u32, m: u32, first: u32, stride: u32, \
                    a: u32, b: u32, c: u32 }\n"
        .to_owned();
    for (i, Binding { name, role }) in bindings.iter().enumerate() {
        let element = if output == Element::F16 { "u32" } else { "f32" };
        let variable = match role {
            Role::Weights(_) | Role::Tables => format!("var<storage, read> {name}: array<u32>"),
            Role::Activations => format!("var<storage, read> {name}: array<vec4<f32>>"),
            Role::Output => format!("var<storage, read_write> {name}: array<{element}>"),
            Role::Shape => format!("var<uniform> {name}: Shape"),
            Role::Bias => format!("var<storage, read> {name}: array<f32>"),
            Role::Indices => format!("var<storage, read> {name}: array<u32>"),
        };
        text += &format!("@group(0) @binding({i}) {variable};\n");
    }
    text + &format!(
        "{load}
@compute @workgroup_size({x}, {y}, {z})
fn {entry}(
    @builtin(workgroup_id) group_id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) lane: vec3<u32>,
) {{
    let group = group_id.x + group_id.y * groups.x;
{body}
}}"
    )
}

const DEQUANT: &str = "
    let at = (group * 4u + lane.x) * 4u;
    if at >= shape.n * shape.k { return; }
    for (var i = 0u; i < 4u; i++) { y[at + i] = weight(at + i); }";

const DEQUANT_F16: &str = "
    let at = (group * 4u + lane.x) * 4u;
    if at >= shape.n * shape.k { return; }
    y[at / 2u] = pack2x16float(vec2<f32>(weight(at), weight(at + 1u)));
    y[at / 2u + 1u] = pack2x16float(vec2<f32>(weight(at + 2u), weight(at + 3u)));";

const MATVEC: &str = "
    let row = group * 4u + lane.x;
    if row >= shape.n { return; }
    var sum = 0.0;
    for (var i = 0u; i < shape.k; i++) { sum += weight(row * shape.k + i) * x[i / 4u][i % 4u]; }
    y[shape.first + row] = sum;";

const MATMUL: &str = "
    let tiles = (shape.n + 3u) / 4u;
    let row = (group % tiles) * 4u + lane.x;
    let am = (group / tiles) * 2u + lane.y;
    if row >= shape.n || am >= shape.m { return; }
    var sum = 0.0;
    for (var i = 0u; i < shape.k; i++) {
        let at = am * shape.k + i;
        sum += weight(row * shape.k + i) * x[at / 4u][at % 4u];
    }
    y[am * shape.stride + shape.first + row] = sum;";
