//! Which stored numbers are those of units: what a tensor's bytes are checked for.

use super::{Field, Format, Plane};
use crate::artifact::{Bits, Index};

impl Format {
    /// Every field of numbers of units, with each stream that it numbers; of streams with as many units
    /// the first.
    pub fn indices(&self) -> Vec<Index> {
        let mut found: Vec<(usize, Index)> = Vec::new();
        for field in &self.fields {
            let Some(by) = field.gather else { continue };
            for plane in &field.planes {
                let of = self.members[plane.member].stream;
                let alike = |other: u32| {
                    let (units, others) =
                        (self.streams[of].units, self.streams[other as usize].units);
                    (units.blocks, units.per_block) == (others.blocks, others.per_block)
                };
                if !found.iter().any(|(other, index)| *other == by && alike(index.of)) {
                    found.push((
                        by,
                        Index { of: of as u32, planes: self.numbers(&self.fields[by]) },
                    ));
                }
            }
        }
        found.into_iter().map(|(_, index)| index).collect()
    }

    fn numbers(&self, field: &Field) -> crate::artifact::List<Bits> {
        let values = self.weights / field.per;
        let bits = |plane: &Plane| {
            let rows = plane.rows.size();
            let at = |row| (0..values).map(move |value| plane.in_row(value, row) as u32);
            Bits {
                stream: self.members[plane.member].stream as u32,
                bits: plane.bits,
                rows,
                at: (0..rows).flat_map(at).collect(),
            }
        };
        field.planes.iter().map(bits).collect()
    }
}
