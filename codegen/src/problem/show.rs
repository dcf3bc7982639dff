//! Problems as people read them: the line, a caret under what is wrong, and what would be right.

use super::{Path, Problem, Problems};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use std::ops::Range;

/// More are only counted: long lines take their time, and nobody reads on.
const MOST: usize = 50;

/// Characters from which on a line is cut.
const FAR: usize = 1000;

impl Problems {
    /// All problems as text for people, one after the other, without a line break at the end; with
    /// ANSI colours for a terminal that takes them.
    pub fn render(&self, colours: bool) -> String {
        let texts =
            self.list.iter().take(MOST).map(|problem| self.text_of(problem, Level::ERROR, colours));
        let mut texts: Vec<String> = texts.collect();
        if let Some(more) = self.more() {
            let title = Level::ERROR.primary_title(more);
            texts.push(renderer(colours).render(&[Group::with_title(title)]));
        }
        texts.join("\n\n")
    }

    /// A text per problem, without colours and without the word `error` at the start, for compilers
    /// and editors that write it themselves.
    pub fn messages(&self) -> Vec<String> {
        let level = || Level::ERROR.no_name();
        let texts = self.list.iter().take(MOST);
        texts.map(|problem| self.text_of(problem, level(), false)).chain(self.more()).collect()
    }

    /// What is said about the problems that are too many.
    fn more(&self) -> Option<String> {
        let more = self.list.len().checked_sub(MOST).filter(|&more| more > 0)?;
        Some(format!("{} has {more} more problem{}", self.file, if more == 1 { "" } else { "s" }))
    }

    fn text_of(&self, problem: &Problem, level: Level<'_>, colours: bool) -> String {
        let place = problem.range.as_ref().and_then(|range| Place::of(&self.text, range));
        let in_line = |place: &Place| within_its_line(&problem.path, place.line);
        let label = match &place {
            Some(place) if in_line(place) => None,
            _ => Some(shortened(problem.path.to_string(), 200)).filter(|path| !path.is_empty()),
        };
        let title = match (&place, &label) {
            (None, Some(path)) => format!("{path}: {}", problem.message),
            _ => problem.message.clone(),
        };
        let group = Group::with_title(level.primary_title(shortened(title, 500)));
        let group = match place {
            None => group.element(Origin::path(&*self.file)),
            Some(place) => {
                let number = problem.position.map_or(1, |(line, _)| line);
                let snippet = Snippet::source(place.line).line_start(number).path(&*self.file);
                let caret = AnnotationKind::Primary.span(place.range).label(label);
                group.element(snippet.annotation(caret))
            }
        };
        let group = match problem.help.as_str() {
            "" => group,
            help => group.element(Level::HELP.message(shortened(help.to_owned(), 2000))),
        };
        renderer(colours).render(&[group])
    }
}

fn renderer(colours: bool) -> Renderer {
    if colours { Renderer::styled() } else { Renderer::plain() }
}

/// What stands in a descriptor, and so in a message, may be long.
fn shortened(mut text: String, characters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(characters) {
        text.truncate(end);
        text += "...";
    }
    text
}

/// Whether the path says no more than the key that stands at the start of its line.
fn within_its_line(path: &Path, line: &str) -> bool {
    path.0.len() == 1 && line.starts_with(&path.to_string())
}

/// What is wrong in a line; of several lines, the first.
struct Place<'a> {
    line: &'a str,
    range: Range<usize>,
}

impl Place<'_> {
    fn of<'a>(text: &'a str, range: &Range<usize>) -> Option<Place<'a>> {
        let (before, after) = text.split_at_checked(range.start)?;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let length = after.find('\n').unwrap_or(after.len());
        // Of a long line, what lies far behind is not shown, and costs time.
        let far = after.char_indices().nth(FAR).map_or(after.len(), |(end, _)| end);
        let line = text.get(start..range.start + length.min(far))?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        let first = range.start - start;
        let end = range.end.saturating_sub(start).clamp(first.min(line.len()), line.len());
        Some(Place { line, range: first.min(line.len())..end })
    }
}
