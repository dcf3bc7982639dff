//! Which intermediate results of a formula no backend may look behind.

use crate::format::{Format, Formula};

/// The formula with the marks that keep its roundings where they are. Where an operation rounds, or
/// may leave f32's range, an operand that was computed is kept apart from it, lest a compiler
/// re-associate the two, or fuse them over an earlier rounding.
pub(super) fn formula(format: &Format, whole: &Formula) -> Formula {
    let inside = |part: &Formula| Box::new(formula(format, part));
    let both = |left: &Formula, right: &Formula| {
        let marked = |part: &Formula| Box::new(operand(format, whole, part));
        (marked(left), marked(right))
    };
    match whole {
        Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => whole.clone(),
        Formula::Neg(inner) => Formula::Neg(inside(inner)),
        Formula::Half(inner) => Formula::Half(inside(inner)),
        Formula::Apart(inner) => Formula::Apart(inside(inner)),
        Formula::Add(left, right) => {
            let (left, right) = both(left, right);
            Formula::Add(left, right)
        }
        Formula::Sub(left, right) => {
            let (left, right) = both(left, right);
            Formula::Sub(left, right)
        }
        Formula::Mul(left, right) => {
            let (left, right) = both(left, right);
            Formula::Mul(left, right)
        }
    }
}

/// An operand, marked where it must be.
fn operand(format: &Format, whole: &Formula, part: &Formula) -> Formula {
    let marked = formula(format, part);
    let part = match part {
        Formula::Neg(inner) => inner,
        part => part,
    };
    if !matches!(part, Formula::Add(..) | Formula::Sub(..) | Formula::Mul(..)) {
        return marked;
    }
    let leaves_range = format.leaves_range(part) || format.leaves_range(whole);
    // A sum may take an exact product whole: a fused operation rounds the same number.
    let fused = !matches!(whole, Formula::Mul(..))
        && matches!(part, Formula::Mul(..))
        && !format.step(part).rounds()
        && !leaves_range;
    match !fused && (leaves_range || format.step(whole).rounds()) {
        true => Formula::Apart(Box::new(marked)),
        false => marked,
    }
}
