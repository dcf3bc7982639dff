//! What is derived from a format, never written: sizes, ranges, the affine form and the class.

use super::{Affine, Field, Format, Formula};
use crate::artifact::{self, Extent};
use std::fmt;

/// Everything derived from one format.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Bytes per block, over all streams; where a unit is shared by several blocks, those of the unit.
    pub block_bytes: u32,
    /// Bits stored per weight, at the default sizes.
    pub bits_per_weight: f64,
    /// Largest power of two, at most 16, that divides the block's bytes in every stream.
    pub alignment: u32,
    /// What the code is, which decides the kernels that are possible.
    pub class: Class,
    /// `value = scale · code + offset`, where the formula has that form.
    pub affine: Option<Affine>,
    /// Consecutive weights over which `scale` and `offset` are constant, at the default sizes: the
    /// group size. 0 stands for a whole row.
    pub run: u32,
    /// Smallest and largest code, where codes are integers.
    pub code_range: Option<(i64, i64)>,
    /// Significant bits that hold every weight exactly, where f32 has as many; where weights are then
    /// rounded to f16, those that hold them before.
    pub significand: Option<u32>,
    /// Operations of the formula that f32 rounds.
    pub roundings: u32,
}

/// What the code of a format is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A stored integer of at most 8 bits.
    Integer,
    /// An entry of an 8-bit integer table.
    Int8Table,
    /// Made of entries of a table of 8-bit integer vectors.
    Int8Vector,
    /// A float, stored or from a table: there is no integer-dot kernel.
    Float,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Integer => "integer code",
            Class::Int8Table => "int8 table",
            Class::Int8Vector => "int8 vector table",
            Class::Float => "float",
        })
    }
}

impl Format {
    /// Derives the facts.
    pub fn facts(&self) -> Facts {
        let block_bytes: u32 = self.streams.iter().map(|stream| stream.bytes).sum();
        let alignment = self.streams.iter().map(|s| 1 << s.unit.trailing_zeros().min(4)).min();
        let affine = self.affine();
        let code_range = affine.as_ref().and_then(|affine| self.integer_range(&affine.code));
        let streams: Vec<_> = self.streams.iter().map(|stream| stream.artifact()).collect();
        Facts {
            block_bytes,
            bits_per_weight: artifact::bits_per_weight(&streams, self.weights, &self.sizes),
            alignment: alignment.unwrap_or(1),
            class: self.class(affine.as_ref(), code_range),
            run: affine.as_ref().map_or(1, |affine| self.run(affine)),
            affine,
            code_range,
            significand: self.significand(),
            roundings: self.roundings(),
        }
    }

    fn class(&self, affine: Option<&Affine>, range: Option<(i64, i64)>) -> Class {
        let (Some(affine), Some((low, high))) = (affine, range) else { return Class::Float };
        let mut lanes = 0;
        affine.code.for_each_leaf(&mut |leaf| {
            if let Formula::Lookup { table, .. } = leaf {
                lanes = lanes.max(self.tables[*table].lanes);
            }
        });
        match lanes {
            0 if high - low < 256 => Class::Integer,
            0 => Class::Float,
            1 => Class::Int8Table,
            _ => Class::Int8Vector,
        }
    }

    fn run(&self, affine: &Affine) -> u32 {
        let mut groups = Vec::new();
        for formula in [&affine.scale, &affine.offset] {
            formula.for_each_field(&mut |field| groups.push(self.group(field)));
        }
        groups.into_iter().reduce(gcd).unwrap_or(self.weights)
    }

    /// Weights of a row that share a value of a field, at the default sizes; 0: all.
    fn group(&self, field: usize) -> u32 {
        let field = &self.fields[field];
        let Some(plane) = field.planes.first() else { return field.per };
        match self.streams[self.members[plane.member].stream].units.blocks {
            _ if field.gather.is_some() => field.per,
            Extent::Blocks(1) => field.per,
            Extent::Blocks(blocks) => blocks * self.weights,
            Extent::Sizes { size, times } => self.sizes[size as usize].default * times,
            Extent::Row => 0,
        }
    }

    /// Field that the strips of a block follow: the one with the most bits per weight.
    pub fn primary(&self) -> Option<usize> {
        let stored = |field: &usize| {
            let field = &self.fields[*field];
            !field.padding && !field.planes.is_empty() && field.gather.is_none()
        };
        (0..self.fields.len()).filter(stored).max_by_key(|&field| {
            let Field { per, .. } = self.fields[field];
            (self.fields[field].bits() * self.weights / per, std::cmp::Reverse(field))
        })
    }
}

/// Greatest common divisor.
pub(crate) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
