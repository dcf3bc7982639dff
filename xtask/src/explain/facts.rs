//! The facts derived from a format, a line each.

use quantloom_codegen::Compiled;
use quantloom_codegen::emit::Missing;
use quantloom_codegen::format::{Affine, Format, Formula};
use std::fmt::Write;

/// The derived facts as aligned lines.
pub fn list(compiled: &Compiled) -> String {
    let lines = lines(compiled);
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines.into_iter().fold(String::new(), |mut text, (name, fact)| {
        let _ = writeln!(text, "{name:width$}  {fact}");
        text
    })
}

/// The derived facts: name and fact. Names of parts are indented.
pub fn lines(compiled: &Compiled) -> Vec<(&'static str, String)> {
    let Compiled { format, facts, decoder, missing, .. } = compiled;
    let mut lines = vec![
        ("reference", format.reference.clone().unwrap_or_else(|| "none given".into())),
        ("GGUF type", format.gguf.map_or("none".into(), |number| number.to_string())),
        ("weights per block", format.weights.to_string()),
        ("bytes per block", streams(format, facts.block_bytes)),
        ("bits per weight", facts.bits_per_weight.to_string()),
        ("alignment of blocks", format!("{} bytes", facts.alignment)),
        ("class", facts.class.to_string()),
        ("value", value(format)),
    ];
    match &facts.affine {
        Some(Affine { code, scale, offset, .. }) => {
            lines.push(("affine form", "value = scale · code + offset".into()));
            lines.push(("  code", text(format, code)));
            lines.push(("  scale", text(format, scale)));
            lines.push(("  offset", text(format, offset)));
            lines.push((
                "group",
                match facts.run {
                    0 => "a row shares scale and offset".into(),
                    1 => "every weight has its own scale and offset".into(),
                    run => format!("{run} weights share scale and offset"),
                },
            ));
        }
        None => lines.push(("affine form", "none".into())),
    }
    if let Some((low, high)) = facts.code_range {
        lines.push(("code range", format!("{low} to {high}")));
    }
    let rounded = match (facts.significand, facts.roundings) {
        (Some(bits), _) if matches!(format.value, Formula::Half(_)) => {
            format!("{bits} of 24 bits, then rounded to f16")
        }
        (Some(bits), _) => format!("{bits} of 24 bits: every weight is exact"),
        (None, 1) => "rounded once".into(),
        (None, times) => format!("rounded {times} times, in the order written"),
    };
    lines.push(("significand", rounded));
    for size in &format.sizes {
        lines.push((
            "size",
            format!("{} of {} weights, unless a tensor says otherwise", size.name, size.default),
        ));
    }
    let strip = decoder.strip_weights();
    lines.push(("strips", format!("{} of {strip} weights each", decoder.strips)));
    for Missing { name, backend, problem } in missing {
        lines.push(("kernel left out", format!("{name}, {}: {problem}", backend.word())));
    }
    lines
}

fn streams(format: &Format, total: u32) -> String {
    match format.streams.as_slice() {
        [_] => total.to_string(),
        streams => {
            let each = streams.iter().map(|stream| format!("{} {}", stream.bytes, stream.name));
            format!("{total} ({})", each.collect::<Vec<_>>().join(" + "))
        }
    }
}

/// The formula of a weight.
pub fn value(format: &Format) -> String {
    text(format, &format.value)
}

/// A formula as its author could have written it.
fn text(format: &Format, formula: &Formula) -> String {
    // What stands on the right of `-`, or beside `*`, keeps its parentheses.
    let product = |formula: &Formula| match formula {
        Formula::Add(..) | Formula::Sub(..) | Formula::Neg(_) => {
            format!("({})", text(format, formula))
        }
        _ => text(format, formula),
    };
    let factor = |formula: &Formula| match formula {
        Formula::Mul(..) => format!("({})", text(format, formula)),
        _ => product(formula),
    };
    let field = |index: usize| format.fields.get(index).map_or("?", |field| &field.name);
    match formula {
        Formula::Number(number) => number.to_string(),
        Formula::Field(index) => field(*index).to_owned(),
        Formula::Lookup { table, index, lane } => {
            let table = format.tables.get(*table).map_or("?", |table| &table.name);
            let lane = lane.map_or(String::new(), |lane| format!("[{}]", field(lane)));
            format!("{table}[{}]{lane}", field(*index))
        }
        Formula::Half(inner) => format!("f16({})", text(format, inner)),
        Formula::Apart(inner) => text(format, inner),
        Formula::Neg(inner) => format!("-{}", factor(inner)),
        Formula::Add(left, right) => format!("{} + {}", text(format, left), product(right)),
        Formula::Sub(left, right) => format!("{} - {}", text(format, left), product(right)),
        Formula::Mul(left, right) => format!("{} * {}", product(left), factor(right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_keep_their_order() {
        let format = Format::parse(
            "format: toy\ntitle: t\nweights: 2\nblock: {a: f16, b: f16, q: \"u8[2]\"}\n\
             value: (a * q) * (b - 2.5) - (a - (b - q)) * -(a * b)\n",
            "toy.yaml",
        );
        let format = format.unwrap();
        assert_eq!(text(&format, &format.value), "a * q * (b - 2.5) - (a - (b - q)) * (-(a * b))");
    }
}
