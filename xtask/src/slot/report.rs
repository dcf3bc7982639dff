//! The report of a folder's lines: what was found, compared, measured and left undone.

use super::job::{Job, Part};
use super::line::{self, Line, Outcome};
use super::run::TABLE;
use crate::bench::gpu::machine::Clock;
use crate::bench::gpu::options::Api;
use crate::bench::gpu::report::{Device, Report, Row};
use crate::bench::gpu::{plot, table};
use crate::failure::{Failure, Outcome as Done};
use crate::{files, print, tune};
use quantloom::tuning::Table;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Writes report.txt and report.svg beside the lines, and prints the first.
pub fn make(folder: &Path) -> Done {
    let lines = line::read(folder)?;
    let measured = measured(&lines);
    let table = folder.join(TABLE);
    let table = match table.is_file() {
        true => Table::read(&table)?,
        false => Table::default(),
    };
    let mut text = text(&lines, &table);
    if measured.devices.iter().any(|device| !device.rows.is_empty()) {
        text += &table::text(&measured);
    }
    let faults = lines.iter().filter(|line| line.is_wrong()).count();
    print::out(&text)?;
    let drawing = plot::draw(&measured)?;
    for (name, text) in [("report.txt", text), ("report.svg", drawing)] {
        files::write(&folder.join(name), text.as_bytes())?;
    }
    print::out(format!(
        "\nwritten: rows.jsonl, report.txt and report.svg in {}\n",
        files::shown(folder)
    ))?;
    match faults {
        0 => Ok(()),
        faults => Err(Failure::Differs(format!(
            "{} wrong or failed; see above",
            print::count(faults, "row")
        ))),
    }
}

impl Line {
    /// Whether something is not as it must be.
    fn is_wrong(&self) -> bool {
        match &self.result {
            Outcome::Wrong { .. } | Outcome::Failed { .. } | Outcome::Fault { .. } => true,
            Outcome::Measured { row, .. } => row.ways.iter().any(|way| way.problem.is_some()),
            _ => false,
        }
    }
}

/// A line for people, as it comes.
pub fn line(line: &Line) -> String {
    let device = line.device.map_or("machine", Api::name);
    let what = line.job.as_ref().map(Job::to_string).unwrap_or_default();
    let what = if what.is_empty() { what } else { format!(" {what}:") };
    let said = said(&line.result);
    format!("{:6.1} s  {device:7}{what} {said} ({})", line.at, print::duration(seconds(line)))
}

fn seconds(line: &Line) -> Duration {
    Duration::try_from_secs_f64(line.seconds).unwrap_or_default()
}

fn said(result: &Outcome) -> String {
    match result {
        Outcome::Begun { machine, .. } => machine.join("; "),
        Outcome::Found { facts } => facts.join("; "),
        Outcome::Right { tensors, weights, outputs, flushed } => {
            let flushed = match flushed.len() {
                0 => String::new(),
                calls => format!(", {} with subnormals taken for 0", print::count(calls, "call")),
            };
            let [weights, outputs] = [*weights, *outputs].map(print::grouped);
            format!("right: {tensors} tensors, {weights} weights, {outputs} outputs{flushed}")
        }
        Outcome::Reads { bytes_per_second } => format!("{:.1} GB/s", bytes_per_second / 1e9),
        Outcome::Measured { row, .. } => {
            let ways = row.ways.iter().map(|way| match (&way.problem, &way.verdict) {
                (Some(problem), _) => format!("{} {problem}", way.precision.name()),
                (None, Some(verdict)) => {
                    format!("{} {:.1} µs", way.precision.name(), verdict.microseconds.median)
                }
                (None, None) => format!("{} has no samples", way.precision.name()),
            });
            ways.collect::<Vec<_>>().join(", ")
        }
        Outcome::Tuned => "ended".to_owned(),
        Outcome::Wrong { reason } => format!("WRONG: {reason}"),
        Outcome::Failed { reason } => format!("FAILED: {reason}"),
        Outcome::Fault { reason } => format!("FAULT: {reason}"),
        Outcome::Skipped { reason } => format!("skipped: {reason}"),
        Outcome::TimeUp => "the time of its part ended".to_owned(),
        Outcome::NotBegun { jobs, reason } => {
            format!("{} not begun: {reason}", print::count(*jobs, "job"))
        }
    }
}

