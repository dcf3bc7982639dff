//! The plot: a panel for each device and kind of call, bars for each format.

use super::options::{Kind, Precision};
use super::report::{Device, Report, Row};
use super::table::significant;
use crate::bench::spread::Spread;
use crate::failure::Outcome;
use crate::templates;
use clap::ValueEnum;
use serde::Serialize;

/// What the template draws; all places in pixels.
#[derive(Serialize)]
struct Drawing {
    width: usize,
    height: usize,
    panels: Vec<Panel>,
    legend: Vec<Named>,
}

/// A colour and what it stands for.
#[derive(Serialize)]
struct Named {
    x: usize,
    class: String,
    name: &'static str,
}

#[derive(Serialize)]
struct Panel {
    y: usize,
    title: String,
    highest: String,
    bars: Vec<Bar>,
    labels: Vec<Label>,
    /// Lines across a format's bars.
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    /// Number of the precision.
    class: usize,
    title: String,
}

#[derive(Serialize)]
struct Label {
    x: f64,
    text: String,
}

#[derive(Serialize)]
struct Mark {
    x: f64,
    y: f64,
    width: f64,
    class: &'static str,
    title: String,
}

const LEFT: f64 = 60.0;
/// Width of a format's bars.
const STEP: f64 = 76.0;
/// Height of the highest bar.
const BARS: f64 = 150.0;
/// Above it.
const TOP: f64 = 34.0;
/// Height of the legend above all panels.
const HEAD: usize = 30;
/// Height of a panel.
const PANEL: usize = 220;

/// The drawing, as SVG.
pub fn draw(report: &Report) -> Outcome<String> {
    let mut panels: Vec<Panel> = Vec::new();
    let mut most = 1;
    for device in &report.devices {
        for rows in groups(device) {
            most = most.max(rows.len());
            panels.push(panel(device, &rows, HEAD + panels.len() * PANEL));
        }
    }
    let width = (LEFT + STEP * most as f64) as usize + 20;
    let height = panels.len() * PANEL + HEAD;
    let precisions = Precision::value_variants().iter().map(|precision| precision.name());
    let bars = (0..).zip(precisions).map(|(number, name)| (format!("precision-{number}"), name));
    let marks = [("ceiling", "read or copy ceiling"), ("target", "target")];
    let all = bars.chain(marks.map(|(class, name)| (class.to_owned(), name)));
    let legend =
        all.enumerate().map(|(number, (class, name))| Named { x: 8 + 110 * number, class, name });
    let legend = legend.collect();
    templates::render("bench.svg", &Drawing { width: width.max(560), height, panels, legend })
}

/// Rows of one kind, shape and number of activation rows.
fn groups(device: &Device) -> Vec<Vec<&Row>> {
    let key = |row: &Row| (row.kind, row.shape, row.m);
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    // Times of recording are no rates.
    for row in device.rows.iter().filter(|row| row.kind != Kind::Launch) {
        let known =
            groups.iter_mut().find(|rows| rows.first().is_some_and(|own| key(own) == key(row)));
        match known {
            Some(rows) => rows.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// Name and rate of a row's ceiling, in a unit of so much.
fn ceiling(row: &Row, unit: f64) -> Option<(&str, f64)> {
    let ceiling = row.ceiling.as_ref()?;
    let rates = ceiling.seconds.iter().map(|s| ceiling.bytes as f64 / s / unit);
    Some((&ceiling.name, Spread::of(rates)?.median))
}

fn panel(device: &Device, rows: &[&Row], y: usize) -> Panel {
    let (unit, times) = rows.first().map(|row| row.unit()).unwrap_or_default();
    let call = rows.first().map(|row| row.call()).unwrap_or_default();
    let ceiling = |row| ceiling(row, times);
    let verdicts = |row: &'_ &Row| {
        let ways = row.ways.iter().filter_map(|way| Some((way.precision, way.verdict.clone()?)));
        ways.collect::<Vec<_>>()
    };
    let rates = rows.iter().flat_map(verdicts).map(|(_, verdict)| verdict.rate.median);
    let targets = rows.iter().flat_map(verdicts).filter_map(|(_, v)| Some(v.target?.rate));
    let ceilings = rows.iter().filter_map(|row| Some(ceiling(row)?.1));
    let highest = rates.chain(targets).chain(ceilings).fold(1e-9, f64::max);
    let height = |rate: f64| (BARS * rate / highest * 10.0).round() / 10.0;
    let place = |rate: f64| ((TOP + BARS - height(rate)) * 10.0).round() / 10.0;
    let mut panel = Panel {
        y,
        title: format!("{}: {}, {call} ({unit})", device.api.name(), device.name),
        highest: significant(highest),
        bars: vec![],
        labels: vec![],
        marks: vec![],
    };
    for (number, row) in rows.iter().enumerate() {
        let left = LEFT + STEP * number as f64;
        panel.labels.push(Label { x: left + STEP / 2.0, text: row.format.clone() });
        let ways = verdicts(row);
        let width = ((STEP - 12.0) / ways.len().max(1) as f64).floor();
        for (slot, (precision, verdict)) in ways.into_iter().enumerate() {
            let rate = verdict.rate.median;
            let x = left + 6.0 + width * slot as f64;
            let own = Precision::value_variants().iter().position(|known| *known == precision);
            panel.bars.push(Bar {
                x,
                y: place(rate),
                width: width - 2.0,
                height: height(rate),
                class: own.unwrap_or_default(),
                title: format!("{} {}: {} {unit}", row.format, precision.name(), significant(rate)),
            });
            panel.marks.extend(verdict.target.map(|target| Mark {
                x,
                y: place(target.rate),
                width: width - 2.0,
                class: "target",
                title: format!("target: {}", target.reason),
            }));
        }
        panel.marks.extend(ceiling(row).map(|(name, rate)| Mark {
            x: left + 2.0,
            y: place(rate),
            width: STEP - 4.0,
            class: "ceiling",
            title: format!("{name}: {} {unit}", significant(rate)),
        }));
    }
    panel
}
