//! How a command fails: one place that turns every error into a message and an exit code.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Arguments, an input or this machine are not as they must be.
    Input(String),
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
    pub fn report(self) -> ExitCode {
        let (message, code) = match self {
            Failure::Input(message) => (message, 2),
            Failure::Differs(message) => (message, 1),
            Failure::Told(code) => return ExitCode::from(code),
        };
        crate::print::error(&format!("error: {message}"));
        ExitCode::from(code)
    }
}

#[cfg(feature = "engines")]
impl From<quantloom::Error> for Failure {
    fn from(error: quantloom::Error) -> Failure {
        Failure::input(error)
    }
}
