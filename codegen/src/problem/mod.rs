//! What is wrong with a descriptor: every problem found, each with its place and a way out.

mod show;

use std::fmt;
use std::ops::Range;

/// Everything found wrong with one descriptor. `Display` shows all of it like a compiler, without
/// colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, as the caller named it.
    pub file: String,
    /// At least one problem, in the order of their places.
    pub list: Vec<Problem>,
    /// The descriptor, whose lines are shown; empty where no problem has a place in it.
    pub(crate) text: String,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line and column (in characters), counted from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// What is wrong in the text: bytes of the descriptor from that position on.
    pub range: Option<Range<usize>>,
    /// Where in the descriptor, for example `fields.q.planes[1].k`; empty for the whole of it.
    pub path: Path,
    /// What is wrong of that which the path leads to.
    pub part: Part,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// What is wrong of that which a path leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// A value that is text or a number; of a mapping or list, the key that names it.
    #[default]
    Whole,
    /// The key. Of several equal ones, the last.
    Key,
    /// The value, whatever it is.
    Value,
    /// These bytes of the value's text.
    Within(Range<usize>),
}

/// A place in a descriptor, printed as `fields.q.planes[1].k`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a sequence.
    Index(usize),
}

impl Path {
    /// The path of a top-level key.
    pub fn of(key: &str) -> Path {
        Path::default().key(key)
    }

    /// One step further, into a mapping.
    pub fn key(&self, key: &str) -> Path {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Path(steps)
    }

    /// One step further, into a sequence.
    pub fn index(&self, index: usize) -> Path {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Path(steps)
    }
}

impl Problem {
    /// The same problem of something inside `path`, where its own path starts.
    pub fn inside(self, path: &Path) -> Problem {
        let steps = path.0.iter().cloned().chain(self.path.0).collect();
        Problem { path: Path(steps), ..self }
    }

    /// A problem whose place is still to be found.
    pub fn new(path: Path, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem {
            position: None,
            range: None,
            path,
            part: Part::default(),
            message: message.into(),
            help: help.into(),
        }
    }

    /// The same problem of another part.
    pub fn part(self, part: Part) -> Problem {
        Problem { part, ..self }
    }
}

impl Problems {
    /// A problem with a file as a whole.
    pub(crate) fn of_file(file: &str, message: String, help: String) -> Problems {
        let problem = Problem::new(Path::default(), message, help);
        Problems { file: file.into(), list: vec![problem], text: String::new() }
    }

    /// All problems at the places they name, in the order of these places.
    pub(crate) fn located(file: &str, text: String, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(|problem| problem.range.as_ref().map(|range| range.start));
        let mut lines = Lines::default();
        for problem in &mut list {
            let start = problem.range.as_ref().map(|range| range.start);
            problem.position = start.map(|start| lines.position(&text, start));
        }
        Problems { file: file.into(), list, text }
    }

    /// What is said about bytes that are no UTF-8 from `valid` on.
    pub(crate) fn not_utf8(file: &str, bytes: &[u8], valid: usize) -> Problems {
        let message = format!("the descriptor is not UTF-8 from byte {valid} on");
        let problem = Problem::new(Path::default(), message, "save it as UTF-8 text");
        let range = Some(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8());
        let text = String::from_utf8_lossy(bytes).into_owned();
        Problems::located(file, text, vec![Problem { range, ..problem }])
    }
}

/// Help with a name that means nothing: the most similar one that does, and all of them.
pub(crate) fn known_are<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    const LONGEST: usize = 64;
    let known: Vec<&str> = known.collect();
    let mut hint = String::new();
    if name.len() <= LONGEST {
        let distances =
            known.iter().map(|&known| (strsim::damerau_levenshtein(name, known), known));
        let length = name.chars().count();
        let close = |distance: usize| distance <= (length / 3).max(1) && distance < length;
        let similar = distances.filter(|(distance, _)| close(*distance));
        if let Some((_, similar)) = similar.min_by_key(|(distance, _)| *distance) {
            hint = format!("did you mean `{similar}`? ");
        }
    }
    match known.as_slice() {
        [] => "there is none here".into(),
        [one] => format!("{hint}the only one is {one}"),
        known => format!("{hint}known are {}", known.join(", ")),
    }
}

/// Finds lines of rising places.
#[derive(Default)]
struct Lines {
    /// Line breaks before `start`.
    before: usize,
    /// Where a line starts.
    start: usize,
}

impl Lines {
    /// Line and column, counted from 1, of the character at a byte.
    fn position(&mut self, text: &str, byte: usize) -> (usize, usize) {
        let from = text.get(self.start..byte).unwrap_or_default();
        self.before += from.matches('\n').count();
        self.start += from.rfind('\n').map_or(0, |end| end + 1);
        let column = text.get(self.start..byte).unwrap_or_default().chars().count();
        (self.before + 1, column + 1)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}
