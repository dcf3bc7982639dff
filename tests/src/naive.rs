//! What a format means, weight by weight and bit by bit: the formula over its fields, with none of
//! the compiler's lowering. Slow, and short enough to be read against the language's reference.

use quantloom_codegen::Format;
use quantloom_codegen::format::{Formula, Scalar, TableValues};

/// The weights of whole blocks.
pub fn decode(format: &Format, streams: &[Vec<u8>]) -> Vec<f32> {
    let blocks = streams[0].len() / format.streams[0].bytes as usize;
    let weight = |block, weight| Reader { format, streams, block, weight }.formula(&format.value);
    (0..blocks)
        .flat_map(|b| (0..format.weights).map(move |w| (b, w)))
        .map(|(b, w)| weight(b, w))
        .collect()
}

/// Reads the fields of one weight.
struct Reader<'a> {
    format: &'a Format,
    streams: &'a [Vec<u8>],
    block: usize,
    weight: u32,
}

impl Reader<'_> {
    fn formula(&self, formula: &Formula) -> f32 {
        match formula {
            Formula::Number(number) => *number,
            Formula::Field(field) => self.field(*field),
            Formula::Neg(inner) => -self.formula(inner),
            Formula::Add(left, right) => self.formula(left) + self.formula(right),
            Formula::Sub(left, right) => self.formula(left) - self.formula(right),
            Formula::Mul(left, right) => self.formula(left) * self.formula(right),
            Formula::Lookup { table, index } => {
                let index = (i64::from(self.bits(*index))
                    - i64::from(self.format.fields[*index].bias))
                    as usize;
                match &self.format.tables[*table].values {
                    TableValues::I8(values) => values[index].into(),
                    TableValues::F32(values) => values[index],
                }
            }
        }
    }

    fn field(&self, index: usize) -> f32 {
        let field = &self.format.fields[index];
        let bits = self.bits(index);
        let sign = 1i64 << (field.bits() - 1);
        let integer = |stored: i64| (stored - i64::from(field.bias)) as f32;
        match field.scalar {
            Scalar::Unsigned => integer(bits.into()),
            Scalar::Signed => integer((i64::from(bits) ^ sign) - sign),
            Scalar::F16 => half::f16::from_bits(bits as u16).to_f32(),
            Scalar::Bf16 => half::bf16::from_bits(bits as u16).to_f32(),
            Scalar::F32 => f32::from_bits(bits),
        }
    }

    /// The stored integer of a field: its planes joined, low part first.
    fn bits(&self, field: usize) -> u32 {
        let field = &self.format.fields[field];
        let (mut bits, mut low) = (0, 0);
        for plane in &field.planes {
            let stream = self.format.members[plane.member].stream;
            let first = self.block * self.format.streams[stream].bytes as usize * 8;
            for bit in 0..plane.bits as usize {
                let at = first + plane.position(self.weight / field.per) as usize + bit;
                bits |= u32::from(self.streams[stream][at / 8] >> (at % 8) & 1) << low;
                low += 1;
            }
        }
        bits
    }
}
