//! Metadata values: views of the header's bytes.

use std::fmt;

use super::cursor::Cursor;
use crate::Result;

/// A metadata value, with the type the file gives it. It refers to the file's bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is the type it is called by")]
pub enum Value<'a> {
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
    String(&'a str),
    /// A string that is not UTF-8, as it stands in the file.
    Bytes(&'a [u8]),
    Array(Array<'a>),
}

/// A metadata array, as it lies in the file: elements are made when asked for, so that an array of
/// 150,000 strings costs nothing until somebody goes through it. All elements have one type.
#[derive(Clone, Copy, PartialEq)]
pub struct Array<'a> {
    kind: u32,
    len: usize,
    bytes: &'a [u8],
}

/// The elements of an [`Array`], in order.
pub struct Elements<'a> {
    kind: u32,
    left: usize,
    cursor: Cursor<'a>,
}

impl<'a> Value<'a> {
    /// The value of an integer of any width that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128().and_then(|value| value.try_into().ok())
    }

    /// The value of an integer of any width that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128().and_then(|value| value.try_into().ok())
    }

    pub(super) fn as_i128(&self) -> Option<i128> {
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
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }
}

impl<'a> Array<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements. Of strings, each is found behind the one before.
    pub fn iter(&self) -> Elements<'a> {
        // What is wrong with a file was said when it was opened.
        let cursor = Cursor::new(self.bytes, self.bytes.len(), "");
        Elements { kind: self.kind, left: self.len, cursor }
    }

    /// The elements' type, as in "u32" or "string".
    pub fn element_type(&self) -> &'static str {
        name(self.kind)
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}; {}]", self.element_type(), self.len)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        value(&mut self.cursor, self.kind, "", 0).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// Names of the types, by number.
const NAMES: [&str; 13] =
    ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn name(kind: u32) -> &'static str {
    NAMES.get(kind as usize).copied().unwrap_or("unknown")
}

/// Arrays may hold arrays; deeper than this is taken as damage.
const MAX_DEPTH: u32 = 8;

/// The next value, of this type and with this many arrays around it; `key` is for errors.
pub(super) fn value<'a>(
    cursor: &mut Cursor<'a>,
    kind: u32,
    key: &str,
    depth: u32,
) -> Result<Value<'a>> {
    if kind == ARRAY {
        return array(cursor, key, depth).map(Value::Array);
    }
    let start = cursor.position();
    skip(cursor, kind, 1, key, depth)?;
    let bytes = cursor.since(start);
    macro_rules! number {
        ($variant:ident, $type:ty) => {
            Value::$variant(<$type>::from_le_bytes(
                bytes.first_chunk().copied().unwrap_or_default(),
            ))
        };
    }
    Ok(match kind {
        0 => number!(U8, u8),
        1 => number!(I8, i8),
        2 => number!(U16, u16),
        3 => number!(I16, i16),
        4 => number!(U32, u32),
        5 => number!(I32, i32),
        6 => number!(F32, f32),
        BOOL => Value::Bool(bytes == [1]),
        10 => number!(U64, u64),
        11 => number!(I64, i64),
        12 => number!(F64, f64),
        _ => {
            let string = bytes.get(8..).unwrap_or_default();
            std::str::from_utf8(string).map_or(Value::Bytes(string), Value::String)
        }
    })
}

fn array<'a>(cursor: &mut Cursor<'a>, key: &str, depth: u32) -> Result<Array<'a>> {
    if depth == MAX_DEPTH {
        return Err(cursor.error(format!(
            "metadata key `{key}` nests arrays more than {MAX_DEPTH} deep; fewer are expected"
        )));
    }
    let kind = cursor.u32("an array's element type")?;
    let count = cursor.u64("an array's length")?;
    let start = cursor.position();
    let len = skip(cursor, kind, count, key, depth)?;
    Ok(Array { kind, len, bytes: cursor.since(start) })
}

/// Goes past `count` values of a type and checks them; how many that were.
fn skip(cursor: &mut Cursor, kind: u32, count: u64, key: &str, depth: u32) -> Result<usize> {
    let what = format_args!("the value of metadata key `{key}`");
    let sized = |cursor: &mut Cursor, size: usize| {
        let count = cursor.fits(count, size as u64, "array elements")?;
        cursor.take((count * size) as u64, what).map(|_| count)
    };
    match kind {
        0 | 1 => sized(cursor, 1),
        2 | 3 => sized(cursor, 2),
        4..=6 => sized(cursor, 4),
        10..=12 => sized(cursor, 8),
        BOOL => {
            let start = cursor.position();
            let count = sized(cursor, 1)?;
            match cursor.since(start).iter().enumerate().find(|(_, value)| **value > 1) {
                Some((at, other)) => Err(cursor.error_at(
                    start + at,
                    format!("metadata key `{key}` has a boolean of value {other}; it must be 0 or 1"),
                )),
                None => Ok(count),
            }
        }
        STRING => {
            let count = cursor.fits(count, 8, "strings")?;
            (0..count).try_for_each(|_| cursor.string(what).map(drop))?;
            Ok(count)
        }
        ARRAY => {
            let count = cursor.fits(count, 12, "arrays")?;
            (0..count).try_for_each(|_| array(cursor, key, depth + 1).map(drop))?;
            Ok(count)
        }
        other => Err(cursor.error(format!(
            "metadata key `{key}` has type {other}; types are 0 to 12, and without knowing this one \
             the rest of the header cannot be found"
        ))),
    }
}
