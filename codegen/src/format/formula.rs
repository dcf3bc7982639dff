//! The formula of a weight: what its names mean, and what may be computed.

use super::expression::{self, Expr, Kind, Unexpected};
use super::{Field, Scalar, Table};
use crate::problem::{Part, Path, Problem, known_are};
use std::ops::Range;

/// A formula over fields and tables, computed in f32, left to right as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Formula {
    /// A constant.
    Number(f32),
    /// The value of a field: index into `Format::fields`.
    Field(usize),
    /// `table[index]`: index into `Format::tables` and the integer field that selects the entry; the
    /// field that selects a value of it, where entries have several.
    Lookup {
        /// Index into `Format::tables`.
        table: usize,
        /// Index into `Format::fields`.
        index: usize,
        /// Index into `Format::fields`.
        lane: Option<usize>,
    },
    /// Rounded to binary16, to nearest even.
    Half(Box<Formula>),
    /// The same number, which no backend may compute together with what is computed from it. Never
    /// written: the lowering adds it.
    Apart(Box<Formula>),
    /// Sign change.
    Neg(Box<Formula>),
    /// Sum.
    Add(Box<Formula>, Box<Formula>),
    /// Difference.
    Sub(Box<Formula>, Box<Formula>),
    /// Product.
    Mul(Box<Formula>, Box<Formula>),
}

/// Stands for a field whose own problem was reported; no number is written so.
const BROKEN: Formula = Formula::Number(f32::NAN);

const MAX_LENGTH: usize = 2000;
const MAX_DEPTH: usize = 100;
const SUBSET: &str = "a formula has numbers, names of fields, table[field], table[field][lane], f16(..), + - * / and parentheses";

/// What a name in the formula may mean.
pub(super) struct Scope<'a> {
    pub fields: &'a [Field],
    pub tables: &'a [Table],
    /// Names that were declared but already reported as wrong.
    pub broken: &'a [String],
}

/// Reads the formula, or reports everything wrong with it.
pub(super) fn parse(text: &str, scope: &Scope) -> Result<Formula, Vec<Problem>> {
    // The parser and all that follows recurse: bound the depth before they see the text. A chain of
    // operators is as deep as it is long.
    let depth = text.chars().filter(|c| "+-*/%^&|!<>=?.([{".contains(*c)).count();
    if text.len() > MAX_LENGTH || depth > MAX_DEPTH {
        return Err(vec![Problem::new(
            Path::of("value"),
            "the formula is too long or too deeply nested",
            format!("at most {MAX_LENGTH} characters and {MAX_DEPTH} operators and brackets"),
        )]);
    }
    let mut reader = Reader { text, scope, problems: Vec::new() };
    let formula = match expression::parse(text) {
        Ok(expr) => reader.expr(&expr),
        Err(Unexpected { range, message }) => reader.refuse(&range, message, SUBSET),
    };
    match formula {
        Some(formula) if reader.problems.is_empty() => Ok(formula),
        _ => Err(reader.problems),
    }
}

