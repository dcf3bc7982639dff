//! The formula of a weight: a closed subset of Rust's expressions, read by `syn`.

use super::{Field, Scalar, Table};
use crate::problem::{Path, Problem};
use syn::{BinOp, Expr, Lit, UnOp};

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
    /// Sign change.
    Neg(Box<Formula>),
    /// Sum.
    Add(Box<Formula>, Box<Formula>),
    /// Difference.
    Sub(Box<Formula>, Box<Formula>),
    /// Product.
    Mul(Box<Formula>, Box<Formula>),
}

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
    let path = Path::of("value");
    // The parser and all that follows recurse: bound the depth before they see the text. A chain of
    // operators is as deep as it is long.
    let depth = text.chars().filter(|c| "+-*/%^&|!<>=?.([{".contains(*c)).count();
    if text.len() > MAX_LENGTH || depth > MAX_DEPTH {
        return Err(vec![Problem::new(
            path,
            "the formula is too long or too deeply nested",
            format!("at most {MAX_LENGTH} characters and {MAX_DEPTH} operators and brackets"),
        )]);
    }
    let expr: Expr = syn::parse_str(text).map_err(|error| {
        vec![Problem::new(path.clone(), format!("`{text}` is not an expression: {error}"), SUBSET)]
    })?;
    let mut reader = Reader { scope, path, problems: Vec::new() };
    let formula = reader.expr(&expr);
    match formula {
        Some(formula) if reader.problems.is_empty() => Ok(formula),
        _ => Err(reader.problems),
    }
}

