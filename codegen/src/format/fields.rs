//! Fields and their planes: which bits make a value, and how they are read.

use super::build::{Builder, Origin};
use super::names::{NAME_HELP, is_name};
use super::{Field, Member, Plane, Scalar, TableValues};
use crate::artifact::{Extent, Order};
use crate::descriptor::{Descriptor, FieldText, PlaneText, TypeText};
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
        self.gathered();
        if self.problems.is_empty() {
            self.implicit_fields();
        } else {
            // The value may name these; what they are, is not known.
            self.broken.extend(self.members.iter().map(|member| member.name.clone()));
        }
    }

    /// Finds the fields that others are gathered by.
    fn gathered(&mut self) {
        for index in 0..self.fields.len() {
            let Some(name) = self.origins[index].gather.clone() else { continue };
            let path = self.origins[index].path.key("gather");
            let found = self.fields.iter().position(|field| field.name == name);
            let unsigned = |field: usize| {
                let Field { scalar, bias, gather, planes, .. } = &self.fields[field];
                *scalar == Scalar::Unsigned && *bias == 0 && gather.is_none() && !planes.is_empty()
            };
            match found {
                Some(gather) if gather != index && unsigned(gather) => {
                    self.fields[index].gather = Some(gather);
                }
                Some(_) => {
                    let message = format!("`{name}` cannot say which unit holds a value");
                    self.refuse(
                        path,
                        message,
                        "name a field of type u without bias, not gathered itself",
                    );
                }
                None if self.broken.contains(&name) => {}
                None => {
                    let message = format!("there is no field `{name}`");
                    self.refuse(path, message, "name the field that numbers the unit");
                }
            }
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
            let table = self.tables.iter().any(|table| {
                matches!(table.values, TableValues::Stored { member: own, .. } if own == member)
            });
            if read || table || self.fields.iter().any(|field| field.name == name) {
                continue; // coverage reports a member whose name a field has taken
            }
            let path = self.member_path(member);
            let tile = self.tile(stream);
            if !tile.is_multiple_of(count) {
                let message = format!("`{name}` has {count} elements for {tile} weights");
                self.refuse(path, message, "give it a field that says how its elements are shared");
                continue;
            }
            let plane = PlaneText { from: name.clone(), bits: None, at: None, k: None, n: None };
            let per = tile / count;
            if let Some(plane) = self.plane(&plane, per, false, &path) {
                self.fields.push(Field {
                    name,
                    scalar: element.scalar,
                    bias: 0,
                    wrap: false,
                    per,
                    planes: vec![plane],
                    index: None,
                    gather: None,
                    padding: false,
                });
                self.origins.push(Origin {
                    path: path.clone(),
                    planes: vec![path],
                    shared: false,
                    implicit: true,
                    gather: None,
                });
            }
        }
    }

    /// `None` where a problem was reported.
    fn field(&mut self, name: &str, text: &FieldText, path: &Path) -> Option<()> {
        if let Some(index) = &text.index {
            return self.index(name, text, index, path);
        }
        let (planes, paths) = self.plane_texts(name, text, path)?;
        let per = self.per(text, &planes, path)?;
        let gathered = text.gather.is_some();
        let placed: Vec<Option<Plane>> = planes
            .iter()
            .zip(&paths)
            .map(|(plane, path)| self.plane(plane, per, gathered, path))
            .collect();
        let placed: Vec<Plane> = placed.into_iter().collect::<Option<_>>()?;
        let bits: u32 = placed.iter().map(|plane| plane.bits).sum();
        if bits > 32 {
            let message = format!("`{name}` has {bits} bits");
            self.refuse(path.clone(), message, "a value has at most 32 bits");
            return None;
        }
        let padding = matches!(&text.ty, Some(TypeText::Name(name)) if name == "pad");
        let scalar = if padding { Scalar::Unsigned } else { self.scalar(text, &placed, path)? };
        if !padding && !matches!(scalar, Scalar::Unsigned | Scalar::Signed) && text.bias.is_some() {
            self.refuse(path.key("bias"), "a float has no bias", "put it in the formula");
        }
        if text.wrap && (scalar != Scalar::Unsigned || bits > 24 || padding) {
            let help = "only integers of type u wrap, of at most 24 bits";
            self.refuse(path.key("wrap"), format!("`{name}` cannot wrap"), help);
        }
        self.fields.push(Field {
            name: name.into(),
            scalar,
            bias: text.bias.unwrap_or(0),
            wrap: text.wrap,
            per,
            planes: placed,
            index: None,
            gather: None,
            padding,
        });
        self.origins.push(Origin {
            path: path.clone(),
            planes: paths,
            shared: text.shared,
            implicit: false,
            gather: text.gather.clone(),
        });
        Some(())
    }

    /// A number that is computed from the weight's place.
    fn index(&mut self, name: &str, text: &FieldText, index: &str, path: &Path) -> Option<()> {
        let FieldText {
            from,
            bits,
            at,
            k,
            n,
            planes,
            ty,
            bias,
            per,
            gather,
            wrap,
            shared,
            index: _,
        } = text;
        let stored = from.is_some()
            || bits.is_some()
            || at.is_some()
            || k.is_some()
            || n.is_some()
            || planes.is_some();
        let read =
            ty.is_some() || bias.is_some() || per.is_some() || gather.is_some() || *wrap || *shared;
        if stored || read {
            let message = format!("`{name}` is computed and has nothing else to say");
            self.refuse(path.clone(), message, "write {index: \"(shape):(stride)\"}");
            return None;
        }
        let layout = self.layout(index, path.key("index"))?;
        let size = layout.size();
        if size == 0 || !self.weights.is_multiple_of(size) {
            let message = format!(
                "the shape holds {size} indices, which do not divide the block's {} weights",
                self.weights
            );
            self.refuse(path.key("index"), message, "its product divides the block");
            return None;
        }
        let layout = layout.repeated(self.weights / size, 0);
        if (0..size).any(|index| !(0..1 << 16).contains(&layout.at(index))) {
            let message = "the number leaves 0..65536";
            self.refuse(path.key("index"), message, "strides here are plain numbers, no bits");
            return None;
        }
        self.fields.push(Field {
            name: name.into(),
            scalar: Scalar::Unsigned,
            bias: 0,
            wrap: false,
            per: 1,
            planes: Vec::new(),
            index: Some(layout),
            gather: None,
            padding: false,
        });
        self.origins.push(Origin {
            path: path.clone(),
            planes: Vec::new(),
            shared: false,
            implicit: false,
            gather: None,
        });
        Some(())
    }

    /// The planes as written, and where; `None` where a problem was reported.
    fn plane_texts(
        &mut self,
        name: &str,
        text: &FieldText,
        path: &Path,
    ) -> Option<(Vec<PlaneText>, Vec<Path>)> {
        let FieldText { bits, at, k, n, .. } = text;
        let single = bits.is_some() || at.is_some() || k.is_some() || n.is_some();
        match (&text.from, &text.planes) {
            (Some(from), None) => {
                let (from, bits, at) = (from.clone(), bits.clone(), at.clone());
                let plane = PlaneText { from, bits, at, k: k.clone(), n: n.clone() };
                Some((vec![plane], vec![path.clone()]))
            }
            (None, Some(planes)) if !single && !planes.is_empty() && planes.len() <= 32 => {
                let paths = (0..planes.len()).map(|index| path.key("planes").index(index));
                Some((planes.clone(), paths.collect()))
            }
            _ => {
                let message = format!("`{name}` does not say where its bits are");
                let help = "a field has either `from` (with bits, at, k, n) or `planes`, a list of {from, bits, at, k, n}, or `index`";
                self.refuse(path.clone(), message, help);
                None
            }
        }
    }

    /// Consecutive weights of a block that share a value; `None` where a problem was reported.
    fn per(&mut self, text: &FieldText, planes: &[PlaneText], path: &Path) -> Option<u32> {
        // Of units that several blocks share each holds one value for all of them.
        let coarse = planes.iter().any(|plane| {
            let member = self.members.iter().find(|member| member.name == plane.from);
            let units = member.map(|member| self.streams[member.stream].units);
            units.is_some_and(|units| units.blocks != Extent::Blocks(1))
        });
        if text.gather.is_some() {
            let apart = planes.iter().any(|plane| {
                let member = self.members.iter().find(|member| member.name == plane.from);
                let units = member.map(|member| self.streams[member.stream].units);
                units.is_some_and(|units| units.per_block > 1 || units.order == Order::Flat)
            });
            if apart || text.per.is_some() {
                let message = "a gathered value is that of one unit along k";
                let help = "leave `per` out, and take it from a stream of rows or columns whose tile is a block or more";
                self.refuse(path.key("gather"), message, help);
                return None;
            }
            return Some(1);
        }
        if coarse && text.per.is_some() {
            let message = "a unit of several blocks holds one value for all of them";
            self.refuse(path.key("per"), message, "leave `per` out");
            return None;
        }
        let per = match &text.per {
            Some(per) => self.amount(per, &path.key("per"))?,
            None if coarse => self.weights,
            None => 1,
        };
        if per == 0 || !self.weights.is_multiple_of(per) {
            let message = format!("{per} does not divide the block's {} weights", self.weights);
            let help = "a field has one value per so many consecutive weights";
            self.refuse(path.key("per"), message, help);
            return None;
        }
        Some(per)
    }
}
