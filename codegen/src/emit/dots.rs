//! Kernels that multiply 8-bit activations.

use super::dialect::{self, Dialect};
use super::dot_tiles;
use super::strips::{self, Plan};
use super::templates;
use crate::Error;
use crate::artifact::{Backend, Kernel, Kind};
use crate::format::Format;
use crate::lower::Dots;
use serde::Serialize;

const WORKGROUP: u32 = 64;

/// All kernels with 8-bit activations of a format.
pub(super) fn kernels(format: &Format, dots: &Dots) -> Result<Vec<Kernel>, Error> {
    let mut kernels = Vec::new();
    for (dialect, subgroups) in
        [(&dialect::WGSL, false), (&dialect::WGSL, true), (&dialect::HIP, false)]
    {
        for (kind, rows, columns) in [(Kind::Matvec, 4, 1), (Kind::Batch, 2, 16)] {
            kernels.push(kernel(format, dots, dialect, kind, subgroups, [rows, columns])?);
        }
    }
    kernels.extend(dot_tiles::kernels(format, dots)?);
    Ok(kernels)
}

/// Numbers that the template of rows draws from.
#[derive(Serialize)]
struct Rows {
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
    [rows, columns]: [u32; 2],
) -> Result<Kernel, Error> {
    let mut schedule = Rows { rows, columns, arguments: String::new(), total: String::new() };
    if dialect.backend == Backend::Wgsl {
        let variant = if subgroups { "subgroups" } else { "workgroup" };
        let part = |name: &str| -> Result<String, Error> {
            let text = templates::text(dialect.backend, &format!("{name}.{variant}"), &schedule)?;
            Ok(text.trim_end().to_owned())
        };
        let (arguments, total) = (part("arguments")?, part("total")?);
        schedule = Rows { arguments, total, ..schedule };
    }
    strips::kernel(
        format,
        dots,
        dialect,
        &Plan {
            kind,
            template: "rows.i8",
            subgroups,
            workgroup: WORKGROUP,
            tile: [rows, columns],
            schedule,
        },
    )
}
