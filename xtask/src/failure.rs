//! How a command fails: one place that turns every error into a message and an exit code.

use crate::print;
use quantloom_codegen::{Error, Problems};
use std::fmt::Display;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Arguments, an input or this machine are not as they must be.
    Input(String),
    /// A descriptor is wrong.
    Descriptor(Problems),
    /// Each of these.
    All(Vec<Failure>),
    /// The command ran, and what it compared differs or what it tested fails.
    Differs(String),
    /// Another process of ours failed with this exit code and has said why.
    #[cfg_attr(feature = "engines", allow(dead_code))]
    Told(u8),
}

/// The result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// An input that is not as it must be.
    pub fn input(problem: impl Display) -> Failure {
        Failure::Input(problem.to_string())
    }

    /// Tells the user, and the shell.
    pub fn report(&self) -> ExitCode {
        ExitCode::from(self.tell())
    }

    /// Tells the user. The exit code.
    pub fn tell(&self) -> u8 {
        if let Some(text) = self.text(print::error_colours()) {
            print::error(&text);
        }
        match self {
            Failure::Input(_) | Failure::Descriptor(_) | Failure::All(_) => 2,
            Failure::Differs(_) => 1,
            Failure::Told(code) => *code,
        }
    }

    /// What the user is told.
    pub fn text(&self, colours: bool) -> Option<String> {
        match self {
            Failure::Input(message) | Failure::Differs(message) => Some(match colours {
                true => format!("\x1b[1;31merror\x1b[0m: {message}"),
                false => format!("error: {message}"),
            }),
            Failure::Descriptor(problems) => Some(problems.render(colours)),
            Failure::All(failures) => {
                let texts: Vec<String> =
                    failures.iter().filter_map(|failure| failure.text(colours)).collect();
                Some(texts.join("\n\n"))
            }
            Failure::Told(_) => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Problems(problems) => Failure::Descriptor(problems),
            defect => Failure::input(defect),
        }
    }
}

#[cfg(feature = "engines")]
impl From<quantloom::Error> for Failure {
    fn from(error: quantloom::Error) -> Failure {
        Failure::input(error)
    }
}
