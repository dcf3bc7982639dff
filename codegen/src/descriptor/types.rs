//! The type of a field: a name, or the parts of a small float.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};
use std::collections::BTreeMap;
use std::fmt;

/// The type of a field.
#[derive(Clone, Debug)]
pub enum TypeText {
    /// `u`, `i`, `f16`, `bf16`, `f32` or `pad`.
    Name(String),
    /// A small float, by its parts.
    Float(FloatText),
}

/// A float of a few bits: sign, exponent and mantissa, from the top down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloatText {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the mantissa.
    pub mantissa: u32,
    /// Subtracted from the exponent.
    pub bias: i32,
    /// Whether there is a sign bit above the exponent.
    #[serde(default)]
    pub signed: bool,
    /// Bits above these that mean nothing.
    #[serde(default)]
    pub pad: u32,
    /// `none`, `ieee` (the largest exponent is infinity and NaN) or `nan` (all ones is NaN).
    pub special: Option<String>,
    /// Values that some codes have instead.
    #[serde(default)]
    pub values: BTreeMap<u32, f64>,
}

impl<'de> Deserialize<'de> for TypeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TypeText, D::Error> {
        deserializer.deserialize_any(TypeVisitor)
    }
}

struct TypeVisitor;

impl<'de> Visitor<'de> for TypeVisitor {
    type Value = TypeText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<TypeText, E> {
        Ok(TypeText::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TypeText, A::Error> {
        FloatText::deserialize(MapAccessDeserializer::new(map)).map(TypeText::Float)
    }
}
