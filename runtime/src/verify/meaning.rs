//! What a format means, weight by weight and bit by bit: the formula over its fields, with none of
//! the compiler's lowering. Slow, and short enough to be read against the language's reference.

use crate::artifact::{Dims, Order};
use crate::{Error, Result, memory};
use quantloom_codegen::Format;
use quantloom_codegen::format::{Field, Formula, Plane, Scalar, Stream, TableValues};
use rayon::prelude::*;

/// The weights of a tensor, `[n, k]` row-major.
///
/// # Errors
/// Where a stream is shorter than `dims` say, or there is no room for so many weights.
pub fn weights<B>(format: &Format, dims: &Dims, streams: &[B]) -> Result<Vec<f32>>
where
    B: AsRef<[u8]> + Sync,
{
    evaluate(format, dims, streams, false)
}

/// [`weights`] of a device that takes every subnormal f32 it meets for 0.
///
/// # Errors
/// As those of [`weights`].
pub fn flushed_weights<B>(format: &Format, dims: &Dims, streams: &[B]) -> Result<Vec<f32>>
where
    B: AsRef<[u8]> + Sync,
{
    evaluate(format, dims, streams, true)
}

fn evaluate<B>(format: &Format, dims: &Dims, streams: &[B], flush: bool) -> Result<Vec<f32>>
where
    B: AsRef<[u8]> + Sync,
{
    let k = dims.blocks.checked_mul(format.weights);
    let error = |problem: &str| Error::Format {
        format: format.name.clone(),
        problem: format!("weights [{}, {}]: {problem}", dims.n, k.unwrap_or(u32::MAX)),
    };
    let k = k.filter(|&k| k > 0).ok_or_else(|| error("no weight, or more than 32 bits count"))?;
    let len = memory::elements(dims.n as usize, k as usize, "weights")?;
    let mut weights: Vec<f32> = memory::zeros(len, "weights")?;
    let row = |(row, weights): (usize, &mut [f32])| {
        weights.iter_mut().zip(0..k).try_for_each(|(own, weight)| {
            let reader = Reader { format, dims, streams, row: row as u32, weight };
            *own = reader.formula(&format.value, flush)?;
            Some(())
        })
    };
    let decoded = weights.par_chunks_mut(k as usize).enumerate().try_for_each(row);
    decoded.map(|()| weights).ok_or_else(|| error("a stream is too short for them"))
}

/// Reads the fields of one weight. Everything is `None` where it lies outside the tensor's bytes.
pub(super) struct Reader<'a, B> {
    /// The format.
    pub format: &'a Format,
    /// Sizes of the tensor.
    pub dims: &'a Dims,
    /// Its bytes.
    pub streams: &'a [B],
    /// Which row.
    pub row: u32,
    /// Number in its row.
    pub weight: u32,
}

