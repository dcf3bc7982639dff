//! A block as a picture: a row per byte, high bit on the left, every run of bits labelled with the
//! value it belongs to. Rows of the same make that only count on are drawn once.

use quantloom_codegen::format::Format;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The picture, with a heading for every member.
pub fn draw(format: &Format, colours: bool) -> String {
    let mut text = String::new();
    for (number, stream) in format.streams.iter().enumerate() {
        if format.streams.len() > 1 {
            let _ = writeln!(text, "stream {}, {} bytes per block\n", stream.name, stream.bytes);
        }
        let owners = owners(format, number, stream.bytes as usize);
        let unit = stream.bytes / stream.copies.max(1);
        for repeat in shown_units(stream.copies) {
            let Some(repeat) = repeat else {
                let _ = writeln!(text, "  ⋮ {} more units of the same make\n", stream.copies - 2);
                continue;
            };
            for member in format.members.iter().filter(|member| member.stream == number) {
                let element =
                    member.element.as_ref().map_or(1, |element| (element.bits / 8).max(1) as usize);
                let first = (repeat * unit + member.offset) as usize;
                let bytes = first..first + element * member.count as usize;
                let _ = writeln!(text, "{}: {}", member.name, place(&bytes));
                let rows = rows(&owners, bytes, element);
                text += &Canvas { format, colours }.member(&rows);
                text.push('\n');
            }
        }
    }
    text.pop();
    text
}

/// All units where there are few, else the first, a gap and the last.
fn shown_units(units: u32) -> Vec<Option<u32>> {
    match units {
        0..=3 => (0..units).map(Some).collect(),
        _ => vec![Some(0), None, Some(units - 1)],
    }
}

fn place(bytes: &std::ops::Range<usize>) -> String {
    match bytes.len() {
        1 => format!("byte {}", bytes.start),
        _ => format!("bytes {} to {}", bytes.start, bytes.end.saturating_sub(1)),
    }
}

/// A bit of a value: which field, which of its values, which bit of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    field: usize,
    index: u32,
    bit: u32,
}

/// Who reads each bit of a stream's block; nobody reads padding.
fn owners(format: &Format, stream: usize, bytes: usize) -> Vec<Vec<Owner>> {
    let mut owners = vec![Vec::new(); bytes * 8];
    for (field, stated) in format.fields.iter().enumerate() {
        let mut low = 0;
        for plane in &stated.planes {
            let here = format.members.get(plane.member).is_some_and(|m| m.stream == stream);
            for index in (0..plane.layout.size()).filter(|_| here) {
                for bit in 0..plane.bits {
                    let position = plane.position(index) + i64::from(bit);
                    let owner = Owner { field, index, bit: low + bit };
                    let found = usize::try_from(position).ok().and_then(|p| owners.get_mut(p));
                    found.into_iter().for_each(|owners| owners.push(owner));
                }
            }
            low += plane.bits;
        }
    }
    owners
}

/// Adjacent bits of a row that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    /// Bits of the block.
    bits: u32,
    /// Owners of its lowest bit.
    owners: Vec<Owner>,
}

/// Bytes drawn as one row: one byte, or an element of several that is a single value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    first: usize,
    bytes: usize,
    /// High bits first.
    cells: Vec<Cell>,
}

fn rows(owners: &[Vec<Owner>], bytes: std::ops::Range<usize>, element: usize) -> Vec<Row> {
    let row = |first: usize, bytes: usize| Row { first, bytes, cells: cells(owners, first, bytes) };
    let mut rows = Vec::new();
    for first in bytes.step_by(element) {
        let whole = row(first, element);
        if whole.cells.len() == 1 {
            rows.push(whole);
        } else {
            rows.extend((first..first + element).map(|byte| row(byte, 1)));
        }
    }
    rows
}

fn cells(owners: &[Vec<Owner>], first: usize, bytes: usize) -> Vec<Cell> {
    let bits = owners.get(first * 8..(first + bytes) * 8).unwrap_or_default();
    let mut cells: Vec<Cell> = Vec::new();
    for owners in bits {
        let continues = cells.last().is_some_and(|cell| {
            let next = cell.owners.iter().map(|o| Owner { bit: o.bit + cell.bits, ..*o });
            next.eq(owners.iter().copied())
        });
        match cells.last_mut() {
            Some(cell) if continues => cell.bits += 1,
            _ => cells.push(Cell { bits: 1, owners: owners.clone() }),
        }
    }
    cells.reverse();
    cells
}

