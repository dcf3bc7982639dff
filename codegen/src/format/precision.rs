//! How many bits of significand a formula needs: whether f32 holds every intermediate result.

use super::{Field, Format, Formula, Scalar, Table, TableValues};

/// Bits of an f32's significand.
const F32_BITS: u32 = 24;
/// Bits of an f16's significand.
const F16_BITS: u32 = 11;

/// What is known of a number: a float of so many significant bits, times an integer of bounded
/// magnitude, times a power of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// Significant bits of the float factor; 0 where there is none.
    float: u32,
    /// The power of two that the integer counts.
    unit: i32,
    /// Largest magnitude of the integer.
    most: f64,
}

impl Precision {
    /// A float of so many bits, as any rounding leaves it.
    fn rounded(bits: u32) -> Precision {
        Precision { float: bits, unit: 0, most: 1.0 }
    }

    fn integer(range: (i64, i64)) -> Precision {
        let most = range.0.unsigned_abs().max(range.1.unsigned_abs());
        Precision { float: 0, unit: 0, most: most as f64 }
    }

    /// A constant, as an odd integer and a power of two.
    fn constant(number: f32) -> Precision {
        let (mut most, mut unit) = (f64::from(number.abs()), 0);
        while most != 0.0 && most.fract() != 0.0 {
            (most, unit) = (most * 2.0, unit - 1);
        }
        while most != 0.0 && (most / 2.0).fract() == 0.0 {
            (most, unit) = (most / 2.0, unit + 1);
        }
        Precision { float: 0, unit, most }
    }

    /// Significant bits that hold every such number.
    pub fn bits(&self) -> u32 {
        // So many bits hold all integers below their power of two, and itself.
        self.float + self.most.max(1.0).log2().ceil() as u32
    }

    /// Whether f32 holds every such number.
    pub fn is_exact(&self) -> bool {
        self.bits() <= F32_BITS
    }

    fn times(self, other: Precision) -> Precision {
        Precision {
            float: self.float + other.float,
            unit: self.unit + other.unit,
            most: self.most * other.most,
        }
    }

    /// The sum, where both are multiples of a power of two.
    fn plus(self, other: Precision) -> Option<Precision> {
        let unit = self.unit.min(other.unit);
        let scaled = |p: Precision| p.most * 2f64.powi(p.unit - unit);
        (self.float == 0 && other.float == 0).then(|| Precision {
            float: 0,
            unit,
            most: scaled(self) + scaled(other),
        })
    }
}

/// The exact result of one operation over operands as f32 holds them, and whether f32 rounds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// Bits that the exact result needs; `None` where no number of them suffices.
    pub exact: Option<Precision>,
    /// What the result is after its rounding, if any.
    pub result: Precision,
}

impl Step {
    /// Whether f32 rounds the result.
    pub fn rounds(&self) -> bool {
        self.exact.is_none_or(|exact| !exact.is_exact())
    }

    fn new(exact: Option<Precision>) -> Step {
        let rounded = Precision::rounded(F32_BITS);
        Step { exact, result: exact.filter(Precision::is_exact).unwrap_or(rounded) }
    }
}

impl Format {
    /// How a formula over this format's fields rounds in its last operation.
    pub(crate) fn step(&self, formula: &Formula) -> Step {
        let both = |left, right| (self.step(left).result, self.step(right).result);
        match formula {
            Formula::Number(number) => Step::new(Some(Precision::constant(*number))),
            Formula::Field(field) => Step::new(Some(of_field(&self.fields[*field]))),
            Formula::Lookup { table, .. } => Step::new(Some(of_table(&self.tables[*table]))),
            Formula::Neg(inner) | Formula::Apart(inner) => self.step(inner),
            Formula::Mul(left, right) => {
                let (left, right) = both(left, right);
                Step::new(Some(left.times(right)))
            }
            Formula::Add(left, right) | Formula::Sub(left, right) => {
                let (left, right) = both(left, right);
                Step::new(left.plus(right))
            }
            Formula::Half(inner) => {
                let inner = self.step(inner).result;
                let bits = inner.bits().min(F16_BITS);
                Step { exact: Some(inner), result: Precision::rounded(bits) }
            }
        }
    }

    /// Operations of the formula that f32 rounds.
    pub fn roundings(&self) -> u32 {
        self.roundings_of(&self.value)
    }

    fn roundings_of(&self, formula: &Formula) -> u32 {
        match formula {
            Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => 0,
            Formula::Neg(inner) | Formula::Half(inner) | Formula::Apart(inner) => {
                self.roundings_of(inner)
            }
            Formula::Add(left, right) | Formula::Sub(left, right) | Formula::Mul(left, right) => {
                let own = u32::from(self.step(formula).rounds());
                own + self.roundings_of(left) + self.roundings_of(right)
            }
        }
    }

    /// Significant bits of the exact weight, where it has so few that one number tells.
    pub fn significand(&self) -> Option<u32> {
        match self.roundings() {
            0 => self.step(&self.value).exact.map(|exact| exact.bits()),
            _ => None,
        }
    }
}

fn of_field(field: &Field) -> Precision {
    match &field.scalar {
        Scalar::F16 => Precision::rounded(F16_BITS),
        Scalar::Bf16 => Precision::rounded(8),
        Scalar::F32 => Precision::rounded(F32_BITS),
        Scalar::Small(float) => {
            let own = float.values.iter().map(|&(_, value)| Precision::constant(value).bits());
            Precision::rounded(own.fold(float.mantissa + 1, u32::max))
        }
        Scalar::Unsigned | Scalar::Signed => {
            field.range().map_or(Precision::rounded(F32_BITS), Precision::integer)
        }
    }
}

fn of_table(table: &Table) -> Precision {
    match &table.values {
        TableValues::I8(values) => {
            let most = values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
            Precision::integer((0, most.into()))
        }
        TableValues::F32(values) => {
            let significant = |&value: &f32| Precision::constant(value).bits();
            Precision::rounded(values.iter().map(significant).max().unwrap_or(0))
        }
        TableValues::Stored { .. } => Precision::rounded(F32_BITS),
    }
}
