//! Planes: which bits of a member a field reads, for every value and row.

use super::build::Builder;
use super::{Plane, Scalar};
use crate::descriptor::PlaneText;
use crate::layout::Layout;
use crate::problem::{Path, known_are};

impl Builder {
    /// One value per `per` weights, or one per unit where the field is gathered.
    pub(super) fn plane(
        &mut self,
        text: &PlaneText,
        per: u32,
        gathered: bool,
        path: &Path,
    ) -> Option<Plane> {
        let Some(index) = self.members.iter().position(|member| member.name == text.from) else {
            let known = self.members.iter().map(|member| member.name.as_str());
            let help = known_are(&text.from, known);
            let message = format!("there is no member `{}`", text.from);
            self.refuse(path.key("from"), message, help);
            return None;
        };
        let member = self.members[index].clone();
        let Some(element) = member.element else {
            let message = format!("`{}` is padding", member.name);
            self.refuse(path.key("from"), message, "give the member a type to read it");
            return None;
        };
        let stream = self.streams[member.stream].clone();
        let tile = if gathered { per } else { self.tile(member.stream) };
        if !tile.is_multiple_of(per) {
            let message =
                format!("{per} does not divide the {tile} weights of a unit of `{}`", stream.name);
            self.refuse(path.key("per"), message, "a value belongs to one unit of its stream");
            return None;
        }
        let values = tile / per;
        let bits = match &text.bits {
            Some(bits) => self.amount(bits, &path.key("bits"))?,
            None => element.bits,
        };
        if bits == 0 || bits > 32 {
            self.refuse(
                path.key("bits"),
                format!("a plane of {bits} bits"),
                "a plane has 1 to 32 bits",
            );
            return None;
        }
        let float = !matches!(element.scalar, Scalar::Unsigned | Scalar::Signed);
        if float && bits != element.bits {
            let message = format!("{bits} bits of `{}`, which holds floats", member.name);
            let help =
                format!("read all {} bits, or give the member an integer type", element.bits);
            self.refuse(path.key("from"), message, help);
            return None;
        }
        let at = match &text.at {
            Some(at) => self.amount(at, &path.key("at"))?,
            None => 0,
        };
        let layout = match &text.k {
            Some(k) => self.layout(k, path.key("k"))?,
            None if values == 1 => Layout::single(),
            None if values == member.count && bits == element.bits => {
                Layout::linear(values, bits.into())
            }
            None => {
                let message = format!(
                    "{values} values of {bits} bits do not match `{}` by themselves",
                    member.name
                );
                self.refuse(path.clone(), message, "add `k: \"(shape):(stride in bits)\"`");
                return None;
            }
        };
        if layout.size() != values {
            let message =
                format!("the shape holds {} indices, but there are {values} values", layout.size());
            let help = format!(
                "the product of the shape must be {values}: {tile} weights, one value per {per}"
            );
            self.refuse(path.key("k"), message, help);
            return None;
        }
        let rows = self.rows(text, stream.units.rows.max(1), path)?;
        let size = i64::from(member.count) * i64::from(element.bits);
        let places = (0..values).flat_map(|i| (0..rows.size()).map(move |row| (i, row)));
        let outside = places
            .map(|(i, row)| i64::from(at) + layout.at(i) + rows.at(row))
            .find(|&bit| bit < 0 || bit + i64::from(bits) > size);
        if let Some(bit) = outside {
            let message = format!(
                "the plane reaches bits {bit}..{} of `{}`, which has {size}",
                bit + i64::from(bits),
                member.name
            );
            let key = match (&text.k, &text.n) {
                (Some(_), _) => "k",
                (None, Some(_)) => "n",
                (None, None) => "from",
            };
            self.refuse(path.key(key), message, "keep every index inside the member");
            return None;
        }
        let unit_bits = i64::from(stream.bytes / stream.copies) * 8;
        let copies = if gathered { 1 } else { stream.copies };
        Some(Plane {
            member: index,
            bits,
            at: member.offset * 8 + at,
            layout: layout.repeated(copies, unit_bits),
            rows,
        })
    }

    /// The layout over the rows of a unit.
    fn rows(&mut self, text: &PlaneText, rows: u32, path: &Path) -> Option<Layout> {
        let layout = match &text.n {
            Some(n) => self.layout(n, path.key("n"))?,
            None if rows == 1 => return Some(Layout::single()),
            None => {
                let message =
                    format!("a unit covers {rows} rows, and nothing says where each lies");
                self.refuse(path.clone(), message, "add `n: \"(shape):(stride in bits)\"`");
                return None;
            }
        };
        if layout.size() != rows {
            let message =
                format!("the shape holds {} rows, but a unit covers {rows}", layout.size());
            self.refuse(path.key("n"), message, format!("the product of the shape must be {rows}"));
            return None;
        }
        Some(layout)
    }

    /// Reads a layout; `None` where a problem was reported.
    pub(super) fn layout(&mut self, text: &str, path: Path) -> Option<Layout> {
        match Layout::parse(text, &self.params) {
            Ok(layout) => Some(layout),
            Err(message) => {
                let help = "write \"(shape):(stride in bits)\", such as \"(16,2):(8,4)\"";
                self.refuse(path, message, help);
                None
            }
        }
    }
}
