//! Line and column of a path, found on the error path only by reading the text a second time.

use crate::problem::{Path, Problem, Problems, Step};
use saphyr_parser::{Event, Parser};

/// Fills in the positions that are still unknown.
pub(super) fn resolve(text: &str, file: &str, mut list: Vec<Problem>) -> Problems {
    for problem in &mut list {
        problem.position = problem.position.or_else(|| locate(text, &problem.path, false));
    }
    Problems { file: file.into(), list }
}

/// The position of the last of several equal keys.
pub(super) fn repeated(text: &str, path: &Path) -> Option<(usize, usize)> {
    locate(text, path, true)
}

/// A mapping or sequence that is open at the current event.
struct Open {
    /// The key or index of the entry that comes next or is being read.
    step: Option<Step>,
    /// Whether the next node of a mapping is a key.
    key_next: bool,
    /// How many steps of the wanted path lead to this container; `None` beside the path.
    matched: Option<usize>,
}

/// The position of the deepest node on the way to `path`: that of its key where it has one. Of equal
/// keys the first counts, or the last.
fn locate(text: &str, path: &Path, last: bool) -> Option<(usize, usize)> {
    let mut open: Vec<Open> = Vec::new();
    let mut best: Option<(usize, (usize, usize))> = None;
    for event in Parser::new_from_str(text) {
        // What is too deep for this parser leaves the place reached so far.
        let Ok((event, span)) = event else { break };
        let here = (span.start.line(), span.start.col() + 1);
        let mut note = |depth: usize, key: bool| {
            if best.is_none_or(|(reached, _)| depth > reached || key && last && depth == reached) {
                best = Some((depth, here));
            }
        };
        let container = match &event {
            Event::Scalar(value, ..) => {
                if let Some(parent) = open.last_mut()
                    && parent.key_next
                {
                    let step = Step::Key(value.to_string());
                    if let Some(depth) = parent.matched
                        && path.0.get(depth) == Some(&step)
                    {
                        note(depth + 1, true);
                    }
                    parent.step = Some(step);
                    parent.key_next = false;
                    continue;
                }
                None
            }
            Event::Alias(_) => None,
            Event::MappingStart(..) => Some(true),
            Event::SequenceStart(..) => Some(false),
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                continue;
            }
            _ => continue,
        };
        // A node that is a value: descend by one step of its parent.
        let matched = match open.last_mut() {
            None => Some(0),
            Some(parent) => {
                let step = parent.step.clone();
                match &mut parent.step {
                    Some(Step::Index(index)) => *index += 1,
                    _ => parent.key_next = true,
                }
                parent
                    .matched
                    .filter(|&depth| step.is_some() && path.0.get(depth) == step.as_ref())
                    .map(|depth| depth + 1)
            }
        };
        if let Some(depth) = matched {
            note(depth, false);
        }
        if let Some(mapping) = container {
            let step = (!mapping).then_some(Step::Index(0));
            open.push(Open { step, key_next: mapping, matched });
        }
    }
    best.map(|(_, position)| position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_keys_and_items() {
        let text =
            "a: 1\nfields:\n  q:\n    planes:\n      - {from: x, k: y}\n      - {from: z, k: w}\n";
        let path = Path::of("fields").key("q").key("planes").index(1).key("k");
        assert_eq!(locate(text, &path, false), Some((6, 19)));
        assert_eq!(locate(text, &Path::of("fields").key("q"), false), Some((3, 3)));
        assert_eq!(locate(text, &Path::of("fields").key("missing"), false), Some((2, 1)));
        assert_eq!(locate(text, &Path::default(), false), Some((1, 1)));
        assert_eq!(locate("a: [", &Path::of("a"), false), Some((1, 1)));
        assert_eq!(repeated("a: 1\na: 2", &Path::of("a")), Some((2, 1)));
    }
}