impl<B: AsRef<[u8]>> Reader<'_, B> {
    /// The value of a formula; subnormals on the way are 0 where they are flushed.
    fn formula(&self, formula: &Formula, flush: bool) -> Option<f32> {
        let of = |formula: &Formula| self.formula(formula, flush);
        let value = match formula {
            Formula::Number(number) => *number,
            Formula::Field(field) => self.number(*field)?,
            Formula::Neg(inner) => -of(inner)?,
            Formula::Add(left, right) => of(left)? + of(right)?,
            Formula::Sub(left, right) => of(left)? - of(right)?,
            Formula::Mul(left, right) => of(left)? * of(right)?,
            Formula::Apart(inner) => of(inner)?,
            Formula::Half(inner) => half::f16::from_f32(of(inner)?).to_f32(),
            Formula::Lookup { table, index, lane } => {
                let lane = lane.map_or(Some(0), |lane| self.integer(lane))?;
                self.entry(*table, self.integer(*index)?, lane)?
            }
        };
        Some(if flush && value.is_subnormal() { 0f32.copysign(value) } else { value })
    }

    /// A value of a table.
    pub(super) fn entry(&self, table: usize, index: i64, lane: i64) -> Option<f32> {
        let table = self.format.tables.get(table)?;
        let at = usize::try_from(index * i64::from(table.lanes) + lane).ok()?;
        match &table.values {
            TableValues::I8(values) => values.get(at).map(|&value| value.into()),
            TableValues::F32(values) => values.get(at).copied(),
            TableValues::Stored { member, .. } => {
                let member = self.format.members.get(*member)?;
                let bytes = self.streams.get(member.stream)?.as_ref();
                let (words, _) = bytes.get(member.offset as usize..)?.as_chunks();
                words.get(at).map(|&word| f32::from_le_bytes(word))
            }
        }
    }

    /// A field as the formula sees it.
    pub(super) fn number(&self, field: usize) -> Option<f32> {
        let bits = || self.bits(field);
        Some(match &self.format.fields.get(field)?.scalar {
            Scalar::Unsigned | Scalar::Signed => self.integer(field)? as f32,
            Scalar::F16 => half::f16::from_bits(bits()? as u16).to_f32(),
            Scalar::Bf16 => half::bf16::from_bits(bits()? as u16).to_f32(),
            Scalar::F32 => f32::from_bits(bits()?),
            Scalar::Small(float) => float.value(bits()?) as f32,
        })
    }

    /// An integer field, its bias subtracted.
    fn integer(&self, field: usize) -> Option<i64> {
        let own = self.format.fields.get(field)?;
        if let Some(layout) = &own.index {
            return Some(layout.at(self.weight % self.format.weights));
        }
        let bits = i64::from(self.bits(field)?);
        let span = 1i64 << own.bits();
        let stored = match own.scalar {
            Scalar::Signed if bits >= span / 2 => bits - span,
            _ => bits,
        };
        let number = stored - i64::from(own.bias);
        Some(if own.wrap { number.rem_euclid(span) } else { number })
    }

    /// The stored bits of a field: its planes joined, low part first.
    fn bits(&self, field: usize) -> Option<u32> {
        let (mut bits, mut low) = (0, 0);
        for place in self.places(self.format.fields.get(field)?) {
            let (stream, at) = place?;
            let byte = self.streams.get(stream)?.as_ref().get(at / 8)?;
            bits |= u32::from(byte >> (at % 8) & 1) << low;
            low += 1;
        }
        Some(bits)
    }

    /// Stream, and place in it in bits, of every bit of a field's value, low ones first.
    pub fn places(&self, field: &Field) -> impl Iterator<Item = Option<(usize, usize)>> {
        let gathered = field.gather.map(|gather| self.bits(gather));
        let bits = |plane: &Plane| 0..plane.bits;
        let all =
            field.planes.iter().flat_map(move |plane| bits(plane).map(move |bit| (plane, bit)));
        all.map(move |(plane, bit)| {
            let member = self.format.members.get(plane.member)?;
            let stream = self.format.streams.get(member.stream)?;
            let within = self.weight % self.format.weights;
            let value = if gathered.is_some() { 0 } else { within / field.per };
            let position = plane.in_row(value, self.row % plane.rows.size());
            let position = usize::try_from(position).ok()? + bit as usize;
            // The units of a block, or their words, may lie apart.
            let unit_bits = stream.unit as usize * 8;
            let piece = position.checked_div(unit_bits)?;
            if gathered == Some(None) {
                return None;
            }
            let unit = self.unit(stream, gathered.flatten(), piece)?;
            Some((member.stream, unit * unit_bits + position % unit_bits))
        })
    }

    /// Number of a unit among all of a stream: the one gathered, or piece `piece` of the block.
    fn unit(&self, stream: &Stream, gathered: Option<u32>, piece: usize) -> Option<usize> {
        let (units, dims) = (stream.units, self.dims);
        let blocks = dims.blocks as usize;
        let block = (self.weight / self.format.weights) as usize;
        let span = usize::try_from(units.blocks.blocks(dims)).ok()?;
        let per_row = blocks.div_ceil(span) * units.per_block as usize;
        let along = match gathered {
            Some(unit) => (unit as usize).min(per_row.checked_sub(1)?),
            None => block / span * units.per_block as usize + piece,
        };
        // One unit may serve several rows, or all of them.
        let across = self.row.checked_div(units.rows).unwrap_or(0) as usize;
        let columns = dims.n.checked_div(units.rows).map_or(1, |_| dims.n.div_ceil(units.rows));
        Some(match units.order {
            Order::Rows => across * per_row + along,
            Order::Columns => along * columns as usize + across,
            Order::Flat => (self.row as usize * blocks + block) / span,
        })
    }
}
