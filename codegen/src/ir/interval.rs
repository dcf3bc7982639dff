//! Intervals: all values that a number of a program may take, and arithmetic on them.

use super::{Binary, Type, Unary};
use std::fmt;

/// Larger powers of two are not kept: no load asks for them.
const LARGEST_STEP: i64 = 1 << 16;

/// All values a number may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub low: i64,
    pub high: i64,
    /// A power of two that divides every one of them.
    pub step: i64,
}

impl Interval {
    /// Any 32 bits; also stands for floats, whose range no check needs.
    pub const ANY: Interval = Interval { low: 0, high: u32::MAX as i64, step: 1 };

    pub fn new(low: i64, high: i64) -> Interval {
        Interval { low, high, step: 1 }
    }

    pub fn exact(number: i64) -> Interval {
        Interval { low: number, high: number, step: 1 << number.trailing_zeros().min(16) }
    }

    pub fn fixed(self) -> Option<i64> {
        (self.low == self.high).then_some(self.low)
    }

    pub fn inside(self, low: i64, high: i64, what: &str) -> Result<Interval, String> {
        if self.low >= low && self.high <= high {
            Ok(self)
        } else {
            Err(format!("{what}: {}..={} is not inside {low}..={high}", self.low, self.high))
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fixed() {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "{}..={}", self.low, self.high),
        }
    }
}

pub(super) fn binary(op: Binary, left: Interval, right: Interval) -> Result<Interval, String> {
    if let (Some(left), Some(right)) = (left.fixed(), right.fixed())
        && let Some(number) = computed(op, left, right)
    {
        return Ok(Interval::exact(number));
    }
    let ones = |number: i64| (1i64 << (64 - number.leading_zeros())) - 1;
    let common = left.step.min(right.step);
    Ok(match op {
        Binary::Add => {
            Interval { low: left.low + right.low, high: left.high + right.high, step: common }
        }
        Binary::Sub => {
            Interval { low: left.low - right.high, high: left.high - right.low, step: common }
        }
        Binary::Mul => {
            let ends = [
                left.low.saturating_mul(right.low),
                left.low.saturating_mul(right.high),
                left.high.saturating_mul(right.low),
                left.high.saturating_mul(right.high),
            ];
            let low = ends.into_iter().min().unwrap_or(0);
            let high = ends.into_iter().max().unwrap_or(0);
            Interval { low, high, step: (left.step * right.step).min(LARGEST_STEP) }
        }
        Binary::Div => {
            let divisor = right.inside(1, i64::MAX, "division")?;
            Interval::new(left.low / divisor.high, left.high / divisor.low)
        }
        Binary::Rem => {
            let divisor = right.inside(1, i64::MAX, "remainder")?;
            Interval::new(0, left.high.min(divisor.high - 1))
        }
        Binary::Shl => {
            let by = right.inside(0, 31, "shift")?;
            // Only what fits keeps its value; else bits may leave at the top.
            let high = left.high << by.high;
            let step = (left.step << by.low.min(16)).min(LARGEST_STEP);
            if high <= u32::MAX.into() {
                Interval { low: left.low << by.low, high, step }
            } else {
                Interval { step, ..Interval::ANY }
            }
        }
        Binary::Shr => {
            let by = right.inside(0, 31, "shift")?;
            Interval::new(left.low >> by.high, left.high >> by.low)
        }
        Binary::And => Interval::new(0, left.high.min(right.high)),
        Binary::Or | Binary::Xor => Interval::new(0, ones(left.high | right.high)),
        Binary::Min => {
            let (low, high) = (left.low.min(right.low), left.high.min(right.high));
            Interval { low, high, step: common }
        }
    })
}

/// The result of an operation on numbers; `None` where it has none or bits are lost.
fn computed(op: Binary, left: i64, right: i64) -> Option<i64> {
    match op {
        Binary::Add => left.checked_add(right),
        Binary::Sub => left.checked_sub(right),
        Binary::Mul => left.checked_mul(right),
        Binary::Div => (right > 0).then(|| left / right),
        Binary::Rem => (right > 0).then(|| left % right),
        Binary::Shl => {
            (0..32).contains(&right).then(|| left << right).filter(|&n| n <= u32::MAX.into())
        }
        Binary::Shr => (0..32).contains(&right).then(|| left >> right),
        Binary::And => Some(left & right),
        Binary::Or => Some(left | right),
        Binary::Xor => Some(left ^ right),
        Binary::Min => Some(left.min(right)),
    }
}

pub(super) fn unary(op: Unary, from: Type, operand: Interval) -> Result<Interval, String> {
    match op {
        Unary::ToI32 => operand.inside(0, i32::MAX.into(), "u32 as i32"),
        Unary::SignExtend(bits) => {
            let half = 1i64 << (bits - 1);
            Ok(Interval::new(-half, half - 1))
        }
        Unary::ToF32 => {
            let what = if from == Type::I32 { "i32 as f32" } else { "u32 as f32" };
            operand.inside(-(1 << 24), 1 << 24, what)?;
            Ok(Interval::ANY)
        }
        Unary::F16FromF32 => Ok(Interval::new(0, 0xffff)),
        Unary::ToU32 if operand.low >= 0 => Ok(operand),
        Unary::ToU32 | Unary::Neg | Unary::F32FromBits | Unary::F32FromF16 | Unary::Rounded => {
            Ok(Interval::ANY)
        }
    }
}