struct Reader<'a> {
    text: &'a str,
    scope: &'a Scope<'a>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn refuse<T>(
        &mut self,
        place: &Range<usize>,
        message: String,
        help: impl Into<String>,
    ) -> Option<T> {
        let problem = Problem::new(Path::of("value"), message, help);
        self.problems.push(problem.part(Part::Within(place.clone())));
        None
    }

    /// How a part is written.
    fn written(&self, expr: &Expr) -> &'a str {
        self.text.get(expr.range.clone()).unwrap_or_default()
    }

    /// `None` where a problem was reported.
    fn expr(&mut self, expr: &Expr) -> Option<Formula> {
        match &expr.kind {
            Kind::Number(number) => Some(Formula::Number(*number)),
            Kind::Name => self.name(expr),
            Kind::Negative(value) => Some(Formula::Neg(Box::new(self.expr(value)?))),
            Kind::Index(table, index) => match &table.kind {
                Kind::Index(table, entry) => self.lookup(table, entry, Some(index)),
                _ => self.lookup(table, index, None),
            },
            Kind::Call(function, arguments) => self.call(function, arguments),
            Kind::Binary(operator, left, right) => {
                // Both sides are read before either gives up: all problems at once.
                let (sides, place) = ((self.expr(left), self.expr(right)), &right.range);
                let (left, right) = (Box::new(sides.0?), Box::new(sides.1?));
                match operator {
                    '+' => Some(Formula::Add(left, right)),
                    '-' => Some(Formula::Sub(left, right)),
                    '*' => Some(Formula::Mul(left, right)),
                    _ => self.divide(left, &right, place),
                }
            }
        }
    }

    fn name(&mut self, expr: &Expr) -> Option<Formula> {
        let name = self.written(expr);
        if let Some(field) = self.field(name) {
            return Some(Formula::Field(field));
        }
        if self.is_broken(name) {
            return Some(BROKEN);
        }
        if let Some(table) = self.scope.tables.iter().find(|table| table.name == name) {
            let message = format!("the table `{name}` has no index");
            let lane = if table.lanes > 1 { "[lane]" } else { "" };
            return self.refuse(&expr.range, message, format!("write `{name}[field]{lane}`"));
        }
        let known = known_are(name, self.fields().chain(self.tables()));
        self.refuse(&expr.range, format!("nothing is named `{name}`"), known)
    }

    /// `f16(value)`, the only function.
    fn call(&mut self, function: &Expr, arguments: &[Expr]) -> Option<Formula> {
        let name = self.written(function);
        // All arguments are read before any gives up.
        let read: Vec<Option<Formula>> = arguments.iter().map(|value| self.expr(value)).collect();
        if name != "f16" {
            let message = format!("`{name}` is not a function");
            return self.refuse(&function.range, message, "the only function is f16(value)");
        }
        match read.into_iter().collect::<Option<Vec<Formula>>>()?.pop() {
            Some(value) if arguments.len() == 1 => Some(Formula::Half(Box::new(value))),
            _ => {
                let message = format!("`f16` takes one value, not {}", arguments.len());
                self.refuse(&function.range, message, "write f16(value)")
            }
        }
    }

    /// `table[index]` or `table[index][lane]`.
    fn lookup(&mut self, table: &Expr, index: &Expr, lane: Option<&Expr>) -> Option<Formula> {
        let name = self.written(table);
        let parts = [Some(table), Some(index), lane];
        if parts.into_iter().flatten().any(|part| self.is_broken(self.written(part))) {
            return Some(BROKEN);
        }
        let Some(number) = self.scope.tables.iter().position(|other| other.name == name) else {
            let known = known_are(name, self.tables());
            return self.refuse(&table.range, format!("no table is named `{name}`"), known);
        };
        let found = &self.scope.tables[number];
        let (entries, lanes) = (found.entries(), found.lanes);
        let index = self.selects(index, name, entries, "entry");
        let lane = match (lane, lanes) {
            (None, 1) => None,
            (Some(lane), 2..) => Some(self.selects(lane, name, lanes as usize, "lane")?),
            (None, _) => {
                let help = format!("write `{name}[field][lane]`");
                let message = format!("entries of `{name}` have {lanes} lanes");
                return self.refuse(&table.range, message, help);
            }
            (Some(lane), _) => {
                let help = format!("write `{name}[field]`");
                let message = format!("entries of `{name}` have one value");
                return self.refuse(&lane.range, message, help);
            }
        };
        Some(Formula::Lookup { table: number, index: index?, lane })
    }

    /// The field that selects one of `count`; `None` where a problem was reported.
    fn selects(&mut self, expr: &Expr, table: &str, count: usize, what: &str) -> Option<usize> {
        let (name, place) = (self.written(expr), &expr.range);
        let Some(field) = self.field(name) else {
            let known = known_are(name, self.fields());
            let message = format!("`{name}` is not a field that could index a table");
            return self.refuse(place, message, known);
        };
        let stored = &self.scope.fields[field];
        match stored.range().filter(|_| stored.scalar == Scalar::Unsigned) {
            Some((low, high)) if low >= 0 && high < count as i64 => Some(field),
            Some((low, high)) if what == "lane" => self.refuse(
                place,
                format!("`{name}` ranges over {low}..={high}, but entries of `{table}` have {count} lanes"),
                format!("a lane is 0 to {}", count - 1),
            ),
            Some((low, high)) => self.refuse(
                place,
                format!("`{name}` ranges over {low}..={high}, but the table `{table}` has {count} values"),
                format!("give `{table}` one value for each of 0..={}", high.max(0)),
            ),
            None => self.refuse(
                place,
                format!("`{name}` is not an unsigned integer and cannot index `{table}`"),
                "index a table by a field of type u",
            ),
        }
    }

    fn divide(
        &mut self,
        left: Box<Formula>,
        right: &Formula,
        place: &Range<usize>,
    ) -> Option<Formula> {
        let number = match right {
            Formula::Number(number) => Some(*number),
            Formula::Neg(inner) if let Formula::Number(number) = **inner => Some(-number),
            _ => None,
        };
        let Some(divisor) = number.filter(|number| !number.is_nan()) else {
            let message = "the formula divides by a field".into();
            let help = "GPUs do not round divisions correctly: multiply instead";
            return self.refuse(place, message, help);
        };
        if divisor == 0.0 {
            let message = "the formula divides by zero".into();
            return self.refuse(place, message, "divide by a power of two");
        }
        let exact = divisor.to_bits() << 9 == 0 && (1.0 / divisor).is_normal();
        if !exact {
            let message = format!(
                "{divisor} is not a power of two, and GPUs do not round divisions correctly"
            );
            return self.refuse(place, message, "multiply by the number the format means");
        }
        Some(Formula::Mul(left, Box::new(Formula::Number(1.0 / divisor))))
    }

    fn is_broken(&self, name: &str) -> bool {
        self.scope.broken.iter().any(|broken| broken == name)
    }

    /// Names of fields that may be read.
    fn fields(&self) -> impl Iterator<Item = &'a str> {
        self.scope.fields.iter().filter(|field| !field.padding).map(|field| field.name.as_str())
    }

    /// Names of tables.
    fn tables(&self) -> impl Iterator<Item = &'a str> {
        self.scope.tables.iter().map(|table| table.name.as_str())
    }

    fn field(&self, name: &str) -> Option<usize> {
        self.scope.fields.iter().position(|field| field.name == name && !field.padding)
    }
}

impl Formula {
    /// Calls `visit` with every number, field and lookup.
    pub fn for_each_leaf(&self, visit: &mut impl FnMut(&Formula)) {
        match self {
            Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => visit(self),
            Formula::Neg(inner) | Formula::Half(inner) | Formula::Apart(inner) => {
                inner.for_each_leaf(visit)
            }
            Formula::Add(a, b) | Formula::Sub(a, b) | Formula::Mul(a, b) => {
                a.for_each_leaf(visit);
                b.for_each_leaf(visit);
            }
        }
    }

    /// Calls `visit` with every field the formula reads.
    pub fn for_each_field(&self, visit: &mut impl FnMut(usize)) {
        self.for_each_leaf(&mut |leaf| match leaf {
            Formula::Field(field) => visit(*field),
            Formula::Lookup { index, lane, .. } => {
                visit(*index);
                lane.iter().for_each(|lane| visit(*lane));
            }
            _ => {}
        });
    }
}
