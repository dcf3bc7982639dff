//! The tables of a format as programs read them: small ones in the program's text, large ones as words
//! of a buffer that all kernels of the format share.

use super::exponent;
use crate::format::{Format, Scalar, Table, TableValues};
use crate::ir::{self, Entries};

/// Entries of a table that is part of the text. GPUs copy such tables to registers or local memory.
const SMALL: usize = 64;

/// Every table of a format, the large ones one behind the other in the buffer.
pub(super) fn of_format(format: &Format) -> Vec<ir::Table> {
    let written = format.tables.iter().filter_map(|table| {
        entries(table).map(|entries| ir::Table { name: table.name.clone(), at: None, entries })
    });
    let floats = format.fields.iter().filter_map(|field| match &field.scalar {
        Scalar::Small(float) if !exponent::applies(&field.scalar) => {
            let bits = float.table().into_iter().map(f32::to_bits);
            let entries = Entries::U32(bits.collect());
            Some(ir::Table { name: values_name(&field.name), at: None, entries })
        }
        _ => None,
    });
    let mut tables: Vec<ir::Table> = written.chain(floats).collect();
    let mut words = 0;
    for table in tables.iter_mut().filter(|table| table.entries.len() > SMALL) {
        table.at = Some(words);
        words += table.entries.len() as u32;
    }
    tables
}

/// The words of a format's buffer of tables.
pub(crate) fn buffer(format: &Format) -> Vec<u32> {
    let large = of_format(format).into_iter().filter(|table| table.at.is_some());
    large
        .flat_map(|table| match table.entries {
            Entries::U32(words) => words,
            Entries::I32(_) | Entries::F32(_) => Vec::new(), // large tables are made of words
        })
        .collect()
}

/// Name of the table that holds the values of a field's small floats.
pub(super) fn values_name(field: &str) -> String {
    format!("{field}_values")
}

/// Bytes of an entry where values are packed four to a word; `None` where each is a word of its own.
pub(super) fn packed(table: &Table) -> Option<u32> {
    match &table.values {
        TableValues::I8(_) if table.lanes > 1 => Some(table.lanes.next_multiple_of(4)),
        TableValues::I8(values) if values.len() > SMALL => Some(1),
        _ => None,
    }
}

/// The entries of a table that is not stored with the weights.
fn entries(table: &Table) -> Option<Entries> {
    Some(match &table.values {
        TableValues::I8(values) => match packed(table) {
            None => Entries::I32(values.iter().map(|&value| value.into()).collect()),
            Some(bytes) => {
                let padded = values.chunks(table.lanes as usize).flat_map(|entry| {
                    let padding = bytes as usize - entry.len();
                    entry.iter().copied().chain(std::iter::repeat_n(0, padding))
                });
                let padded: Vec<i8> = padded.collect();
                let word = |bytes: &[i8]| {
                    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte as u8))
                };
                Entries::U32(padded.chunks(4).map(word).collect())
            }
        },
        // Browsers take the constant -0.0 for 0.0; what is converted at run time keeps its sign.
        TableValues::F32(values) if values.len() > SMALL || values.iter().any(is_minus_zero) => {
            Entries::U32(values.iter().map(|value| value.to_bits()).collect())
        }
        TableValues::F32(values) => Entries::F32(values.clone()),
        TableValues::Stored { .. } => return None,
    })
}

fn is_minus_zero(value: &f32) -> bool {
    *value == 0.0 && value.is_sign_negative()
}
