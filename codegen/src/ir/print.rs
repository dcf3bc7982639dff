//! The program as text, for `explain` and for goldens.

use super::{Binary, Decoder, Lanes, Op, Stream, Table, Unary, Value};
use std::fmt;

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "decoder {}: {} weights in {} strips of {}",
            self.format,
            self.weights,
            self.strips,
            self.strip_weights()
        )?;
        for Stream { name, bytes, .. } in &self.streams {
            writeln!(f, "stream {name}: units of {bytes} bytes")?;
        }
        for Table { name, at, entries } in &self.tables {
            write!(f, "table {name}: {} x {:?}", entries.len(), entries.ty())?;
            match at {
                Some(at) => writeln!(f, " from word {at} of the tables on")?,
                None => writeln!(f)?,
            }
        }
        let computed = self.lets.iter().enumerate().filter(|(_, stated)| !stated.op.is_given());
        for (index, stated) in computed {
            let ty = format!("{:?}", stated.ty).to_lowercase();
            write!(f, "  %{index}: {ty} = {}", Show(self, &stated.op))?;
            match stated.name.as_str() {
                "" => writeln!(f)?,
                name => writeln!(f, "  // {name}")?,
            }
        }
        for quad in &self.quads {
            match &quad.lanes {
                Lanes::Weights(lanes) => {
                    let lanes: Vec<_> = lanes.iter().map(|&lane| self.operand(lane)).collect();
                    writeln!(
                        f,
                        "  weights[{}..] = {}",
                        self.operand(quad.start),
                        lanes.join(", ")
                    )?;
                }
                Lanes::Codes(codes) => writeln!(
                    f,
                    "  codes[{}..] = u8x4 {}",
                    self.operand(quad.start),
                    self.operand(*codes)
                )?,
                Lanes::Code(code) => {
                    writeln!(f, "  codes[{}] = {}", self.operand(quad.start), self.operand(*code))?
                }
                Lanes::Dot { codes, scale, offset } => writeln!(
                    f,
                    "  weights[{}..] = {} * i8x4 {} + {}",
                    self.operand(quad.start),
                    self.operand(*scale),
                    self.operand(*codes),
                    self.operand(*offset)
                )?,
                Lanes::Scale { scale, offset } => writeln!(
                    f,
                    "  run[{}] = {} * code + {}",
                    self.operand(quad.start),
                    self.operand(*scale),
                    self.operand(*offset)
                )?,
            }
        }
        Ok(())
    }
}

impl Decoder {
    /// A constant as it is, any other value by its number.
    fn operand(&self, value: Value) -> String {
        match self.get(value).op {
            Op::Strip => "strip".into(),
            Op::Row => "row".into(),
            Op::Block => "block".into(),
            Op::Rows => "rows".into(),
            Op::Blocks => "blocks".into(),
            Op::Size(size) => format!("size_{size}"),
            Op::U32(number) if number > 0xffff => format!("{number:#010x}"),
            Op::U32(number) => number.to_string(),
            Op::I32(number) => number.to_string(),
            Op::F32(bits) => format!("{:?}", f32::from_bits(bits)),
            _ => format!("%{}", value.0),
        }
    }
}

/// One operation that is no constant.
struct Show<'a>(&'a Decoder, &'a Op);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Show(decoder, op) = self;
        let v = |value: Value| decoder.operand(value);
        match **op {
            Op::Load { stream, bits, unit, offset, align } => {
                let stream = &decoder.streams[stream as usize].name;
                write!(f, "load.u{bits} {stream}[{}][{}] align {align}", v(unit), v(offset))
            }
            Op::Word { stream, unit, offset, index, align } => {
                let stream = &decoder.streams[stream as usize].name;
                let (unit, offset) = (v(unit), v(offset));
                write!(f, "load.u32x4 {stream}[{unit}][{offset}] align {align}, word {}", v(index))
            }
            Op::Lookup { table, index } => {
                write!(f, "{}[{}]", decoder.tables[table as usize].name, v(index))
            }
            Op::Binary(Binary::Min, left, right) => write!(f, "min {} {}", v(left), v(right)),
            Op::Binary(op, left, right) => write!(f, "{} {} {}", v(left), op.symbol(), v(right)),
            Op::Unary(op, operand) => match op {
                Unary::Neg => write!(f, "-{}", v(operand)),
                Unary::ToI32 => write!(f, "i32 {}", v(operand)),
                Unary::SignExtend(bits) => write!(f, "sign_extend.{bits} {}", v(operand)),
                Unary::ToF32 => write!(f, "f32 {}", v(operand)),
                Unary::F32FromBits => write!(f, "f32_from_bits {}", v(operand)),
                Unary::F32FromF16 => write!(f, "f32_from_f16 {}", v(operand)),
                Unary::F16FromF32 => write!(f, "f16_from_f32 {}", v(operand)),
                Unary::ToU32 => write!(f, "u32 {}", v(operand)),
                Unary::Rounded => write!(f, "rounded {}", v(operand)),
            },
            _ => Ok(()), // shown where it is used
        }
    }
}

impl Binary {
    /// The operator, the same in Rust, WGSL and C++; the name of the function `min`.
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Rem => "%",
            Binary::Shl => "<<",
            Binary::Shr => ">>",
            Binary::And => "&",
            Binary::Or => "|",
            Binary::Xor => "^",
            Binary::Min => "min",
        }
    }
}
