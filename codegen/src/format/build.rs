//! Descriptor to format: places members, completes what may be left out, checks every part.

use super::coverage;
use super::formula::{self, Scope};
use super::names::{NAME_HELP, is_name};
use super::{Element, Field, Format, Formula, Member, Plane, Scalar, Stream, Table, TableValues};
use crate::descriptor::{Descriptor, FieldText, PlaneText, TableText};
use crate::layout::Layout;
use crate::problem::{Path, Problem};

const MAX_WEIGHTS: u32 = 1 << 14;
const MAX_UNIT_BYTES: u32 = 1 << 16;
const MAX_PARTS: usize = 256;
const MAX_TABLE: usize = 1 << 16;
/// The stream of a format that has a block; a plural, as it holds them all.
const UNNAMED: &str = "blocks";

/// Builds the format, or reports every problem.
pub(super) fn build(descriptor: &Descriptor) -> Result<Format, Vec<Problem>> {
    let mut builder = Builder::default();
    builder.header(descriptor);
    builder.storage(descriptor);
    // Fields mean nothing without the members they read.
    if builder.problems.is_empty() {
        builder.tables(descriptor);
        builder.fields(descriptor);
    }
    let value = builder.formula(descriptor);
    if builder.problems.is_empty() {
        builder.problems = coverage::check(&builder);
    }
    match value {
        Some(value) if builder.problems.is_empty() => Ok(builder.finish(descriptor, value)),
        _ => Err(builder.problems),
    }
}

/// A format in the making.
#[derive(Default)]
pub(super) struct Builder {
    weights: u32,
    pub streams: Vec<Stream>,
    pub members: Vec<Member>,
    pub fields: Vec<Field>,
    /// Parallel to `fields`.
    pub origins: Vec<Origin>,
    tables: Vec<Table>,
    broken: Vec<String>,
    problems: Vec<Problem>,
}

/// Where a field was written, and what it declared about its bits.
pub(super) struct Origin {
    pub path: Path,
    /// Path of each plane.
    pub planes: Vec<Path>,
    pub shared: bool,
    /// A member that is read under its own name.
    pub implicit: bool,
}

