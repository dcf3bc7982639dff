//! What is wrong with a descriptor: every problem found, each with its place and a way out.

use std::fmt;

/// Everything found wrong with one descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, as the caller named it.
    pub file: String,
    /// At least one problem, in the order found.
    pub list: Vec<Problem>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line and column, counted from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// Where in the descriptor, for example `fields.q.planes[1].k`; empty for the whole of it.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
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
    /// A problem whose position is still to be found.
    pub fn new(path: Path, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem { position: None, path, message: message.into(), help: help.into() }
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
        for (number, problem) in self.list.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file)?;
            if let Some((line, column)) = problem.position {
                write!(f, "{line}:{column}:")?;
            }
            if !problem.path.0.is_empty() {
                write!(f, " {}:", problem.path)?;
            }
            write!(f, " {}", problem.message)?;
            if !problem.help.is_empty() {
                write!(f, "\n    help: {}", problem.help)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
