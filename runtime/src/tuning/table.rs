//! The table: a YAML text, an entry for each device, kind of kernel and class of shapes.

use std::path::Path;

use quantloom_codegen::Numbers;
use serde::{Deserialize, Serialize};

use super::class::{Columns, Precision, Rows, TUNED};
use crate::artifact::{Backend, Kind};
use crate::{Error, Result};

/// Schedules of devices. Where several entries fit, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// In the order they were found.
    pub schedules: Vec<Entry>,
}

/// What was found for one kind of kernel and class of shapes on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A part of the device's name.
    pub device: String,
    /// `wgsl` or `hip`.
    pub backend: String,
    /// `dequant`, `matvec`, `batch` or `matmul`.
    pub kind: String,
    /// How activations are taken.
    pub precision: Precision,
    /// Class of the weight rows.
    pub rows: Rows,
    /// Class of the weights per row.
    pub columns: Columns,
    /// The numbers; those that are missing are the compiler's.
    pub numbers: Numbers,
    /// How many times faster than with the compiler's numbers.
    pub gain: f64,
    /// Choices of numbers that were tried.
    pub tried: usize,
    /// All that there were to try: fewer were tried where the search was ended.
    pub choices: usize,
}

impl Table {
    /// That of this crate.
    ///
    /// # Errors
    /// Where it is damaged, which a test rules out.
    pub fn built_in() -> Result<Table> {
        Table::parse(include_str!("built_in.yaml"), "the table of this crate")
    }

