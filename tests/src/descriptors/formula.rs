//! Formulas made at random.

use crate::seed::pick;
use quantloom::verify::random::Rng;

/// A formula of every operator that reads all of `codes` and of `shared`: sums of products, some of
/// which are the same once more and cancel.
pub fn formula(rng: &mut Rng, codes: &[String], shared: &[String]) -> String {
    let mut leaves: Vec<String> = codes.iter().chain(shared).cloned().collect();
    let more = rng.below(4);
    for _ in 0..more {
        let again = pick(rng, &leaves);
        leaves.push(again);
    }
    for last in (1..leaves.len()).rev() {
        leaves.swap(last, rng.below(last + 1));
    }
    // Mostly one of the shapes that formats have; their roundings differ.
    let (Some(code), [scale, rest @ ..]) = (codes.first(), shared) else {
        return leaves.join(" + ");
    };
    let other = rest.first().unwrap_or(scale);
    match rng.below(12) {
        0 => format!("{code} * {scale} - {other}"),
        1 => format!("({code} - {other}) * {scale}"),
        2 => format!("f16(({code} - {other}) * {scale})"),
        3 => format!(
            "({scale} * {code}) * 257 - (({scale} * {code}) * 257 - {scale} * {code}) + 0 * {other}"
        ),
        4 => format!("{scale} * {code} - ({other} * {code} - 0.1 * {code})"),
        5 => format!("-({scale} * 0.3 * {code}) / 4 + {other}"),
        6 => format!("f16({scale} * {code}) * 0.5 + {other}"),
        7 => format!("({scale} + 0.1 * {code}) - ({other} + {scale})"),
        _ => tree(rng, &mut leaves),
    }
}

/// All leaves, joined in any way.
fn tree(rng: &mut Rng, leaves: &mut Vec<String>) -> String {
    while leaves.len() > 1 {
        let left = leaves.swap_remove(rng.below(leaves.len()));
        let right = leaves.swap_remove(rng.below(leaves.len()));
        let joined = match rng.below(7) {
            0 => format!("({left} + {right})"),
            1 => format!("({left} - {right})"),
            2 | 3 => format!("({left} * {right})"),
            4 => format!("(-{left} * {right})"),
            5 => format!("({left} + {right} / 8)"),
            _ => format!("(f16({left}) * 1.1 - {right})"),
        };
        leaves.push(joined);
    }
    leaves.pop().unwrap_or_default()
}
