//! A block as SVG: every bit in the colour of its field, labelled by the weights that its value
//! belongs to. This module places things, the template draws them.

mod cells;
mod words;

use super::bits::{self, Cell};
use super::facts;
use crate::failure::Outcome;
use crate::templates;
use cells::{Canvas, Drawn};
use quantloom_codegen::format::{Format, Member};
use serde::Serialize;
use std::ops::Range;

/// The drawing as a document of its own, the same for the same format. It has its colours for light
/// and dark surroundings with it, and one picture per stream: a unit.
pub fn draw(format: &Format) -> Outcome<String> {
    templates::render("block.svg", &Drawing::new(format))
}

/// Left of this stand the numbers of bytes; right of it, the bits.
const LEFT: u32 = 60;
const RIGHT: u32 = 8;
/// Height of a row of bits, and of a line of text.
const ROW: u32 = 24;
const LINE: u32 = 22;
/// Of a member with more rows than `MOST_ROWS`, so many are drawn at either end.
const MOST_ROWS: usize = 64;
const ENDS: usize = 8;

/// What the template draws. Lengths and places are in pixels.
#[derive(Serialize)]
struct Drawing<'a> {
    name: &'a str,
    title: &'a str,
    width: u32,
    height: u32,
    left: u32,
    row: u32,
    /// The title in lines; the name stands before it.
    headline: Vec<Line>,
    /// The formula of a weight.
    formula: Vec<Line>,
    legend: Vec<Entry>,
    streams: Vec<Picture>,
}

#[derive(Serialize)]
struct Line {
    y: u32,
    text: String,
}

/// A field, or padding.
#[derive(Serialize)]
struct Entry {
    y: u32,
    colour: String,
    name: String,
    text: String,
}

/// A unit of a stream.
#[derive(Serialize)]
struct Picture {
    heading: Line,
    columns_y: u32,
    /// Where each byte of a row begins.
    columns: Vec<u32>,
    members: Vec<Block>,
}

/// A member.
#[derive(Serialize)]
struct Block {
    y: u32,
    name: String,
    text: String,
    rows: Vec<Row>,
}

/// Some bytes, or a gap.
#[derive(Serialize)]
struct Row {
    y: u32,
    /// Number of the first byte.
    byte: usize,
    cells: Vec<Drawn>,
    /// Rows and bits that are not drawn.
    omitted: usize,
    omitted_bits: usize,
}

/// Bytes in a row, and the width of a bit: short blocks are drawn larger.
#[derive(Clone, Copy)]
struct Scale {
    bytes: usize,
    bit: u32,
}

impl Scale {
    fn new(format: &Format) -> Scale {
        let longest = format.streams.iter().map(|s| s.bytes / bits::units(s)).max();
        match longest {
            Some(65..) => Scale { bytes: 8, bit: 15 },
            _ => Scale { bytes: 4, bit: 18 },
        }
    }

    fn width(self) -> u32 {
        LEFT + self.bytes as u32 * 8 * self.bit + RIGHT
    }
}

/// Goes down the page.
struct Pen(u32);

impl Pen {
    fn down(&mut self, height: u32) -> u32 {
        self.0 += height;
        self.0
    }
}

