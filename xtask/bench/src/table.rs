//! The report for people.

use crate::contender::{Activations, Engine, Label};
use crate::options::Kind;
use crate::report::{Ceiling, Measured, Report, Row, Run, Spread};
use crate::verdict::Verdict;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use std::fmt::Write;

/// The machine, a table per number of threads and kind, and what falls short.
pub fn text(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "{}, {} cores, last cache {} MiB; {}\n",
        machine.processor,
        machine.cores,
        machine.last_level_cache_bytes >> 20,
        machine.rustflags
    );
    for peer in &machine.peers {
        let _ = writeln!(text, "peer {peer}");
    }
    for run in &report.runs {
        let _ = writeln!(text, "\n== {}", threads(run.threads));
        if let Some(others) = run.others.filter(|others| *others > 0.03) {
            let _ = writeln!(
                text,
                "other processes took {} of the processor: figures are too low",
                percent(others)
            );
        }
        for ceiling in &run.ceilings {
            let _ = writeln!(text, "{}", self::ceiling(ceiling));
        }
        for kind in [Kind::Dequantize, Kind::DequantizeF16, Kind::Matvec, Kind::Matmul] {
            let rows: Vec<&Row> = run.rows.iter().filter(|row| row.kind == kind).collect();
            if let Some(first) = rows.first() {
                let _ = writeln!(text, "\n{}, {}\n{}", name(kind), first.unit(), table(&rows, run));
            }
        }
    }
    text += LEGEND;
    text + &shortfalls(report)
}

const LEGEND: &str = "
Medians, quartiles in brackets. x: by how much ours is faster than the fastest peer, sample by sample.
of: part of the machine's write bandwidth, read bandwidth or f32 matmul. r: ggml's repacked buffer.
!: the result is wrong, the figure does not count. GB/s of matvec count the weights' native bytes,
whatever their storage.
";

fn table(rows: &[&Row], run: &Run) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    let mut header =
        vec!["format", "weights", "m", "ours", "", "ggml", "candle", "x", "of", "target", ""];
    if run.threads > 1 {
        header.push("by one thread");
    }
    let numbers = 2..header.len();
    header.push("kernel");
    table.set_header(header);
    for row in rows {
        for cells in cells(row, run) {
            table.add_row(cells);
        }
    }
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A line for each way of ours; one without where none is right.
fn cells(row: &Row, run: &Run) -> Vec<Vec<String>> {
    let m = if row.m == 0 { String::new() } else { row.m.to_string() };
    let start = [row.format.clone(), row.shape.to_string(), m];
    let peers = [Engine::Ggml, Engine::Candle].map(|engine| peer(row, engine));
    if row.verdicts.is_empty() {
        let mut cells = start.to_vec();
        cells.extend(["wrong !".to_owned(), String::new()]);
        cells.extend(peers);
        return vec![cells];
    }
    let line = |verdict: &Verdict| {
        let label = &row.measured[verdict.ours].label;
        let mut cells = start.to_vec();
        cells.push(way(label).to_owned());
        cells.push(spread(&verdict.rate, 0));
        cells.extend(peers.clone());
        cells.push(verdict.ratio.as_ref().map(|ratio| spread(ratio, 2)).unwrap_or_default());
        cells.push(verdict.of_ceiling.map(percent).unwrap_or_default());
        let target = verdict.target.as_ref();
        cells.push(target.map(|target| format!("{:.0}", target.rate)).unwrap_or_default());
        let reached = target.map(|target| verdict.rate.median / target.rate);
        cells.push(match (verdict.met(), reached) {
            (Some(false), Some(reached)) => percent(reached),
            (Some(true), _) => "ok".to_owned(),
            _ => String::new(),
        });
        if run.threads > 1 {
            cells.push(verdict.scaling.as_ref().map(|s| spread(s, 2)).unwrap_or_default());
        }
        cells.push(label.kernel.clone());
        cells
    };
    row.verdicts.iter().map(line).collect()
}

/// The faster one of a peer's ways.
fn peer(row: &Row, engine: Engine) -> String {
    let ways = row.measured.iter().filter(|measured| measured.label.engine == engine);
    let rates = ways.filter_map(|way| Some((way, rate(row, way)?.median)));
    let best = rates.max_by(|a, b| {
        (a.0.right, a.1).partial_cmp(&(b.0.right, b.1)).unwrap_or(std::cmp::Ordering::Equal)
    });
    best.map_or("-".to_owned(), |(way, rate)| {
        let wrong = if way.right { "" } else { " !" };
        let repacked = if way.label.storage == "repacked" { " r" } else { "" };
        let digits = if rate < 9.95 { 1 } else { 0 };
        format!("{rate:.digits$}{repacked}{wrong}")
    })
}

