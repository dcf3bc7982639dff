//! The text of a kernel, in pieces: what many kernels have in common stands once.
//!
//! A piece is a section of a file: what follows the line `//: {name}`, up to the next line that starts so. In
//! the entry point's piece a line `//> {name}` stands for what depends on the decoder around it: the buffers
//! that it reads, and the call that fills its tables.

use crate::Text;
use std::collections::HashSet;

/// Which pieces a kernel's text is joined of.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// The file of pieces that kernels of several formats have in common.
    pub helpers: Text,
    /// The file of the format's decoders.
    pub decoders: Text,
    /// The file of entry points.
    pub kernels: Text,
    /// Sections of [`Pieces::helpers`] that stand first, with spaces between: types, bindings, barriers, what
    /// becomes of sums.
    pub vocabulary: Text,
    /// Section of [`Pieces::decoders`], what of the text is the format's own; before it that of the same name and
    /// `.sizes`, its constants.
    pub decoder: Text,
    /// Sections of [`Pieces::helpers`] that the decoder calls, with spaces between; they stand before it.
    pub calls: Text,
    /// The streams that the decoder reads, such as `s2`, and `t` where it also reads tables.
    pub buffers: Text,
    /// Whether the decoder has tables that must be brought to workgroup memory.
    pub filled: bool,
    /// Weights and strips of a unit that is decoded; a strip is what an invocation decodes at once.
    pub unit: [u32; 2],
    /// Section of [`Pieces::kernels`] that stands last: the entry point, and what it calls.
    pub kernel: Text,
}

/// What starts the line that names a section.
const MARK: &str = "//: ";
const LINE_MARK: &str = "\n//: ";

/// What starts the line that stands for another piece.
const INCLUDE: &str = "//> ";

/// What such lines name, and whether there is one for each choice of buffers.
const INCLUDED: [(&str, bool); 3] = [("parameters", true), ("arguments", true), ("fill", false)];

/// What stands for the name of the entry point.
const ENTRY: &str = "ql_entry";

/// The section of a file that has this name; empty where there is none.
pub fn section<'a>(file: &'a str, name: &str) -> &'a str {
    let mut rest = file;
    while let Some(at) = next_mark(rest) {
        let (line, text) = rest[at + MARK.len()..].split_once('\n').unwrap_or_default();
        if line == name {
            let text = &text[..next_mark(text).unwrap_or(text.len())];
            let last = text.trim_end_matches('\n').len();
            return &text[..text.len().min(last + 1)];
        }
        rest = text;
    }
    ""
}

/// A section as it stands in a file: the line that names it, and its text, which is whole lines.
pub fn as_section(name: &str, text: &str) -> String {
    format!("{MARK}{name}\n{text}")
}

/// Where the next line begins that names a section.
fn next_mark(text: &str) -> Option<usize> {
    match text.starts_with(MARK) {
        true => Some(0),
        false => text.find(LINE_MARK).map(|at| at + 1),
    }
}

impl Pieces {
    /// A text that is not in pieces.
    pub fn whole(text: &str) -> Pieces {
        let kernel = Text::Borrowed("whole");
        let kernels = as_section(&kernel, text).into();
        let none = Text::Borrowed("");
        Pieces {
            helpers: none.clone(),
            decoders: none.clone(),
            kernels,
            vocabulary: none.clone(),
            decoder: none.clone(),
            calls: none.clone(),
            buffers: none,
            filled: false,
            unit: [0; 2],
            kernel,
        }
    }

    /// Names of all sections of [`Pieces::helpers`] that are used.
    pub fn helpers(&self) -> Vec<String> {
        let included = INCLUDED.iter().filter_map(|(name, _)| self.included(name));
        let named = names(&self.vocabulary).chain(names(&self.calls)).map(str::to_owned);
        named.chain(included).collect()
    }

    /// Names of the two sections of [`Pieces::decoders`], the first of which stands before what is called.
    pub fn decoder(&self) -> [String; 2] {
        [format!("{}.sizes", self.decoder), self.decoder.to_string()]
    }

