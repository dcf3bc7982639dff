//! Kernels that multiply 8-bit activations.

use super::dialect::{self, Dialect};
use super::dot_tiles;
use super::schedule::{Rows, Schedules};
use super::strips::{self, Plan};
use super::widths::Widths;
use super::{table_bytes, templates};
use crate::Error;
use crate::artifact::{Activations, Backend, Kernel, Kind};
use crate::format::Format;
use crate::lower::{self, Dots};
use serde::Serialize;

/// All kernels with 8-bit activations of a format, which is lowered by `programs`; none where it has no
/// 8-bit codes.
pub(super) fn kernels(
    format: &Format,
    programs: &mut Widths<Option<Dots>, impl Fn(u32) -> Result<Option<Dots>, Error>>,
    schedules: &Schedules,
) -> Result<Vec<Kernel>, Error> {
    let mut kernels = Vec::new();
    for (dialect, subgroups) in
        [(&dialect::WGSL, false), (&dialect::WGSL, true), (&dialect::HIP, false)]
    {
        for kind in [Kind::Matvec, Kind::Batch] {
            let numbers = schedules.numbers(dialect.backend, kind, Activations::Int8);
            if subgroups && numbers.subgroups == Some(false) {
                continue;
            }
            let quads = numbers.quads.unwrap_or(lower::DOT_QUADS);
            let Some(dots) = programs.of(quads)? else { continue };
            let tables = table_bytes(&dots.program);
            let rows = Rows::new(dialect.backend, kind, tables, &numbers)?;
            kernels.push(kernel(format, dots, dialect, kind, subgroups, rows)?);
        }
    }
    if let Some(dots) = programs.of(lower::DOT_QUADS)? {
        kernels.extend(dot_tiles::kernels(format, dots, schedules)?);
    }
    Ok(kernels)
}

/// Numbers and texts that the template of rows draws from.
#[derive(Serialize)]
struct Sums {
    /// Weight rows and activation rows per workgroup.
    rows: u32,
    columns: u32,
    /// Arguments of a WGSL kernel, and how its invocations' sums become one.
    arguments: String,
    total: String,
}

/// A kernel for few activation rows, whose invocations stride over the strips of a few weight rows.
fn kernel(
    format: &Format,
    dots: &Dots,
    dialect: &Dialect,
    kind: Kind,
    subgroups: bool,
    Rows { workgroup, rows, columns }: Rows,
) -> Result<Kernel, Error> {
    let mut schedule = Sums { rows, columns, arguments: String::new(), total: String::new() };
    if dialect.backend == Backend::Wgsl {
        let variant = if subgroups { "subgroups" } else { "workgroup" };
        let part = |name: &str| -> Result<String, Error> {
            let text = templates::text(dialect.backend, &format!("{name}.{variant}"), &schedule)?;
            Ok(text.trim_end().to_owned())
        };
        let (arguments, total) = (part("arguments")?, part("total")?);
        schedule = Sums { arguments, total, ..schedule };
    }
    strips::kernel(
        format,
        dots,
        dialect,
        &Plan { kind, template: "rows.i8", subgroups, workgroup, tile: [rows, columns], schedule },
    )
}
