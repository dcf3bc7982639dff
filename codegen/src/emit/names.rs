//! The one place where names of a descriptor become names in generated code.

use crate::ir::{Binary, Decoder, Op, Type, Value};
use std::collections::HashSet;

/// A name that no backend takes for something else: keywords, built-in functions and the variables of
/// the templates get an underscore.
pub(crate) fn safe(name: &str) -> String {
    if RESERVED.contains(&name) { format!("{name}_") } else { name.into() }
}

/// Name of a stream's buffer. The templates have variables of one letter.
pub(crate) fn stream(name: &str) -> String {
    if name.len() == 1 { format!("{name}_") } else { safe(name) }
}

/// Name of the constant that says where a table begins in the buffer of tables.
pub(crate) fn first_word(table: &str) -> String {
    format!("{}_first", safe(table))
}

/// Names for the variables that hold where units begin: for every stream and unit that a program loads
/// from when `roots` are computed, free beside `variables`.
pub(crate) fn bases(decoder: &Decoder, roots: &[Value], variables: &[Option<String>]) -> Vec<Base> {
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
        let wish = format!("{}_base", stream(&decoder.streams[number as usize].name));
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
pub(crate) struct Base {
    /// The variable's name.
    pub name: String,
    /// Which stream.
    pub stream: u32,
    /// Number of the unit.
    pub unit: Value,
}

/// Names for the variables that hold wide loads: for all that are used when `roots` are computed, free
/// beside `variables`, whose streams' names they are made of.
pub(crate) fn windows(
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
        let name = unique(&format!("{stated}_words"), |name| !taken(name));
        windows.push(Window { name, load, align, first_use: Value(index as u32) });
    }
    windows
}

/// Four words that are loaded together.
pub(crate) struct Window {
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
pub(crate) fn variables(decoder: &Decoder, roots: &[Value]) -> Vec<Option<String>> {
    let uses = uses(decoder, roots);
    let streams = decoder.streams.iter().map(|own| stream(&own.name));
    let tables = decoder.tables.iter().flat_map(|table| {
        [safe(&table.name), first_word(&table.name), format!("{}_entries", safe(&table.name))]
    });
    let mut taken: HashSet<String> = streams.chain(tables).collect();
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
            let name = unique(&safe(&hint), |name| !taken.contains(name));
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

/// Words that mean something in Rust, WGSL, C++ or the templates and that a descriptor could use.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    // Rust
    "as", "async", "await", "box", "const", "crate", "dyn", "enum", "extern", "final", "fn", "gen", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "self",
    "static", "struct", "super", "trait", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "yield",
    // C++ and HIP
    "alignas", "alignof", "and", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char",
    "class", "compl", "concept", "constexpr", "continue", "default", "delete", "do", "double", "else",
    "explicit", "export", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long",
    "mutable", "namespace", "new", "noexcept", "not", "operator", "or", "private", "protected", "public",
    "register", "requires", "return", "short", "signed", "sizeof", "switch", "template", "this", "throw",
    "true", "typedef", "typename", "union", "unsigned", "using", "void", "volatile", "while", "xor",
    // WGSL: keywords, types, built-in functions
    "abs", "acos", "alias", "all", "any", "array", "asin", "atan", "atomic", "binding", "bitcast", "builtin",
    "ceil", "clamp", "compute", "continuing", "cos", "cross", "degrees", "determinant", "diagnostic",
    "discard", "distance", "dot", "enable", "exp", "floor", "fma", "fract", "fragment", "frexp", "function",
    "group", "handle", "id", "interface", "ldexp", "length", "location", "log", "max", "min", "mix", "modf",
    "module", "normalize", "null", "pow", "precise", "ptr", "radians", "read", "refract", "reflect",
    "resource", "round", "sample", "sampler", "saturate", "select", "sign", "sin", "sinh", "smoothstep",
    "sqrt", "step", "storage", "tan", "tanh", "target", "transpose", "trunc", "uniform", "var", "vertex",
    "workgroup", "write", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f16", "f32", "f64", "bf16",
    "usize", "isize", "str", "half", "bits",
    // templates
    "x", "y", "shape", "strip", "strips", "unit", "units", "block", "weights", "quads", "places", "decode",
    "main", "at", "start", "word", "byte", "low", "high", "sum", "row", "first", "edge", "chunk", "stream", "streams",
    "quad", "lane", "groups", "partial", "store", "load_quad", "dot_quad", "store_quad", "weight_tile",
    "activation_tile", "activation", "activations", "decoded", "inside", "own", "part", "slot",
    "sums", "bits_to_f32", "f16_to_f32", "f32_to_f16", "rounded", "tables", "per_row", "rows", "size_0", "size_1",
    "bias", "indices", "store_sum", "store_one", "gather", "element", "nan",
    "output", "outputs", "matrix", "chosen", "counts", "absent", "store_absent", "stop", "width", "piece",
    "columns", "column", "count", "dot_rows", "dot_strip", "first_m", "header", "load_header",
    "load_word", "pitch", "ql_dot4", "run", "runs", "share", "shares", "subgroup", "subgroup_lane", "subgroups",
    "tiles_n", "total", "words", "fill_tables", "quotient", "ql_funnel",
    "weight_strip", "activation_strip", "keep_weights", "keep_activations", "store_edge", "weight_runs",
    "activation_shares", "less_zero", "add_dots", "add_term", "add_terms", "dot_run", "dot_word", "few", "first_n",
    "thread_n", "thread_m",
];
