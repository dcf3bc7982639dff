//! Metadata values as the Rust types that a caller asks for.

use super::value::{Array, Value};

/// A type that [`Gguf::get`](crate::Gguf::get) hands out: integers of any width (where the stored one
/// fits), `f32`, `f64`, `bool`, `&str`, `String`, vectors of these, [`Array`] and [`Value`].
pub trait FromValue<'a>: Sized {
    /// The value, where it is of this type.
    fn from_value(value: Value<'a>) -> Option<Self>;

    /// The type in words, for errors, as in "a u32".
    fn wanted() -> String;
}

macro_rules! from_value {
    ($($type:ty, $wanted:literal, $value:ident => $from:expr;)*) => {$(
        impl<'a> FromValue<'a> for $type {
            fn from_value($value: Value<'a>) -> Option<Self> {
                $from
            }

            fn wanted() -> String {
                $wanted.to_owned()
            }
        }
    )*};
}

from_value! {
    u8, "a u8", value => value.as_i128()?.try_into().ok();
    i8, "an i8", value => value.as_i128()?.try_into().ok();
    u16, "a u16", value => value.as_i128()?.try_into().ok();
    i16, "an i16", value => value.as_i128()?.try_into().ok();
    u32, "a u32", value => value.as_i128()?.try_into().ok();
    i32, "an i32", value => value.as_i128()?.try_into().ok();
    u64, "a u64", value => value.as_i128()?.try_into().ok();
    i64, "an i64", value => value.as_i128()?.try_into().ok();
    usize, "a usize", value => value.as_i128()?.try_into().ok();
    f32, "an f32", value => match value {
        Value::F32(value) => Some(value),
        _ => None,
    };
    f64, "an f64", value => value.as_f64();
    bool, "a bool", value => value.as_bool();
    &'a str, "a string", value => value.as_str();
    String, "a string", value => value.as_str().map(str::to_owned);
    Array<'a>, "an array", value => value.as_array();
    Value<'a>, "a value", value => Some(value);
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Vec<T> {
    fn from_value(value: Value<'a>) -> Option<Vec<T>> {
        value.as_array()?.iter().map(T::from_value).collect()
    }

    fn wanted() -> String {
        format!("an array, each element {}", T::wanted())
    }
}
