//! Tables from code to value.

use super::build::Builder;
use super::names::{NAME_HELP, is_name};
use super::{Table, TableValues};
use crate::descriptor::{Descriptor, TableText};
use crate::problem::Path;

const MAX_TABLE: usize = 1 << 16;

impl Builder {
    pub(super) fn tables(&mut self, descriptor: &Descriptor) {
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
