//! Where paths lead to in the text, found on the error path only by reading it a second time.

use crate::problem::{Part, Path, Problem, Problems, Step};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::ops::Range;

/// Finds what of the text each problem means, where that is unknown.
pub(super) fn resolve(text: &str, file: &str, mut list: Vec<Problem>) -> Problems {
    let index = Index::new(text);
    for problem in &mut list {
        problem.range = match index.find(&problem.path) {
            // The reader's own place is better than that of something around it.
            (_, false) if problem.range.is_some() => problem.range.take(),
            _ if problem.range.is_some() && problem.path.0.is_empty() => problem.range.take(),
            (node, whole) => index.range(node, if whole { &problem.part } else { &Part::Whole }),
        };
    }
    Problems::located(file, text.into(), list)
}

/// The bytes of the character at a line and column, counted from 1; none at the end of the line.
pub(super) fn character(text: &str, line: usize, column: usize) -> Option<Range<usize>> {
    let start = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let line = text.get(start..)?.split('\n').next()?.trim_end_matches('\r');
    let mut characters = line.char_indices().skip(column.checked_sub(1)?);
    let (first, length) =
        characters.next().map_or((line.len(), 0), |(first, found)| (first, found.len_utf8()));
    Some(start + first..start + first + length)
}

/// Every node of a text.
struct Index<'a> {
    text: &'a str,
    /// Byte of every character, and of the end.
    bytes: Vec<usize>,
    /// The first is the root.
    nodes: Vec<Node>,
}

/// A value and its key, places counted in characters.
#[derive(Default)]
struct Node {
    /// How its parent leads to it.
    step: Option<Step>,
    key: Option<Range<usize>>,
    value: Range<usize>,
    content: Content,
    /// Its entries, in order.
    children: Vec<usize>,
}

#[derive(Default)]
enum Content {
    /// A mapping, list or alias.
    #[default]
    Other,
    /// Text or a number, and how many characters of the source stand before it.
    Scalar { text: String, before: usize },
}

/// A mapping or sequence that is open at the current event.
struct Open {
    node: usize,
    mapping: bool,
    /// The key whose value comes next.
    key: Option<(Option<Step>, Range<usize>)>,
}

impl Index<'_> {
    /// Reads as far as the text can be read. The parser bounds how deep it goes.
    fn new(text: &str) -> Index<'_> {
        let mut nodes: Vec<Node> = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            let value = span.start.index()..span.end.index();
            let (content, container) = match event {
                Event::Scalar(text, style, ..) => {
                    let quoted =
                        matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
                    (Content::Scalar { text: text.into_owned(), before: quoted.into() }, None)
                }
                Event::Alias(_) => (Content::Other, None),
                Event::MappingStart(..) => (Content::Other, Some(true)),
                Event::SequenceStart(..) => (Content::Other, Some(false)),
                Event::MappingEnd | Event::SequenceEnd => {
                    if let Some(node) = open.pop().and_then(|open| nodes.get_mut(open.node)) {
                        node.value.end = value.end;
                    }
                    continue;
                }
                _ => continue,
            };
            let mut node = Node { value, content, ..Node::default() };
            let number = nodes.len();
            if let Some(parent) = open.last_mut() {
                match parent.key.take() {
                    None if parent.mapping => {
                        let step = match &node.content {
                            Content::Scalar { text, .. } => Some(Step::Key(text.clone())),
                            Content::Other => None,
                        };
                        parent.key = Some((step, node.value.clone()));
                        // What is inside a key belongs to no path.
                    }
                    Some((step, key)) => (node.step, node.key) = (step, Some(key)),
                    None => {
                        let items = nodes.get(parent.node).map_or(0, |node| node.children.len());
                        node.step = Some(Step::Index(items));
                    }
                }
                let entry = node.step.is_some() || node.key.is_some();
                if let Some(parent) = nodes.get_mut(parent.node).filter(|_| entry) {
                    parent.children.push(number);
                }
            } else if number > 0 {
                break; // a second document
            }
            if let Some(mapping) = container {
                open.push(Open { node: number, mapping, key: None });
            }
            nodes.push(node);
        }
        let bytes = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
        Index { text, bytes, nodes }
    }

    /// The node that a path leads to, or the last one on the way there; and whether it is the
    /// former. Of equal keys the last counts.
    fn find(&self, path: &Path) -> (Option<&Node>, bool) {
        let Some(mut node) = self.nodes.first() else { return (None, false) };
        for step in &path.0 {
            let children = node.children.iter().rev().filter_map(|&child| self.nodes.get(child));
            let Some(next) = children.into_iter().find(|child| child.step.as_ref() == Some(step))
            else {
                return (Some(node), false);
            };
            node = next;
        }
        (Some(node), true)
    }

    /// The bytes of a part; `None` of the whole descriptor, which nothing names.
    fn range(&self, node: Option<&Node>, part: &Part) -> Option<Range<usize>> {
        let node = node?;
        let key = || node.key.clone().map(|key| self.bytes(key));
        let value = || self.bytes(node.value.clone());
        match (part, &node.content) {
            (Part::Key, _) => key().or_else(|| Some(value())),
            (Part::Within(range), Content::Scalar { text, before }) => {
                let source = value();
                let first = source.start + before;
                let within = aligned(text, self.text.get(first..source.end)?, range);
                Some(within.map_or(source, |range| first + range.start..first + range.end))
            }
            (Part::Whole, Content::Other) if node.step.is_none() => None,
            (Part::Whole, Content::Other) => key().or_else(|| Some(value())),
            _ => Some(value()),
        }
    }

    fn bytes(&self, characters: Range<usize>) -> Range<usize> {
        let byte = |character: usize| self.bytes.get(character).copied();
        let start = byte(characters.start).unwrap_or(self.text.len());
        start..byte(characters.end).unwrap_or(self.text.len()).max(start)
    }
}

