//! What cells look like: their colours, and what stands in them.

use super::super::bits::{Cell, Owner, Part};
use super::{LEFT, ROW, Scale, range, words};
use quantloom_codegen::format::{Format, Formula, TableValues};
use serde::Serialize;
use std::collections::BTreeMap;

/// A format at a scale.
pub struct Canvas<'a> {
    pub format: &'a Format,
    pub scale: Scale,
    /// Fields, and tables that are stored, in the order of their colours: the code first, so that it
    /// looks alike in all formats.
    order: Vec<Part>,
}

/// A cell, placed. Lengths are in pixels.
#[derive(Serialize)]
pub struct Drawn {
    x: u32,
    width: u32,
    bits: u32,
    /// Colours, one above the other, where several fields share the bits.
    bands: Vec<Band>,
    /// Whether a byte begins with it.
    byte: bool,
    label: &'static str,
    text: String,
    about: String,
}

#[derive(Serialize)]
struct Band {
    colour: String,
    y: u32,
    height: u32,
}

/// Colours in the style sheet, and the class for bits that mean nothing.
const COLOURS: usize = 8;
const PADDING: &str = "pad";

/// Ways to label a cell, best first: which text, the height of its letters, its class.
const LABELS: [(usize, f32, &str); 7] = [
    (0, 12.0, "label"),
    (0, 10.0, "label small"),
    (1, 12.0, "label"),
    (1, 10.0, "label small"),
    (1, 8.0, "label tiny"),
    (2, 10.0, "label small"),
    (2, 8.0, "label tiny"),
];

/// The field that the code is read from.
fn code(format: &Format) -> Option<usize> {
    match format.facts().affine?.code {
        Formula::Field(field) | Formula::Lookup { index: field, .. } => Some(field),
        _ => format.primary(),
    }
}

/// The best labels that fit all cells of so many bits.
pub type Labels = BTreeMap<u32, usize>;

