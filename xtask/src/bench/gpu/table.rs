//! The report for people.

use super::machine::Clock;
use super::options::{Kind, Precision};
use super::report::{Device, Report, Row, Way};
use crate::bench::spread::Spread;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use std::fmt::Write;

/// A table per device and kind, and what falls short.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    for missing in &report.missing {
        let _ = writeln!(text, "{} is missing: {}", missing.api.name(), missing.reason);
    }
    for device in &report.devices {
        let clock = match device.clock {
            Clock::Device => "its own clock",
            Clock::Host => {
                "the host's clock, from submission to end, since the device tells no time: \
                 times of short launches are too long"
            }
        };
        let rotated = device.rotated_bytes >> 20;
        let api = device.api.name();
        let _ = writeln!(text, "\n== {api}: {}; {clock}; copies of {rotated} MiB", device.name);
        let kinds = [
            (Kind::Matvec, "matvec, GB/s of weights"),
            (Kind::Matmul, "matmul, TFLOPS"),
            (Kind::Dequantize, "dequantize to f32, GB/s read and written"),
            (Kind::DequantizeF16, "dequantize to f16, GB/s read and written"),
            (Kind::Launch, "the host's time to record a matvec"),
        ];
        for (kind, title) in kinds {
            let rows: Vec<&Row> = device.rows.iter().filter(|row| row.kind == kind).collect();
            if !rows.is_empty() {
                let _ = write!(text, "\n{title}\n{}", table(&rows));
            }
        }
        text += &shortfalls(device);
    }
    text + LEGEND
}

const LEGEND: &str = "
Medians, quartiles in brackets; least: the shortest time. rounding: what of it takes the rounding of activations to 8
bits, timed alone; products that share activations need it once. of: part of what a plain kernel reads (matvec) or copies
(dequantize) in the same rounds, sample by sample.
";

fn table(rows: &[&Row]) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    let header = [
        "format", "weights", "m", "", "µs", "least", "rounding", "rate", "ceiling", "of", "target",
        "",
    ];
    let columns = header.len();
    table.set_header(header);
    for row in rows {
        for way in &row.ways {
            table.add_row(cells(row, way));
        }
    }
    for column in (2..columns).filter(|&column| column != 3) {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn cells(row: &Row, way: &Way) -> Vec<String> {
    let m = if row.m == 0 { String::new() } else { row.m.to_string() };
    let decodes = matches!(row.kind, Kind::Dequantize | Kind::DequantizeF16);
    let precision = if decodes { "" } else { way.precision.name() };
    let mut cells = vec![row.format.clone(), row.shape.to_string(), m, precision.to_owned()];
    let Some(verdict) = &way.verdict else {
        let wrong = way.problem.as_ref().is_some_and(|problem| problem.starts_with("WRONG"));
        cells.push(if wrong { "WRONG" } else { "FAILED" }.to_owned());
        return cells;
    };
    let digits = if verdict.microseconds.median < 99.5 { 1 } else { 0 };
    cells.push(format!("{:.digits$}", verdict.microseconds));
    cells.push(format!("{:.digits$}", verdict.microseconds.least));
    let rounding = Spread::of(row.rounding.iter().map(|seconds| seconds * 1e6));
    let rounding = rounding.filter(|_| way.precision == Precision::Int8);
    cells.push(rounding.map(|spread| format!("{:.1}", spread.median)).unwrap_or_default());
    let (unit, times) = row.unit();
    let rate = significant(verdict.rate.median);
    cells.push(if row.kind == Kind::Launch { String::new() } else { rate });
    let ceiling = row.ceiling.as_ref().and_then(|ceiling| {
        Spread::of(ceiling.seconds.iter().map(|s| ceiling.bytes as f64 / s / times))
    });
    cells.push(ceiling.map(|ceiling| significant(ceiling.median)).unwrap_or_default());
    let percent = |part: f64| format!("{:.0}%", part * 100.0);
    cells.push(verdict.of_ceiling.as_ref().map(|of| percent(of.median)).unwrap_or_default());
    cells.push(verdict.target.as_ref().map(|target| target.reason.clone()).unwrap_or_default());
    cells.push(match (verdict.met(), &verdict.target) {
        (Some(true), _) => "met".to_owned(),
        (_, Some(target)) => {
            format!(
                "missed, {} of {:.0} {unit}",
                percent(verdict.rate.median / target.rate),
                target.rate
            )
        }
        _ => String::new(),
    });
    cells
}

/// Three digits that say something, and all of them before the point.
pub fn significant(rate: f64) -> String {
    let digits = match rate {
        ..0.0995 => 4,
        ..0.995 => 3,
        ..9.95 => 2,
        ..99.5 => 1,
        _ => 0,
    };
    format!("{rate:.digits$}")
}

/// What is not as it should be.
fn shortfalls(device: &Device) -> String {
    let mut text = String::new();
    let judged = device.rows.iter().flat_map(|row| &row.ways);
    let met: Vec<bool> = judged.filter_map(|way| way.verdict.as_ref()?.met()).collect();
    if !met.is_empty() {
        let number = met.iter().filter(|met| **met).count();
        let _ = writeln!(text, "\nTargets met: {number} of {}", met.len());
    }
    for (row, way, problem) in device.wrong() {
        let (format, call, precision) = (&row.format, row.call(), way.precision.name());
        let _ = writeln!(text, "\n{format} {call}, {precision}: {problem}");
    }
    for failed in &device.failures {
        let _ =
            writeln!(text, "\n{} {} not measured: {}", failed.format, failed.shape, failed.reason);
    }
    text
}
