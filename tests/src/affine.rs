//! Codes and scales of a format against the weights that its formula means.

use crate::Failed;
use crate::subject::dims;
use quantloom::verify::meaning;
use quantloom::verify::random::Rng;
use quantloom_codegen::format::{Coding, Formula};
use quantloom_codegen::ir::{interpret_codes, interpret_scales};
use quantloom_codegen::{Format, lower};

/// Bytes of a strip's word.
pub const WIDTHS: [u32; 3] = [4, 8, 16];

/// `scale · value of the code + offset` is the weight.
pub fn codes(rng: &mut Rng, format: &Format) -> Result<(), Failed> {
    let dims = dims(format, 3, 8 * format.weights as usize, &[]);
    let streams = rng.finite_bytes(format, &dims)?;
    let meant = meaning::weights(format, &dims, &streams)?;
    let streams: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    for width in WIDTHS {
        let Some(coded) = lower::coded(format, width) else { return Ok(()) };
        let coded = coded?;
        let mut codes = vec![0xa5; meant.len()];
        interpret_codes(&coded.codes, &streams, &dims, 0, &mut codes);
        let mut runs = vec![(f32::NAN, f32::NAN); meant.len() / coded.coding.run as usize];
        interpret_scales(&coded.scales, &streams, &dims, 0, &mut runs);
        is_affine(format, &coded.coding, &meant, &codes, &runs).map_err(|error| {
            format!("codes, {width} bytes: {}", error.message().unwrap_or_default())
        })?;
    }
    Ok(())
}

/// Whether weights are `scale · value of the code + offset`: to the bit where f32 holds them, else but
/// for the roundings of the formula and of the form.
pub fn is_affine(
    format: &Format,
    coding: &Coding,
    weights: &[f32],
    codes: &[u8],
    runs: &[(f32, f32)],
) -> Result<(), Failed> {
    // The affine form leaves out a rounding to f16, which may be one of subnormals.
    let halves = contains_half(&format.value);
    let (relative, absolute) = match format.significand() {
        _ if halves => (2e-3, 1e-7),
        Some(bits) if bits <= f32::MANTISSA_DIGITS => (0.0, 0.0),
        _ => (2f64.powi(-21), f64::from(f32::MIN_POSITIVE)),
    };
    // The formula may leave the range on the way, where a later factor would bring it back.
    let limit = if halves { half::f16::MAX.to_f64() } else { f64::from(f32::MAX) / 256.0 };
    for (index, (&code, &weight)) in codes.iter().zip(weights).enumerate() {
        let value = coding.values.get(usize::from(code)).copied().unwrap_or(f32::NAN);
        let (scale, offset) = runs[index / coding.run as usize];
        let (product, offset) = (f64::from(scale) * f64::from(value), f64::from(offset));
        let form = product + offset;
        if !weight.is_finite() && (form.is_nan() || form.abs() >= limit) {
            continue;
        }
        let error = (form - f64::from(weight)).abs();
        if error.is_nan() || error > relative * (product.abs() + offset.abs()) + absolute {
            let form = format!("{scale} * {value} + {offset}");
            let message =
                format!("weight {index} is {weight}, {form} of {code} is off by {error:e}");
            return Err(message.into());
        }
    }
    Ok(())
}

fn contains_half(formula: &Formula) -> bool {
    match formula {
        Formula::Half(_) => true,
        Formula::Neg(inner) | Formula::Apart(inner) => contains_half(inner),
        Formula::Add(left, right) | Formula::Sub(left, right) | Formula::Mul(left, right) => {
            contains_half(left) || contains_half(right)
        }
        _ => false,
    }
}
