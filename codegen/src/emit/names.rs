//! The one place where names of a descriptor become names in kernels. Whatever a descriptor calls its
//! members, streams, fields and tables, nothing else has such a name: its own begin with `_` or `table_`, and
//! streams have numbers.

use crate::ir::{Binary, Decoder, Op, Type, Value};
use std::collections::HashSet;

/// Name of a variable: no keyword, function or variable of the templates begins like it.
fn local(name: &str) -> String {
    format!("_{name}")
}

/// Name of a stream's buffer.
pub(super) fn stream(number: u32) -> String {
    format!("stream_{number}")
}

/// Name of the buffer of tables.
pub(super) const TABLES: &str = "tables";

/// Name of a table.
pub(super) fn table(name: &str) -> String {
    format!("table_{name}")
}

/// Name of the constant that says where a table begins in the buffer of tables.
pub(super) fn first_word(table: &str) -> String {
    format!("table_{table}_first")
}

/// Names for the variables that hold where units begin: for every stream and unit that a program loads
/// from when `roots` are computed, free beside `variables`.
pub(super) fn bases(decoder: &Decoder, roots: &[Value], variables: &[Option<String>]) -> Vec<Base> {
    let uses = uses(decoder, roots);
    let mut bases: Vec<Base> = Vec::new();
    for (stated, uses) in decoder.lets.iter().zip(uses) {
        let (Op::Load { stream: number, unit, .. } | Op::Word { stream: number, unit, .. }) =
            stated.op
        else {
            continue;
        };
        if uses == 0 || bases.iter().any(|base| (base.stream, base.unit) == (number, unit)) {
            continue;
        }
        let wish = format!("{}_base", stream(number));
        let taken = |name: &str| {
            bases.iter().any(|base| base.name == name)
                || variables.iter().flatten().any(|other| other == name)
        };
        let name = unique(&wish, |name| !taken(name));
        bases.push(Base { name, stream: number, unit });
    }
    bases
}

/// The first byte of a unit.
pub(super) struct Base {
    /// The variable's name.
    pub name: String,
    /// Which stream.
    pub stream: u32,
    /// Number of the unit.
    pub unit: Value,
}

/// Names for the variables that hold wide loads: for all that are used when `roots` are computed, free
/// beside `variables`, whose streams' names they are made of.
pub(super) fn windows(
    decoder: &Decoder,
    roots: &[Value],
    variables: &[Option<String>],
) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for (index, uses) in uses(decoder, roots).into_iter().enumerate() {
        let own = &decoder.lets[index];
        let Op::Word { stream: number, unit, offset, align, .. } = own.op else { continue };
        let load = (number, unit, offset);
        if uses == 0 || windows.iter().any(|window| window.load == load) {
            continue;
        }
        let stated =
            if own.name.is_empty() { &*decoder.streams[number as usize].name } else { &own.name };
        let taken = |name: &str| {
            windows.iter().any(|window| window.name == name)
                || variables.iter().flatten().any(|other| other == name)
        };
        let name = unique(&local(&format!("{stated}_words")), |name| !taken(name));
        windows.push(Window { name, load, align, first_use: Value(index as u32) });
    }
    windows
}

/// Four words that are loaded together.
pub(super) struct Window {
    /// The variable's name.
    pub name: String,
    /// Stream, number of the unit, first byte in it.
    pub load: (u32, Value, Value),
    /// The address is a multiple of this many bytes.
    pub align: u32,
    /// The first value that is one of the words.
    pub first_use: Value,
}

/// Names for the values that become variables when `roots` are computed, by value number; the others
/// are written where they are used. Floats with a name and everything used twice become variables.
pub(super) fn variables(decoder: &Decoder, roots: &[Value]) -> Vec<Option<String>> {
    let uses = uses(decoder, roots);
    let mut taken: HashSet<String> = HashSet::new();
    decoder
        .lets
        .iter()
        .zip(uses)
        .zip(hints(decoder))
        .map(|((stated, uses), hint)| {
            let float = stated.ty == Type::F32 && !stated.name.is_empty();
            if uses == 0 || stated.op.is_given() || (uses == 1 && !float) {
                return None;
            }
            let name = unique(&local(&hint), |name| !taken.contains(name));
            taken.insert(name.clone());
            Some(name)
        })
        .collect()
}

/// What a person would call each value.
pub(super) fn hints(decoder: &Decoder) -> Vec<String> {
    // Of each value, the first name met on the way to what it is made of.
    let mut known: Vec<&str> = Vec::new();
    let shifts = shifts(decoder);
    let mut hints = Vec::new();
    for (index, stated) in decoder.lets.iter().enumerate() {
        let mut operands = stated.op.operands().map(|operand| known[operand.0 as usize]);
        let first = operands.find(|name| !name.is_empty()).unwrap_or_default();
        known.push(if stated.name.is_empty() { first } else { &stated.name });
        hints.push(match (stated.op, known[index]) {
            (Op::Binary(Binary::Mul, left, right), _)
                if stated.name.is_empty() && stated.ty == Type::F32 =>
            {
                let factors = [left, right].map(|factor| known[factor.0 as usize]);
                match factors {
                    ["", ""] => "factor".into(),
                    ["", name] | [name, ""] => name.into(),
                    names => names.join("_"),
                }
            }
            (_, "") if shifts[index] => "shift".into(),
            (_, "") => "offset".into(),
            (Op::Load { bits: 8, .. }, name) => format!("{name}_byte"),
            (Op::Load { bits: 16, .. }, name) => format!("{name}_half"),
            (Op::Load { .. } | Op::Word { .. }, name) => format!("{name}_word"),
            (_, name) => name.into(),
        });
    }
    hints
}

/// Which values say how far something is shifted.
fn shifts(decoder: &Decoder) -> Vec<bool> {
    let mut shifts = vec![false; decoder.lets.len()];
    for stated in &decoder.lets {
        if let Op::Binary(Binary::Shl | Binary::Shr, _, by) = stated.op {
            shifts[by.0 as usize] = true;
        }
    }
    shifts
}

/// `wish`, or `wish_2`, `wish_3`... until one is free.
pub(super) fn unique(wish: &str, free: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|number| format!("{}_{number}", wish.trim_end_matches('_')));
    std::iter::once(wish.to_string()).chain(numbered).find(|name| free(name)).unwrap_or_default()
}

/// How often each value is read on the way to `roots`.
fn uses(decoder: &Decoder, roots: &[Value]) -> Vec<u32> {
    let mut uses = vec![0; decoder.lets.len()];
    for root in roots {
        uses[root.0 as usize] += 1;
    }
    for index in (0..decoder.lets.len()).rev() {
        if uses[index] > 0 {
            for operand in decoder.lets[index].op.operands() {
                uses[operand.0 as usize] += 1;
            }
        }
    }
    uses
}