impl<'a> Drawing<'a> {
    fn new(format: &'a Format) -> Drawing<'a> {
        let scale = Scale::new(format);
        let canvas = Canvas::new(format, scale);
        let mut pen = Pen(0);
        let mut lines = |text: &str, before: usize, letter: usize| {
            let letters = (scale.width() as usize).saturating_sub(16) / letter;
            let lines = wrapped(text, letters.saturating_sub(before)).into_iter();
            lines.map(|text| Line { y: pen.down(LINE), text }).collect()
        };
        let headline = lines(&format.title, format.name.len() + 2, 8);
        let formula = lines(&facts::value(format), "weight = ".len(), 8);
        pen.down(LINE / 2);
        let legend = canvas.legend().into_iter();
        let legend = legend
            .map(|(colour, name, text)| Entry { y: pen.down(LINE), colour, name, text })
            .collect();
        let streams = (0..format.streams.len()).filter_map(|s| picture(&canvas, s, &mut pen));
        Drawing {
            name: &format.name,
            title: &format.title,
            width: scale.width(),
            left: LEFT,
            row: ROW,
            headline,
            formula,
            legend,
            streams: streams.collect(),
            height: pen.down(LINE / 2),
        }
    }
}

fn picture(canvas: &Canvas, number: usize, pen: &mut Pen) -> Option<Picture> {
    let Canvas { format, scale, .. } = *canvas;
    let stream = format.streams.get(number)?;
    let heading = Line { y: pen.down(LINE * 2), text: words::heading(format, stream) };
    let columns_y = pen.down(LINE);
    let columns = (0..scale.bytes).map(|byte| LEFT + byte as u32 * 8 * scale.bit).collect();
    let owners = bits::owners(format, number);
    let members = format.members.iter().filter(|member| member.stream == number);
    let members = members.map(|member| block(canvas, member, &owners, pen)).collect();
    Some(Picture { heading, columns_y, columns, members })
}

fn block(canvas: &Canvas, member: &Member, owners: &[Vec<bits::Owner>], pen: &mut Pen) -> Block {
    let (text, size) = words::member(member);
    let first = member.offset as usize;
    let bytes = first..first + size * member.count as usize;
    let place = if bytes.len() == 1 { "byte" } else { "bytes" };
    let y = pen.down(LINE + 4);
    let row = |byte: usize| {
        let end = bytes.end.min(byte + canvas.scale.bytes);
        (byte, bits::cells(owners, byte * 8..end * 8))
    };
    let rows: Vec<(usize, Vec<Cell>)> =
        bytes.clone().step_by(canvas.scale.bytes).map(row).collect();
    let mut text = format!("{text} · {place} {}", range(bytes.clone()));
    match canvas.holds(&rows) {
        holds if holds.is_empty() || holds == member.name => {}
        holds => text += &format!(" · {holds}"),
    }
    pen.down(LINE / 3);
    Block { y, name: member.name.clone(), text, rows: place_rows(canvas, &rows, pen) }
}

fn place_rows(canvas: &Canvas, rows: &[(usize, Vec<Cell>)], pen: &mut Pen) -> Vec<Row> {
    let omitted = match rows.len() {
        ..=MOST_ROWS => 0..0,
        all => ENDS..all - ENDS,
    };
    let labels = canvas.labels(rows);
    let mut placed = Vec::new();
    for (number, (byte, cells)) in rows.iter().enumerate() {
        if omitted.contains(&number) && number != omitted.start {
            continue;
        }
        let mut row = Row { y: pen.0, byte: *byte, cells: Vec::new(), omitted: 0, omitted_bits: 0 };
        pen.down(ROW);
        if omitted.contains(&number) {
            row.omitted = omitted.len();
            row.omitted_bits = omitted.len() * canvas.scale.bytes * 8;
        } else {
            row.cells = canvas.row(*byte, cells, &labels);
        }
        placed.push(row);
    }
    placed
}

/// `3` or `3–5`.
fn range(range: Range<usize>) -> String {
    match range.len() {
        1 => range.start.to_string(),
        _ => format!("{}–{}", range.start, range.end.saturating_sub(1)),
    }
}

/// Splits a text at blanks into lines of at most so many letters, where words are that short.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(descriptor: &str) -> String {
        draw(&Format::parse(descriptor, "toy.yaml").unwrap()).unwrap()
    }

    /// Sum of the bits that cells, and rows that are left out, stand for.
    fn bits(svg: &str) -> usize {
        let numbers = svg.split("data-bits=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0);
        numbers.map(|number| number.parse::<usize>().unwrap()).sum()
    }

    #[test]
    fn draws_every_bit_once() {
        let svg = drawing(
            "format: toy\ntitle: a < b\nweights: 16\nblock: {d: f16, low: \"u8[8]\", high: \"u8[2]\", gap: \"pad[3]\"}\n\
             fields:\n  q:\n    planes:\n      - {from: low, bits: 4, k: \"(8,2):(8,4)\"}\n      - {from: high, bits: 1, k: \"16:1\"}\n\
             value: q * d\n",
        );
        assert_eq!(bits(&svg), 15 * 8, "{svg}");
        assert!(svg.contains("a &lt; b"), "{svg}");
        assert!(svg.contains("q 8 [3:0]"), "{svg}");
        assert!(svg.contains("q [4] of weight 15 (1 bit from byte 11, bit 7)"), "{svg}");
        assert!(svg.contains("padding"), "{svg}");
    }

    #[test]
    fn draws_a_unit_of_each_stream_and_not_all_of_long_ones() {
        let svg = drawing(
            "format: toy\ntitle: t\nweights: 1024\nstreams:\n  codes: {tile: {k: 1024}, view: flat, unit: {q: \"i8[1024]\"}}\n  \
             scales: {tile: {k: 64}, view: flat, unit: {d: f16, gap: \"pad[2]\"}}\nvalue: q * d\n",
        );
        assert_eq!(bits(&svg), (1024 + 4) * 8);
        assert!(svg.contains("Stream scales: a unit of 4 bytes for each 64 weights"), "{svg}");
        assert!(svg.contains("112 more rows"), "{svg}");
    }

    #[test]
    fn values_that_share_bits_share_the_cell() {
        let svg = drawing(
            "format: toy\ntitle: t\nweights: 4\nblock: {q: \"u8[4]\"}\nfields:\n  q: {from: q, bits: 8, k: \"4:8\", shared: true}\n  \
             s: {from: q, per: 2, bits: 8, k: \"2:16\", shared: true}\nvalue: q * s\n",
        );
        assert_eq!(bits(&svg), 32);
        assert!(
            svg.contains("q of weight 2; s of weights 2–3 (8 bits from byte 2, bit 0)"),
            "{svg}"
        );
        assert!(svg.contains("class=\"f1\""), "{svg}");
    }

    #[test]
    fn long_formulas_are_wrapped() {
        assert_eq!(wrapped("a + b * cc", 5), ["a + b", "* cc"]);
        assert_eq!(wrapped("abcdefgh i", 5), ["abcdefgh", "i"]);
    }
}
