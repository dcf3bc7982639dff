//! The descriptor as it is written: YAML into plain structs, nothing checked but keys and types.
//! `formats/README.md` is the reference of the language.

mod amount;
mod ordered;
mod position;
mod types;

pub use amount::{Amount, Params};
pub use ordered::Ordered;
pub use types::{FloatText, TypeText};

use crate::problem::{Part, Path, Problem, Problems, Step, known_are};
use serde::Deserialize;

/// Longer texts are refused unread; the largest descriptor with tables of its own is a tenth of it.
const MAX_BYTES: usize = 1 << 20;

/// The reader's time grows with the square of the open brackets.
const MAX_DEPTH: usize = 64;

/// One format, as its author wrote it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Name: lower case, also the name of the file, the kernels and the decoder's module.
    pub format: String,
    /// One line that says what it is.
    pub title: String,
    /// Where the storage was first defined.
    pub reference: Option<String>,
    /// Number of the tensor type in GGUF files.
    pub gguf: Option<u32>,
    /// Parameters and the values each may have: the descriptor stands for a format per choice.
    #[serde(default)]
    pub params: Ordered<Vec<u32>>,
    /// Sizes chosen with each tensor, and their defaults in weights.
    #[serde(default)]
    pub sizes: Ordered<u32>,
    /// Weights per block.
    pub weights: Option<Amount>,
    /// Members of a block in storage order, where a block is one run of bytes.
    pub block: Option<Ordered<String>>,
    /// Streams, where the parts of a block lie in tensors of their own.
    pub streams: Option<Ordered<StreamText>>,
    /// Values read from the members.
    #[serde(default)]
    pub fields: Ordered<FieldText>,
    /// Tables from code to value.
    #[serde(default)]
    pub tables: Ordered<TableText>,
    /// The formula of a weight.
    pub value: String,
}

/// One tensor of a planar format.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamText {
    /// What one unit covers.
    pub tile: TileText,
    /// `rows`, `flat` or `columns`: which unit lies behind a unit.
    pub view: Option<String>,
    /// Bytes of the words that a unit is cut into, one row of units apart.
    pub word: Option<u32>,
    /// Members of a unit in storage order.
    pub unit: Ordered<String>,
}

/// Weights that one unit of a stream covers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TileText {
    /// Consecutive weights along k: a number, a multiple of a size, or `all`.
    pub k: Amount,
    /// Rows: a number or `all`; 1 where left out.
    pub n: Option<Amount>,
}

/// One value per so many consecutive weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldText {
    /// The member that holds it, where it has a single plane.
    pub from: Option<String>,
    /// Bits of its single plane.
    pub bits: Option<Amount>,
    /// First bit of its single plane in the member.
    pub at: Option<Amount>,
    /// Layout of its single plane along k.
    pub k: Option<String>,
    /// Layout of its single plane along n.
    pub n: Option<String>,
    /// Layout of a number that is computed from the weight's place in the block and stored nowhere.
    pub index: Option<String>,
    /// Field that says which unit along k holds the value.
    pub gather: Option<String>,
    /// Its planes, low part first.
    pub planes: Option<Vec<PlaneText>>,
    /// `u`, `i`, `f16`, `bf16`, `f32`, `pad`, or the parts of a small float.
    #[serde(rename = "type")]
    pub ty: Option<TypeText>,
    /// Subtracted from the stored integer.
    pub bias: Option<i32>,
    /// The integer less its bias keeps to the stored bits: what leaves at one end enters at the other.
    #[serde(default)]
    pub wrap: bool,
    /// Consecutive weights that share one value.
    pub per: Option<Amount>,
    /// Its bits are also read by other fields.
    #[serde(default)]
    pub shared: bool,
}

/// Some bits of every value of a field.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaneText {
    /// The member that holds it.
    pub from: String,
    /// Bits it contributes to each value.
    pub bits: Option<Amount>,
    /// Its first bit in the member.
    pub at: Option<Amount>,
    /// Its layout along k, `"(shape):(stride in bits)"`.
    pub k: Option<String>,
    /// Its layout along n.
    pub n: Option<String>,
}

/// A table from code to value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableText {
    /// `i8` or `f32`.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// Values per entry of a table of vectors.
    pub lanes: Option<u32>,
    /// The values, by code; those of a vector one after another.
    pub values: Option<Vec<f64>>,
    /// What the digits stand for.
    pub levels: Option<Vec<f64>>,
    /// Instead of `values`: a digit for each, 0 to 9 and then a to z, that says which level it is.
    pub digits: Option<String>,
    /// Instead of all: the member that holds the table.
    pub from: Option<String>,
}

