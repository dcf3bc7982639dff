//! The C-like backends as tables of words, and the one printer of expressions for all of them.

use super::names;
use crate::artifact::Backend;
use crate::ir::{Binary, Decoder, Entries, Op, Type, Unary, Value};
use serde::Serialize;

/// How a backend spells what the program says.
pub(super) struct Dialect {
    pub backend: Backend,
    u32: &'static str,
    i32: &'static str,
    f32: &'static str,
    /// Four u32.
    words: &'static str,
    /// One of four u32, by an index that is no constant.
    word: fn(words: &str, index: &str) -> String,
    /// Function from the bits of a binary32 to the number.
    f32_from_bits: &'static str,
    /// The function that gives the smaller of two u32.
    min: &'static str,
    /// Type of a byte address, and what turns a u32 into one.
    address: &'static str,
    to_address: &'static str,
    /// The call that loads `bits` bits from a stream at a byte address.
    load: fn(stream: &str, bits: u32, align: u32, address: &str) -> String,
}

/// WGSL: storage buffers are no function arguments, so each stream has its own loads.
pub(super) const WGSL: Dialect = Dialect {
    backend: Backend::Wgsl,
    u32: "u32",
    i32: "i32",
    f32: "f32",
    words: "vec4<u32>",
    word: |words, index| format!("{words}[{index}]"),
    f32_from_bits: "bitcast<f32>",
    min: "min",
    address: "u32",
    to_address: "",
    load: |stream, bits, align, address| format!("{stream}_u{bits}_a{align}({address})"),
};

/// HIP: loads take a pointer and say how far it is aligned.
pub(super) const HIP: Dialect = Dialect {
    backend: Backend::Hip,
    u32: "ql_u32",
    i32: "int",
    f32: "float",
    words: "Words",
    word: |words, index| format!("word({words}, {index})"),
    f32_from_bits: "bits_to_f32",
    min: "ql_min",
    address: "ql_u64",
    to_address: "(ql_u64)",
    load: |stream, bits, align, address| format!("load_u{bits}_a{align}({stream}, {address})"),
};

/// Straight-line statements and the expressions that use them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Body {
    pub lets: Vec<Variable>,
    /// One expression per root.
    pub results: Vec<String>,
}

/// One variable of a body.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Variable {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: &'static str,
    pub expr: String,
}

/// A table of the text, its entries printed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TableText {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: &'static str,
    pub values: Vec<String>,
}

/// A table of the buffer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FirstWord {
    /// The constant that says where it begins.
    pub name: String,
    pub value: u32,
}

/// A load that the program uses.
#[derive(Clone, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LoadText {
    pub stream: String,
    pub width: u32,
    pub align: u32,
    /// Whether the stream's buffer has elements of 16 bytes.
    pub wide: bool,
}

/// How tightly an expression binds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    /// Shifts and bitwise operators: always in parentheses, which WGSL demands and people want.
    Loose,
    Sum,
    Product,
    Atom,
}

