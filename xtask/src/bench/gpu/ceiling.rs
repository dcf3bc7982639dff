//! What the device can do: plain kernels that read or copy. They belong to a format of words, so that
//! they are uploaded, launched and timed as those of real formats.

use super::call::Repeated;
use super::machine::{Machine, What};
use super::options::{Kind, Precision};
use crate::bench::Result;
use quantloom::artifact::{
    self, Artifact, Backend, Binding, Element, Grid, Kernel, Pieces, Role, Stream, Units,
};
use quantloom::verify::random::Rng;
use quantloom::{Format, Tensor};

/// Words of a row, which one workgroup reads.
const ROW: usize = 8192;
/// Invocations of a workgroup.
const WORKGROUP: u32 = 256;
/// Words of a block, which one invocation copies.
const BLOCK: u32 = 4;

/// Bytes after which a rate does not change any more.
const LARGE: u64 = 256 << 20;

const PRELUDE: &str = include_str!("../../../bench/gpu/prelude.hip");

/// A ceiling on a device.
pub struct Ceiling<M: Machine> {
    what: What,
    /// Bytes that a launch reads and writes.
    pub bytes: u64,
    copies: Vec<M::Weights>,
    x: M::Memory,
    outputs: Vec<M::Memory>,
    /// Words of an output.
    values: usize,
}

/// The ceiling of a kind of call; none where it computes more than it moves.
pub fn name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Matvec => Some("read"),
        Kind::Dequantize | Kind::DequantizeF16 => Some("copy"),
        Kind::Matmul | Kind::Launch => None,
    }
}

impl<M: Machine> Ceiling<M> {
    /// One that moves about `bytes`, or 256 MiB if that is less, with as many copies as take `rotate` bytes; `None` for kinds without
    /// a ceiling. What it moves is checked.
    pub fn new(machine: &M, kind: Kind, bytes: u64, rotate: u64) -> Result<Option<Ceiling<M>>> {
        let row = 4 * ROW as u64;
        let bytes = bytes.min(LARGE);
        let (what, rows, outputs) = match name(kind) {
            Some("read") => (What::Matvec, (bytes / row).max(1), 1),
            Some(_) => {
                let rows = (bytes / 2 / row).max(1);
                (What::Dequantize(Element::F32), rows, rotate.div_ceil(rows * row))
            }
            None => return Ok(None),
        };
        let read = what == What::Matvec;
        let tensor = tensor(rows as usize)?;
        let values = if read { rows as usize } else { rows as usize * ROW };
        let size = 4 * values as u64;
        let copies = 0..rotate.div_ceil(rows * row).max(2);
        let copies = copies.map(|_| machine.upload(&tensor, Precision::Exact));
        let ceiling = Ceiling {
            what,
            bytes: rows * row + if read { 0 } else { size },
            copies: copies.collect::<Result<_>>()?,
            x: machine.memory(row, &[])?,
            // Of the first one it is seen whether it is written.
            outputs: (0..outputs)
                .map(|number| {
                    machine.memory(size, &vec![0xff; if number == 0 { size as usize } else { 0 }])
                })
                .collect::<Result<_>>()?,
            values,
        };
        let call = ceiling.call(machine);
        machine.time(&[super::machine::Launch {
            what,
            weights: &call.copies[0],
            x: call.x,
            y: &call.outputs[0],
        }])?;
        match call.bytes()? == expected(&tensor, read) {
            true => Ok(Some(ceiling)),
            false => Err(format!("the kernel that finds out the {kind:?} ceiling is wrong").into()),
        }
    }

    /// What is timed.
    pub fn call<'a>(&'a self, machine: &'a M) -> Repeated<'a, M> {
        let Ceiling { what, values, copies, x, outputs, .. } = self;
        Repeated { machine, what: *what, copies, x, outputs, values: *values, recorded: false }
    }

    /// Turns until every copy has met every output.
    pub fn turns(&self) -> usize {
        self.copies.len() * self.outputs.len()
    }
}

/// What a launch must write.
fn expected(tensor: &Tensor, read: bool) -> Vec<u8> {
    let bytes = &tensor.streams()[0];
    if !read {
        return bytes.to_vec();
    }
    let sum = |row: &[u8]| {
        let words = row.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        words.fold(0, u32::wrapping_add)
    };
    bytes.chunks(4 * ROW).flat_map(|row| sum(row).to_le_bytes()).collect()
}

/// Random words.
fn tensor(rows: usize) -> Result<Tensor> {
    let mut rng = Rng::new(0, "ceiling");
    let bytes: Vec<u8> = (0..rows * ROW / 2).flat_map(|_| rng.bits().to_le_bytes()).collect();
    // SAFETY: the kernels below keep to the buffers of a tensor of this format: a row has exactly the
    // words that a workgroup reads, rows and vectors are compared with the shape, and there are no
    // loads past the end, so that padding is 0.
    #[allow(unsafe_code)]
    let format = unsafe { Format::from(words()).trusted() };
    Ok(Tensor::new("words", &format, rows, ROW, [bytes])?)
}

/// A format of plain words, whose matvec reads and whose dequantization copies.
fn words() -> Artifact {
    let kernel = |backend, kind, name: &'static str, source: String, grid| Kernel {
        name: name.into(),
        backend,
        kind,
        output: Element::F32,
        activations: artifact::Activations::F32,
        subgroups: false,
        matrix: 0,
        workgroup: [WORKGROUP, 1, 1],
        bindings: [("words", Role::Weights(0)), ("y", Role::Output), ("shape", Role::Shape)]
            .map(|(name, role)| Binding { name: name.into(), role })
            .to_vec()
            .into(),
        grid,
        padding: 0,
        pieces: Pieces::whole(&source),
    };
    let rows = Grid::Rows { per_workgroup: 1 };
    let blocks = Grid::Strips { weights: BLOCK, strips: 1, per_workgroup: WORKGROUP };
    let read = |backend, source| kernel(backend, artifact::Kind::Matvec, "read_row", source, rows);
    let copy =
        |backend, source| kernel(backend, artifact::Kind::Dequant, "copy_words", source, blocks);
    let hip = |text: &str| format!("{PRELUDE}{text}");
    Artifact {
        name: "words".into(),
        weights: BLOCK,
        streams: vec![Stream { name: "words".into(), bytes: 4 * BLOCK, units: Units::BLOCKS }]
            .into(),
        kernels: vec![
            read(Backend::Wgsl, include_str!("../../../bench/gpu/read.wgsl").to_owned()),
            copy(Backend::Wgsl, include_str!("../../../bench/gpu/copy.wgsl").to_owned()),
            read(Backend::Hip, hip(include_str!("../../../bench/gpu/read.hip"))),
            copy(Backend::Hip, hip(include_str!("../../../bench/gpu/copy.hip"))),
        ]
        .into(),
        ..Artifact::default()
    }
}
