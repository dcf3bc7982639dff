//! Fields and their planes: which bits make a value, and how they are read.

use super::build::{Builder, Origin};
use super::names::{NAME_HELP, is_name};
use super::{Field, Member, Plane, Scalar};
use crate::descriptor::{Descriptor, FieldText, PlaneText};
use crate::layout::Layout;
use crate::problem::Path;

impl Builder {
    pub(super) fn fields(&mut self, descriptor: &Descriptor) {
        for (name, text) in &descriptor.fields {
            let path = Path::of("fields").key(name);
            let before = self.problems.len();
            if !is_name(name) || self.tables.iter().any(|table| table.name == name) {
                self.refuse(path.clone(), format!("`{name}` cannot name a field"), NAME_HELP);
            }
            if self.field(name, text, &path).is_none() || self.problems.len() > before {
                self.broken.push(name.into());
            }
        }
        if self.problems.is_empty() {
            self.implicit_fields();
        } else {
            // The value may name these; what they are, is not known.
            self.broken.extend(self.members.iter().map(|member| member.name.clone()));
        }
    }

    /// A member that no field reads is itself a field under its own name.
    fn implicit_fields(&mut self) {
        for member in 0..self.members.len() {
            let Member { name, element: Some(element), count, stream, .. } =
                self.members[member].clone()
            else {
                continue;
            };
            let read = self
                .fields
                .iter()
                .flat_map(|field| &field.planes)
                .any(|plane| plane.member == member);
            if read || self.fields.iter().any(|field| field.name == name) {
                continue; // coverage reports a member whose name a field has taken
            }
            let path = self.member_path(member);
            let tile = self.tile(stream);
            if !tile.is_multiple_of(count) {
                let message = format!("`{name}` has {count} elements for {tile} weights");
                self.refuse(path, message, "give it a field that says how its elements are shared");
                continue;
            }
            let plane = PlaneText { from: name.clone(), bits: None, at: None, k: None };
            let per = tile / count;
            if let Some(plane) = self.plane(&plane, per, &path) {
                let field = Field {
                    name,
                    scalar: element.scalar,
                    bias: 0,
                    per,
                    planes: vec![plane],
                    padding: false,
                };
                self.check_range(&field, None, &path);
                self.fields.push(field);
                self.origins.push(Origin {
                    path: path.clone(),
                    planes: vec![path],
                    shared: false,
                    implicit: true,
                });
            }
        }
    }

    /// `None` where a problem was reported.
    fn field(&mut self, name: &str, text: &FieldText, path: &Path) -> Option<()> {
        let single = text.bits.is_some() || text.at.is_some() || text.k.is_some();
        let (planes, paths): (Vec<PlaneText>, Vec<Path>) = match (&text.from, &text.planes) {
            (Some(from), None) => (
                vec![PlaneText {
                    from: from.clone(),
                    bits: text.bits,
                    at: text.at,
                    k: text.k.clone(),
                }],
                vec![path.clone()],
            ),
            (None, Some(planes)) if !single && !planes.is_empty() && planes.len() <= 32 => (
                planes.clone(),
                (0..planes.len()).map(|index| path.key("planes").index(index)).collect(),
            ),
            _ => {
                let help = "a field has either `from` (with bits, at, k) or `planes`, a list of {from, bits, at, k}";
                self.refuse(
                    path.clone(),
                    format!("`{name}` does not say where its bits are"),
                    help,
                );
                return None;
            }
        };
        let per = text.per.unwrap_or(1);
        if per == 0 || !self.weights.is_multiple_of(per) {
            let message = format!("{per} does not divide the block's {} weights", self.weights);
            self.refuse(
                path.key("per"),
                message,
                "a field has one value per so many consecutive weights",
            );
            return None;
        }
        let placed: Vec<Option<Plane>> =
            planes.iter().zip(&paths).map(|(plane, path)| self.plane(plane, per, path)).collect();
        let placed: Vec<Plane> = placed.into_iter().collect::<Option<_>>()?;
        let padding = text.ty.as_deref() == Some("pad");
        let scalar = if padding { Scalar::Unsigned } else { self.scalar(text, &placed, path)? };
        let field = Field {
            name: name.into(),
            scalar,
            bias: text.bias.unwrap_or(0),
            per,
            planes: placed,
            padding,
        };
        if !padding {
            self.check_range(&field, text.bias, path);
        }
        self.fields.push(field);
        self.origins.push(Origin {
            path: path.clone(),
            planes: paths,
            shared: text.shared,
            implicit: false,
        });
        Some(())
    }