/// Where a part of a text stands in its source, which may break lines and indent them; `None` where
/// they differ by more than white space.
fn aligned(text: &str, source: &str, range: &Range<usize>) -> Option<Range<usize>> {
    let solid = |(_, character): &(usize, char)| !character.is_whitespace();
    let mut source = source.char_indices().filter(solid);
    let mut found: Option<Range<usize>> = None;
    let mut end = 0; // of what was read
    for (byte, character) in text.char_indices().filter(solid) {
        if byte >= range.end {
            break;
        }
        let (place, same) = source.next()?;
        if character != same {
            return None;
        }
        end = place + character.len_utf8();
        if byte >= range.start {
            found = Some(found.map_or(place, |found| found.start)..end);
        }
    }
    // Nothing but what is missing behind the rest.
    found.or((range.is_empty() && range.end <= text.len()).then_some(end..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that a path and a part of what it leads to mean.
    fn meant<'a>(text: &'a str, path: &str, part: Part) -> Option<&'a str> {
        let problem = Problem::new(super::super::parse_path(path), "", "").part(part);
        let problems = resolve(text, "", vec![problem]);
        problems.list[0].range.clone().map(|range| &text[range])
    }

    #[test]
    fn finds_keys_values_and_items() {
        let text = "a: 1\nfields:\n  q:\n    planes:\n      - {from: x, k: \"8:4\"}\n      - {from: z, k: w}\n";
        for (path, whole) in [
            ("a", "1"),
            ("fields", "fields"),
            ("fields.q", "q"),
            ("fields.missing", "fields"),
            ("fields.q.planes", "planes"),
            ("fields.q.planes[0].k", "\"8:4\""),
            ("fields.q.planes[1].k", "w"),
            ("fields.q.planes[1].bits", "{from: z, k: w}"),
            ("fields.q.planes[2]", "planes"),
        ] {
            assert_eq!(meant(text, path, Part::Whole), Some(whole), "{path}");
        }
        assert_eq!(meant(text, "missing", Part::Whole), None);
        assert_eq!(meant(text, "a", Part::Key), Some("a"));
        assert_eq!(meant(text, "fields.q.planes[0].k", Part::Within(2..3)), Some("4"));
        assert_eq!(meant(text, "fields.q.planes[0]", Part::Value), Some("{from: x, k: \"8:4\"}"));
        assert_eq!(meant("a: 1\na: 2", "a", Part::Whole), Some("2"));
        assert_eq!(meant("a: [", "a", Part::Whole), Some("a"));
        assert_eq!(meant("", "a", Part::Whole), None);
        assert_eq!(meant("? [a, b]\n: c\nd: e\n", "d", Part::Whole), Some("e"));
    }

    #[test]
    fn finds_parts_of_text_in_every_style() {
        // 日 takes three bytes, and a byte order mark stands for nothing.
        for text in [
            "v: 日 * bb + c",
            "\u{feff}v: 日 * bb + c\r\n",
            "v: '日 * bb + c'",
            "v: \"日 *\n  bb + c\"",
            "v: |\n  日 *\n  bb + c\n",
            "v: >-\n    日 * bb\n    + c\n",
        ] {
            assert_eq!(meant(text, "v", Part::Within(6..8)), Some("bb"), "{text}");
        }
        let escaped = "v: \"日 \\x2a bb + c\"";
        assert_eq!(meant(escaped, "v", Part::Within(6..8)), escaped.get(3..));
        assert_eq!(meant("v: ab", "v", Part::Within(9..12)), Some("ab"));
        let missing = Problem::new(Path::of("v"), "", "").part(Part::Within(4..4));
        assert_eq!(resolve("v: 'ab +'", "", vec![missing]).list[0].range, Some(8..8));
    }

    #[test]
    fn positions_count_characters_from_1() {
        let problems = ["a", "b", "none"].map(|path| Problem::new(Path::of(path), "", ""));
        let problems = resolve("日: x\r\na: 1\r\nb: {日: 2}\n", "", problems.to_vec());
        let positions: Vec<_> = problems.list.iter().map(|problem| problem.position).collect();
        assert_eq!(positions, [None, Some((2, 4)), Some((3, 1))]);
    }
}