    /// The section that a line stands for.
    fn included(&self, name: &str) -> Option<String> {
        let (_, by_buffers) = INCLUDED.iter().find(|(known, _)| *known == name)?;
        match by_buffers {
            true => Some(format!("{name}.{}", self.buffers)),
            false => self.filled.then(|| name.to_owned()),
        }
    }

    /// The text for an entry point of this name: each piece once, where it is named first.
    pub(crate) fn join(&self, entry: &str) -> String {
        let helper = |name: &str| section(&self.helpers, name);
        let [sizes, decoder] = self.decoder().map(|name| section(&self.decoders, &name));
        let kernel = section(&self.kernels, &self.kernel);
        let mut seen = HashSet::new();
        let mut text = String::new();
        let mut add = |piece: &str| {
            if !piece.is_empty() && seen.insert(piece.to_owned()) {
                let between = if text.is_empty() { "" } else { "\n" };
                text.extend([between, piece]);
            }
        };
        names(&self.vocabulary).for_each(|name| add(helper(name)));
        add(sizes);
        names(&self.calls).for_each(|name| add(helper(name)));
        add(decoder);
        add(&self.filled_in(kernel));
        text.replace(ENTRY, entry)
    }

    /// An entry point with what its lines stand for.
    fn filled_in(&self, kernel: &str) -> String {
        let mut text = String::new();
        for line in kernel.lines() {
            let start = line.trim_start();
            let Some(name) = start.strip_prefix(INCLUDE) else {
                text.extend([line, "\n"]);
                continue;
            };
            let indent = &line[..line.len() - start.len()];
            let piece = self.included(name).unwrap_or_default();
            for line in section(&self.helpers, &piece).lines() {
                text.extend([indent, line, "\n"]);
            }
        }
        text
    }

    /// Names and texts of all sections that are used.
    fn sections(&self) -> Vec<(String, &str)> {
        let from = |file, name: String| {
            let text = section(file, &name);
            (name, text)
        };
        let helpers = self.helpers().into_iter().map(|name| from(&self.helpers, name));
        let decoder = self.decoder().into_iter().map(|name| from(&self.decoders, name));
        helpers.chain(decoder).chain([from(&self.kernels, self.kernel.to_string())]).collect()
    }
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ').filter(|name| !name.is_empty())
}

/// The same pieces, of the same names, wherever they stand.
impl PartialEq for Pieces {
    fn eq(&self, other: &Pieces) -> bool {
        let same = (&self.vocabulary, &self.calls, self.filled, self.unit)
            == (&other.vocabulary, &other.calls, other.filled, other.unit);
        same && self.sections() == other.sections()
    }
}

impl Eq for Pieces {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_end_where_the_next_begins() {
        let file = "// head\n\n//: a\none\n\ntwo\n\n//: ab\n//: b\nthree\n";
        let texts = ["a", "ab", "b", "c"].map(|name| section(file, name));
        assert_eq!(texts, ["one\n\ntwo\n", "", "three\n", ""]);
        assert_eq!(section(&as_section("a", "one\n"), "a"), "one\n");
    }

    #[test]
    fn pieces_stand_once_and_in_order() {
        let helpers = "//: a\na\n//: b\nb\n//: c\nc\n//: parameters.s1t\nstream_0,\ntables,\n//: fill\nfill();\n";
        let pieces = |filled: bool| Pieces {
            helpers: helpers.into(),
            decoders: "//: d.sizes\nsizes\n//: d\ndecode\n".into(),
            vocabulary: "a b".into(),
            calls: "c a".into(),
            decoder: "d".into(),
            buffers: "s1t".into(),
            filled,
            ..Pieces::whole("void ql_entry(\n    //> parameters\n    y) {\n  //> fill\n}\n")
        };
        let start =
            "a\n\nb\n\nsizes\n\nc\n\ndecode\n\nvoid mine(\n    stream_0,\n    tables,\n    y) {\n";
        assert_eq!(pieces(true).join("mine"), format!("{start}  fill();\n}}\n"));
        assert_eq!(pieces(false).join("mine"), format!("{start}}}\n"));
        assert_eq!(
            pieces(true).helpers(),
            ["a", "b", "c", "a", "parameters.s1t", "arguments.s1t", "fill"]
        );
        assert_ne!(pieces(true), pieces(false));
    }
}