impl Descriptor {
    /// Reads a descriptor. `file` is only named in problems.
    pub fn parse(text: &str, file: &str) -> Result<Descriptor, Problems> {
        let text = without_mark(text);
        if text.len() > MAX_BYTES {
            let message = format!("the descriptor has {} bytes", text.len());
            let help =
                format!("a descriptor has at most {MAX_BYTES} bytes; is this the right file?");
            return Err(Problems::of_file(file, message, help));
        }
        if let Some(bracket) = too_deep(text) {
            let help = format!("at most {MAX_DEPTH} open brackets");
            let problem =
                Problem::new(Path::default(), "the descriptor is nested too deeply", help);
            let problem = Problem { range: Some(bracket..bracket + 1), ..problem };
            return Err(Problems::located(file, text.into(), vec![problem]));
        }
        serde_yaml::from_str(text).map_err(|error| {
            let problem = syntax_problem(&error, text);
            position::resolve(text, file, vec![problem])
        })
    }

    /// Names the lines of problems found later in this descriptor.
    pub fn locate(text: &str, file: &str, list: Vec<Problem>) -> Problems {
        position::resolve(without_mark(text), file, list)
    }
}

/// The text without a byte order mark, which the reader would take for an indentation.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The byte of a bracket that has too many open ones around it.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(place);
        }
    }
    None
}

/// How the reader's messages start that are about a path.
const SAID: [&str; 8] = [
    "unknown field",
    "missing field",
    "duplicate field",
    "invalid type",
    "invalid value",
    "invalid length",
    "the key `",
    ordered::TOO_MANY,
];

/// Takes the reader's message apart: `fields.q: unknown field `x`, expected ... at line 3 column 5`.
fn syntax_problem(error: &serde_yaml::Error, text: &str) -> Problem {
    let said = error.to_string();
    let said = said.find(" at line ").map_or(said.as_str(), |end| &said[..end]);
    let (path, message) = match SAID.iter().filter_map(|start| said.find(start)).min() {
        Some(0) | None => (Path::default(), said),
        // A path and a colon stand before it.
        Some(start) => (
            parse_path(said.get(..start.saturating_sub(2)).unwrap_or_default()),
            said.get(start..).unwrap_or_default(),
        ),
    };
    let (message, expected) = match message.split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (message, None),
    };
    let key = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("unknown field") {
        let known = expected.unwrap_or_default().split('`').skip(1).step_by(2);
        let help = known_are(key, known);
        return Problem::new(path.key(key), format!("unknown key `{key}`"), help).part(Part::Key);
    }
    if message.starts_with("duplicate field") || message == ordered::twice(key) {
        let help = "keep one of them";
        return Problem::new(path.key(key), ordered::twice(key), help).part(Part::Key);
    }
    if message.starts_with("missing field") {
        let help = format!("add `{key}:`");
        return Problem::new(path, format!("the key `{key}` is missing"), help);
    }
    let (message, help, part) = match expected {
        _ if message == ordered::TOO_MANY => {
            (message.to_owned(), "is this the right file?".to_owned(), Part::Whole)
        }
        Some(expected) => {
            let (expected, example) = meant(expected);
            let message = format!("expected {expected}, found {}", found(message));
            (message, format!("write {expected}{example}"), Part::Value)
        }
        None => {
            let help = "this is not YAML: check brackets, quotes and indentation";
            (message.to_owned(), help.to_owned(), Part::Whole)
        }
    };
    let range = error.location().and_then(|at| position::character(text, at.line(), at.column()));
    Problem { range, ..Problem::new(path, message, help).part(part) }
}

/// What a Rust type is called in a descriptor, and how to write one.
fn meant(expected: &str) -> (&str, &str) {
    match expected {
        "u32" => ("a whole number from 0 up", ""),
        "i32" => ("a whole number", ""),
        "f64" => ("a number", ""),
        "a string" => ("text", ", in quotes where it has brackets or a colon"),
        "a boolean" => ("true or false", ""),
        "field identifier" => ("a key of plain text", ""),
        "an amount" => ("a whole number", ", or a product of numbers and parameters"),
        "a type" => ("a type", ": its name, or the parts of a small float, {exponent: 8, ...}"),
        "a sequence" => ("a list", ", as in [a, b, c]"),
        "a mapping" => ("a mapping", ", as in {key: value}"),
        _ if expected.starts_with("struct ") => ("a mapping", ", as in {key: value}"),
        _ => (expected, ""),
    }
}

/// What the reader calls a value, in words of a descriptor: `invalid type: integer `-6``.
fn found(message: &str) -> String {
    let found = message.split_once(": ").map_or(message, |(_, found)| found);
    let value = ["integer ", "floating point ", "boolean "]
        .iter()
        .find_map(|kind| found.strip_prefix(kind));
    match (found, value) {
        (_, Some(value)) => value.to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("map", _) => "a mapping".to_owned(),
        ("unit value" | "null", _) => "nothing".to_owned(),
        _ => match found.strip_prefix("string ") {
            Some(text) => format!("the text {text}"),
            None => found.to_owned(),
        },
    }
}

fn parse_path(text: &str) -> Path {
    let steps = text.split(['.', '[']).map(|step| match step.strip_suffix(']') {
        Some(index) => index.parse().map_or_else(|_| Step::Key(index.into()), Step::Index),
        None => Step::Key(step.into()),
    });
    Path(steps.collect())
}
