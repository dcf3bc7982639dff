//! Schedules that were measured on a device: `cargo xtask tune` writes a table of them, devices read it.
//!
//! A device opened with `tuned`, as [`Gpu::tuned`](crate::gpu::Gpu::tuned), compiles kernels with the numbers
//! that the table has for it, where a tensor is uploaded that they are for; others are those that are
//! built in. Results are the same, but for the order of sums.
//!
//! The table is that of this crate, for devices that its authors measured, with the user's over it: the
//! file that the environment variable `QUANTLOOM_TUNING` names, else `quantloom/tuning.yaml` in the user's
//! own folder for configuration (`$XDG_CONFIG_HOME` or `~/.config`); `off` takes none at all.

mod table;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

pub use quantloom_codegen::{Numbers, Schedules};

pub use self::table::{Columns, Entry, Precision, Rows, Table};
use crate::artifact::{Backend, Kind};
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
        let kinds = [Kind::Dequant, Kind::Matvec, Kind::Matmul];
        let schedules = kinds.into_iter().fold(Schedules::default(), |schedules, kind| {
            let numbers = self.table.numbers(device, backend, kind, tensor.n(), tensor.k());
            schedules.with(backend, kind, numbers.unwrap_or_default())
        });
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
        // Numbers that this format's kernels cannot have are for others.
        let scheduled = format.scheduled(&fitting(format, backend, &schedules))?;
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
    let kinds = [Kind::Dequant, Kind::Matvec, Kind::Matmul];
    kinds.into_iter().fold(Schedules::default(), |fitting, kind| {
        let numbers: Numbers = schedules.numbers(backend, kind);
        let with = fitting.clone().with(backend, kind, numbers);
        if format.scheduled(&with).is_ok() { with } else { fitting }
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
mod tests {
    use super::*;
    use crate::artifact::{Element, Grid};

    fn tuning(numbers: Numbers) -> Tuning {
        let entry = Entry {
            device: "Made Up".to_owned(),
            backend: Backend::Wgsl.word().to_owned(),
            kind: Kind::Matvec.word().to_owned(),
            precision: Precision::Exact,
            rows: Rows::Few,
            columns: Columns::Short,
            numbers,
            gain: 2.0,
            tried: 1,
            choices: 1,
        };
        Tuning::new(Table { schedules: vec![entry] })
    }

    /// Rows per workgroup of the kernels that a tensor gets.
    fn rows(tuning: &Tuning, device: &str, backend: Backend, n: usize) -> Option<u32> {
        let format = Format::from(
            crate::formats()
                .iter()
                .find(|format| format.weights == 32 && format.streams.len() == 1)?,
        );
        let stream = format.streams.first()?.bytes as usize;
        let tensor = Tensor::new("w", &format, n, 32, [vec![0; n * stream]]).ok()?;
        let format = tuning.format(device, backend, &tensor).ok()?;
        assert!(format.is_proven());
        match format.kernel(backend, Kind::Matvec, Element::F32)?.grid {
            Grid::Rows { per_workgroup } => Some(per_workgroup),
            _ => None,
        }
    }

    #[test]
    fn kernels_are_those_of_the_table() {
        let tuning = tuning(Numbers { rows: Some(8), ..Numbers::default() });
        let own = rows(&Tuning::default(), "Made Up", Backend::Wgsl, 5);
        assert!(own.is_some_and(|own| own != 8));
        for _ in 0..2 {
            assert_eq!(rows(&tuning, "Made Up", Backend::Wgsl, 5), Some(8));
        }
        assert_eq!(tuning.compiled.lock().unwrap().len(), 1);
        assert_eq!(rows(&tuning, "Made Up", Backend::Wgsl, 2048), own);
        assert_eq!(rows(&tuning, "Another", Backend::Wgsl, 5), own);
        assert_eq!(
            rows(&tuning, "Made Up", Backend::Hip, 5),
            rows(&Tuning::default(), "", Backend::Hip, 5)
        );
    }

    #[test]
    fn numbers_that_kernels_cannot_have_are_for_others() {
        let own = rows(&Tuning::default(), "Made Up", Backend::Wgsl, 5);
        let many = Numbers { rows: Some(1000), ..Numbers::default() };
        assert_eq!(rows(&tuning(many), "Made Up", Backend::Wgsl, 5), own);
    }
}
