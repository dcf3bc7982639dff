//! How far the affine form of a formula may be from the weight: f32 rounds both, and not alike.
//!
//! Every part of a formula has a form `scale · code + offset`, and a bound of its distance from the
//! part as f32 computes it:
//!
//! ```text
//! |scale · code + offset - part| <= 2^-24 · (product · |scale · code| + offset · |offset|) + least
//! ```
//!
//! for all that may be stored, if nothing overflows. Where f32 rounds an operation of the formula, or
//! one that makes scale or offset, the counts rise by one: a rounding moves a number by 2^-24 of itself
//! at most. A sum of two scales, or of two offsets, may be far smaller than they are: what was rounded
//! before may not be measured by it, so that there is no form then. That is the case of a formula that
//! rounds on purpose, as `a*q - (b*q - c*q)` does.

use super::{Format, Formula};

/// Parts of the bound: roundings measured by the product, by the offset, and what is measured by none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bound {
    product: u32,
    offset: u32,
    /// Roundings to f16, which are as many for both.
    halves: u32,
    least: f64,
}

/// A part of a formula: what the code is multiplied with and what is added; a missing one is zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    pub scale: Option<Formula>,
    pub offset: Option<Formula>,
    pub bound: Bound,
}

/// Half of the least number that f16 holds.
const LOST_BY_HALVES: f64 = 1.0 / (1u64 << 25) as f64;
/// Roundings that leave 2^-21, with room for the products of two of them.
const MOST: u32 = 7;
/// What may be lost below f32's least normal number, and where f16 rounds, its least number.
const LEAST: f64 = f32::MIN_POSITIVE as f64;
const LEAST_OF_HALVES: f64 = 1.0 / (1u64 << 24) as f64;

impl Bound {
    /// Whether products may use the form: it is within 2^-21 · (|scale · code| + |offset|) of the weight,
    /// and the least normal number. One rounding to f16 may move the weight further.
    pub fn is_close(&self) -> bool {
        let least = if self.halves > 0 { LEAST_OF_HALVES } else { LEAST };
        self.product <= MOST && self.offset <= MOST && self.halves <= 1 && self.least <= least
    }

    /// Whether something is measured by a number that a sum may make smaller.
    fn is_measured(&self, count: u32) -> bool {
        count > 0 || self.halves > 0
    }
}

impl Format {
    /// The form of what is the same for all codes.
    pub(super) fn constant(formula: &Formula) -> Form {
        Form { offset: Some(formula.clone()), ..Form::default() }
    }

    /// The form of `whole`, the product of a form and what is the same for all values of `code`, which
    /// may stand `first`.
    pub(super) fn times(
        &self,
        whole: &Formula,
        form: Form,
        (by, first): (&Formula, bool),
        code: &Formula,
    ) -> Form {
        let mut bound = form.bound;
        let rounded = self.rounds(whole);
        let (scale, by_scale, scale_loses) = self.product(form.scale, by, first);
        let (offset, by_offset, offset_loses) = self.product(form.offset, by, first);
        bound.product += rounded + by_scale;
        bound.offset += rounded + by_offset;
        bound.least *= self.limit(by);
        bound.least += self.lost(whole) + scale_loses * self.limit(code) + offset_loses;
        Form::new(scale, offset, bound)
    }

    /// The form of `whole`, the sum of two; `None` where roundings could be larger than it.
    pub(super) fn plus(&self, whole: &Formula, left: Form, right: Form) -> Option<Form> {
        let (a, b) = (left.bound, right.bound);
        let scales = left.scale.is_some() && right.scale.is_some();
        let offsets = left.offset.is_some() && right.offset.is_some();
        let measured = |both: bool, left: u32, right: u32| {
            both && (a.is_measured(left) || b.is_measured(right))
        };
        if measured(scales, a.product, b.product) || measured(offsets, a.offset, b.offset) {
            return None;
        }
        let (scale, by_scale) = self.sum(left.scale, right.scale);
        let (offset, by_offset) = self.sum(left.offset, right.offset);
        let rounded = self.rounds(whole);
        let bound = Bound {
            product: a.product.max(b.product) + rounded + by_scale,
            offset: a.offset.max(b.offset) + rounded + by_offset,
            halves: a.halves.max(b.halves),
            least: a.least + b.least,
        };
        Some(Form::new(scale, offset, bound))
    }