    fn check_range(&mut self, field: &Field, bias: Option<i32>, path: &Path) {
        let (name, bits) = (&field.name, field.bits());
        if bits > 32 {
            self.refuse(
                path.clone(),
                format!("`{name}` has {bits} bits"),
                "a value has at most 32 bits",
            );
            return;
        }
        match field.range() {
            None if bias.is_some() => {
                self.refuse(path.key("bias"), "a float has no bias", "put it in the formula");
            }
            Some((low, high)) if low < -(1 << 24) || high > 1 << 24 => {
                let message =
                    format!("`{name}` ranges over {low}..={high}, which f32 cannot hold exactly");
                self.refuse(path.clone(), message, "integers stay within 24 bits and a sign");
            }
            _ => {}
        }
    }

    /// The type of a field: as written, else that of the elements it covers whole.
    fn scalar(&mut self, text: &FieldText, planes: &[Plane], path: &Path) -> Option<Scalar> {
        let bits: u32 = planes.iter().map(|plane| plane.bits).sum();
        let Some(name) = &text.ty else {
            return Some(match planes {
                [plane] => match self.members[plane.member].element {
                    Some(element) if element.bits == plane.bits => element.scalar,
                    _ => Scalar::Unsigned,
                },
                _ => Scalar::Unsigned,
            });
        };
        let (scalar, width) = match name.as_str() {
            "u" => (Scalar::Unsigned, None),
            "i" => (Scalar::Signed, None),
            "f16" => (Scalar::F16, Some(16)),
            "bf16" => (Scalar::Bf16, Some(16)),
            "f32" => (Scalar::F32, Some(32)),
            _ => {
                self.refuse(
                    path.key("type"),
                    format!("`{name}` is not a type"),
                    "write u, i, f16, bf16, f32 or pad",
                );
                return None;
            }
        };
        if let Some(width) = width.filter(|&width| width != bits) {
            let message = format!("{name} has {width} bits, but the planes hold {bits}");
            self.refuse(
                path.key("type"),
                message,
                format!("let the planes add up to {width} bits"),
            );
            return None;
        }
        Some(scalar)
    }

    fn plane(&mut self, text: &PlaneText, per: u32, path: &Path) -> Option<Plane> {
        let Some(index) = self.members.iter().position(|member| member.name == text.from) else {
            let known: Vec<_> = self.members.iter().map(|member| member.name.as_str()).collect();
            let message = format!("there is no member `{}`", text.from);
            self.refuse(path.key("from"), message, format!("members are {}", known.join(", ")));
            return None;
        };
        let member = self.members[index].clone();
        let Some(element) = member.element else {
            let message = format!("`{}` is padding", member.name);
            self.refuse(path.key("from"), message, "give the member a type to read it");
            return None;
        };
        let tile = self.tile(member.stream);
        if !tile.is_multiple_of(per) {
            let message = format!(
                "{per} does not divide the {tile} weights of a unit of `{}`",
                self.streams[member.stream].name
            );
            self.refuse(path.key("per"), message, "a value belongs to one unit of its stream");
            return None;
        }
        let values = tile / per;
        let bits = text.bits.unwrap_or(element.bits);
        if bits == 0 || bits > 32 {
            self.refuse(
                path.key("bits"),
                format!("a plane of {bits} bits"),
                "a plane has 1 to 32 bits",
            );
            return None;
        }
        let layout = match &text.k {
            Some(k) => match Layout::parse(k) {
                Ok(layout) => layout,
                Err(message) => {
                    self.refuse(
                        path.key("k"),
                        message,
                        "write \"(shape):(stride in bits)\", such as \"(16,2):(8,4)\"",
                    );
                    return None;
                }
            },
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
        let at = i64::from(text.at.unwrap_or(0));
        let size = i64::from(member.count) * i64::from(element.bits);
        let outside = (0..values)
            .map(|i| at + layout.at(i))
            .find(|&bit| bit < 0 || bit + i64::from(bits) > size);
        if let Some(bit) = outside {
            let message = format!(
                "the plane reaches bits {bit}..{} of `{}`, which has {size}",
                bit + i64::from(bits),
                member.name
            );
            let key = if text.k.is_some() { "k" } else { "from" };
            self.refuse(path.key(key), message, "keep every index inside the member");
            return None;
        }
        let stream = &self.streams[member.stream];
        let unit_bits = i64::from(stream.bytes / stream.units) * 8;
        Some(Plane {
            member: index,
            bits,
            at: member.offset * 8 + text.at.unwrap_or(0),
            layout: layout.repeated(stream.units, unit_bits),
        })
    }
}