impl<'a> Canvas<'a> {
    pub fn new(format: &'a Format, scale: Scale) -> Canvas<'a> {
        let primary = code(format);
        let others = (0..format.fields.len()).filter(|field| Some(*field) != primary);
        let fields = primary.into_iter().chain(others).map(Part::Field);
        let stored = |&table: &usize| {
            let values = format.tables.get(table).map(|table| &table.values);
            matches!(values, Some(TableValues::Stored { .. }))
        };
        let tables = (0..format.tables.len()).filter(stored).map(Part::Table);
        Canvas { format, scale, order: fields.chain(tables).collect() }
    }

    /// Colour, name and meaning of every field, and of padding.
    pub fn legend(&self) -> Vec<(String, String, String)> {
        let mut entries = Vec::new();
        let mut padding = self.format.members.iter().any(|member| member.element.is_none());
        for &part in &self.order {
            let (name, meaning) = match part {
                Part::Field(field) => match self.format.fields.get(field) {
                    Some(field) if !field.padding => {
                        (&field.name, words::field(self.format, field))
                    }
                    _ => {
                        padding = true;
                        continue;
                    }
                },
                Part::Table(table) => match self.format.tables.get(table) {
                    Some(table) => (&table.name, words::table(table)),
                    None => continue,
                },
            };
            let bits = match part {
                Part::Field(field) => self.format.fields.get(field).map_or(0, |field| field.bits()),
                Part::Table(_) => 32,
            };
            let colour = if bits > 0 { self.colour(part) } else { String::new() };
            entries.push((colour, name.clone(), meaning));
        }
        if padding {
            entries.push((PADDING.into(), "padding".into(), "bits that mean nothing".into()));
        }
        entries
    }

    /// The class of a colour.
    fn colour(&self, part: Part) -> String {
        let place = self.order.iter().position(|&other| other == part).unwrap_or(0);
        format!("f{}", place % COLOURS)
    }

    /// `q [5:4], scale`: which bits of which fields are in these rows.
    pub fn holds(&self, rows: &[(usize, Vec<Cell>)]) -> String {
        let mut parts: BTreeMap<Part, (u32, u32)> = BTreeMap::new();
        for cell in rows.iter().flat_map(|(_, cells)| cells) {
            for owner in &cell.owners {
                let part = parts.entry(owner.part).or_insert((owner.bit, owner.bit));
                *part = (part.0.min(owner.bit), part.1.max(owner.bit + cell.bits - 1));
            }
        }
        let text = |(part, (low, high)): (Part, (u32, u32))| {
            let owner = Owner { part, index: 0, row: None, bit: low };
            format!("{}{}", owner.name(self.format), owner.bits(self.format, high - low + 1))
        };
        parts.into_iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// Chooses labels.
    pub fn labels(&self, rows: &[(usize, Vec<Cell>)]) -> Labels {
        let mut chosen = Labels::new();
        for cell in rows.iter().flat_map(|(_, cells)| cells) {
            let width = (cell.bits * self.scale.bit) as f32 - 2.0;
            let texts = self.texts(cell);
            // Letters are about 0.6 of their height wide.
            let fits = |&(text, size, _): &(usize, f32, &str)| {
                texts.get(text).is_some_and(|t| t.chars().count() as f32 * size * 0.6 <= width)
            };
            let choice = LABELS.iter().position(fits).unwrap_or(LABELS.len() - 1);
            let worst = chosen.entry(cell.bits).or_default();
            *worst = choice.max(*worst);
        }
        chosen
    }

    /// The cells of a row that begins with a byte.
    pub fn row(&self, byte: usize, cells: &[Cell], labels: &Labels) -> Vec<Drawn> {
        let mut at = 0usize;
        let mut drawn = Vec::new();
        for cell in cells {
            let choice = labels.get(&cell.bits).and_then(|&choice| LABELS.get(choice));
            let &(text, _, label) = choice.unwrap_or(&(2, 8.0, "label tiny"));
            drawn.push(Drawn {
                x: LEFT + at as u32 * self.scale.bit,
                width: cell.bits * self.scale.bit,
                bits: cell.bits,
                bands: self.bands(cell),
                byte: at.is_multiple_of(8),
                label,
                text: self.texts(cell).into_iter().nth(text).unwrap_or_default(),
                about: self.about(byte, at, cell),
            });
            at += cell.bits as usize;
        }
        drawn
    }

    fn bands(&self, cell: &Cell) -> Vec<Band> {
        let mut colours: Vec<String> = cell.owners.iter().map(|o| self.colour(o.part)).collect();
        colours.dedup();
        if colours.is_empty() {
            colours.push(PADDING.into());
        }
        let count = colours.len() as u32;
        let band = |(number, colour): (u32, String)| {
            let (y, end) = (number * ROW / count, (number + 1) * ROW / count);
            Band { colour, y, height: end - y }
        };
        (0..count).zip(colours).map(band).collect()
    }

    /// What a cell could say, longest first.
    fn texts(&self, cell: &Cell) -> [String; 3] {
        let format = self.format;
        let join = |text: &dyn Fn(&Owner) -> String| {
            let mut texts: Vec<String> = cell.owners.iter().map(text).collect();
            texts.dedup();
            texts.join(" · ")
        };
        let or_name = |owner: &Owner, place: String| match place.is_empty() {
            true => owner.name(format).to_owned(),
            false => place,
        };
        [
            join(&|o| {
                let place = self.place(o);
                let space = if place.is_empty() { "" } else { " " };
                format!("{}{space}{place}{}", o.name(format), o.bits(format, cell.bits))
            }),
            join(&|o| or_name(o, self.place(o))),
            join(&|o| or_name(o, self.short_place(o))),
        ]
    }

    /// Which value of a block: `17`, `16–31`, `row 3`; nothing where there is only one.
    fn place(&self, owner: &Owner) -> String {
        let weights = match owner.weights(self.format) {
            _ if owner.alone(self.format) => String::new(),
            None => owner.index.to_string(),
            Some(weights) => range(weights.start as usize..weights.end as usize),
        };
        match (owner.row, weights.is_empty()) {
            (None, _) => weights,
            (Some(row), true) => format!("row {row}"),
            (Some(row), false) => format!("{weights} row {row}"),
        }
    }

    /// The same in few letters.
    fn short_place(&self, owner: &Owner) -> String {
        match (owner.row, owner.weights(self.format)) {
            (Some(row), _) => row.to_string(),
            _ if owner.alone(self.format) => String::new(),
            (None, Some(weights)) => weights.start.to_string(),
            (None, None) => owner.index.to_string(),
        }
    }

    /// Everything about a cell, for those who point at it or listen.
    fn about(&self, byte: usize, bit: usize, cell: &Cell) -> String {
        let owner = |o: &Owner| {
            let of = match o.weights(self.format) {
                _ if o.alone(self.format) => String::new(),
                None => format!(" of entry {}", o.index),
                Some(weights) if weights.len() == 1 => format!(" of weight {}", weights.start),
                Some(weights) => {
                    format!(" of weights {}", range(weights.start as usize..weights.end as usize))
                }
            };
            let row = o.row.map_or(String::new(), |row| format!(" in row {row}"));
            format!("{}{}{of}{row}", o.name(self.format), o.bits(self.format, cell.bits))
        };
        let value = match cell.owners.as_slice() {
            [] => "padding".to_owned(),
            owners => owners.iter().map(owner).collect::<Vec<_>>().join("; "),
        };
        let noun = if cell.bits == 1 { "bit" } else { "bits" };
        let place = format!("byte {}, bit {}", byte + bit / 8, bit % 8);
        format!("{value} ({} {noun} from {place})", cell.bits)
    }
}