impl Row {
    /// How far every index moves from this row to the next, where that is of the same make.
    fn step(&self, next: &Row) -> Option<Vec<i64>> {
        let alike = self.bytes == next.bytes && self.cells.len() == next.cells.len();
        let mut steps = Vec::new();
        for (a, b) in self.cells.iter().zip(&next.cells) {
            if a.bits != b.bits || a.owners.len() != b.owners.len() {
                return None;
            }
            for (a, b) in a.owners.iter().zip(&b.owners) {
                if (a.field, a.bit) != (b.field, b.bit) {
                    return None;
                }
                steps.push(i64::from(b.index) - i64::from(a.index));
            }
        }
        alike.then_some(steps)
    }
}

/// Rows of the same make that count on evenly: the length of the run that begins with the first.
fn run(rows: &[Row]) -> usize {
    let steps = rows.windows(2).map(|pair| match pair {
        [a, b] => a.step(b),
        _ => None,
    });
    let mut first = None;
    let same = |step: &Option<Vec<i64>>| {
        step.is_some() && first.get_or_insert_with(|| step.clone()) == step
    };
    1 + steps.take_while(same).count()
}

/// Columns of a bit.
const BIT: usize = 4;
/// Columns inside the frame.
const WIDTH: usize = 8 * BIT - 1;

struct Canvas<'a> {
    format: &'a Format,
    colours: bool,
}

impl Canvas<'_> {
    fn member(&self, rows: &[Row]) -> String {
        let indent = " ".repeat(9);
        let rule = "─".repeat(WIDTH);
        let mut text = format!("{indent}  7   6   5   4   3   2   1   0\n{indent}┌{rule}┐\n");
        let mut rest = rows;
        while let Some(row) = rest.first() {
            if rest.len() < rows.len() {
                let _ = writeln!(text, "{indent}├{rule}┤");
            }
            let (run, later) = rest.split_at(run(rest));
            let levels = self.levels(run);
            text += &self.row(row, &levels, true);
            match run {
                [_, last] => text += &self.row(last, &levels, false),
                [_, second, .., last] => {
                    text += &self.row(second, &levels, false);
                    if run.len() > 3 {
                        text += &self.gap(row);
                    }
                    text += &self.row(last, &levels, false);
                }
                _ => {}
            }
            rest = later;
        }
        text + &format!("{indent}└{rule}┘\n")
    }

    /// How short labels must be for cells of every width of a run: alike where widths are.
    fn levels(&self, run: &[Row]) -> BTreeMap<usize, usize> {
        let mut levels = BTreeMap::new();
        for (row, cell) in run.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell)))
        {
            let width = cell.width(row);
            let labels = self.labels(cell);
            let fits = labels.iter().position(|label| label.chars().count() <= width);
            let level = levels.entry(width).or_default();
            *level = fits.unwrap_or(labels.len()).max(*level);
        }
        levels
    }

    /// A row; with notes on which bits of the values its cells hold where they have no room for it.
    fn row(&self, row: &Row, levels: &BTreeMap<usize, usize>, notes: bool) -> String {
        let bytes = match row.bytes {
            1 => row.first.to_string(),
            bytes => format!("{}-{}", row.first, row.first + bytes - 1),
        };
        let mut text = format!("{bytes:>8} │");
        let mut missing: Vec<String> = Vec::new();
        for cell in &row.cells {
            let width = cell.width(row);
            let labels = self.labels(cell);
            let level = levels.get(&width).copied().unwrap_or_default();
            let label = labels.get(level).cloned().unwrap_or_default();
            if labels.first().is_some_and(|full| *full != label) {
                missing.push(self.note(cell));
            }
            let _ = write!(text, "{}│", self.coloured(cell, &format!("{label:^width$}")));
        }
        missing.dedup();
        if notes && !missing.is_empty() {
            let _ = write!(text, "  {}", missing.join(", "));
        }
        text.trim_end().to_owned() + "\n"
    }

    fn gap(&self, row: &Row) -> String {
        let cells = row.cells.iter().map(|cell| {
            let width = cell.width(row);
            self.coloured(cell, &format!("{:^width$}", "⋮")) + "│"
        });
        format!("{:>8} │{}\n", "⋮", cells.collect::<String>())
    }

    /// What a cell could say, longest first.
    fn labels(&self, cell: &Cell) -> Vec<String> {
        if cell.owners.is_empty() {
            return vec!["padding".into(), "pad".into(), "pad".into()];
        }
        let join = |label: &dyn Fn(&Owner) -> String| {
            cell.owners.iter().map(label).collect::<Vec<_>>().join("/")
        };
        let value = |owner: &Owner| match self.values(owner) {
            1 => self.name(owner).to_owned(),
            _ => format!("{} {}", self.name(owner), owner.index),
        };
        vec![
            join(&|owner| value(owner) + &self.bits(owner, cell.bits)),
            join(&value),
            join(&|owner| match self.values(owner) {
                1 => self.name(owner).to_owned(),
                _ => owner.index.to_string(),
            }),
        ]
    }

    /// Which bits of which fields a cell holds.
    fn note(&self, cell: &Cell) -> String {
        let notes =
            cell.owners.iter().map(|o| format!("{}{}", self.name(o), self.bits(o, cell.bits)));
        notes.collect::<Vec<_>>().join("/")
    }

    /// ` [5:4]`: bits of the value, where they are not all.
    fn bits(&self, owner: &Owner, bits: u32) -> String {
        let all = self.format.fields.get(owner.field).map_or(0, |field| field.bits());
        match bits {
            _ if bits == all => String::new(),
            1 => format!(" [{}]", owner.bit),
            _ => format!(" [{}:{}]", owner.bit + bits - 1, owner.bit),
        }
    }

    fn name(&self, owner: &Owner) -> &str {
        self.format.fields.get(owner.field).map_or("?", |field| &field.name)
    }

    /// Values of the owner's field in a block.
    fn values(&self, owner: &Owner) -> u32 {
        let field = self.format.fields.get(owner.field);
        field.map_or(1, |field| self.format.weights / field.per.max(1))
    }

    fn coloured(&self, cell: &Cell, text: &str) -> String {
        const PALETTE: [u8; 6] = [36, 33, 35, 32, 34, 31];
        match cell.owners.first() {
            Some(owner) if self.colours => {
                let colour = PALETTE.get(owner.field % PALETTE.len()).copied().unwrap_or(39);
                format!("\x1b[{colour}m{text}\x1b[0m")
            }
            _ => text.to_owned(),
        }
    }
}

