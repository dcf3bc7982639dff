//! Which values stand in which bits of a stream: what both pictures are drawn from.

use quantloom_codegen::format::{Format, Stream, TableValues};
use std::ops::Range;

/// A bit of a value: whose, which of its values, which bit of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Whose values they are.
    pub part: Part,
    /// Number of the value: along k in the block, or of a table's entry.
    pub index: u32,
    /// Number of the row in the unit, where a unit holds values of several rows.
    pub row: Option<u32>,
    /// Bit of the stored value, its planes joined.
    pub bit: u32,
}

/// What values belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Index into [`Format::fields`].
    Field(usize),
    /// Index into [`Format::tables`].
    Table(usize),
}

/// Who reads each bit of a stream's bytes in a block; nobody reads what no plane covers, and several
/// values may share a bit.
pub fn owners(format: &Format, stream: usize) -> Vec<Vec<Owner>> {
    let bytes = format.streams.get(stream).map_or(0, |stream| stream.bytes as usize);
    let mut owners = vec![Vec::new(); bytes * 8];
    let mut place = |position: i64, owner: Owner| {
        let found = usize::try_from(position).ok().and_then(|position| owners.get_mut(position));
        found.into_iter().for_each(|owners| owners.push(owner));
    };
    let here = |member: usize| format.members.get(member).filter(|m| m.stream == stream);
    for (number, field) in format.fields.iter().enumerate().filter(|(_, field)| !field.padding) {
        let mut low = 0;
        for plane in &field.planes {
            let rows = plane.rows.size();
            let values = (0..rows).flat_map(|row| (0..plane.layout.size()).map(move |i| (row, i)));
            for (row, index) in values.filter(|_| here(plane.member).is_some()) {
                for bit in 0..plane.bits {
                    let part = Part::Field(number);
                    let owner =
                        Owner { part, index, row: (rows > 1).then_some(row), bit: low + bit };
                    place(plane.in_row(index, row) + i64::from(bit), owner);
                }
            }
            low += plane.bits;
        }
    }
    for (number, table) in format.tables.iter().enumerate() {
        let TableValues::Stored { member, count } = table.values else { continue };
        let Some(member) = here(member) else { continue };
        for (index, bit) in (0..count).flat_map(|index| (0..32).map(move |bit| (index, bit))) {
            let position = i64::from(member.offset) * 8 + i64::from(index) * 32 + i64::from(bit);
            place(position, Owner { part: Part::Table(number), index, row: None, bit });
        }
    }
    owners
}

/// How often the members of a stream stand in its bytes of a block.
pub fn units(stream: &Stream) -> u32 {
    stream.copies.max(1)
}

/// Adjacent bits that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// How many.
    pub bits: u32,
    /// Owners of the lowest.
    pub owners: Vec<Owner>,
}

/// The cells of a range of bits, from the lowest bit on.
pub fn cells(owners: &[Vec<Owner>], bits: Range<usize>) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for owners in owners.get(bits).unwrap_or_default() {
        let continues = cells.last().is_some_and(|cell| {
            let next = cell.owners.iter().map(|o| Owner { bit: o.bit + cell.bits, ..*o });
            next.eq(owners.iter().copied())
        });
        match cells.last_mut() {
            Some(cell) if continues => cell.bits += 1,
            _ => cells.push(Cell { bits: 1, owners: owners.clone() }),
        }
    }
    cells
}

impl Owner {
    /// The name of what it belongs to.
    pub fn name<'a>(&self, format: &'a Format) -> &'a str {
        let name = match self.part {
            Part::Field(field) => format.fields.get(field).map(|field| &field.name),
            Part::Table(table) => format.tables.get(table).map(|table| &table.name),
        };
        name.map_or("?", |name| name)
    }

    /// The weights of a block that share the value; none where it is no value of weights.
    pub fn weights(&self, format: &Format) -> Option<Range<u32>> {
        let Part::Field(field) = self.part else { return None };
        let per = format.fields.get(field).map_or(1, |field| field.per);
        let first = self.index.saturating_mul(per);
        Some(first..first.saturating_add(per))
    }

    /// Whether it is the only value of its field in a unit, but for other rows.
    pub fn alone(&self, format: &Format) -> bool {
        let Part::Field(field) = self.part else { return false };
        let plane = format.fields.get(field).and_then(|field| field.planes.first());
        let stream = plane.and_then(|plane| {
            let member = format.members.get(plane.member)?;
            Some((plane, format.streams.get(member.stream)?))
        });
        stream.is_none_or(|(plane, stream)| plane.layout.size() <= units(stream))
    }

    /// ` [5:4]`: which bits of the value begin here, where they are not all.
    pub fn bits(&self, format: &Format, bits: u32) -> String {
        let all = match self.part {
            Part::Field(field) => format.fields.get(field).map_or(0, |field| field.bits()),
            Part::Table(_) => 32,
        };
        match bits {
            _ if bits == all => String::new(),
            1 => format!(" [{}]", self.bit),
            _ => format!(" [{}:{}]", self.bit + bits - 1, self.bit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_has_its_owners() {
        let text = "format: toy\ntitle: t\nweights: 4\nblock: {d: f16, q: \"u8[2]\", rest: \"pad[1]\"}\nfields:\n  \
                    q: {from: q, bits: 4, k: \"(2,2):(8,4)\", shared: true}\n  s: {from: q, per: 2, bits: 1, k: \"2:8\", shared: true}\n\
                    value: d * q * s\n";
        let format = Format::parse(text, "toy.yaml").unwrap();
        let owners = owners(&format, 0);
        assert_eq!(owners.len(), 5 * 8);
        let name = |owner: &Owner| format!("{}{}", owner.name(&format), owner.bits(&format, 1));
        let at = |bit: usize| owners[bit].iter().map(name).collect::<Vec<_>>().join(" ");
        assert_eq!((&*at(15), &*at(16), &*at(17), &*at(32)), ("d [15]", "q [0] s", "q [1]", ""));
        let cells = |bits| cells(&owners, bits).iter().map(|cell| cell.bits).collect::<Vec<_>>();
        assert_eq!(cells(0..40), [16, 1, 3, 4, 1, 3, 4, 8]);
        let weights =
            |bit: usize| owners[bit].iter().map(|o| o.weights(&format)).collect::<Vec<_>>();
        assert_eq!(weights(24), [Some(1..2), Some(2..4)]);
        assert_eq!(weights(20), [Some(2..3)]);
    }

    #[test]
    fn rows_and_stored_tables_own_bits_too() {
        let text = "format: toy\ntitle: t\nweights: 4\nstreams:\n  codes: {tile: {k: 1, n: 8}, view: columns, unit: {c: u32}}\n  \
                    map: {tile: {k: all, n: all}, unit: {m: \"f32[16]\"}}\nfields:\n  q: {from: c, bits: 4, n: \"8:4\"}\n\
                    tables:\n  levels: {from: m}\nvalue: levels[q]\n";
        let format = Format::parse(text, "toy.yaml").unwrap();
        let first = |stream: usize, bit: usize| owners(&format, stream)[bit][0];
        assert_eq!((first(0, 13).row, first(0, 13).bit), (Some(3), 1));
        let entry = first(1, 3 * 32 + 5);
        assert_eq!((entry.name(&format), entry.index, entry.bit), ("levels", 3, 5));
        assert!(
            owners(&format, 0).iter().chain(&owners(&format, 1)).all(|owners| owners.len() == 1)
        );
    }
}
