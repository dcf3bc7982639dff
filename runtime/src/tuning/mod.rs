//! Schedules that were measured on a device: `cargo xtask tune` writes a table of them, devices read it.
//!
//! A device opened with `tuned`, as [`Gpu::tuned`](crate::gpu::Gpu::tuned), compiles kernels with the numbers
//! that the table has for it, where a tensor is uploaded that they are for; others are those that are
//! built in. Results are the same, but for the order of sums.
//!
//! The table is that of this crate, for devices that its authors measured, with the user's over it: the
//! file that the environment variable `QUANTLOOM_TUNING` names, else `quantloom/tuning.yaml` in the user's
//! own folder for configuration (`$XDG_CONFIG_HOME` or `~/.config`); `off` takes none at all.

mod class;
mod table;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

pub use quantloom_codegen::{Numbers, Schedules};

pub use self::class::{Columns, Precision, Rows, TUNED};
pub use self::table::{Entry, Table};
use crate::artifact::Backend;
use crate::{Format, Result, Tensor};

/// The variable that names the user's table, or says `off`.
const VARIABLE: &str = "QUANTLOOM_TUNING";

/// A table, and the formats that were compiled after it.
#[derive(Debug, Default)]
pub struct Tuning {
    table: Table,
    compiled: Mutex<Vec<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    name: String,
    descriptor: String,
    schedules: Schedules,
    format: Format,
}

impl Tuning {
    /// After this table.
    pub fn new(table: Table) -> Tuning {
        Tuning { table, compiled: Mutex::default() }
    }

    /// After the table of this crate, and the user's over it.
    ///
    /// # Errors
    /// [`Error::Tuning`](crate::Error::Tuning) where a table is damaged, or the one that the variable names
    /// cannot be read.
    pub fn of_environment() -> Result<Tuning> {
        let chosen = std::env::var_os(VARIABLE).filter(|chosen| !chosen.is_empty());
        if chosen.as_ref().is_some_and(|chosen| chosen == "off") {
            return Ok(Tuning::default());
        }
        let mut table = Table::built_in()?;
        let path = user_file();
        let user = path.map(|path| match path.is_file() || chosen.is_some() {
            true => Table::read(&path),
            false => Ok(Table::default()),
        });
        table.schedules.extend(user.transpose()?.unwrap_or_default().schedules);
        Ok(Tuning::new(table))
    }

    /// The format that a tensor is computed with on a device of this name.
    pub(crate) fn format(&self, device: &str, backend: Backend, tensor: &Tensor) -> Result<Format> {
        let format = tensor.format();
        let mut schedules = Schedules::default();
        for (kind, precision) in TUNED {
            let kernels = (kind, precision);
            let entry = self.table.entry(device, backend, kernels, tensor.n(), tensor.k());
            if let Some(entry) = entry {
                let activations = precision.activations();
                schedules = schedules.with(backend, kind, activations, entry.numbers);
            }
        }
        // A text written by hand has no other schedule, and a descriptor may be left out.
        if schedules.is_empty() || !format.is_proven() || format.descriptor.is_empty() {
            return Ok(format.clone());
        }
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let known = compiled.iter().find(|known| {
            known.name == format.name
                && known.descriptor == format.descriptor
                && known.schedules == schedules
        });
        if let Some(known) = known {
            return Ok(known.format.sized_like(format));
        }
        let scheduled = match format.scheduled(&schedules) {
            Ok(scheduled) => scheduled,
            // Numbers that this format's kernels cannot have are for others.
            Err(_) => format.scheduled(&fitting(format, backend, &schedules))?,
        };
        compiled.push(Compiled {
            name: format.name.to_string(),
            descriptor: format.descriptor.to_string(),
            schedules,
            format: scheduled.clone(),
        });
        Ok(scheduled)
    }
}

/// The numbers that kernels of a format can have.
fn fitting(format: &Format, backend: Backend, schedules: &Schedules) -> Schedules {
    TUNED.into_iter().fold(Schedules::default(), |fitting, (kind, precision)| {
        let activations = precision.activations();
        let numbers: Numbers = schedules.numbers(backend, kind, activations);
        let with = fitting.clone().with(backend, kind, activations, numbers);
        let known = with == fitting;
        if !known && format.scheduled(&with).is_ok() { with } else { fitting }
    })
}

/// The user's table, whether or not it is there.
pub fn user_file() -> Option<PathBuf> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    let chosen = folder(VARIABLE).filter(|path| !path.as_os_str().is_empty());
    if chosen.is_some() {
        return chosen;
    }
    let folder = |variable| folder(variable).filter(|path| path.is_absolute());
    let own = match cfg!(windows) {
        true => folder("APPDATA"),
        false => folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config"))),
    };
    Some(own?.join("quantloom").join("tuning.yaml"))
}

#[cfg(test)]
mod tests;
