//! Classes of kernels and shapes, which have schedules of their own.

use serde::{Deserialize, Serialize};

use crate::artifact::{Activations, Kind};

/// Kinds and precisions of the kernels that a table has schedules for.
pub const TUNED: [(Kind, Precision); 7] = [
    (Kind::Dequant, Precision::Exact),
    (Kind::Matvec, Precision::Exact),
    (Kind::Matmul, Precision::Exact),
    (Kind::Matvec, Precision::Int8),
    (Kind::Batch, Precision::Int8),
    (Kind::Matmul, Precision::Int8),
    (Kind::Matmul, Precision::F16),
];

/// How kernels take activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As f32; decoding too.
    Exact,
    /// Rounded to 8 bits.
    Int8,
    /// Rounded to f16, for matrix units.
    F16,
}

impl Precision {
    /// How kernels of this precision read activations.
    pub fn activations(self) -> Activations {
        match self {
            Precision::Exact => Activations::F32,
            Precision::Int8 => Activations::Int8,
            Precision::F16 => Activations::F16,
        }
    }
}

/// Classes of weight rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rows {
    /// Below 2048.
    Few,
    /// Below 8192.
    Some,
    /// More.
    Many,
}

/// Classes of weights per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Columns {
    /// Below 8192.
    Short,
    /// More.
    Long,
}

impl Rows {
    /// The class of so many.
    pub fn of(n: usize) -> Rows {
        match n {
            0..2048 => Rows::Few,
            2048..8192 => Rows::Some,
            _ => Rows::Many,
        }
    }
}

impl Columns {
    /// The class of so many.
    pub fn of(k: usize) -> Columns {
        if k < 8192 { Columns::Short } else { Columns::Long }
    }
}
