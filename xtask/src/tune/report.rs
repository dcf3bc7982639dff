//! What the table has for the devices that were searched, for people.

use super::search::Found;
use quantloom::tuning::{Entry, Numbers};
use std::fmt::Write;

/// A line for every kind, precision and class of shapes.
pub fn text(found: &Found) -> String {
    let mut text = String::new();
    for missing in &found.missing {
        let _ = writeln!(text, "{missing}");
    }
    for device in &found.devices {
        let _ = writeln!(text, "\n== {device}");
        for entry in found.table.schedules.iter().filter(|entry| entry.device == *device) {
            let Entry { backend, precision, kind, rows, columns, .. } = entry;
            let class = format!("{precision:?} {kind}, {rows:?} rows, {columns:?} columns");
            let numbers = match entry.numbers == Numbers::default() {
                true => "the compiler's numbers".to_owned(),
                false => format!("{:.2} times as fast with {}", entry.gain, shown(&entry.numbers)),
            };
            let (class, tried, all) = (class.to_lowercase(), entry.tried, entry.choices);
            let _ = writeln!(text, "{backend} {class}: {numbers}; {tried} of {all} tried");
        }
    }
    text
}

/// `workgroup 64, rows 2`.
pub fn shown(numbers: &Numbers) -> String {
    let given = numbers.given().map(|(name, number)| format!("{name} {number}"));
    given.collect::<Vec<_>>().join(", ")
}
