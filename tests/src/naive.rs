//! What a format means, weight by weight and bit by bit: the formula over its fields, with none of
//! the compiler's lowering. Slow, and short enough to be read against the language's reference.

use quantloom_codegen::Format;
use quantloom_codegen::artifact::{Dims, Order};
use quantloom_codegen::format::{Field, Formula, Plane, Scalar, TableValues};

/// The weights of a tensor, rows one after another.
pub fn decode(format: &Format, dims: &Dims, streams: &[Vec<u8>]) -> Vec<f32> {
    let k = dims.blocks * format.weights;
    let places = (0..dims.n).flat_map(|row| (0..k).map(move |weight| (row, weight)));
    let weight =
        |(row, weight)| Reader { format, dims, streams, row, weight }.formula(&format.value);
    places.map(weight).collect()
}

/// Reads the fields of one weight.
pub struct Reader<'a> {
    /// The format.
    pub format: &'a Format,
    /// Sizes of the tensor.
    pub dims: &'a Dims,
    /// Its bytes.
    pub streams: &'a [Vec<u8>],
    /// Which row.
    pub row: u32,
    /// Number in its row.
    pub weight: u32,
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
            Formula::Half(inner) => half::f16::from_f32(self.formula(inner)).to_f32(),
            Formula::Lookup { table, index, lane } => {
                let table = &self.format.tables[*table];
                let lane = lane.map_or(0, |lane| self.integer(lane));
                let at = (self.integer(*index) * i64::from(table.lanes) + lane) as usize;
                match &table.values {
                    TableValues::I8(values) => values[at].into(),
                    TableValues::F32(values) => values[at],
                    TableValues::Stored { member, .. } => {
                        let member = &self.format.members[*member];
                        let first = member.offset as usize + at * 4;
                        let bytes = &self.streams[member.stream][first..first + 4];
                        f32::from_le_bytes(bytes.try_into().unwrap_or_default())
                    }
                }
            }
        }
    }

    fn field(&self, index: usize) -> f32 {
        let bits = || self.bits(index);
        match &self.format.fields[index].scalar {
            Scalar::Unsigned | Scalar::Signed => self.integer(index) as f32,
            Scalar::F16 => half::f16::from_bits(bits() as u16).to_f32(),
            Scalar::Bf16 => half::bf16::from_bits(bits() as u16).to_f32(),
            Scalar::F32 => f32::from_bits(bits()),
            Scalar::Small(float) => float.value(bits()) as f32,
        }
    }

    /// An integer field, its bias subtracted.
    fn integer(&self, index: usize) -> i64 {
        let field = &self.format.fields[index];
        if let Some(layout) = &field.index {
            return layout.at(self.weight % self.format.weights);
        }
        let bits = i64::from(self.bits(index));
        let sign = 1i64 << (field.bits() - 1);
        let stored = if field.scalar == Scalar::Signed { (bits ^ sign) - sign } else { bits };
        match field.wrap {
            true => (stored - i64::from(field.bias)).rem_euclid(1 << field.bits()),
            false => stored - i64::from(field.bias),
        }
    }

    /// The stored integer of a field: its planes joined, low part first.
    fn bits(&self, index: usize) -> u32 {
        let field = &self.format.fields[index];
        let (mut bits, mut low) = (0, 0);
        for plane in &field.planes {
            let stream = &self.streams[self.format.members[plane.member].stream];
            for bit in 0..plane.bits {
                let at = self.address(field, plane, bit);
                bits |= u32::from(stream[at / 8] >> (at % 8) & 1) << low;
                low += 1;
            }
        }
        bits
    }

    /// Where a bit of a plane lies in its stream, in bits.
    pub fn address(&self, field: &Field, plane: &Plane, bit: u32) -> usize {
        let stream = &self.format.streams[self.format.members[plane.member].stream];
        let units = stream.units;
        let (block, within) =
            (self.weight / self.format.weights, self.weight % self.format.weights);
        let value = if field.gather.is_some() { 0 } else { within / field.per };
        let position = plane.in_row(value, self.row % plane.rows.size()) as usize + bit as usize;
        // The units of a block, or their words, may lie apart.
        let (piece, position) =
            (position / (stream.unit as usize * 8), position % (stream.unit as usize * 8));
        let span = units.blocks.blocks(self.dims) as usize;
        let per_row = (self.dims.blocks as usize).div_ceil(span) * units.per_block as usize;
        let along = match field.gather {
            Some(gather) => (self.bits(gather) as usize).min(per_row - 1),
            None => block as usize / span * units.per_block as usize + piece,
        };
        let across = self.row.checked_div(units.rows).unwrap_or(0) as usize;
        let columns = match units.rows {
            0 => 1,
            rows => (self.dims.n as usize).div_ceil(rows as usize),
        };
        let unit = match units.order {
            Order::Rows => across * per_row + along,
            Order::Columns => along * columns + across,
            Order::Flat => (self.row as usize * self.dims.blocks as usize + block as usize) / span,
        };
        unit * stream.unit as usize * 8 + position
    }
}