    /// The form of a part that is rounded to f16: the same, further off.
    pub(super) fn halved(form: Form) -> Form {
        let Bound { halves, least, .. } = form.bound;
        let bound = Bound { halves: halves + 1, least: least + LOST_BY_HALVES, ..form.bound };
        Form { bound, ..form }
    }

    /// A product, how often f32 rounds it, and what it loses.
    fn product(
        &self,
        part: Option<Formula>,
        by: &Formula,
        first: bool,
    ) -> (Option<Formula>, u32, f64) {
        let same = |formula| (Some(formula), 0, 0.0);
        match (part, by) {
            (None, _) => (None, 0, 0.0),
            (Some(Formula::Number(1.0)), other) => same(other.clone()),
            (Some(other), Formula::Number(1.0)) => same(other),
            (Some(Formula::Number(-1.0)), other) => same(negative(other.clone())),
            (Some(other), Formula::Number(-1.0)) => same(negative(other)),
            (Some(part), by) => {
                let (part, by) = (Box::new(part), Box::new(by.clone()));
                let product = if first { Formula::Mul(by, part) } else { Formula::Mul(part, by) };
                let (rounded, lost) = (self.rounds(&product), self.lost(&product));
                (Some(product), rounded, lost)
            }
        }
    }

    /// A sum, and how often f32 rounds it.
    fn sum(&self, left: Option<Formula>, right: Option<Formula>) -> (Option<Formula>, u32) {
        let sum = match (left, right) {
            (Some(left), Some(Formula::Neg(right))) => Formula::Sub(Box::new(left), right),
            (Some(left), Some(right)) => Formula::Add(Box::new(left), Box::new(right)),
            (left, right) => return (left.or(right), 0),
        };
        let rounded = self.rounds(&sum);
        (Some(sum), rounded)
    }

    fn rounds(&self, formula: &Formula) -> u32 {
        u32::from(self.step(formula).rounds())
    }
}

impl Form {
    fn new(scale: Option<Formula>, offset: Option<Formula>, mut bound: Bound) -> Form {
        // Nothing is measured by what is not there.
        if offset.is_none() {
            bound.offset = 0;
        }
        Form { scale, offset, bound }
    }

    /// With the other sign.
    pub fn negative(self) -> Form {
        let Form { scale, offset, bound } = self;
        Form { scale: scale.map(negative), offset: offset.map(negative), bound }
    }
}

fn negative(formula: Formula) -> Formula {
    match formula {
        Formula::Number(number) => Formula::Number(-number),
        Formula::Neg(inner) => *inner,
        other => Formula::Neg(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of 4 bits, scales of every kind of float, and integers beside them.
    fn affine(value: &str) -> bool {
        let text = format!(
            "format: toy\ntitle: t\nweights: 8\nblock: {{a: f16, b: f16, s: bf16, f: f32, g: f32, u: u8, c: \"u8[4]\"}}\n\
             fields: {{q: {{from: c, bits: 4, k: \"8:4\", bias: 8}}}}\nvalue: {value} + 0 * (a + b + s + f + g + u)\n"
        );
        let format = Format::parse(&text, "toy.yaml").unwrap();
        // Every field is used; what is added to name the others is no part of what is asked.
        let Formula::Add(value, _) = format.value.clone() else { panic!("{text}") };
        Format { value: *value, ..format }.affine().is_some()
    }

    #[test]
    fn a_last_subtraction_passes() {
        for value in [
            "(a * u) * q - (b * u)",
            "f * q + g",
            "g - f * q",
            "-(f * q) * 0.25",
            "f * (q + g)",
            "(q * f) * 0.007874015718698502",
            "f16(a * (q - u))",
            "f16(f * q) + g",
            "a * q + b * q", // exact products
        ] {
            assert!(affine(value), "{value}");
        }
    }

    #[test]
    fn roundings_that_a_sum_may_uncover_do_not() {
        for value in [
            "(q * s) * 65537 - ((q * s) * 65537 - q * s)",
            "f * q - (g * q - s * q)",
            "f * q + g * q",
            "(q + a) + u",
            "(f * q + g) - s",
            "(q + f) - g",
            "f16(a * q) + b * q",
            "(f16(a * q) + b) - f",
            "f16(f16(a * q) + b)",
            "f16(a * q) * 65536",
            // More than seven roundings.
            "q * f * g * s * f * g * s",
            // What was lost below the least number is made large again.
            "((f * 0.1) * q) * g",
        ] {
            assert!(!affine(value), "{value}");
        }
    }
}
