//! A block as a picture: a row per byte, high bit on the left, every run of bits labelled with the
//! value it belongs to. Rows of the same make that only count on are drawn once.

use super::bits::{self, Cell, Owner, Part};
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
        let owners = bits::owners(format, number);
        let units = bits::units(stream);
        let unit = stream.bytes / units;
        for repeat in shown_units(units) {
            let Some(repeat) = repeat else {
                let _ = writeln!(text, "  ⋮ {} more units of the same make\n", units - 2);
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

/// Bytes drawn as one row: one byte, or an element of several that is a single value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    first: usize,
    bytes: usize,
    /// High bits first.
    cells: Vec<Cell>,
}

fn rows(owners: &[Vec<Owner>], bytes: std::ops::Range<usize>, element: usize) -> Vec<Row> {
    let row = |first: usize, bytes: usize| {
        let mut cells = bits::cells(owners, first * 8..(first + bytes) * 8);
        cells.reverse();
        Row { first, bytes, cells }
    };
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
                if (a.part, a.bit) != (b.part, b.bit) {
                    return None;
                }
                let step = |a: u32, b: u32| i64::from(b) - i64::from(a);
                steps.push(step(a.index, b.index));
                steps.push(step(a.row.unwrap_or(0), b.row.unwrap_or(0)));
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

/// Columns of a cell, without the line on its right.
fn width(cell: &Cell, row: &Row) -> usize {
    match row.bytes {
        1 => cell.bits as usize * BIT - 1,
        _ => WIDTH,
    }
}

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
            let width = width(cell, row);
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
            let width = width(cell, row);
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
            let width = width(cell, row);
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
        let name = |owner: &Owner| owner.name(self.format).to_owned();
        let only = |owner: &Owner| owner.index == 0 && owner.alone(self.format);
        let number = |owner: &Owner| match (only(owner), owner.row) {
            (true, None) => None,
            (true, Some(row)) => Some(row.to_string()),
            (false, None) => Some(owner.index.to_string()),
            (false, Some(row)) => Some(format!("{row},{}", owner.index)),
        };
        let value = |owner: &Owner| match number(owner) {
            None => name(owner),
            Some(number) => format!("{} {number}", name(owner)),
        };
        vec![
            join(&|owner| value(owner) + &owner.bits(self.format, cell.bits)),
            join(&value),
            join(&|owner| number(owner).unwrap_or_else(|| name(owner))),
        ]
    }

    /// Which bits of which fields a cell holds.
    fn note(&self, cell: &Cell) -> String {
        let note = |o: &Owner| format!("{}{}", o.name(self.format), o.bits(self.format, cell.bits));
        let notes = cell.owners.iter().map(note);
        notes.collect::<Vec<_>>().join("/")
    }

    fn coloured(&self, cell: &Cell, text: &str) -> String {
        const PALETTE: [u8; 6] = [36, 33, 35, 32, 34, 31];
        match cell.owners.first() {
            Some(owner) if self.colours => {
                let number = match owner.part {
                    Part::Field(field) => field,
                    Part::Table(table) => self.format.fields.len() + table,
                };
                let colour = PALETTE.get(number % PALETTE.len()).copied().unwrap_or(39);
                format!("\x1b[{colour}m{text}\x1b[0m")
            }
            _ => text.to_owned(),
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
        assert!(text.contains("stream codes, 4 bytes per block"), "{text}");
        assert!(text.contains("padding"), "{text}");
    }
}
