//! Products with 8-bit activations, row by row.

use super::decoder::Shape;
use super::plan::Plan;
use super::schedule::Rows;
use super::templates::text;
use crate::Error;
use crate::artifact::{Backend, Grid, Row};
use serde::Serialize;

/// Numbers and texts that the template of rows draws from.
#[derive(Serialize)]
pub(super) struct Sums {
    workgroup: u32,
    /// Weight rows and activation rows per workgroup.
    rows: u32,
    columns: u32,
    /// Arguments of a WGSL kernel, and how its invocations' sums become one.
    arguments: String,
    total: String,
}

/// A kernel for few activation rows, whose invocations stride over the strips of a few weight rows.
pub(super) fn plan(row: Row, shape: &Shape, rows: Rows) -> Result<Plan<Sums>, Error> {
    let Rows { workgroup, rows, columns } = rows;
    let (arguments, total) = (String::new(), String::new());
    let mut schedule = Sums { workgroup, rows, columns, arguments, total };
    if row.backend == Backend::Wgsl {
        let variant = if row.subgroups { "subgroups" } else { "workgroup" };
        let part = |name: &str| -> Result<String, Error> {
            let text = text(row.backend, &format!("{name}.{variant}"), &schedule)?;
            Ok(text.trim_end().to_owned())
        };
        let (arguments, total) = (part("arguments")?, part("total")?);
        schedule = Sums { arguments, total, ..schedule };
    }
    Ok(Plan {
        row,
        template: "rows.i8",
        single: false,
        workgroup,
        grid: Grid::Tiles { n: rows, m: columns },
        word: format!("{}n{rows}_m{columns}", runs_word(row.backend, shape)),
        schedule,
    })
}

/// In WGSL loops over runs and their words are written out.
pub(super) fn runs_word(backend: Backend, Shape { runs, run_words, .. }: &Shape) -> String {
    match backend {
        Backend::Wgsl => format!("r{runs}w{run_words}_"),
        Backend::Hip => String::new(),
    }
}
