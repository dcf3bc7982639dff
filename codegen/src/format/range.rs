//! How large and how small the numbers of a formula can be: whether f32 holds each as a normal one.

use super::{Format, Formula, Scalar, TableValues};

/// Bounds of all finite numbers but 0, as powers of two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    /// All are multiples of this one.
    unit: i32,
    /// All magnitudes are below this one.
    limit: i32,
}

/// All f32 are multiples of this power of two.
const LEAST: i32 = -149;
const INTEGER: Range = Range { unit: 0, limit: 32 };
const F16: Range = Range { unit: -24, limit: 16 };
const F32: Range = Range { unit: LEAST, limit: 128 };

impl Range {
    /// Of the finite ones of some numbers.
    fn of(numbers: impl Iterator<Item = f64>) -> Range {
        let magnitudes = numbers.map(f64::abs).filter(|number| *number > 0.0 && number.is_finite());
        magnitudes.map(Range::single).reduce(Range::or).unwrap_or(INTEGER)
    }

    fn single(magnitude: f64) -> Range {
        // All f32 and the values of small floats are multiples of 2^-256.
        let unit = (-256..1024).rev().find(|&unit| (magnitude / 2f64.powi(unit)).fract() == 0.0);
        Range { unit: unit.unwrap_or(-256), limit: magnitude.log2().floor() as i32 + 1 }
    }

    fn or(self, other: Range) -> Range {
        Range { unit: self.unit.min(other.unit), limit: self.limit.max(other.limit) }
    }

    fn plus(self, other: Range) -> Range {
        let Range { unit, limit } = self.or(other);
        Range { unit, limit: limit + 1 }
    }

    fn times(self, other: Range) -> Range {
        Range { unit: self.unit + other.unit, limit: self.limit + other.limit }
    }
}

impl Format {
    /// Whether f32 may hold a number of this formula only as a subnormal, or not at all, though all
    /// it reads are finite: then another order of the same operations gives other weights.
    pub(crate) fn leaves_range(&self, formula: &Formula) -> bool {
        let Range { unit, limit } = self.range(formula);
        unit < f32::MIN_EXP - 1 || limit > f32::MAX_EXP - 1
    }

    /// What a product loses below the least number that f32 holds, where it may be no multiple of it.
    pub(super) fn lost(&self, formula: &Formula) -> f64 {
        match formula {
            Formula::Mul(..) if self.range(formula).unit < LEAST => 2f64.powi(LEAST - 1),
            _ => 0.0,
        }
    }

    /// A number that no finite magnitude of the formula exceeds.
    pub(super) fn limit(&self, formula: &Formula) -> f64 {
        match self.integer_range(formula) {
            Some((low, high)) => low.unsigned_abs().max(high.unsigned_abs()) as f64,
            None => 2f64.powi(self.range(formula).limit),
        }
    }

    fn range(&self, formula: &Formula) -> Range {
        match formula {
            Formula::Number(number) => Range::of([f64::from(*number)].into_iter()),
            Formula::Field(field) => match &self.fields[*field].scalar {
                Scalar::Unsigned | Scalar::Signed => INTEGER,
                Scalar::F16 => F16,
                Scalar::Bf16 | Scalar::F32 => F32,
                Scalar::Small(float) => Range::of(float.table().into_iter().map(f64::from)),
            },
            Formula::Lookup { table, .. } => match &self.tables[*table].values {
                TableValues::I8(_) => INTEGER,
                TableValues::F32(values) => Range::of(values.iter().map(|&value| value.into())),
                TableValues::Stored { .. } => F32,
            },
            Formula::Neg(inner) | Formula::Apart(inner) => self.range(inner),
            Formula::Half(_) => F16,
            Formula::Add(left, right) | Formula::Sub(left, right) => {
                self.range(left).plus(self.range(right))
            }
            Formula::Mul(left, right) => self.range(left).times(self.range(right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_floats_leave_the_range() {
        let leaves = |scale: &str, value: &str| {
            let text = format!(
                "format: toy\ntitle: t\nweights: 2\nblock: {{s: {scale}, q: \"i8[2]\"}}\nvalue: {value}\n"
            );
            let format = Format::parse(&text, "toy.yaml").unwrap();
            format.leaves_range(&format.value)
        };
        assert!(!leaves("f16", "s * q / 4"));
        assert!(!leaves("f16", "(s * q + 0.1) * s - q"));
        assert!(leaves("f16", "s * s * s * s * s * s * q"));
        assert!(leaves("bf16", "s * q"));
        assert!(leaves("f32", "s + q"));
        assert!(!leaves("u16", "s * 0.000001 * q"));
        assert_eq!(Range::single(0.75), Range { unit: -2, limit: 0 });
        assert_eq!(Range::single(1.0), Range { unit: 0, limit: 1 });
    }
}
