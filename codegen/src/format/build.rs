//! Descriptor to format: places members, completes what may be left out, checks every part.

use super::coverage;
use super::formula::{self, Scope};
use super::names::{NAME_HELP, is_name};
use super::{Field, Format, Formula, Member, Stream, Table};
use crate::artifact::Size;
use crate::descriptor::{Amount, Descriptor, Params};
use crate::problem::{Part, Path, Problem};

const MAX_PARTS: usize = 256;
/// The stream of a format that has a block; a plural, as it holds them all.
pub(super) const UNNAMED: &str = "blocks";

/// Builds the format for one choice of parameters, or reports every problem.
pub(super) fn build(descriptor: &Descriptor, params: &Params) -> Result<Format, Vec<Problem>> {
    let mut builder = Builder { params: params.clone(), ..Builder::default() };
    builder.header(descriptor);
    builder.choice(descriptor);
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
    pub params: Params,
    pub weights: u32,
    pub sizes: Vec<Size>,
    pub streams: Vec<Stream>,
    pub members: Vec<Member>,
    pub fields: Vec<Field>,
    /// Parallel to `fields`.
    pub origins: Vec<Origin>,
    pub tables: Vec<Table>,
    pub broken: Vec<String>,
    pub problems: Vec<Problem>,
}

/// Where a field was written, and what it declared about its bits.
pub(super) struct Origin {
    pub path: Path,
    /// Path of each plane.
    pub planes: Vec<Path>,
    pub shared: bool,
    /// A member that is read under its own name.
    pub implicit: bool,
    /// The field it is gathered by, until all fields are known.
    pub gather: Option<String>,
}

impl Builder {
    pub(super) fn refuse(
        &mut self,
        path: Path,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::new(path, message, help));
    }

    fn header(&mut self, descriptor: &Descriptor) {
        if !is_name(&descriptor.format) {
            let message = format!("`{}` cannot be a format's name", descriptor.format);
            self.refuse(Path::of("format"), message, NAME_HELP);
        }
        // It becomes a comment: nothing in it may end a line.
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        if descriptor.title.trim().is_empty() || descriptor.title.contains(breaks) {
            self.refuse(Path::of("title"), "the title is not one line of text", "one short line");
        }
        let parts = descriptor.fields.iter().count() + descriptor.tables.iter().count();
        if parts > MAX_PARTS {
            let message = format!("{parts} fields and tables");
            self.refuse(Path::of("fields"), message, format!("at most {MAX_PARTS}"));
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

    /// Weights per unit of a stream; those of a block, where several blocks share it.
    pub(super) fn tile(&self, stream: usize) -> u32 {
        self.weights / self.streams[stream].copies
    }

    /// A number that may be written with parameters; `None` where a problem was reported.
    pub(super) fn amount(&mut self, amount: &Amount, path: &Path) -> Option<u32> {
        let number = match amount {
            Amount::Number(number) => Ok(*number),
            Amount::Text(text) => self.params.number(text),
        };
        let number = number.and_then(|number| {
            u32::try_from(number)
                .map_err(|_| format!("{number} is not a number from 0 to {}", u32::MAX))
        });
        match number {
            Ok(number) => Some(number),
            Err(message) => {
                let help = "write a whole number, or a product of numbers and parameters";
                self.refuse(path.clone(), message, help);
                None
            }
        }
    }

    fn formula(&mut self, descriptor: &Descriptor) -> Option<Formula> {
        if self.fields.is_empty() {
            if self.problems.is_empty() {
                self.refuse(Path::default(), "the format reads nothing", "give a member a type");
            }
            return None; // without fields names mean nothing yet
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
        for field in &self.fields {
            field.gather.into_iter().for_each(|gather| used[gather] = true);
        }
        self.problems.extend(self.inexact(&formula));
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
            self.problems.push(Problem::new(path, message, help).part(Part::Key));
        }
        Some(formula)
    }

    /// Integers in the formula that f32 does not hold.
    fn inexact(&self, formula: &Formula) -> Vec<Problem> {
        let mut problems = Vec::new();
        formula.for_each_leaf(&mut |leaf| {
            let Formula::Field(field) = leaf else { return };
            let (field, origin) = (&self.fields[*field], &self.origins[*field]);
            if let Some((low, high)) =
                field.range().filter(|(l, h)| *l < -(1 << 24) || *h > 1 << 24)
            {
                problems.push(Problem::new(
                    origin.path.clone(),
                    format!(
                        "`{}` ranges over {low}..={high}, which f32 cannot hold exactly",
                        field.name
                    ),
                    "integers stay within 24 bits and a sign",
                ));
            }
        });
        problems
    }

    fn finish(self, descriptor: &Descriptor, value: Formula) -> Format {
        let params = self.params.0;
        let suffix = params.iter().map(|param| format!("_{}{}", param.name, param.value));
        let values = params.iter().map(|param| format!("{} = {}", param.name, param.value));
        let values = values.collect::<Vec<_>>().join(", ");
        Format {
            name: descriptor.format.clone() + &suffix.collect::<String>(),
            family: descriptor.format.clone(),
            title: match params.is_empty() {
                true => descriptor.title.clone(),
                false => format!("{} ({values})", descriptor.title),
            },
            params,
            reference: descriptor.reference.clone(),
            gguf: descriptor.gguf,
            weights: self.weights,
            sizes: self.sizes,
            streams: self.streams,
            members: self.members,
            fields: self.fields,
            tables: self.tables,
            value,
        }
    }
}
