//! Descriptor to format: places members, completes what may be left out, checks every part.

use super::coverage;
use super::formula::{self, Scope};
use super::names::{NAME_HELP, is_name};
use super::{Field, Format, Formula, Member, Stream, Table};
use crate::descriptor::Descriptor;
use crate::problem::{Path, Problem};

const MAX_PARTS: usize = 256;
/// The stream of a format that has a block; a plural, as it holds them all.
pub(super) const UNNAMED: &str = "blocks";

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
    pub weights: u32,
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

    /// Weights per unit of a stream.
    pub(super) fn tile(&self, stream: usize) -> u32 {
        self.weights / self.streams[stream].units
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
