//! The report for people.

use super::measure::{Found, M, Measured, Report, Times};
use crate::print::{count, duration, grouped};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use quantloom::verify::compare::LIMIT;
use std::fmt::Write;

/// Engines, a row per tensor, totals, what the columns mean, and what went wrong.
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n\n", report.file);
    for present in &report.engines {
        let (name, device) = (present.engine.name(), present.device.name());
        let _ = writeln!(text, "{name:10} {device}");
    }
    for (engine, problem) in &report.missing {
        let _ = writeln!(text, "{:10} missing: {problem}", engine.name());
    }
    let _ = writeln!(text, "\n{}", table(report));
    text += &legend(report);
    text += &problems(report);
    text + &verdict(report)
}

fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    let mut header: Vec<String> =
        ["tensor", "format", "[n, k]", "bits/w", "bytes"].map(str::to_owned).to_vec();
    for present in &report.engines {
        header.push(format!("{}\nerror", present.engine.name()));
        header.push("\ntime".to_owned());
    }
    let columns = header.len();
    table.set_header(header);
    for tensor in &report.tensors {
        table.add_row(row(tensor));
    }
    table.add_row(totals(report));
    for column in 2..columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    // The totals stand below a line like the one below the header.
    let (totals, above) = lines.split_last().unwrap_or((&"", &[]));
    let rule = above.iter().find(|line| line.starts_with('─')).unwrap_or(&"");
    format!("{}\n{rule}\n{totals}\n", above.join("\n"))
}

fn row(tensor: &Measured) -> Vec<String> {
    let mut row = vec![
        tensor.name.clone(),
        tensor.format.name.to_string(),
        format!("[{}, {}]", tensor.n, tensor.k),
        bits(tensor.format.bits_per_weight()),
        grouped(tensor.bytes as u64),
    ];
    for result in &tensor.results {
        match result {
            Ok(found) => row.extend([error(found), duration(found.times.total())]),
            Err(_) => row.extend(["FAILED".to_owned(), "-".to_owned()]),
        }
    }
    row
}

fn totals(report: &Report) -> Vec<String> {
    let bytes: usize = report.tensors.iter().map(|tensor| tensor.bytes).sum();
    let weights: usize = report.tensors.iter().map(|tensor| tensor.n * tensor.k).sum();
    let bits_per_weight = bytes as f64 * 8.0 / weights.max(1) as f64;
    let mut row = vec![
        count(report.tensors.len(), "tensor"),
        String::new(),
        grouped(weights as u64),
        bits(bits_per_weight),
        grouped(bytes as u64),
    ];
    for engine in 0..report.engines.len() {
        let found = report.tensors.iter().filter_map(|t| t.results.get(engine)?.as_ref().ok());
        let worst = found.clone().map(Found::error).fold(0.0, f64::max);
        let time = found.fold(Times::default(), |sum, found| sum.and(found.times));
        row.extend([number(worst), duration(time.total())]);
    }
    row
}

/// Four digits after the point at most.
fn bits(bits: f64) -> String {
    let text = format!("{bits:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn error(found: &Found) -> String {
    let mut text = number(found.error());
    if found.decoded.different > 0 {
        text = format!("{} wrong", grouped(found.decoded.different));
    } else if found.error() > LIMIT {
        text += " !";
    }
    if found.decoded.flushed > 0 {
        let _ = write!(text, " ({} flushed)", grouped(found.decoded.flushed));
    }
    text
}

fn number(error: f64) -> String {
    if error == 0.0 { "0".to_owned() } else { format!("{error:.0e}") }
}

fn legend(report: &Report) -> String {
    let mut text = format!(
        "error  worst |y − exact| / Σ|w·x| of matvec and matmul ({M} activation rows), exact in f64; limit {LIMIT:e}\n       \
         decoded weights are equal bit for bit wherever the column shows a number alone\n\
         time   dequantize + matvec + matmul, results back on the host; kernels compiled before:"
    );
    for (number, present) in report.engines.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(text, "{comma} {} {}", present.engine.name(), duration(present.preparation));
    }
    if report.tensors.iter().flat_map(|t| t.results.iter().flatten()).any(|f| f.decoded.flushed > 0)
    {
        text += "\nflushed  subnormal weights that the device turned into 0, as GPUs may";
    }
    text + "\n"
}

fn problems(report: &Report) -> String {
    let mut text = String::new();
    for tensor in &report.tensors {
        if let Some((first, rows)) = &tensor.not_finite {
            let more = match rows {
                1 => String::new(),
                rows => {
                    format!("; {} of {} like it", grouped(*rows as u64), count(tensor.n, "row"))
                }
            };
            let _ = writeln!(text, "\n{first}{more}");
        }
        for (present, result) in report.engines.iter().zip(&tensor.results) {
            let name = present.engine.name();
            match result {
                Err(problem) => {
                    let _ = writeln!(text, "\n{} on {name}: {problem}", tensor.name);
                }
                Ok(found) if !found.agrees() => {
                    let _ = writeln!(
                        text,
                        "\n{} on {name}: {} decoded otherwise than by the reference, matvec error {:.1e}, matmul {:.1e}",
                        tensor.name,
                        count(found.decoded.different as usize, "weight"),
                        found.matvec,
                        found.matmul
                    );
                }
                Ok(_) => {}
            }
        }
    }
    for tensor in &report.unusable {
        let _ = writeln!(text, "\n{}: not run: {}", tensor.name, tensor.problem);
    }
    text
}

fn verdict(report: &Report) -> String {
    let engines = count(report.engines.len(), "engine");
    let time = duration(report.elapsed);
    match (report.differing(), report.tensors.len()) {
        (0, 0) => format!("\nno tensor of a known format; {time}\n"),
        (0, all) => format!("\n{} alike on {engines}, {time}\n", count(all, "tensor")),
        (some, all) => format!("\n{some} of {} DIFFER, {engines}, {time}\n", count(all, "tensor")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantloom::verify::compare::Decoded;

    #[test]
    fn cells_are_short_and_say_what_differs() {
        let found = |different, flushed, matvec| Found {
            decoded: Decoded { different, flushed, ..Decoded::default() },
            matvec,
            ..Found::default()
        };
        assert_eq!(error(&found(0, 0, 0.0)), "0");
        assert_eq!(error(&found(0, 0, 3.2e-8)), "3e-8");
        assert_eq!(error(&found(0, 0, 2e-5)), "2e-5 !");
        assert_eq!(error(&found(0, 3, 3.2e-8)), "3e-8 (3 flushed)");
        assert_eq!(error(&found(1234, 0, 0.5)), "1,234 wrong");
        assert_eq!(bits(4.5), "4.5");
        assert_eq!(bits(6.5625), "6.5625");
        assert_eq!(bits(32.0), "32");
    }
}