impl Cell {
    /// Columns, without the line on its right.
    fn width(&self, row: &Row) -> usize {
        match row.bytes {
            1 => self.bits as usize * BIT - 1,
            _ => WIDTH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(descriptor: &str) -> String {
        draw(&Format::parse(descriptor, "toy.yaml").unwrap(), false)
    }

    #[test]
    fn draws_planes_and_repeats() {
        let text = picture(
            "format: toy\ntitle: t\nweights: 16\nblock: {d: f16, low: \"u8[8]\", high: \"u8[2]\"}\nfields:\n  q:\n    \
             planes:\n      - {from: low, bits: 4, k: \"(8,2):(8,4)\"}\n      - {from: high, bits: 1, k: \"16:1\"}\n\
             value: q * d\n",
        );
        let expected = "\
d: bytes 0 to 1
           7   6   5   4   3   2   1   0
         ┌───────────────────────────────┐
     0-1 │               d               │
         └───────────────────────────────┘

low: bytes 2 to 9
           7   6   5   4   3   2   1   0
         ┌───────────────────────────────┐
       2 │   q 8 [3:0]   │   q 0 [3:0]   │
       3 │   q 9 [3:0]   │   q 1 [3:0]   │
       ⋮ │       ⋮       │       ⋮       │
       9 │  q 15 [3:0]   │   q 7 [3:0]   │
         └───────────────────────────────┘

high: bytes 10 to 11
           7   6   5   4   3   2   1   0
         ┌───────────────────────────────┐
      10 │ 7 │ 6 │ 5 │ 4 │ 3 │ 2 │ 1 │ 0 │  q [4]
      11 │15 │14 │13 │12 │11 │10 │ 9 │ 8 │
         └───────────────────────────────┘
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn draws_streams_and_padding() {
        let text = picture(
            "format: toy\ntitle: t\nweights: 4\nstreams:\n  codes: {tile: {k: 2}, view: flat, unit: {q: \"u8[2]\"}}\n  \
             scales: {tile: {k: 2}, view: flat, unit: {d: f16, gap: \"pad[2]\"}}\nvalue: q * d\n",
        );
        assert!(text.contains("stream codes, 2 bytes per block"), "{text}");
        assert!(text.contains("padding"), "{text}");
    }
}
