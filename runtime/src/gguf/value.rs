//! Metadata: typed values under unique keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::cursor::Cursor;
use crate::Result;

/// A metadata value, with the type the file gives it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is the type it is called by")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    String(String),
    /// A string that is not UTF-8, as it stands in the file.
    Bytes(Vec<u8>),
    Array(Array),
}

/// A metadata array; all its elements have one type.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is the type it is called by")]
pub enum Array {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    String(Vec<String>),
    /// Strings of which at least one is not UTF-8, as they stand in the file.
    Bytes(Vec<Vec<u8>>),
    Array(Vec<Array>),
}

impl Value {
    /// The value of an integer of any width that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128().and_then(|value| value.try_into().ok())
    }

    /// The value of an integer of any width that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128().and_then(|value| value.try_into().ok())
    }

    fn as_i128(&self) -> Option<i128> {
        Some(match *self {
            Value::U8(value) => value.into(),
            Value::I8(value) => value.into(),
            Value::U16(value) => value.into(),
            Value::I16(value) => value.into(),
            Value::U32(value) => value.into(),
            Value::I32(value) => value.into(),
            Value::U64(value) => value.into(),
            Value::I64(value) => value.into(),
            _ => return None,
        })
    }

    /// The value of a floating-point number of either width.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(value) => Some(value.into()),
            Value::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }
}

impl Array {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Array::U8(values) => values.len(),
            Array::I8(values) => values.len(),
            Array::U16(values) => values.len(),
            Array::I16(values) => values.len(),
            Array::U32(values) => values.len(),
            Array::I32(values) => values.len(),
            Array::U64(values) => values.len(),
            Array::I64(values) => values.len(),
            Array::F32(values) => values.len(),
            Array::F64(values) => values.len(),
            Array::Bool(values) => values.len(),
            Array::String(values) => values.len(),
            Array::Bytes(values) => values.len(),
            Array::Array(values) => values.len(),
        }
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Entries in the file's order, and where each key stands among them.
pub(super) type Metadata = (Vec<(String, Value)>, HashMap<String, usize>);

/// The count of entries and the entries.
pub(super) fn metadata(cursor: &mut Cursor) -> Result<Metadata> {
    let count = cursor.u64("the number of metadata entries")?;
    // A key's length, a type and a byte.
    let count = cursor.fits(count, 13, "metadata entries")?;
    let (mut entries, mut keys) = (Vec::new(), HashMap::new());
    for index in 0..count {
        let at = cursor.position();
        let key = cursor.name("a metadata key")?;
        match keys.entry(key.to_owned()) {
            Entry::Occupied(_) => {
                return Err(cursor.error_at(
                    at,
                    format!("metadata key `{key}` occurs twice; keys must be unique"),
                ));
            }
            Entry::Vacant(entry) => entry.insert(index),
        };
        let kind = cursor.u32("a metadata type")?;
        entries.push((key.to_owned(), value(cursor, key, kind)?));
    }
    Ok((entries, keys))
}

fn value(cursor: &mut Cursor, key: &str, kind: u32) -> Result<Value> {
    if kind == 9 {
        return array(cursor, key, 0).map(Value::Array);
    }
    // A single value is read as an array of one.
    Ok(match elements(cursor, key, kind, 1, 0)? {
        Array::U8(values) => Value::U8(first(values)),
        Array::I8(values) => Value::I8(first(values)),
        Array::U16(values) => Value::U16(first(values)),
        Array::I16(values) => Value::I16(first(values)),
        Array::U32(values) => Value::U32(first(values)),
        Array::I32(values) => Value::I32(first(values)),
        Array::U64(values) => Value::U64(first(values)),
        Array::I64(values) => Value::I64(first(values)),
        Array::F32(values) => Value::F32(first(values)),
        Array::F64(values) => Value::F64(first(values)),
        Array::Bool(values) => Value::Bool(first(values)),
        Array::String(values) => Value::String(first(values)),
        Array::Bytes(values) => Value::Bytes(first(values)),
        array @ Array::Array(_) => Value::Array(array),
    })
}

fn first<T: Default>(values: Vec<T>) -> T {
    values.into_iter().next().unwrap_or_default()
}

/// Arrays may hold arrays; deeper than this is taken as damage.
const MAX_DEPTH: u32 = 8;

fn array(cursor: &mut Cursor, key: &str, depth: u32) -> Result<Array> {
    if depth == MAX_DEPTH {
        return Err(cursor.error(format!(
            "metadata key `{key}` nests arrays more than {MAX_DEPTH} deep; fewer are expected"
        )));
    }
    let kind = cursor.u32("an array's element type")?;
    let count = cursor.u64("an array's length")?;
    elements(cursor, key, kind, count, depth)
}

/// `count` values of a type in a row.
fn elements(cursor: &mut Cursor, key: &str, kind: u32, count: u64, depth: u32) -> Result<Array> {
    let what = format!("the value of metadata key `{key}`");
    macro_rules! numbers {
        ($variant:ident, $type:ty) => {{
            const SIZE: usize = size_of::<$type>();
            let count = cursor.fits(count, SIZE as u64, "array elements")?;
            let bytes = cursor.take((count * SIZE) as u64, &what)?;
            Array::$variant(
                bytes.as_chunks().0.iter().map(|&bytes| <$type>::from_le_bytes(bytes)).collect(),
            )
        }};
    }
    Ok(match kind {
        0 => numbers!(U8, u8),
        1 => numbers!(I8, i8),
        2 => numbers!(U16, u16),
        3 => numbers!(I16, i16),
        4 => numbers!(U32, u32),
        5 => numbers!(I32, i32),
        6 => numbers!(F32, f32),
        7 => {
            let count = cursor.fits(count, 1, "array elements")?;
            let mut values = Vec::new();
            for _ in 0..count {
                let at = cursor.position();
                values.push(match cursor.u8(&what)? {
                    0 => false,
                    1 => true,
                    other => {
                        return Err(cursor.error_at(
                            at,
                            format!(
                                "metadata key `{key}` has a boolean of value {other}; it must be \
                                 0 or 1"
                            ),
                        ));
                    }
                });
            }
            Array::Bool(values)
        }
        8 => {
            let count = cursor.fits(count, 8, "strings")?;
            let mut strings = Vec::new();
            for _ in 0..count {
                strings.push(cursor.string(&what)?);
            }
            texts(&strings)
        }
        9 => {
            let count = cursor.fits(count, 12, "arrays")?;
            let mut arrays = Vec::new();
            for _ in 0..count {
                arrays.push(array(cursor, key, depth + 1)?);
            }
            Array::Array(arrays)
        }
        10 => numbers!(U64, u64),
        11 => numbers!(I64, i64),
        12 => numbers!(F64, f64),
        other => {
            return Err(cursor.error(format!(
                "metadata key `{key}` has type {other}; types are 0 to 12, and without knowing \
                 this one the rest of the header cannot be found"
            )));
        }
    })
}

/// Strings as texts where all of them are.
fn texts(strings: &[&[u8]]) -> Array {
    let texts: Result<Vec<&str>, _> =
        strings.iter().map(|bytes| std::str::from_utf8(bytes)).collect();
    match texts {
        Ok(texts) => Array::String(texts.into_iter().map(str::to_owned).collect()),
        Err(_) => Array::Bytes(strings.iter().map(|bytes| bytes.to_vec()).collect()),
    }
}