/// Everything but the tables of what was measured.
fn text(lines: &[Line], table: &Table) -> String {
    let mut text = String::new();
    for line in lines {
        if let Outcome::Begun { version, date, budget_seconds, machine } = &line.result {
            let _ = writeln!(text, "Quantloom {version}, {date}, {budget_seconds} s");
            machine.iter().for_each(|fact| text += &format!("  {fact}\n"));
        }
    }
    if let Some(last) = lines.last() {
        let (count, seconds) = (print::count(lines.len(), "result"), last.at + last.seconds);
        let _ = writeln!(text, "  {count} after {seconds:.0} s");
    }
    for device in devices(lines) {
        let own: Vec<&Line> = lines.iter().filter(|line| line.device == Some(device)).collect();
        let name = own.iter().find_map(|line| line.named.name.as_deref());
        let _ = writeln!(text, "\n== {}: {}", device.name(), name.unwrap_or("missing"));
        text += &looked(&own);
        if let Some(name) = name {
            text += &verified(&own);
            text += &tune::report::entries(table, name);
        }
    }
    text
}

/// What there is, and how it was when last seen.
fn looked(lines: &[&Line]) -> String {
    let mut text = String::new();
    let driver = |line: &&Line| {
        line.named.driver.clone().or_else(|| Some(line.gpu.as_ref()?.driver.clone()))
    };
    if let Some(driver) = lines.iter().find_map(driver) {
        let _ = writeln!(text, "driver {driver}");
    }
    for line in lines.iter().filter(|line| line.part == Part::Look) {
        let _ = writeln!(text, "{}", said(&line.result).replace("; ", "\n"));
    }
    if let Some(gpu) = lines.iter().rev().find_map(|line| line.gpu.as_ref()) {
        let [least, most] = gpu.sm_mhz;
        let _ = writeln!(
            text,
            "nvidia-smi, last: {least:.0} to {most:.0} MHz, memory {:.0} MHz, {:.0} of {:.0} MiB used, {:.0} °C, \
             {:.0} W",
            gpu.memory_mhz[1], gpu.used_mib, gpu.total_mib, gpu.celsius, gpu.watts
        );
    }
    text
}

/// What was compared, and what was wrong or left in any part.
fn verified(lines: &[&Line]) -> String {
    let (mut right, mut weights, mut outputs, mut text) = (0, 0, 0, String::new());
    for line in lines {
        let what = line
            .job
            .as_ref()
            .map_or_else(|| format!("{:?}", line.part).to_lowercase(), Job::to_string);
        match &line.result {
            Outcome::Right { weights: own, outputs: products, .. } => {
                (right, weights, outputs) = (right + 1, weights + own, outputs + products);
            }
            Outcome::Wrong { .. }
            | Outcome::Failed { .. }
            | Outcome::Fault { .. }
            | Outcome::TimeUp
            | Outcome::NotBegun { .. } => {
                let _ = writeln!(text, "{what}: {}", said(&line.result));
            }
            Outcome::Measured { row, .. } => {
                for way in &row.ways {
                    if let Some(problem) = &way.problem {
                        let _ = writeln!(text, "{what}, {}: {problem}", way.precision.name());
                    }
                }
            }
            _ => {}
        }
    }
    let [weights, outputs] = [weights, outputs].map(print::grouped);
    let checks = print::count(right, "check");
    format!("verified: {checks} right, with {weights} weights and {outputs} outputs\n{text}")
}

/// The devices that lines speak of, in their order.
fn devices(lines: &[Line]) -> Vec<Api> {
    let mut known = Vec::new();
    for device in lines.iter().filter_map(|line| line.device) {
        if !known.contains(&device) {
            known.push(device);
        }
    }
    known
}

/// What was measured, as `bench gpu` reports it.
fn measured(lines: &[Line]) -> Report {
    let of = |api: Api| {
        let own: Vec<&Line> = lines.iter().filter(|line| line.device == Some(api)).collect();
        let rows = own.iter().filter_map(|line| match &line.result {
            Outcome::Measured { row, .. } => Some(Row::clone(row)),
            _ => None,
        });
        let rows: Vec<Row> = rows.collect();
        let facts = own.iter().find_map(|line| match &line.result {
            Outcome::Measured { clock, rotated_bytes, .. } => Some((*clock, *rotated_bytes)),
            _ => None,
        });
        Device {
            api,
            name: own.iter().find_map(|line| line.named.name.clone()).unwrap_or_default(),
            clock: facts.map_or(Clock::Device, |(clock, _)| clock),
            rotated_bytes: facts.map_or(0, |(_, bytes)| bytes),
            rows,
            failures: vec![],
        }
    };
    Report {
        version: env!("CARGO_PKG_VERSION").into(),
        devices: devices(lines).into_iter().map(of).collect(),
        missing: vec![],
    }
}