impl Dialect {
    /// The word for a type.
    fn ty(&self, ty: Type) -> &'static str {
        match ty {
            Type::U32 => self.u32,
            Type::I32 => self.i32,
            Type::F32 => self.f32,
        }
    }

    /// The statements that compute `roots`.
    pub fn body(&self, decoder: &Decoder, roots: &[Value]) -> Body {
        let names = names::variables(decoder, roots);
        let bases = names::bases(decoder, roots, &names);
        let windows = names::windows(decoder, roots, &names);
        let printer =
            Printer { dialect: self, decoder, names: &names, bases: &bases, windows: &windows };
        let mut lets = Vec::new();
        for value in (0..decoder.lets.len() as u32).map(Value) {
            for window in windows.iter().filter(|window| window.first_use == value) {
                let (stream, unit, offset) = window.load;
                let expr = printer.load(stream, 128, unit, offset, window.align);
                lets.push(Variable { name: window.name.clone(), ty: self.words, expr });
            }
            if let Some(name) = names[value.0 as usize].clone() {
                let ty = self.ty(decoder.get(value).ty);
                lets.push(Variable { name, ty, expr: printer.computed(value).0 });
            }
            for base in bases.iter().filter(|base| base.unit == value) {
                let bytes = unsigned(decoder.streams[base.stream as usize].bytes);
                let unit = printer.within(value, Binding::Atom);
                let expr = format!("{}{unit} * {bytes}", self.to_address);
                lets.push(Variable { name: base.name.clone(), ty: self.address, expr });
            }
        }
        Body { lets, results: roots.iter().map(|&root| printer.operand(root).0).collect() }
    }

    /// The tables in a program's text.
    pub fn tables(&self, decoder: &Decoder) -> Vec<TableText> {
        let text = |table: &crate::ir::Table| TableText {
            name: names::table(&table.name),
            ty: self.ty(table.entries.ty()),
            values: match &table.entries {
                Entries::U32(entries) => entries.iter().map(|&entry| unsigned(entry)).collect(),
                Entries::I32(entries) => entries.iter().map(i32::to_string).collect(),
                Entries::F32(entries) => entries.iter().map(|&entry| float(entry)).collect(),
            },
        };
        decoder.tables.iter().filter(|table| table.at.is_none()).map(text).collect()
    }
}

/// Where the tables begin that a program reads from the buffer.
pub(super) fn first_words(decoder: &Decoder) -> Vec<FirstWord> {
    let first = |table: &crate::ir::Table| {
        Some(FirstWord { name: names::first_word(&table.name), value: table.at? })
    };
    decoder.tables.iter().filter_map(first).collect()
}

struct Printer<'a> {
    dialect: &'a Dialect,
    decoder: &'a Decoder,
    names: &'a [Option<String>],
    bases: &'a [names::Base],
    windows: &'a [names::Window],
}

