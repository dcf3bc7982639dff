//! Descriptors made at random, every one of them valid: blocks and streams, tiles, words, views,
//! planes in any order, floats, tables, gathers, and formulas of every operator.

mod formula;
mod plane;

use crate::seed::pick;
use plane::{Unit, divisors};
use quantloom::verify::random::Rng;
use std::fmt::Write;

pub use formula::formula;

/// One whose streams, members, fields, sizes and tables are called like keywords, types and functions of WGSL, C++
/// and Rust, and like what kernels are written with.
pub const NAMES: &str = "\
format: names
title: names that mean something elsewhere
sizes: {switch: 64}
weights: 32
streams:
  halves: {tile: {k: 32}, view: columns, unit: {template: \"u8[16]\"}}
  store_to_edge: {tile: {k: switch}, view: columns, unit: {vec4: f16}}
  keep: {tile: {k: switch, n: 8}, view: columns, unit: {asm: \"u8[4]\"}}
  type: {tile: {k: 32}, unit: {fn: f32}}
fields:
  decode: {from: template, bits: 4, k: \"32:4\"}
  float: {from: vec4}
  row: {from: asm, bits: 4, n: \"8:4\", bias: 8}
  quantloom: {from: fn, per: 32}
tables:
  cpu: {type: f32, values: [0, 1.5, -2, 3, 4, 5.25, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]}
value: (cpu[decode] - row) * float * quantloom
";

/// A descriptor in the making.
#[derive(Default)]
struct Text {
    streams: String,
    fields: String,
    tables: String,
    /// What the formula may take as code, and as what weights share.
    codes: Vec<String>,
    shared: Vec<String>,
}

/// A descriptor of several streams.
pub fn planar(rng: &mut Rng) -> String {
    // Some have so many places of a value that tables of them are large.
    let large = rng.below(4) == 0;
    let weights = match large {
        false => 4 * pick(rng, &[1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 40, 64]),
        true => pick(rng, &[120, 160, 240]),
    };
    let mut text = Text::default();
    let rows = if large { 8 } else { pick(rng, &[1, 1, 1, 1, 2, 4, 8]) };
    let bits = if large { 1 } else { pick(rng, &[1, 2, 3, 4, 4, 5, 6, 7, 8]) };
    text.codes(rng, "q", bits, weights, rows);
    let rows = pick(rng, &[1, 1, 1, 2, 3, 8]);
    text.scales(rng, "s", weights, if large { 1 } else { rows });
    if large || rng.below(2) == 0 {
        let rows = if large { 16 } else { pick(rng, &[1, 1, 2, 4, 16]) };
        text.scales(rng, "m", weights, rows);
    }
    let gathers = text.fields.contains("gather: group");
    if gathers {
        let number = pick(rng, &["u8", "u16", "u32"]);
        let _ = writeln!(
            text.streams,
            "  groups: {{tile: {{k: 1, n: all}}, view: columns, unit: {{number: {number}}}}}"
        );
        text.fields += "  group: {from: number}\n";
    }
    let sized = [" g}", " g,"].iter().any(|size| text.streams.contains(size));
    let sizes = match sized {
        false => String::new(),
        true => format!("sizes: {{g: {}}}\n", weights * pick(rng, &[1, 2, 5, 8])),
    };
    let value = formula(rng, &text.codes, &text.shared);
    let tables =
        if text.tables.is_empty() { String::new() } else { format!("tables:\n{}", text.tables) };
    let Text { streams, fields, .. } = text;
    format!(
        "format: random\ntitle: made at random\n{sizes}weights: {weights}\nstreams:\n{streams}fields:\n{fields}{tables}value: {value}\n"
    )
}

impl Text {
    /// A stream of codes of so many bits, in units for some rows and a part of the block.
    fn codes(&mut self, rng: &mut Rng, name: &str, bits: usize, weights: usize, rows: usize) {
        // Bits of a unit fill bytes.
        let parts: Vec<usize> = divisors(weights)
            .into_iter()
            .filter(|parts| (weights / parts * rows * bits).is_multiple_of(8))
            .collect();
        let Some(&whole) = parts.first() else {
            return self.codes(rng, name, bits * 2, weights, rows);
        };
        let parts = if rng.below(2) == 0 { whole } else { pick(rng, &parts) };
        let unit = Unit { values: weights / parts, rows, bits };
        let (view, word) = self.view(rng, rows, unit.bytes());
        let _ = writeln!(
            self.streams,
            "  {name}_units: {{tile: {}, {view}{word}unit: {{{name}_bits: {}}}}}",
            tile(&unit.values.to_string(), rows),
            unit.member(rng),
        );
        let (mut ty, mut code) = (String::new(), name.to_owned());
        match rng.below(6) {
            0 | 1 => ty = format!(", bias: {}", rng.below(1 << bits)),
            2 => ty = ", type: i".into(),
            3 if bits <= 5 => {
                let values: Vec<String> =
                    (0..1 << bits).map(|_| (rng.below(256) as i32 - 128).to_string()).collect();
                let (ty, scale) = pick(rng, &[("i8", ""), ("f32", ".25")]);
                let values: Vec<String> =
                    values.iter().map(|value| format!("{value}{scale}")).collect();
                let _ = writeln!(
                    self.tables,
                    "  levels: {{type: {ty}, values: [{}]}}",
                    values.join(", ")
                );
                code = format!("levels[{name}]");
            }
            4 if (3..=8).contains(&bits) => {
                let mantissa = rng.below(bits - 2);
                let exponent = bits - 1 - mantissa;
                let bias = (1 << (exponent - 1)) - 1;
                ty = format!(
                    ", type: {{exponent: {exponent}, mantissa: {mantissa}, bias: {bias}, signed: true}}"
                );
            }
            5 if bits <= 3 => {
                let digits = "0123456789abcdefghijklmnopqrstuvwxyz";
                let entries = (4usize << bits) as u32;
                let digits: String =
                    (0..entries).filter_map(|_| digits.chars().nth(rng.below(5))).collect();
                let _ = writeln!(
                    self.tables,
                    "  grid: {{type: i8, lanes: 4, levels: [-3, -1, 0, 2, 5], digits: \"{digits}\"}}"
                );
                self.fields += "  lane: {index: \"4:1\"}\n";
                code = format!("grid[{name}][lane]");
            }
            _ => {}
        }
        let plane = unit.plane(rng);
        let _ = writeln!(self.fields, "  {name}: {{from: {name}_bits, bits: {bits}, {plane}{ty}}}");
        self.codes.push(code);
    }

    /// A stream of values that weights share.
    fn scales(&mut self, rng: &mut Rng, name: &str, weights: usize, rows: usize) {
        let float = pick(rng, &["f16", "bf16", "f32", ""]);
        let bits = match float {
            "f16" | "bf16" => 16,
            "f32" => 32,
            _ => pick(rng, &[2, 4, 6, 8]),
        };
        // Units of several blocks hold a value for each row, others one for so many weights.
        let several = (rows * bits).is_multiple_of(8) && rng.below(3) > 0;
        let (tile_k, values) = if several {
            let tile = match rng.below(6) {
                0 => "g".to_owned(),
                1 => format!("{} * g", 2 + rng.below(3)),
                2 => "all".to_owned(),
                _ => (weights * (2 + rng.below(4))).to_string(),
            };
            (tile, 1)
        } else {
            let parts: Vec<usize> = divisors(weights / 4)
                .into_iter()
                .filter(|parts| (parts * rows * bits).is_multiple_of(8))
                .collect();
            match parts.is_empty() {
                true => return self.scales(rng, name, weights, 8),
                false => (weights.to_string(), pick(rng, &parts)),
            }
        };
        let unit = Unit { values, rows, bits };
        let member = match float {
            "" => unit.member(rng),
            float if values * rows == 1 => float.to_owned(),
            float => format!("\"{float}[{}]\"", values * rows),
        };
        let (view, word) = match several {
            true => (self.view(rng, rows, 1).0, String::new()),
            false => self.view(rng, rows, unit.bytes()),
        };
        let flat = view.contains("flat");
        let _ = writeln!(
            self.streams,
            "  {name}_units: {{tile: {}, {view}{word}unit: {{{name}_bits: {member}}}}}",
            tile(&tile_k, rows)
        );
        let plane = unit.plane(rng);
        let per = if several { String::new() } else { format!(", per: {}", weights / values) };
        let gather = several && !flat && tile_k != "all" && rng.below(4) == 0;
        let gather = if gather { ", gather: group" } else { "" };
        let _ = writeln!(
            self.fields,
            "  {name}: {{from: {name}_bits, bits: {bits}, {plane}{per}{gather}}}"
        );
        self.shared.push(name.to_owned());
    }

    /// The order of units, and whether they are cut into words.
    fn view(&self, rng: &mut Rng, rows: usize, bytes: usize) -> (String, String) {
        let view = pick(rng, &["rows", "columns", "columns", "flat"]);
        let view = if rows > 1 && view == "flat" { "columns" } else { view };
        let words = view == "columns" && bytes.is_multiple_of(4) && rng.below(2) == 0;
        (format!("view: {view}, "), if words { "word: 4, ".into() } else { String::new() })
    }
}

fn tile(k: &str, rows: usize) -> String {
    match rows {
        1 => format!("{{k: {k}}}"),
        rows => format!("{{k: {k}, n: {rows}}}"),
    }
}