struct Reader<'a> {
    scope: &'a Scope<'a>,
    path: Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn refuse<T>(&mut self, message: String, help: impl Into<String>) -> Option<T> {
        self.problems.push(Problem::new(self.path.clone(), message, help));
        None
    }

    /// `None` where a problem was reported.
    fn expr(&mut self, expr: &Expr) -> Option<Formula> {
        match expr {
            Expr::Paren(inner) => self.expr(&inner.expr),
            Expr::Lit(literal) => self.number(&literal.lit),
            Expr::Path(_) => self.name(expr),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
                Some(Formula::Neg(Box::new(self.expr(&unary.expr)?)))
            }
            Expr::Index(lookup) => match &*lookup.expr {
                Expr::Index(entry) => self.lookup(&entry.expr, &entry.index, Some(&lookup.index)),
                table => self.lookup(table, &lookup.index, None),
            },
            Expr::Call(call) => self.call(&call.func, call.args.iter()),
            Expr::Binary(binary) => {
                // Both sides are read before either gives up: all problems at once.
                let (left, right) = (self.expr(&binary.left), self.expr(&binary.right));
                let (left, right) = (Box::new(left?), Box::new(right?));
                match binary.op {
                    BinOp::Add(_) => Some(Formula::Add(left, right)),
                    BinOp::Sub(_) => Some(Formula::Sub(left, right)),
                    BinOp::Mul(_) => Some(Formula::Mul(left, right)),
                    BinOp::Div(_) => self.divide(left, &right),
                    _ => self.refuse(format!("`{}` uses another operator", show(expr)), SUBSET),
                }
            }
            _ => self.refuse(format!("`{}` is not allowed in a formula", show(expr)), SUBSET),
        }
    }

    fn number(&mut self, literal: &Lit) -> Option<Formula> {
        let digits = match literal {
            Lit::Int(int) if int.suffix().is_empty() => int.base10_digits().to_string(),
            Lit::Float(float) if float.suffix().is_empty() => float.base10_digits().to_string(),
            _ => return self.refuse("a constant must be a plain number".into(), SUBSET),
        };
        match digits.parse::<f32>() {
            Ok(number) if number.is_finite() => Some(Formula::Number(number)),
            _ => self.refuse(format!("{digits} does not fit f32"), "write a smaller number"),
        }
    }

    fn name(&mut self, expr: &Expr) -> Option<Formula> {
        let name = show(expr);
        if let Some(field) = self.field(&name) {
            return Some(Formula::Field(field));
        }
        if self.scope.broken.contains(&name) {
            return Some(Formula::Number(0.0)); // its own problem was reported
        }
        if self.scope.tables.iter().any(|table| table.name == name) {
            return self.refuse(
                format!("the table `{name}` has no index"),
                format!("write `{name}[field]`"),
            );
        }
        let known = self.known();
        self.refuse(format!("nothing is named `{name}`"), known)
    }

    /// `f16(value)`, the only function.
    fn call<'e>(
        &mut self,
        function: &Expr,
        args: impl Iterator<Item = &'e Expr>,
    ) -> Option<Formula> {
        let args: Vec<&Expr> = args.collect();
        match (show(function).as_str(), args.as_slice()) {
            ("f16", [value]) => Some(Formula::Half(Box::new(self.expr(value)?))),
            (name, _) => {
                self.refuse(format!("`{name}(..)` is not a function of one value here"), SUBSET)
            }
        }
    }

    /// `table[index]` or `table[index][lane]`.
    fn lookup(&mut self, table: &Expr, index: &Expr, lane: Option<&Expr>) -> Option<Formula> {
        let (name, index, lane) = (show(table), show(index), lane.map(show));
        let broken = &self.scope.broken;
        if [Some(&name), Some(&index), lane.as_ref()]
            .into_iter()
            .flatten()
            .any(|n| broken.contains(n))
        {
            return Some(Formula::Number(0.0));
        }
        let Some(number) = self.scope.tables.iter().position(|other| other.name == name) else {
            let known = self.known();
            return self.refuse(format!("nothing is named `{name}[..]`"), known);
        };
        let table = &self.scope.tables[number];
        let (entries, lanes) = (table.entries(), table.lanes);
        let index = self.selects(&index, &name, entries, "entry");
        let lane = match (lane, lanes) {
            (None, 1) => None,
            (Some(lane), 2..) => Some(self.selects(&lane, &name, lanes as usize, "lane")?),
            (None, _) => {
                let help = format!("write `{name}[field][lane]`");
                return self.refuse(format!("entries of `{name}` have {lanes} lanes"), help);
            }
            (Some(_), _) => {
                let help = format!("write `{name}[field]`");
                return self.refuse(format!("entries of `{name}` have one value"), help);
            }
        };
        Some(Formula::Lookup { table: number, index: index?, lane })
    }

    /// The field that selects one of `count`; `None` where a problem was reported.
    fn selects(&mut self, name: &str, table: &str, count: usize, what: &str) -> Option<usize> {
        let Some(field) = self.field(name) else {
            let known = self.known();
            return self.refuse(format!("nothing is named `{name}`"), known);
        };
        let stored = &self.scope.fields[field];
        match stored.range().filter(|_| stored.scalar == Scalar::Unsigned) {
            Some((low, high)) if low >= 0 && high < count as i64 => Some(field),
            Some((low, high)) if what == "lane" => self.refuse(
                format!("`{name}` ranges over {low}..={high}, but entries of `{table}` have {count} lanes"),
                format!("a lane is 0 to {}", count - 1),
            ),
            Some((low, high)) => self.refuse(
                format!("`{name}` ranges over {low}..={high}, but the table `{table}` has {count} values"),
                format!("give `{table}` one value for each of 0..={}", high.max(0)),
            ),
            None => self.refuse(
                format!("`{name}` is not an unsigned integer and cannot index `{table}`"),
                "index a table by a field of type u",
            ),
        }
    }

    fn divide(&mut self, left: Box<Formula>, right: &Formula) -> Option<Formula> {
        let divisor = match right {
            Formula::Number(number) => *number,
            Formula::Neg(inner) if let Formula::Number(number) = **inner => -number,
            _ => {
                return self.refuse(
                    "the formula divides by a field".into(),
                    "GPUs do not round divisions correctly: multiply instead",
                );
            }
        };
        if divisor == 0.0 {
            return self.refuse("the formula divides by zero".into(), "divide by a power of two");
        }
        let exact = divisor.to_bits() << 9 == 0 && (1.0 / divisor).is_normal();
        if !exact {
            return self.refuse(
                format!(
                    "{divisor} is not a power of two, and GPUs do not round divisions correctly"
                ),
                "multiply by the number the format means",
            );
        }
        Some(Formula::Mul(left, Box::new(Formula::Number(1.0 / divisor))))
    }

    fn field(&self, name: &str) -> Option<usize> {
        self.scope.fields.iter().position(|field| field.name == name && !field.padding)
    }

    fn known(&self) -> String {
        let readable = self.scope.fields.iter().filter(|field| !field.padding);
        let fields = readable.map(|field| field.name.clone());
        let tables = self.scope.tables.iter().map(|table| format!("{}[..]", table.name));
        format!("known are {}", fields.chain(tables).collect::<Vec<_>>().join(", "))
    }
}

/// The expression as it would be written.
fn show(expr: &Expr) -> String {
    quote::quote!(#expr).to_string()
}

impl Formula {
    /// Calls `visit` with every number, field and lookup.
    pub fn for_each_leaf(&self, visit: &mut impl FnMut(&Formula)) {
        match self {
            Formula::Number(_) | Formula::Field(_) | Formula::Lookup { .. } => visit(self),
            Formula::Neg(inner) | Formula::Half(inner) => inner.for_each_leaf(visit),
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