impl Builder {
    fn refuse(&mut self, path: Path, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(path, message, help));
    }

    fn header(&mut self, descriptor: &Descriptor) {
        if !is_name(&descriptor.format) {
            let message = format!("`{}` cannot be a format's name", descriptor.format);
            self.refuse(Path::of("format"), message, NAME_HELP);
        }
        if descriptor.title.trim().is_empty() || descriptor.title.contains('\n') {
            self.refuse(Path::of("title"), "the title is not one line of text", "one short line");
        }
        let parts = descriptor.fields.iter().count() + descriptor.tables.iter().count();
        if parts > MAX_PARTS {
            let message = format!("{parts} fields and tables");
            self.refuse(Path::of("fields"), message, format!("at most {MAX_PARTS}"));
        }
    }

    fn storage(&mut self, descriptor: &Descriptor) {
        match (&descriptor.block, &descriptor.streams) {
            (Some(block), None) => {
                let help = format!("a block has 1 to {MAX_WEIGHTS} weights");
                match descriptor.weights {
                    Some(weights @ 1..=MAX_WEIGHTS) => self.weights = weights,
                    Some(weights) => {
                        let message = format!("a block of {weights} weights");
                        return self.refuse(Path::of("weights"), message, help);
                    }
                    None => {
                        let message = "the number of weights per block is missing";
                        return self.refuse(Path::default(), message, "add `weights: 32`, say");
                    }
                }
                self.stream(UNNAMED, self.weights, block.iter(), Path::of("block"));
            }
            (None, Some(streams)) => {
                if descriptor.weights.is_some() {
                    let help = "leave it out: it is the least common multiple of the tiles";
                    self.refuse(Path::of("weights"), "a format of streams derives its block", help);
                }
                self.weights = 1;
                for (name, stream) in streams {
                    let path = Path::of("streams").key(name);
                    let tile = stream.tile.k;
                    match lcm(self.weights, tile).filter(|&block| block <= MAX_WEIGHTS) {
                        Some(block) => self.weights = block,
                        None => {
                            let message = format!("a tile of {tile} weights");
                            let help = format!(
                                "tiles are at least 1 and fit a common block of at most {MAX_WEIGHTS}"
                            );
                            self.refuse(path.key("tile").key("k"), message, help);
                            continue;
                        }
                    }
                    if let Some(view) = stream.view.as_deref()
                        && !matches!(view, "flat" | "rows")
                    {
                        let message = format!("`{view}` is not a view");
                        self.refuse(path.key("view"), message, "write flat or rows");
                    }
                    if !is_name(name) || self.streams.iter().any(|other| other.name == *name) {
                        self.refuse(
                            path.clone(),
                            format!("`{name}` cannot name a stream"),
                            NAME_HELP,
                        );
                    }
                    self.stream(name, tile, stream.unit.iter(), path.key("unit"));
                }
                if self.streams.is_empty() && self.problems.is_empty() {
                    self.refuse(Path::of("streams"), "there is no stream", "name at least one");
                }
            }
            (Some(_), Some(_)) => self.refuse(
                Path::of("streams"),
                "the format has both a block and streams",
                "a block is one run of bytes; streams are several: keep one of them",
            ),
            (None, None) => self.refuse(
                Path::default(),
                "the format stores nothing",
                "add `block:` with the members in storage order",
            ),
        }
        for stream in &mut self.streams {
            // `units` held the tile until the block was known.
            stream.units = self.weights / stream.units;
            stream.bytes *= stream.units;
        }
    }

    fn stream<'a>(
        &mut self,
        name: &str,
        tile: u32,
        members: impl Iterator<Item = (&'a str, &'a String)>,
        path: Path,
    ) {
        let stream = self.streams.len();
        let mut offset = 0u32;
        for (member, text) in members {
            let path = path.key(member);
            if !is_name(member) || self.members.iter().any(|other| other.name == member) {
                let message = format!("`{member}` cannot name a member, or names two");
                self.refuse(path.clone(), message, NAME_HELP);
            }
            let (element, count) = match parse_member(text) {
                Ok(parsed) => parsed,
                Err(message) => {
                    let help = "write u8[16], i8[16], u16, i16, u32, i32, f16, bf16, f32 or pad[4]";
                    self.refuse(path, message, help);
                    continue;
                }
            };
            let bytes = element.map_or(1, |element| element.bits / 8);
            let end = count.checked_mul(bytes).and_then(|bytes| offset.checked_add(bytes));
            let Some(end) = end.filter(|&end| end <= MAX_UNIT_BYTES) else {
                let message =
                    format!("`{member}` makes the unit longer than {MAX_UNIT_BYTES} bytes");
                return self.refuse(path, message, "blocks are small structs: check the counts");
            };
            self.members.push(Member { name: member.into(), stream, offset, element, count });
            offset = end;
        }
        if offset == 0 && self.problems.is_empty() {
            self.refuse(path, "there is no member", "name at least one");
        }
        self.streams.push(Stream { name: name.into(), bytes: offset, units: tile });
    }

    fn tables(&mut self, descriptor: &Descriptor) {
        for (name, table) in &descriptor.tables {
            let path = Path::of("tables").key(name);
            if !is_name(name) || self.streams.iter().any(|stream| stream.name == name) {
                self.refuse(path.clone(), format!("`{name}` cannot name a table"), NAME_HELP);
            }
            match parse_table(table) {
                Ok(values) => self.tables.push(Table { name: name.into(), values }),
                Err((key, message, help)) => {
                    self.broken.push(name.into());
                    self.refuse(path.key(key), message, help);
                }
            }
        }
    }

    fn fields(&mut self, descriptor: &Descriptor) {
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
                self.fields.push(Field {
                    name,
                    scalar: element.scalar,
                    bias: 0,
                    per,
                    planes: vec![plane],
                    padding: false,
                });
                self.origins.push(Origin {
                    path: path.clone(),
                    planes: vec![path],
                    shared: false,
                    implicit: true,
                });
            }
        }
    }

    /// Where a member was written.
    pub fn member_path(&self, member: usize) -> Path {
        let Member { name, stream, .. } = &self.members[member];
        match self.streams[*stream].name.as_str() {
            UNNAMED => Path::of("block").key(name),
            stream => Path::of("streams").key(stream).key("unit").key(name),
        }
    }

    /// Weights per unit of a stream.
    fn tile(&self, stream: usize) -> u32 {
        self.weights / self.streams[stream].units
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
            self.check_range(&field, text, path);
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

    fn check_range(&mut self, field: &Field, text: &FieldText, path: &Path) {
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
            None if text.bias.is_some() => {
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

    fn formula(&mut self, descriptor: &Descriptor) -> Option<Formula> {
        if self.fields.is_empty() {
            return None; // the storage could not be read: names mean nothing yet
        }
        let scope = Scope { fields: &self.fields, tables: &self.tables, broken: &self.broken };
        let formula = match formula::parse(&descriptor.value, &scope) {
            Ok(formula) => formula,
            Err(problems) => {
                self.problems.extend(problems);
                return None;
            }
        };
        let mut used = vec![false; self.fields.len()];
        formula.for_each_field(&mut |field| used[field] = true);
        for (index, used) in used.into_iter().enumerate() {
            let origin = &self.origins[index];
            if used || self.fields[index].padding || !self.problems.is_empty() {
                continue;
            }
            let (name, path) = (&self.fields[index].name, origin.path.clone());
            let (message, help) = match origin.implicit {
                true => (
                    format!("no field reads the member `{name}`, and the value does not name it"),
                    "read it, or declare it pad[n]",
                ),
                false => {
                    (format!("the value does not use `{name}`"), "use it, or give it `type: pad`")
                }
            };
            self.problems.push(Problem::new(path, message, help));
        }
        Some(formula)
    }

    fn finish(self, descriptor: &Descriptor, value: Formula) -> Format {
        Format {
            name: descriptor.format.clone(),
            title: descriptor.title.clone(),
            reference: descriptor.reference.clone(),
            gguf: descriptor.gguf,
            weights: self.weights,
            streams: self.streams,
            members: self.members,
            fields: self.fields,
            tables: self.tables,
            value,
        }
    }
}

/// `u8[128]`, `f16`, `pad[4]`.
fn parse_member(text: &str) -> Result<(Option<Element>, u32), String> {
    let (name, count) = match text.split_once('[') {
        None => (text, Some(1)),
        Some((name, count)) => (name, count.strip_suffix(']').and_then(|count| count.parse().ok())),
    };
    let count =
        count.filter(|&count| count > 0).ok_or_else(|| format!("`{text}` has no valid count"))?;
    let element = |scalar, bits| Ok((Some(Element { scalar, bits }), count));
    match name {
        "u8" => element(Scalar::Unsigned, 8),
        "i8" => element(Scalar::Signed, 8),
        "u16" => element(Scalar::Unsigned, 16),
        "i16" => element(Scalar::Signed, 16),
        "u32" => element(Scalar::Unsigned, 32),
        "i32" => element(Scalar::Signed, 32),
        "f16" => element(Scalar::F16, 16),
        "bf16" => element(Scalar::Bf16, 16),
        "f32" => element(Scalar::F32, 32),
        "pad" => Ok((None, count)),
        _ => Err(format!("`{name}` is not the type of a member")),
    }
}

type TableProblem = (&'static str, String, &'static str);

fn parse_table(text: &TableText) -> Result<TableValues, TableProblem> {
    if text.values.is_empty() || text.values.len() > MAX_TABLE {
        let message = format!("a table of {} values", text.values.len());
        return Err(("values", message, "a table has 1 to 65536 values"));
    }
    match text.ty.as_str() {
        "i8" => text
            .values
            .iter()
            .map(|&value| match value.fract() == 0.0 && (-128.0..=127.0).contains(&value) {
                true => Ok(value as i8),
                false => Err((
                    "values",
                    format!("{value} is not an i8"),
                    "whole numbers from -128 to 127",
                )),
            })
            .collect::<Result<_, _>>()
            .map(TableValues::I8),
        "f32" => text
            .values
            .iter()
            .map(|&value| match (value as f32).is_finite() {
                true => Ok(value as f32),
                false => Err(("values", format!("{value} is not a finite f32"), "finite numbers")),
            })
            .collect::<Result<_, _>>()
            .map(TableValues::F32),
        other => Err(("type", format!("`{other}` is not the type of a table"), "write i8 or f32")),
    }
}

fn lcm(a: u32, b: u32) -> Option<u32> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a.checked_div(x)?.checked_mul(b).filter(|&lcm| lcm > 0)
}
