//! Kernels that multiply 8-bit activations.

use super::dialect::{self, Dialect};
use super::dot_tiles;
use super::schedule::{self, Rows, Schedules};
use super::strips::{self, Plan};
use super::widths::Widths;
use super::{Kernels, fitting, table_bytes, templates};
use crate::Error;
use crate::artifact::{Activations, Backend, Element, Kernel, Kind, kernel_name};
use crate::format::Format;
use crate::lower::{self, Dots};
use serde::Serialize;

/// Adds all kernels with 8-bit activations of a format, which is lowered by `programs`; none where it has
/// no 8-bit codes.
pub(super) fn kernels(
    format: &Format,
    programs: &mut Widths<Option<Dots>, impl Fn(u32) -> Result<Option<Dots>, Error>>,
    schedules: &Schedules,
    kernels: &mut Kernels,
) -> Result<(), Error> {
    if programs.of(lower::DOT_QUADS)?.is_none() {
        return Ok(());
    }
    for (dialect, subgroups) in
        [(&dialect::WGSL, false), (&dialect::WGSL, true), (&dialect::HIP, false)]
    {
        for kind in [Kind::Matvec, Kind::Batch] {
            let (backend, activations) = (dialect.backend, Activations::Int8);
            let chosen = schedules.numbers(backend, kind, activations);
            if subgroups && chosen.subgroups == Some(false) {
                continue;
            }
            let name = kernel_name(&format.name, kind, Element::F32, activations, subgroups);
            let tries = fitting::tries(backend, kind, activations, chosen);
            kernels.add((name, backend), tries, |numbers| {
                let dots = programs.of(numbers.quads.unwrap_or(lower::DOT_QUADS))?;
                let dots = dots.as_ref().ok_or_else(|| none(kind))?;
                let rows = Rows::new(backend, kind, table_bytes(&dots.program), numbers)?;
                kernel(format, dots, dialect, kind, subgroups, rows)
            })?;
        }
    }
    match programs.of(lower::DOT_QUADS)? {
        Some(dots) => dot_tiles::kernels(format, dots, schedules, kernels),
        None => Ok(()),
    }
}

/// A format has codes of 8 bits whatever its strips.
fn none(kind: Kind) -> Error {
    schedule::refused(kind, Activations::Int8, "there are no 8-bit codes".to_owned())
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
