//! The reference engine: runs a verified program on real bytes, one operation at a time.

use super::{Binary, Decoder, Entries, Lanes, Op, Type, Unary, Value, Verified};
use crate::artifact::{Dims, Stream};

/// Decodes consecutive blocks of a tensor, from block number `first` on (rows one after another).
/// Streams that are too short count as if zeros followed them; the caller checks lengths first.
pub fn interpret(
    decoder: &Verified<Decoder>,
    streams: &[&[u8]],
    dims: &Dims,
    first: usize,
    weights: &mut [f32],
) {
    each_strip(decoder, streams, dims, first, weights, |machine, weights| {
        for quad in &machine.decoder.quads {
            if let Lanes::Weights(lanes) = &quad.lanes {
                let start = machine.bits(quad.start) as usize;
                for (weight, &lane) in weights[start..].iter_mut().zip(lanes) {
                    *weight = machine.f32(lane);
                }
            }
        }
    });
}

/// Like [`interpret`], for programs that hand out a byte per weight.
pub fn interpret_codes(
    decoder: &Verified<Decoder>,
    streams: &[&[u8]],
    dims: &Dims,
    first: usize,
    codes: &mut [u8],
) {
    each_strip(decoder, streams, dims, first, codes, |machine, codes| {
        for quad in &machine.decoder.quads {
            let (word, count) = match quad.lanes {
                Lanes::Codes(word) => (word, 4),
                Lanes::Code(word) => (word, 1),
                _ => continue,
            };
            let start = machine.bits(quad.start) as usize;
            let bytes = machine.bits(word).to_le_bytes();
            for (code, byte) in codes[start..].iter_mut().zip(bytes).take(count) {
                *code = byte;
            }
        }
    });
}

/// Like [`interpret`], for programs that hand out scale and offset of every run.
pub fn interpret_scales(
    decoder: &Verified<Decoder>,
    streams: &[&[u8]],
    dims: &Dims,
    first: usize,
    runs: &mut [(f32, f32)],
) {
    each_strip(decoder, streams, dims, first, runs, |machine, runs| {
        for quad in &machine.decoder.quads {
            if let Lanes::Scale { scale, offset } = quad.lanes {
                let start = machine.bits(quad.start) as usize;
                if let Some(run) = runs.get_mut(start) {
                    *run = (machine.f32(scale), machine.f32(offset));
                }
            }
        }
    });
}

/// Like [`interpret`], for programs that hand out signed bytes with their scale and offset: every
/// weight's three numbers.
pub fn interpret_dots(
    decoder: &Verified<Decoder>,
    streams: &[&[u8]],
    dims: &Dims,
    first: usize,
    weights: &mut [(i8, f32, f32)],
) {
    each_strip(decoder, streams, dims, first, weights, |machine, weights| {
        for quad in &machine.decoder.quads {
            let Lanes::Dot { codes, scale, offset } = quad.lanes else { continue };
            let start = machine.bits(quad.start) as usize;
            let (scale, offset) = (machine.f32(scale), machine.f32(offset));
            let bytes = machine.bits(codes).to_le_bytes();
            for (weight, byte) in weights[start..].iter_mut().zip(bytes) {
                *weight = (byte as i8, scale, offset);
            }
        }
    });
}

/// The bits of every value in every strip, as far as they depend on nothing but the strip: those that
/// [`Decoder::unfixed`] tells apart mean nothing.
pub(crate) fn by_strip(decoder: &Verified<Decoder>) -> Vec<Vec<u32>> {
    let dims = Dims { n: 1, blocks: 1, sizes: [1; 2] };
    let slots = vec![0; decoder.lets.len()];
    let mut machine = Machine { decoder, streams: &[], dims, row: 0, block: 0, strip: 0, slots };
    let strips = (0..decoder.strips).map(|strip| {
        machine.strip = strip;
        machine.run();
        machine.slots.clone()
    });
    strips.collect()
}

/// Runs every strip of every block, and lets `store` write the block's results.
fn each_strip<'a, T>(
    decoder: &Verified<Decoder>,
    streams: &[&'a [u8]],
    dims: &Dims,
    first: usize,
    results: &mut [T],
    store: impl Fn(&Machine, &mut [T]),
) {
    let slots = vec![0; decoder.lets.len()];
    let dims =
        Dims { blocks: dims.blocks.max(1), sizes: dims.sizes.map(|size| size.max(1)), ..*dims };
    // Units that are blocks are numbered from the first one on: a tensor may have more than 2^32.
    let plain = decoder.streams.iter().all(|stream| stream.units.are_blocks());
    let rest = |(bytes, stream): (&&'a [u8], &Stream)| match plain {
        true => bytes.get(first.saturating_mul(stream.bytes as usize)..).unwrap_or_default(),
        false => bytes,
    };
    let streams: Vec<&[u8]> = streams.iter().zip(&decoder.streams).map(rest).collect();
    let streams = &streams;
    let mut machine = Machine { decoder, streams, dims, row: 0, block: 0, strip: 0, slots };
    for (index, results) in results.chunks_exact_mut(decoder.results() as usize).enumerate() {
        [machine.row, machine.block] = match plain {
            true => [0, index as u32],
            false => {
                let (number, per_row) = (first + index, dims.blocks as usize);
                [(number / per_row) as u32, (number % per_row) as u32]
            }
        };
        for strip in 0..decoder.strips {
            machine.strip = strip;
            machine.run();
            store(&machine, results);
        }
    }
}

