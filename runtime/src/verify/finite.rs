//! Is what a tensor stores finite? Where it is not, which row and field hold what.

use std::fmt;

use super::meaning::Reader;
use crate::{Device, Result, Tensor, descriptor};
use quantloom_codegen::Format;
use quantloom_codegen::artifact::Extent;
use quantloom_codegen::format::{Field, TableValues};

/// A stored number that is NaN or infinite; or a weight that is, of finite numbers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NotFinite {
    /// The tensor's name.
    pub tensor: String,
    /// The row, counted from 0.
    pub row: usize,
    /// The first weight of the row that it belongs to.
    pub weight: usize,
    /// What it is.
    pub what: Stored,
    /// The field or table of the format's descriptor; none for a weight of finite numbers.
    pub field: Option<String>,
    /// NaN or an infinity.
    pub value: f32,
}

/// What a stored number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// That of a single weight.
    Weight,
    /// Shared by several weights: a scale, or an offset.
    Scale,
    /// Of a table that is stored with the tensor.
    Table,
}

/// Weights decoded at a time, about.
const RUN: usize = 1 << 22;

/// Decodes a tensor on a device, and names the first number of every row that is not finite.
///
/// # Errors
/// What the device fails with; [`Error::Format`](crate::Error::Format) where the format's descriptor
/// does not compile.
pub fn not_finite(tensor: &Tensor, device: &Device) -> Result<Vec<NotFinite>> {
    let uploaded = tensor.upload(device)?;
    let rows: Vec<u32> = (0..tensor.n() as u32).collect();
    let mut found = Vec::new();
    for run in rows.chunks((RUN / tensor.k()).max(1)) {
        found.extend(of_weights(tensor, run, &uploaded.gather(run)?)?);
    }
    Ok(found)
}

/// The same, of rows that have been decoded: `weights` are `[rows.len(), k]`.
///
/// # Errors
/// [`Error::Format`](crate::Error::Format) where the format's descriptor does not compile.
pub fn of_weights(tensor: &Tensor, rows: &[u32], weights: &[f32]) -> Result<Vec<NotFinite>> {
    let odd = |weights: &[f32]| weights.iter().position(|weight| !weight.is_finite());
    let rows = rows.iter().zip(weights.chunks(tensor.k()));
    let odd: Vec<(u32, usize, f32)> = rows
        .filter_map(|(&row, weights)| {
            let weight = odd(weights)?;
            Some((row, weight, weights.get(weight).copied()?))
        })
        .collect();
    if odd.is_empty() {
        return Ok(Vec::new());
    }
    let format = descriptor::parse(tensor.format())?;
    let streams = tensor.stream_bytes();
    let found = odd.into_iter().map(|(row, weight, value)| {
        let reader =
            Reader { format: &format, dims: tensor.layout(), streams: &streams, row, weight: 0 };
        let stored = fields(&reader, tensor.k() as u32).or_else(|| tables(&reader));
        let (weight, what, field, value) = match stored {
            Some((weight, what, field, value)) => (weight, what, Some(field), value),
            None => (weight, Stored::Weight, None, value),
        };
        NotFinite {
            tensor: tensor.name().to_owned(),
            row: row as usize,
            weight,
            what,
            field,
            value,
        }
    });
    Ok(found.collect())
}

type Found = (usize, Stored, String, f32);

/// The first value of a row's fields that is not finite.
fn fields(reader: &Reader<&[u8]>, k: u32) -> Option<Found> {
    let format = reader.format;
    format.fields.iter().enumerate().find_map(|(number, field)| {
        if field.padding || field.range().is_some() {
            return None;
        }
        let value = |weight| Reader { weight, ..*reader }.number(number);
        let values = (0..k).step_by(field.per as usize).map(|at| Some((at, value(at)?)));
        let (at, value) = values.flatten().find(|(_, value)| !value.is_finite())?;
        let what = if is_shared(format, field) { Stored::Scale } else { Stored::Weight };
        Some((at as usize, what, field.name.clone(), value))
    })
}

/// Whether several weights have one value of a field.
fn is_shared(format: &Format, field: &Field) -> bool {
    let streams = field.planes.iter().filter_map(|plane| format.members.get(plane.member));
    let mut streams = streams.filter_map(|member| format.streams.get(member.stream));
    let several = streams.any(|stream| stream.units.blocks != Extent::Blocks(1));
    !field.varies() || field.gather.is_some() || several
}

