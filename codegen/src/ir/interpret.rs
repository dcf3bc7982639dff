//! The reference engine: runs a verified program on real bytes, one operation at a time.

use super::{Binary, Decoder, Entries, Lanes, Op, Type, Unary, Value, Verified};

/// Runs one decoder; keeps its scratch between strips.
#[derive(Clone, Debug)]
pub struct Machine<'a> {
    decoder: &'a Decoder,
    /// Bits of every value of the strip that ran last.
    slots: Vec<u32>,
}

/// Decodes whole blocks: `streams[s]` holds at least as many blocks as `weights`. Weights past the
/// last whole block that all streams hold keep their value.
pub fn interpret(decoder: &Verified<Decoder>, streams: &[&[u8]], weights: &mut [f32]) {
    each_strip(decoder, streams, weights, |machine, weights| {
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

/// A weight as an integer dot product reads it: `scale · code + offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coded {
    /// The code.
    pub code: i8,
    /// Factor.
    pub scale: f32,
    /// Summand.
    pub offset: f32,
}

/// Like [`interpret`], for programs that hand out packed codes.
pub fn interpret_codes(decoder: &Verified<Decoder>, streams: &[&[u8]], weights: &mut [Coded]) {
    each_strip(decoder, streams, weights, |machine, weights| {
        for quad in &machine.decoder.quads {
            if let Lanes::Codes { codes, scale, offset } = quad.lanes {
                let start = machine.bits(quad.start) as usize;
                let (scale, offset) = (machine.f32(scale), machine.f32(offset));
                let codes = machine.bits(codes).to_le_bytes();
                for (weight, code) in weights[start..].iter_mut().zip(codes) {
                    *weight = Coded { code: code as i8, scale, offset };
                }
            }
        }
    });
}

/// Runs every strip of every block, and lets `store` write the results to the block's weights.
fn each_strip<T>(
    decoder: &Verified<Decoder>,
    streams: &[&[u8]],
    weights: &mut [T],
    store: impl Fn(&Machine, &mut [T]),
) {
    let mut machine = Machine::new(decoder);
    let decoder: &Decoder = decoder;
    for (block, weights) in weights.chunks_exact_mut(decoder.weights as usize).enumerate() {
        let parts: Option<Vec<&[u8]>> = streams
            .iter()
            .zip(&decoder.streams)
            .map(|(bytes, &(_, size))| {
                let first = block.checked_mul(size as usize)?;
                bytes.get(first..)?.get(..size as usize)
            })
            .collect();
        match parts {
            Some(parts) if parts.len() == decoder.streams.len() => {
                for strip in 0..decoder.strips {
                    machine.run(&parts, strip);
                    store(&machine, weights);
                }
            }
            _ => return,
        }
    }
}

impl<'a> Machine<'a> {
    /// A machine for one decoder.
    pub fn new(decoder: &'a Verified<Decoder>) -> Machine<'a> {
        Machine { decoder, slots: vec![0; decoder.lets.len()] }
    }

    /// Runs one strip of a block, whose bytes lie in `streams`; the caller checked that they hold it.
    fn run(&mut self, streams: &[&[u8]], strip: u32) {
        for (slot, stated) in self.decoder.lets.iter().enumerate() {
            self.slots[slot] = self.evaluate(&stated.op, stated.ty, streams, strip);
        }
    }

    /// A u32 of the strip that ran last (any other type: its bits).
    pub fn bits(&self, value: Value) -> u32 {
        self.slots[value.0 as usize]
    }

    /// An f32 of the strip that ran last.
    pub fn f32(&self, value: Value) -> f32 {
        f32::from_bits(self.bits(value))
    }

    fn evaluate(&self, op: &Op, ty: Type, streams: &[&[u8]], strip: u32) -> u32 {
        match *op {
            Op::Strip => strip,
            Op::U32(bits) | Op::F32(bits) => bits,
            Op::I32(number) => number as u32,
            Op::Load { stream, bits, offset, .. } => {
                let offset = self.bits(offset) as usize;
                let bytes = &streams[stream as usize][offset..offset + bits as usize / 8];
                bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte))
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
    }
}

/// One operation on the bits of an operand of type `from`.
fn unary(op: Unary, from: Type, operand: u32) -> u32 {
    match op {
        Unary::Neg => (-f32::from_bits(operand)).to_bits(),
        Unary::ToI32 | Unary::F32FromBits => operand,
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
