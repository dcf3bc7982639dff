//! What is derived from each format, as a table that a change must be seen to change:
//! tests/data/facts.snap. `INSTA_UPDATE=always` writes it anew.

use crate::subject::subjects;
use crate::{Failed, test};
use libtest_mimic::Trial;
use quantloom_codegen::format::{Byte, Format, Formula};

pub fn trials() -> Vec<Trial> {
    vec![test("facts/table", table)]
}

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data");

const HEAD: [&str; 8] =
    ["format", "class", "codes", "bytes", "run", "alignment", "significand", "bits per weight"];

fn table() -> Result<(), Failed> {
    let rows = subjects().iter().map(|subject| row(&subject.format));
    let rows: Vec<[String; 8]> = [HEAD.map(str::to_owned)].into_iter().chain(rows).collect();
    let widths: [usize; 8] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0));
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    let text: String = rows.iter().map(line).collect();
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(DATA);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("facts", text));
    Ok(())
}

fn row(format: &Format) -> [String; 8] {
    let facts = format.facts();
    [
        format.name.clone(),
        facts.class.to_string(),
        facts.code_range.map_or("-".into(), |(low, high)| format!("{low} to {high}")),
        bytes(format),
        match facts.run {
            0 => "row".into(),
            run => run.to_string(),
        },
        facts.alignment.to_string(),
        match (facts.significand, facts.roundings) {
            (Some(bits), _) if matches!(format.value, Formula::Half(_)) => {
                format!("{bits} bits, to f16")
            }
            (Some(bits), _) => format!("{bits} bits"),
            (None, times) => format!("rounds {times}"),
        },
        facts.bits_per_weight.to_string(),
    ]
}

/// What a byte per weight would be, how many occur, and the weights that share scale and offset.
fn bytes(format: &Format) -> String {
    let Some(coding) = format.coding() else { return "-".into() };
    let byte = match coding.byte {
        Byte::Stored(_) => "stored",
        Byte::Value => "value",
    };
    let occur = coding.values.iter().filter(|value| !value.is_nan()).count();
    format!("{byte}, {occur}, {} share", coding.run)
}