    /// The table of a file.
    ///
    /// # Errors
    /// [`Error::Tuning`] where it cannot be read or is no such table.
    pub fn read(path: &Path) -> Result<Table> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Tuning { file: file.clone(), problem: error.to_string() })?;
        Table::parse(&text, &file)
    }

    /// The table of a text; `file` is only named in errors.
    ///
    /// # Errors
    /// [`Error::Tuning`] where it is no such table, or an entry has a backend, or a kind in its precision, that
    /// does not exist.
    pub fn parse(text: &str, file: &str) -> Result<Table> {
        let error = |problem: String| Error::Tuning { file: file.to_owned(), problem };
        let table: Table = serde_yaml::from_str(text).map_err(|e| error(e.to_string()))?;
        for (number, entry) in (1..).zip(&table.schedules) {
            let problem = |what: &str, known: &str| {
                error(format!("entry {number} is for {what}; known are {known}"))
            };
            if entry.backend().is_none() {
                return Err(problem(&format!("backend `{}`", entry.backend), "wgsl, hip"));
            }
            if entry.kind().is_none() {
                let Entry { kind, precision, .. } = entry;
                let what = format!("kind `{kind}` in precision {precision:?}").to_lowercase();
                let of_precision = TUNED.into_iter().filter(|(_, own)| own == precision);
                let known: Vec<&str> = of_precision.map(|(kind, _)| kind.word()).collect();
                return Err(problem(&what, &known.join(", ")));
            }
            if entry.device.is_empty() {
                return Err(error(format!("entry {number} names no device")));
            }
        }
        Ok(table)
    }

    /// The text of the table.
    ///
    /// # Errors
    /// Where a number cannot be written, which none is.
    pub fn text(&self) -> Result<String> {
        let text = serde_yaml::to_string(self).map_err(|error| Error::Tuning {
            file: "a new table".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(format!("{HEADER}{text}"))
    }

    /// The entry for a kind of kernel on a device of this name, for weights `[n, k]`.
    pub fn entry(
        &self,
        device: &str,
        backend: Backend,
        (kind, precision): (Kind, Precision),
        n: usize,
        k: usize,
    ) -> Option<&Entry> {
        let kernels = (Some(backend), Some(kind), precision);
        let class = (Rows::of(n), Columns::of(k));
        self.schedules.iter().rev().find(|entry| {
            (entry.backend(), entry.kind(), entry.precision) == kernels
                && (entry.rows, entry.columns) == class
                && device.contains(&entry.device)
        })
    }
}

const HEADER: &str = "\
# Schedules of kernels by device, as `cargo xtask tune` found them. Where several entries fit, the last
# counts. Entries may be edited or deleted; what was not tried yet is tried when the command runs again.
";

impl Entry {
    fn backend(&self) -> Option<Backend> {
        [Backend::Wgsl, Backend::Hip].into_iter().find(|backend| backend.word() == self.backend)
    }

    fn kind(&self) -> Option<Kind> {
        let own = |(kind, precision): &(Kind, Precision)| {
            kind.word() == self.kind && *precision == self.precision
        };
        TUNED.iter().find(|kernels| own(kernels)).map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(device: &str, rows: u32) -> Entry {
        Entry {
            device: device.to_owned(),
            backend: "wgsl".to_owned(),
            kind: "matvec".to_owned(),
            precision: Precision::Exact,
            rows: Rows::Few,
            columns: Columns::Short,
            numbers: Numbers { rows: Some(rows), ..Numbers::default() },
            gain: 1.5,
            tried: 3,
            choices: 12,
        }
    }

    #[test]
    fn the_last_entry_of_a_device_counts() {
        let table =
            Table { schedules: vec![entry("Made", 4), entry("Made Up", 8), entry("Other", 1)] };
        let matvec = (Kind::Matvec, Precision::Exact);
        let rows = |device, n| table.entry(device, Backend::Wgsl, matvec, n, 512)?.numbers.rows;
        assert_eq!(rows("Made Up 3000 (Vulkan)", 100), Some(8));
        assert_eq!(rows("Made Down (Vulkan)", 100), Some(4));
        assert_eq!(rows("Made Down (Vulkan)", 2048), None);
        assert_eq!(rows("Nobody's", 100), None);
        let int8 = (Kind::Matvec, Precision::Int8);
        assert!(table.entry("Made Up", Backend::Wgsl, int8, 100, 512).is_none());
        assert_eq!(Table::parse(&table.text().unwrap(), "it").unwrap(), table);
    }

    #[test]
    fn what_is_no_table_is_told_of() {
        let text = Table { schedules: vec![entry("Made", 4)] }.text().unwrap();
        let damaged = [
            (text.replace("matvec", "matvek"), "kind `matvek`"),
            (text.replace("matvec", "batch"), "kind `batch` in precision exact"),
            (text.replace("exact", "f16"), "known are matmul"),
            (text.replace("wgsl", "glsl"), "backend `glsl`"),
            (text.replace("rows: few", "rows: none"), "unknown variant"),
            (text.replace("gain", "again"), "unknown field"),
            (text.replace("rows: 4", "rows: -4"), "rows"),
            (text.replace("device: Made", "device: ''"), "names no device"),
            ("\u{0}".to_owned(), "it"),
            ("- [".to_owned(), "it"),
            (String::new(), "it"),
        ];
        for (text, says) in damaged {
            let error = Table::parse(&text, "it").unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("it"), "{error}");
        }
        for end in 0..text.len() {
            let _ = text.get(..end).map(|text| Table::parse(text, "it"));
        }
    }

    /// A table that was written before there were other precisions than one.
    #[test]
    fn what_a_user_has_is_read() {
        let text = "schedules:\n- {device: Made Up, backend: hip, kind: matmul, precision: exact, rows: some, \
                    columns: long, numbers: {threads_n: 8, each_n: 4, step: 64}, gain: 1.5, tried: 3, choices: 80}";
        let table = Table::parse(text, "it").unwrap();
        let matmul = (Kind::Matmul, Precision::Exact);
        let entry = table.entry("Made Up", Backend::Hip, matmul, 4096, 8192).unwrap();
        let wanted = [("threads_n", 8), ("each_n", 4), ("step", 64)];
        assert_eq!(entry.numbers.given().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn every_kernel_that_is_tuned_has_numbers() {
        for (kind, precision) in TUNED {
            let numbers = Numbers::of(kind, precision.activations());
            assert!(!numbers.is_empty(), "{} {precision:?}", kind.word());
        }
    }

    #[test]
    fn the_table_of_this_crate_is_one() {
        for entry in Table::built_in().unwrap().schedules {
            assert!(entry.gain > 1.0 && entry.numbers != Numbers::default(), "{entry:?}");
        }
    }
}