/// The first value of a stored table that is not finite.
fn tables(reader: &Reader<&[u8]>) -> Option<Found> {
    reader.format.tables.iter().enumerate().find_map(|(number, table)| {
        let TableValues::Stored { count, .. } = table.values else { return None };
        let values = (0..i64::from(count)).filter_map(|at| reader.entry(number, at, 0));
        let value = values.into_iter().find(|value| !value.is_finite())?;
        Some((0, Stored::Table, table.name.clone(), value))
    })
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotFinite { tensor, row, weight, what, field, value } = self;
        let what = match what {
            Stored::Weight => "a weight",
            Stored::Scale => "a scale",
            Stored::Table => "a value of its table",
        };
        write!(f, "{tensor}, row {row}: {what} is {value}")?;
        match field {
            Some(field) => write!(f, " (`{field}`, from weight {weight} on)"),
            None => write!(f, " (weight {weight}, of finite numbers)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    const BLOCKS: &str = "format: a\ntitle: a\nweights: 4\nblock: {d: f16, m: f16, q: \"u8[4]\"}\n\
                          fields: {c: {from: q}}\nvalue: d * c + m\n";

    /// 3 rows of 2 blocks, of finite numbers but for a row that is changed.
    fn found(change: impl Fn(&mut [u8])) -> Vec<String> {
        let format = Format::compile(BLOCKS, "a.yaml").unwrap();
        let mut bytes = [0, 0x3c, 0, 0, 1, 2, 3, 4].repeat(6);
        change(&mut bytes[16..32]);
        let tensor = Tensor::new("t", format, 3, 8, [bytes]).unwrap();
        let found = not_finite(&tensor, &Device::reference()).unwrap();
        found.iter().map(NotFinite::to_string).collect()
    }

    #[test]
    fn names_row_field_and_value() {
        assert!(found(|_| {}).is_empty());
        let scale = found(|row| row[8..10].copy_from_slice(&[0, 0x7e]));
        assert_eq!(scale, ["t, row 1: a scale is NaN (`d`, from weight 4 on)"]);
        let offset = found(|row| row[2..4].copy_from_slice(&[0, 0xfc]));
        assert_eq!(offset, ["t, row 1: a scale is -inf (`m`, from weight 0 on)"]);
        // An infinity times a code of 0.
        let zero = found(|row| {
            row[..2].copy_from_slice(&[0, 0x7c]);
            row[4..8].fill(0);
        });
        assert_eq!(zero, ["t, row 1: a scale is inf (`d`, from weight 0 on)"]);
    }

    #[test]
    fn single_weights_and_tables_are_told_apart() {
        let text = "format: a\ntitle: a\nweights: 1\nblock: {w: f32}\nvalue: w * 2.0\n";
        let format = Format::compile(text, "a.yaml").unwrap();
        let bytes = |weights: [f32; 4]| weights.map(f32::to_le_bytes).concat();
        let found = |weights| {
            let tensor = Tensor::new("t", format.clone(), 2, 2, [bytes(weights)]).unwrap();
            let found = not_finite(&tensor, &Device::reference()).unwrap();
            found.iter().map(NotFinite::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found([1.0, f32::NAN, f32::MAX, 1.0]),
            [
                "t, row 0: a weight is NaN (`w`, from weight 1 on)",
                "t, row 1: a weight is inf (weight 0, of finite numbers)"
            ]
        );

        let text = "format: a\ntitle: a\nweights: 4\nstreams:\n  q: {tile: {k: 4}, unit: {codes: \"u8[1]\"}}\n  \
                    t: {tile: {k: all, n: all}, unit: {map: \"f32[4]\"}}\nfields: {c: {from: codes, bits: 2, k: \"4:2\"}}\n\
                    tables: {values: {from: map}}\nvalue: values[c]\n";
        let format = Format::compile(text, "a.yaml").unwrap();
        let table = bytes([1.0, 2.0, f32::INFINITY, 4.0]);
        let streams = [vec![0b01_00_01_00, 0b01_10_01_00], table];
        let tensor = Tensor::new("t", format, 2, 4, streams).unwrap();
        let found = not_finite(&tensor, &Device::reference()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].to_string(),
            "t, row 1: a value of its table is inf (`values`, from weight 0 on)"
        );
    }
}
