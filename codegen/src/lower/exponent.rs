//! Small floats that are nothing but an exponent: powers of two, made of shifts.

use super::build::Builder;
use crate::format::{Scalar, SmallFloat, Special};
use crate::ir::{Binary, Value};

/// Exponent field of f32 for 1.
const BIAS: i32 = 127;
/// Bits of f32's mantissa.
const MANTISSA: u32 = 23;

/// Whether every code of a type is a power of two that f32 holds.
pub(super) fn applies(scalar: &Scalar) -> bool {
    let Scalar::Small(float) = scalar else { return false };
    let plain = !float.signed && float.pad == 0 && float.values.is_empty();
    plain
        && float.mantissa == 0
        && float.special == Special::None
        && subnormals(float) <= MANTISSA
        && BIAS - float.bias + largest(float) as i32 <= 2 * BIAS
}

/// The bits of the f32 that a stored exponent stands for, u32.
pub(super) fn bits(b: &mut Builder, float: &SmallFloat, stored: Value) -> Value {
    let (largest, first) = (largest(float), subnormals(float));
    if first == 0 {
        let exponent = b.with(Binary::Add, stored, (BIAS - float.bias) as u32);
        return b.with(Binary::Shl, exponent, MANTISSA);
    }
    // Codes up to `first` move a bit through the mantissa into the exponent, later ones count on from
    // there. `rest` is how many later ones there are: subtracted twice, so that nothing is negative.
    let rest = largest - first.min(largest);
    let below = b.with(Binary::Min, stored, first);
    let bit = b.u32(1 << (MANTISSA - first));
    let moved = b.binary(Binary::Shl, bit, below);
    let all = b.u32(largest);
    let missing = b.binary(Binary::Sub, all, stored);
    let missing = b.with(Binary::Min, missing, rest);
    let rest = b.u32(rest);
    let above = b.binary(Binary::Sub, rest, missing);
    let above = b.with(Binary::Shl, above, MANTISSA);
    b.binary(Binary::Add, moved, above)
}

fn largest(float: &SmallFloat) -> u32 {
    (1 << float.exponent) - 1
}

/// Codes that f32 holds as subnormals.
fn subnormals(float: &SmallFloat) -> u32 {
    (float.bias - BIAS + 1).max(0) as u32
}