fn rate(row: &Row, measured: &Measured) -> Option<Spread> {
    Spread::of(measured.seconds.iter().map(|seconds| row.work() / seconds))
}

/// What ours does with activations.
fn way(label: &Label) -> &'static str {
    match label.activations {
        Activations::None => "",
        Activations::Int8 => "int8",
        Activations::F32 => "f32",
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Dequantize => "dequantize to f32",
        Kind::DequantizeF16 => "dequantize to f16",
        Kind::Matvec => "matvec",
        Kind::Matmul => "matmul",
    }
}

fn threads(number: usize) -> String {
    format!("{number} thread{}", if number == 1 { "" } else { "s" })
}

fn spread(spread: &Spread, digits: usize) -> String {
    format!("{spread:.digits$}")
}

fn percent(part: f64) -> String {
    format!("{:.0}%", part * 100.0)
}

/// A ceiling on a line.
pub fn ceiling(ceiling: &Ceiling) -> String {
    let rate = Spread::of(ceiling.rates.iter().copied());
    let rate = rate.map(|rate| spread(&rate, 1)).unwrap_or_default();
    match ceiling.shape {
        Some(shape) => format!("{} {shape} m={}: {rate} GFLOPS", ceiling.name, ceiling.m),
        None => format!("{}: {rate} GB/s", ceiling.name),
    }
}

/// A row, as soon as it is measured: a line for each way of ours.
pub fn lines(row: &Row) -> Vec<String> {
    let peer = |verdict: &Verdict| {
        let (label, ratio) = (&row.measured[verdict.peer?].label, verdict.ratio.as_ref()?);
        Some(format!(", {} x {} {}", spread(ratio, 2), label.engine.name(), label.storage))
    };
    let line = |verdict: &Verdict| {
        let label = &row.measured[verdict.ours].label;
        let title = format!("{} {}", row.title(), way(label));
        let rate = spread(&verdict.rate, 1);
        let mut line = format!("{}: {rate} {}", title.trim_end(), row.unit());
        line += &peer(verdict).unwrap_or_default();
        if let (Some(false), Some(target)) = (verdict.met(), &verdict.target) {
            let _ = write!(line, "; wanted {:.0}", target.rate);
        }
        line
    };
    let mut lines: Vec<String> = row.verdicts.iter().map(line).collect();
    for wrong in row.measured.iter().filter(|measured| !measured.right) {
        let Label { engine, storage, activations, .. } = &wrong.label;
        let error = wrong.nmse.map_or("not finite".to_owned(), |nmse| format!("{nmse:.1e}"));
        let name = engine.name();
        lines.push(format!(
            "{}: {name} {storage} {activations:?} is WRONG, NMSE {error}",
            row.title()
        ));
    }
    lines
}

/// What is not as it should be.
fn shortfalls(report: &Report) -> String {
    let mut text = String::new();
    let mut list = |title: &str, line: &dyn Fn(&Row, &Verdict) -> Option<String>| {
        let mut lines = Vec::new();
        for run in &report.runs {
            for row in &run.rows {
                for verdict in &row.verdicts {
                    let what =
                        format!("{} {}", row.title(), way(&row.measured[verdict.ours].label));
                    let line = line(row, verdict).map(|line| {
                        format!("  {}, {}: {line}\n", what.trim(), threads(run.threads))
                    });
                    lines.extend(line);
                }
            }
        }
        let number = if lines.is_empty() { "none".to_owned() } else { lines.len().to_string() };
        let _ = write!(text, "\n{title}: {number}\n{}", lines.concat());
    };
    list("Short of the target", &|row, verdict| {
        let target = verdict.target.as_ref().filter(|_| verdict.met() == Some(false))?;
        let (rate, wanted) = (verdict.rate.median, target.rate);
        let part = percent(rate / wanted);
        Some(format!("{rate:.1} of {wanted:.1} {} ({part}; {})", row.unit(), target.reason))
    });
    list("Slower than a peer", &|row, verdict| {
        let peer = &row.measured[verdict.peer?].label;
        let ratio = verdict.ratio.as_ref().filter(|_| verdict.behind())?;
        Some(format!("{} x {} {}", spread(ratio, 2), peer.engine.name(), peer.storage))
    });
    list("Several threads too slow", &|_, verdict| {
        let scaling = verdict.scaling.as_ref().filter(|_| verdict.scales() == Some(false))?;
        Some(format!("{} x one thread", spread(scaling, 2)))
    });
    let wrong: Vec<String> = report
        .runs
        .iter()
        .flat_map(|run| &run.rows)
        .flat_map(lines)
        .filter(|line| line.contains("WRONG"))
        .map(|line| format!("  {line}\n"))
        .collect();
    let number = if wrong.is_empty() { "none".to_owned() } else { wrong.len().to_string() };
    let _ = write!(text, "\nWrong results: {number}\n{}", wrong.concat());
    text
}
