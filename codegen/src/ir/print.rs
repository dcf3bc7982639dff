//! The program as text, for `explain` and for goldens.

use super::{Binary, Decoder, Lanes, Op, Unary, Value};
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
        for (name, bytes) in &self.streams {
            writeln!(f, "stream {name}: {bytes} bytes")?;
        }
        for table in &self.tables {
            writeln!(
                f,
                "table {}: {} x {:?}",
                table.name,
                table.entries.len(),
                table.entries.ty()
            )?;
        }
        let constant = |op| matches!(op, Op::U32(_) | Op::I32(_) | Op::F32(_) | Op::Strip);
        let computed = self.lets.iter().enumerate().filter(|(_, stated)| !constant(stated.op));
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
                Lanes::Codes { codes, scale, offset } => writeln!(
                    f,
                    "  weights[{}..] = {} * i8x4 {} + {}",
                    self.operand(quad.start),
                    self.operand(*scale),
                    self.operand(*codes),
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
            Op::Strip | Op::U32(_) | Op::I32(_) | Op::F32(_) => Ok(()), // shown where they are used
            Op::Load { stream, bits, offset, align } => {
                let stream = &decoder.streams[stream as usize].0;
                write!(f, "load.u{bits} {stream}[{}] align {align}", v(offset))
            }
            Op::Lookup { table, index } => {
                write!(f, "{}[{}]", decoder.tables[table as usize].name, v(index))
            }
            Op::Binary(op, left, right) => write!(f, "{} {} {}", v(left), op.symbol(), v(right)),
            Op::Unary(op, operand) => match op {
                Unary::Neg => write!(f, "-{}", v(operand)),
                Unary::ToI32 => write!(f, "i32 {}", v(operand)),
                Unary::SignExtend(bits) => write!(f, "sign_extend.{bits} {}", v(operand)),
                Unary::ToF32 => write!(f, "f32 {}", v(operand)),
                Unary::F32FromBits => write!(f, "f32_from_bits {}", v(operand)),
                Unary::F32FromF16 => write!(f, "f32_from_f16 {}", v(operand)),
            },
        }
    }
}

impl Binary {
    /// The operator, the same in Rust, WGSL and C++.
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
        }
    }
}