/// Runs one decoder; keeps its scratch between strips.
struct Machine<'a> {
    decoder: &'a Decoder,
    streams: &'a [&'a [u8]],
    dims: Dims,
    row: u32,
    block: u32,
    strip: u32,
    /// Bits of every value of the strip that ran last.
    slots: Vec<u32>,
}

impl Machine<'_> {
    fn run(&mut self) {
        for (slot, stated) in self.decoder.lets.iter().enumerate() {
            self.slots[slot] = self.evaluate(&stated.op, stated.ty);
        }
    }

    /// A u32 of the strip that ran last (any other type: its bits).
    fn bits(&self, value: Value) -> u32 {
        self.slots[value.0 as usize]
    }

    /// An f32 of the strip that ran last.
    fn f32(&self, value: Value) -> f32 {
        f32::from_bits(self.bits(value))
    }

    fn evaluate(&self, op: &Op, ty: Type) -> u32 {
        match *op {
            Op::Strip => self.strip,
            Op::Row => self.row,
            Op::Block => self.block,
            Op::Rows => self.dims.n,
            Op::Blocks => self.dims.blocks,
            Op::Size(size) => self.dims.sizes[size as usize],
            Op::U32(bits) | Op::F32(bits) => bits,
            Op::I32(number) => number as u32,
            Op::Load { stream, bits, unit, offset, .. } => {
                self.load(stream, bits, unit, self.bits(offset))
            }
            Op::Word { stream, unit, offset, index, .. } => {
                self.load(stream, 32, unit, self.bits(offset) + self.bits(index) * 4)
            }
            Op::Lookup { table, index } => {
                let index = self.bits(index) as usize;
                match &self.decoder.tables[table as usize].entries {
                    Entries::U32(entries) => entries[index],
                    Entries::I32(entries) => entries[index] as u32,
                    Entries::F32(entries) => entries[index].to_bits(),
                }
            }
            Op::Binary(op, left, right) => binary(op, ty, self.bits(left), self.bits(right)),
            Op::Unary(op, operand) => unary(op, self.decoder.get(operand).ty, self.bits(operand)),
        }
    }

    /// Little-endian bytes of a unit from `offset` on.
    fn load(&self, stream: u32, bits: u32, unit: Value, offset: u32) -> u32 {
        let size = self.decoder.streams[stream as usize].bytes as usize;
        let first = self.bits(unit) as usize * size + offset as usize;
        let bytes = self.streams.get(stream as usize).copied().unwrap_or_default();
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        (0..bits as usize / 8).rev().fold(0, |word, at| word << 8 | u32::from(byte(first + at)))
    }
}

/// One operation on the bits of two operands of type `ty`.
fn binary(op: Binary, ty: Type, left: u32, right: u32) -> u32 {
    if ty == Type::F32 {
        let (left, right) = (f32::from_bits(left), f32::from_bits(right));
        let result = match op {
            Binary::Add => left + right,
            Binary::Sub => left - right,
            _ => left * right, // the verifier lets no other operation on floats pass
        };
        return result.to_bits();
    }
    // Two's complement: the same bits for u32 and i32.
    match op {
        Binary::Add => left.wrapping_add(right),
        Binary::Sub => left.wrapping_sub(right),
        Binary::Mul => left.wrapping_mul(right),
        Binary::Div => left / right,
        Binary::Rem => left % right,
        Binary::Shl => left << right,
        Binary::Shr => left >> right,
        Binary::And => left & right,
        Binary::Or => left | right,
        Binary::Xor => left ^ right,
        Binary::Min => left.min(right),
    }
}

/// One operation on the bits of an operand of type `from`.
fn unary(op: Unary, from: Type, operand: u32) -> u32 {
    match op {
        Unary::Neg => (-f32::from_bits(operand)).to_bits(),
        Unary::ToI32 | Unary::ToU32 | Unary::F32FromBits | Unary::Rounded => operand,
        Unary::F16FromF32 => f32_to_f16_bits(f32::from_bits(operand)),
        Unary::SignExtend(bits) => ((operand << (32 - bits)) as i32 >> (32 - bits)) as u32,
        Unary::ToF32 if from == Type::I32 => (operand as i32 as f32).to_bits(),
        Unary::ToF32 => (operand as f32).to_bits(),
        Unary::F32FromF16 => f16_bits_to_f32(operand as u16).to_bits(),
    }
}

/// Binary16 to binary32, exact, subnormals and payloads kept.
fn f16_bits_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    let bits = match magnitude {
        0..0x400 => (magnitude as f32 * 2f32.powi(-24)).to_bits(),
        0x400..0x7c00 => (magnitude << 13) + (112 << 23),
        _ => magnitude << 13 | 0x7f80_0000,
    };
    f32::from_bits(sign | bits)
}

/// Binary32 to binary16, rounded to nearest even; NaN becomes the quiet one.
fn f32_to_f16_bits(value: f32) -> u32 {
    let sign = value.to_bits() >> 16 & 0x8000;
    let magnitude = value.to_bits() & 0x7fff_ffff;
    let rounded = match magnitude {
        0x7f80_0001.. => 0x7e00,
        0x477f_f000.. => 0x7c00,
        // Units of 2^-24: adding 2^23 to a number of them rounds it.
        0..0x3880_0000 => {
            let units = f32::from_bits(magnitude) * 2f32.powi(24);
            (units + 2f32.powi(23)).to_bits() - 2f32.powi(23).to_bits()
        }
        _ => (magnitude - (112 << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13,
    };
    sign | rounded
}