impl Printer<'_> {
    /// A value where it is used: its variable, or the expression itself.
    fn operand(&self, value: Value) -> (String, Binding) {
        match &self.names[value.0 as usize] {
            Some(name) => (name.clone(), Binding::Atom),
            None => self.computed(value),
        }
    }

    /// `function(operand)`.
    fn call(&self, function: &str, operand: Value) -> (String, Binding) {
        (format!("{function}({})", self.operand(operand).0), Binding::Atom)
    }

    /// An operand, in parentheses where it binds more loosely than asked.
    fn within(&self, value: Value, least: Binding) -> String {
        let (text, binding) = self.operand(value);
        if binding < least { format!("({text})") } else { text }
    }

    fn is_number(&self, value: Value) -> bool {
        matches!(self.decoder.get(value).op, Op::U32(_))
    }

    /// The call that loads `bits` bits.
    fn load(&self, stream: u32, bits: u32, unit: Value, offset: Value, align: u32) -> String {
        let base = self.bases.iter().find(|base| (base.stream, base.unit) == (stream, unit));
        let base = base.map_or("0", |base| base.name.as_str());
        let stream = names::stream(stream);
        let address = match self.decoder.get(offset).op {
            Op::U32(0) => base.to_owned(),
            _ => format!("{base} + {}", self.within(offset, Binding::Sum)),
        };
        (self.dialect.load)(&stream, bits, align, &address)
    }

    fn computed(&self, value: Value) -> (String, Binding) {
        let dialect = self.dialect;
        let atom = |text: String| (text, Binding::Atom);
        let ty = self.decoder.get(value).ty;
        match self.decoder.get(value).op {
            Op::Strip => atom("strip".into()),
            Op::Row => atom("row".into()),
            Op::Block => atom("block".into()),
            Op::Rows => atom("shape.n".into()),
            Op::Blocks => atom("per_row".into()),
            Op::Size(size) => atom(format!("shape.size_{size}")),
            Op::U32(number) => atom(unsigned(number)),
            Op::I32(number) if number < 0 => atom(format!("({number})")),
            Op::I32(number) => atom(number.to_string()),
            Op::F32(bits) if f32::from_bits(bits).is_sign_negative() => {
                atom(format!("({})", float(f32::from_bits(bits))))
            }
            Op::F32(bits) => atom(float(f32::from_bits(bits))),
            Op::Load { stream, bits, unit, offset, align } => {
                atom(self.load(stream, bits, unit, offset, align))
            }
            Op::Word { stream, unit, offset, index, .. } => {
                let load = (stream, unit, offset);
                let window = self.windows.iter().find(|window| window.load == load);
                let window = window.map_or("0", |window| window.name.as_str());
                atom(match self.decoder.get(index).op {
                    Op::U32(index @ 0..4) => {
                        format!("{window}.{}", ["x", "y", "z", "w"][index as usize])
                    }
                    _ => (dialect.word)(window, &self.operand(index).0),
                })
            }
            Op::Lookup { table, index } => {
                let table = &self.decoder.tables[table as usize];
                atom(match table.at {
                    None => format!("{}[{}]", names::table(&table.name), self.operand(index).0),
                    Some(_) => {
                        let first = names::first_word(&table.name);
                        format!("tables[{first} + {}]", self.within(index, Binding::Sum))
                    }
                })
            }
            Op::Unary(op, operand) => match op {
                Unary::Neg => {
                    (format!("-{}", self.within(operand, Binding::Atom)), Binding::Product)
                }
                Unary::ToI32 => self.call(dialect.i32, operand),
                Unary::ToF32 => self.call(dialect.f32, operand),
                Unary::F32FromBits => self.call(dialect.f32_from_bits, operand),
                Unary::F32FromF16 => self.call("f16_to_f32", operand),
                Unary::F16FromF32 => self.call("f32_to_f16", operand),
                Unary::ToU32 => self.call(dialect.u32, operand),
                Unary::Rounded => self.call("rounded", operand),
                Unary::SignExtend(32) => self.call(dialect.i32, operand),
                Unary::SignExtend(bits) => {
                    let up = self.within(operand, Binding::Product);
                    let by = 32 - bits;
                    (format!("{}({up} << {by}u) >> {by}u", dialect.i32), Binding::Loose)
                }
            },
            Op::Binary(Binary::Min, left, right) => {
                let (left, right) = (self.operand(left).0, self.operand(right).0);
                atom(format!("{}({left}, {right})", self.dialect.min))
            }
            Op::Binary(Binary::Div, left, right) if !self.is_number(right) => {
                let (left, right) = (self.operand(left).0, self.operand(right).0);
                atom(format!("quotient({left}, {right})"))
            }
            Op::Binary(op, left, right) => {
                let (own, left_least, right_least) = match op {
                    // Floats are added in the order written.
                    Binary::Add if ty == Type::F32 => {
                        (Binding::Sum, Binding::Sum, Binding::Product)
                    }
                    Binary::Add => (Binding::Sum, Binding::Sum, Binding::Sum),
                    Binary::Sub => (Binding::Sum, Binding::Sum, Binding::Product),
                    Binary::Mul => (Binding::Product, Binding::Product, Binding::Atom),
                    Binary::Div | Binary::Rem => {
                        (Binding::Product, Binding::Product, Binding::Atom)
                    }
                    _ => (Binding::Loose, Binding::Atom, Binding::Atom),
                };
                let (left, right) =
                    (self.within(left, left_least), self.within(right, right_least));
                (format!("{left} {} {right}", op.symbol()), own)
            }
        }
    }
}

fn unsigned(number: u32) -> String {
    if number > 0xffff { format!("{number:#010x}u") } else { format!("{number}u") }
}

/// The shortest decimal that reads back as the same bits.
fn float(number: f32) -> String {
    format!("{number:?}f")
}
