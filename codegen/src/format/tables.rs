//! Tables from code to value.

use super::build::Builder;
use super::names::{NAME_HELP, is_name};
use super::{Element, Scalar, Table, TableValues};
use crate::artifact::Extent;
use crate::descriptor::{Descriptor, TableText};
use crate::problem::{Part, Path, Problem};

const MAX_TABLE: usize = 1 << 16;

impl Builder {
    pub(super) fn tables(&mut self, descriptor: &Descriptor) {
        for (name, text) in &descriptor.tables {
            let path = Path::of("tables").key(name);
            if !is_name(name) || self.streams.iter().any(|stream| stream.name == name) {
                self.refuse(path.clone(), format!("`{name}` cannot name a table"), NAME_HELP);
            }
            let values = match &text.from {
                Some(member) => self.stored(text, member),
                None => written(text),
            };
            let table = values.and_then(|values| shaped(name, text, values));
            match table {
                Ok(table) => self.tables.push(table),
                Err(problem) => {
                    self.broken.push(name.into());
                    self.problems.push(problem.inside(&path));
                }
            }
        }
    }

    /// A table that lies in a member of a stream with one unit for the whole tensor.
    fn stored(&self, text: &TableText, from: &str) -> Result<TableValues, Box<Problem>> {
        if text.ty.is_some()
            || text.values.is_some()
            || text.levels.is_some()
            || text.digits.is_some()
        {
            return problem(
                "",
                "a table is either written or read".into(),
                "leave out all but `from` and `lanes`",
            );
        }
        let Some(index) = self.members.iter().position(|member| member.name == from) else {
            return problem(
                "from",
                format!("there is no member `{from}`"),
                "name a member of a stream",
            );
        };
        let member = &self.members[index];
        let units = self.streams[member.stream].units;
        if (units.blocks, units.rows) != (Extent::Row, 0) {
            let help = "give its stream `tile: {k: all, n: all}`";
            return problem("from", format!("`{from}` is not the same for all weights"), help);
        }
        match member.element {
            Some(Element { scalar: Scalar::F32, .. }) => {
                Ok(TableValues::Stored { member: index, count: member.count })
            }
            _ => problem(
                "from",
                format!("`{from}` does not hold f32"),
                "a stored table has f32 values",
            ),
        }
    }
}

/// A problem with the value of a key, or with the whole table; its path starts at the table.
fn problem<T>(key: &str, message: String, help: &str) -> Result<T, Box<Problem>> {
    let path = if key.is_empty() { Path::default() } else { Path::of(key) };
    Err(Box::new(Problem::new(path, message, help)))
}

/// Refuses the first number that is not as it must be.
fn each(
    key: &str,
    numbers: &[f64],
    what: &str,
    help: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<(), Box<Problem>> {
    match numbers.iter().position(|&number| !fits(number)) {
        None => Ok(()),
        Some(index) => {
            let message = format!("{} is not {what}", numbers[index]);
            Err(Box::new(Problem::new(Path::of(key).index(index), message, help)))
        }
    }
}

/// Splits values into entries.
fn shaped(name: &str, text: &TableText, values: TableValues) -> Result<Table, Box<Problem>> {
    let lanes = text.lanes.unwrap_or(1);
    let count = match &values {
        TableValues::I8(values) => values.len(),
        TableValues::F32(values) => values.len(),
        TableValues::Stored { count, .. } => *count as usize,
    };
    if lanes == 0 || lanes > 256 || !count.is_multiple_of(lanes as usize) {
        let message = format!("{count} values are no entries of {lanes} lanes");
        return problem("lanes", message, "1 to 256 lanes, which divide the values");
    }
    Ok(Table { name: name.into(), lanes, values })
}

/// The values of a table that the descriptor spells out.
fn written(text: &TableText) -> Result<TableValues, Box<Problem>> {
    let (key, numbers, values) = match (&text.values, &text.levels, &text.digits) {
        (Some(values), None, None) => ("values", values, values.clone()),
        (None, Some(levels), Some(digits)) => ("levels", levels, spelled(levels, digits)?),
        _ => {
            let help = "write `values`, or `levels` with `digits`, or `from`";
            return problem("", "the table does not say its values".into(), help);
        }
    };
    if values.is_empty() || values.len() > MAX_TABLE {
        let message = format!("a table of {} values", values.len());
        return problem(key, message, "a table has 1 to 65536 values");
    }
    match text.ty.as_deref() {
        Some("i8") => {
            each(key, numbers, "an i8", "whole numbers from -128 to 127", |number| {
                number.fract() == 0.0 && (-128.0..=127.0).contains(&number)
            })?;
            Ok(TableValues::I8(values.iter().map(|&value| value as i8).collect()))
        }
        Some("f32") => {
            let finite = |number| (number as f32).is_finite();
            each(key, numbers, "a finite f32", "finite numbers", finite)?;
            Ok(TableValues::F32(values.iter().map(|&value| value as f32).collect()))
        }
        Some(other) => {
            problem("type", format!("`{other}` is not the type of a table"), "write i8 or f32")
        }
        None => problem("", "the table has no type".into(), "add `type: i8` or `type: f32`"),
    }
}

/// The level of each digit.
fn spelled(levels: &[f64], digits: &str) -> Result<Vec<f64>, Box<Problem>> {
    let level = |(place, digit): (usize, char)| {
        let number = digit.to_digit(36).filter(|_| !digit.is_ascii_uppercase());
        match number.and_then(|number| levels.get(number as usize)) {
            Some(level) => Ok(*level),
            None => {
                let message =
                    format!("`{digit}` is not the number of a level: there are {}", levels.len());
                let help = "digits are 0 to 9, then a to z; blanks between them mean nothing";
                let problem = Problem::new(Path::of("digits"), message, help);
                Err(Box::new(problem.part(Part::Within(place..place + digit.len_utf8()))))
            }
        }
    };
    digits.char_indices().filter(|(_, digit)| !digit.is_whitespace()).map(level).collect()
}
