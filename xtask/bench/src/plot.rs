//! The plot: a panel for each kind of call and shape, bars for each format.

use crate::Result;
use crate::contender::{Activations, Engine};
use crate::options::{Kind, Shape};
use crate::report::{Report, Row, Run, Spread};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 760;
const HEIGHT: u32 = 240;

/// Who has a bar of which colour.
const BARS: [(&str, RGBColor, Engine, Option<Activations>); 5] = [
    ("ours", RGBColor(0, 90, 170), Engine::Ours, Some(Activations::None)),
    ("ours, int8", RGBColor(0, 90, 170), Engine::Ours, Some(Activations::Int8)),
    ("ours, f32", RGBColor(110, 175, 230), Engine::Ours, Some(Activations::F32)),
    ("ggml", RGBColor(225, 120, 30), Engine::Ggml, None),
    ("candle", RGBColor(150, 150, 150), Engine::Candle, None),
];

const TARGET: RGBColor = RGBColor(200, 0, 0);
const MACHINE: RGBColor = RGBColor(60, 60, 60);

/// Draws everything into an SVG file.
pub fn draw(report: &Report, path: &Path) -> Result<()> {
    let panels: Vec<(&Run, Kind, usize)> = report.runs.iter().flat_map(panels).collect();
    let mut shapes: Vec<Shape> = Vec::new();
    for row in report.runs.iter().flat_map(|run| &run.rows) {
        if !shapes.contains(&row.shape) {
            shapes.push(row.shape);
        }
    }
    let size = (WIDTH * shapes.len().max(1) as u32, HEIGHT * panels.len().max(1) as u32);
    let drawing = SVGBackend::new(path, size).into_drawing_area();
    drawing.fill(&WHITE)?;
    let areas = drawing.split_evenly((panels.len().max(1), shapes.len().max(1)));
    let all = panels.iter().flat_map(|panel| shapes.iter().map(move |shape| (panel, shape)));
    for (area, (&(run, kind, m), &shape)) in areas.iter().zip(all) {
        let rows = run.rows.iter();
        let rows =
            rows.filter(|row| (row.kind, row.m, row.shape) == (kind, m, shape)).collect::<Vec<_>>();
        panel(area, &rows, run.threads)?;
    }
    drawing.present()?;
    Ok(())
}

/// Kinds and activation rows that a run has.
fn panels(run: &Run) -> Vec<(&Run, Kind, usize)> {
    let mut panels = Vec::new();
    for row in &run.rows {
        let panel = (row.kind, row.m);
        if !panels.contains(&panel) {
            panels.push(panel);
        }
    }
    panels.into_iter().map(|(kind, m)| (run, kind, m)).collect()
}

fn panel(area: &Panel, rows: &[&Row], threads: usize) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let title = format!(
        "{} ({}, {threads} thread{})",
        first.call(),
        first.unit(),
        if threads == 1 { "" } else { "s" }
    );
    let rates: Vec<Rates> = rows.iter().map(|row| self::rates(row)).collect();
    let shown: Vec<usize> =
        (0..BARS.len()).filter(|&bar| rates.iter().any(|rates| rates[bar].is_some())).collect();
    let ceiling = ceiling(rows);
    let marks = rows.iter().flat_map(|row| targets(row)).chain(ceiling);
    let highest = rates.iter().flatten().flatten().copied().chain(marks).fold(1e-9, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_top(28)
        .x_label_area_size(22)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..rows.len() as f64, 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(5)
        .y_label_formatter(&|rate| rate.to_string())
        .light_line_style(TRANSPARENT)
        .draw()?;
    area.draw_text(&title, &("sans-serif", 15).into_font().color(&BLACK), (44, 4))?;
    let width = 0.8 / shown.len() as f64;
    let (left, top) = area.get_base_pixel();
    for (place, (row, rates)) in rows.iter().zip(&rates).enumerate() {
        let place = place as f64;
        for (slot, &bar) in shown.iter().enumerate() {
            let (from, colour) = (place + 0.1 + slot as f64 * width, BARS[bar].1);
            let to = (from + width, rates[bar].unwrap_or(0.0));
            chart.draw_series([Rectangle::new([(from, 0.0), to], colour.filled())])?;
        }
        for target in targets(row) {
            let ends = [(place + 0.05, target), (place + 0.95, target)];
            chart.draw_series(LineSeries::new(ends, TARGET.stroke_width(2)))?;
        }
        let (x, y) = chart.backend_coord(&(place + 0.5, 0.0));
        area.draw_text(&row.format, &text(&BLACK), (x - left - 18, y - top + 6))?;
    }
    if let Some(ceiling) = ceiling {
        let ends = [(0.0, ceiling), (rows.len() as f64, ceiling)];
        chart.draw_series(LineSeries::new(ends, MACHINE))?;
    }
    let mut names: Vec<_> = shown.iter().map(|&bar| (BARS[bar].0, BARS[bar].1)).collect();
    names.extend(rows.iter().flat_map(|row| targets(row)).next().map(|_| ("target", TARGET)));
    names.extend(ceiling.map(|_| ("machine", MACHINE)));
    legend(area, names)
}

fn text(colour: &RGBColor) -> TextStyle<'_> {
    ("sans-serif", 12).into_font().color(colour)
}

/// Names with their colours, from the right end of the title's line.
fn legend(area: &Panel, names: Vec<(&str, RGBColor)>) -> Result<()> {
    let mut x = area.dim_in_pixel().0 as i32 - 4;
    for (name, colour) in names.into_iter().rev() {
        x -= 6 * name.len() as i32 + 6;
        area.draw_text(name, &text(&BLACK), (x, 4))?;
        area.draw(&Rectangle::new([(x - 12, 6), (x - 3, 15)], colour.filled()))?;
        x -= 16;
    }
    Ok(())
}

/// A rate for each kind of bar.
type Rates = [Option<f64>; BARS.len()];

/// The rate of each bar: that of the fastest way whose result is right.
fn rates(row: &Row) -> Rates {
    let threads = row.measured.iter().map(|measured| measured.label.threads).max();
    BARS.map(|(_, _, engine, activations)| {
        let ways = row.measured.iter().filter(|measured| {
            let label = &measured.label;
            let own = activations.is_none_or(|activations| label.activations == activations);
            label.engine == engine && own && measured.right && Some(label.threads) == threads
        });
        let medians = ways.filter_map(|way| Spread::of(way.seconds.iter().copied()));
        medians.map(|seconds| row.work() / seconds.median).reduce(f64::max)
    })
}

fn targets(row: &Row) -> impl Iterator<Item = f64> {
    row.verdicts.iter().filter_map(|verdict| Some(verdict.target.as_ref()?.rate))
}

/// What the machine can do in a panel's unit: bandwidth, or the f32 matmul.
fn ceiling(rows: &[&Row]) -> Option<f64> {
    let verdicts = rows.iter().flat_map(|row| &row.verdicts);
    verdicts.filter_map(|verdict| Some(verdict.rate.median / verdict.of_ceiling?)).next()
}
