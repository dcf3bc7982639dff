//! What the table has for the devices that were searched, for people.

use super::search::Found;
use quantloom::tuning::{Entry, Numbers, Table};
use std::fmt::Write;

/// A line for every kind, precision and class of shapes.
pub fn text(found: &Found) -> String {
    let mut text = String::new();
    for missing in &found.missing {
        let _ = writeln!(text, "{missing}");
    }
    for device in &found.devices {
        let _ = writeln!(text, "\n== {device}");
        text += &entries(&found.table, device);
    }
    text
}

/// A line for everything that was searched on a device.
pub fn entries(table: &Table, device: &str) -> String {
    let line = |entry: &Entry| {
        let Entry { backend, precision, kind, rows, columns, .. } = entry;
        let class = format!("{precision:?} {kind}, {rows:?} rows, {columns:?} columns");
        let numbers = match entry.numbers == Numbers::default() {
            true => "the compiler's numbers".to_owned(),
            false => format!("{:.2} times as fast with {}", entry.gain, shown(&entry.numbers)),
        };
        let (class, tried, all) = (class.to_lowercase(), entry.tried, entry.choices);
        format!("{backend} {class}: {numbers}; {tried} of {all} tried\n")
    };
    table.schedules.iter().filter(|entry| entry.device == device).map(line).collect()
}

/// `workgroup 64, rows 2`.
pub fn shown(numbers: &Numbers) -> String {
    let given = numbers.given().map(|(name, number)| format!("{name} {number}"));
    given.collect::<Vec<_>>().join(", ")
}
