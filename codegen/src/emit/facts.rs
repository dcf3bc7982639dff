//! What a program asks of the kernel around it: bindings, loads, conversions, workgroup memory.

use super::dialect::{self, LoadText};
use super::names;
use crate::artifact::{Backend, Binding, Kind, Role};
use crate::ir::{Binary, Decoder, Lanes, Let, Op, Quad, Unary, Value};
use serde::Serialize;

/// WebGPU grants every device so many storage buffers; where a bias would be one more there is no epilogue.
const STORAGE_BUFFERS: usize = 8;

/// A buffer of weights or tables.
#[derive(Clone, Serialize)]
pub(super) struct Buffer {
    pub name: String,
    #[serde(skip)]
    pub role: Role,
    /// Element of the buffer in WGSL.
    pub element: &'static str,
    /// What a pointer to it points to in HIP.
    #[serde(rename = "type")]
    pub ty: &'static str,
}

/// Weights per quad.
pub(super) fn lanes(decoder: &Decoder) -> u32 {
    decoder.quads.iter().map(|quad| weights(quad).len()).max().unwrap_or(1) as u32
}

pub(super) fn weights(quad: &Quad) -> &[Value] {
    match &quad.lanes {
        Lanes::Weights(weights) => weights,
        Lanes::Codes(_) | Lanes::Code(_) | Lanes::Dot { .. } | Lanes::Scale { .. } => &[],
    }
}

/// All bindings of a kernel that reads these buffers of weights and tables.
pub(super) fn bindings(read: &[Role], backend: Backend, kind: Kind) -> Vec<Binding> {
    let read = read.iter().map(|role| match *role {
        Role::Weights(stream) => (names::stream(stream), *role),
        _ => (names::TABLES.to_owned(), *role),
    });
    let x = Some(("x", Role::Activations));
    let bias = Some(("bias", Role::Bias));
    let indices = Some(("indices", Role::Indices));
    let (before, after) = match kind {
        Kind::Dequant => (None, [None, None]),
        Kind::Gather => (None, [indices, None]),
        Kind::Quantize => (x, [None, None]),
        Kind::Matvec | Kind::Batch | Kind::Matmul => (x, [bias, None]),
        Kind::MatvecExperts | Kind::MatmulExperts => (x, [indices, bias]),
    };
    let own = [before, Some(("y", Role::Output)), Some(("shape", Role::Shape))];
    let named = own.into_iter().chain(after).flatten();
    let named = named.map(|(name, role)| (name.to_owned(), role));
    let binding = |(name, role): (String, Role)| Binding { name: name.into(), role };
    let mut bindings: Vec<Binding> = read.chain(named).map(binding).collect();
    let granted = backend == Backend::Hip || bindings.len() <= STORAGE_BUFFERS + 1;
    bindings.retain(|binding| granted || binding.role != Role::Bias);
    bindings
}

/// The streams, and the buffer of tables where there is one.
pub(super) fn buffers(decoder: &Decoder, loads: &[LoadText]) -> Vec<Buffer> {
    let stream = |number: usize| {
        let name = names::stream(number as u32);
        let wide = loads.iter().any(|load| load.stream == name && load.wide);
        let element = if wide { "vec4<u32>" } else { "u32" };
        Buffer { name, role: Role::Weights(number as u32), element, ty: "ql_u8" }
    };
    let mut buffers: Vec<Buffer> = (0..decoder.streams.len()).map(stream).collect();
    if !dialect::first_words(decoder).is_empty() {
        let name = names::TABLES.to_owned();
        buffers.push(Buffer { name, role: Role::Tables, element: "u32", ty: "ql_u32" });
    }
    buffers
}

/// The distinct loads of a program.
pub(super) fn loads(decoder: &Decoder) -> Vec<LoadText> {
    let load = |stated: &Let| match stated.op {
        Op::Load { stream, bits, align, .. } => Some((stream, bits, align)),
        Op::Word { stream, align, .. } => Some((stream, 128, align)),
        _ => None,
    };
    let all: Vec<_> = decoder.lets.iter().filter_map(load).collect();
    // Four loads are as good as a wide one whose address is no multiple of 16, where they are aligned.
    let wide =
        |stream| all.iter().any(|&(own, bits, align)| own == stream && bits == 128 && align != 4);
    let text = |&(stream, width, align): &(u32, u32, u32)| LoadText {
        stream: names::stream(stream),
        width,
        align,
        wide: wide(stream),
    };
    let mut loads: Vec<LoadText> = all.iter().map(text).collect();
    loads.sort();
    loads.dedup();
    loads
}

/// Names of the conversion functions a program calls and the backend does not have built in.
pub(super) fn functions(decoder: &Decoder, backend: Backend) -> Vec<&'static str> {
    let calls = |wanted: Unary| {
        decoder.lets.iter().any(|stated| matches!(stated.op, Op::Unary(op, _) if op == wanted))
    };
    let hip = backend == Backend::Hip;
    [
        ("f16_to_f32", calls(Unary::F32FromF16)),
        ("f32_to_f16", calls(Unary::F16FromF32)),
        ("rounded", calls(Unary::Rounded)),
        ("bits_to_f32", hip && calls(Unary::F32FromBits)),
        ("min", hip && minimum(decoder)),
        ("word", hip && picks(decoder)),
        ("quotient", divides(decoder)),
    ]
    .into_iter()
    .filter_map(|(name, called)| called.then_some(name))
    .collect()
}

fn minimum(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| matches!(stated.op, Op::Binary(Binary::Min, ..)))
}

/// Whether a program divides by a number that is not known before it runs.
fn divides(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| match stated.op {
        Op::Binary(Binary::Div, _, by) => !matches!(decoder.get(by).op, Op::U32(_)),
        _ => false,
    })
}

/// Whether a program picks one of the words of a wide load by a number that is not known before.
fn picks(decoder: &Decoder) -> bool {
    decoder.lets.iter().any(|stated| match stated.op {
        Op::Word { index, .. } => !matches!(decoder.get(index).op, Op::U32(_)),
        _ => false,
    })
}

/// Bytes that the tables of a program's text take in workgroup memory, where variables begin at
/// multiples of 16.
pub(super) fn table_bytes(decoder: &Decoder) -> u32 {
    let texts = decoder.tables.iter().filter(|table| table.at.is_none());
    texts.map(|table| (4 * table.entries.len() as u32).next_multiple_of(16)).sum()
}
