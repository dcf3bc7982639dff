//! Text for people: to a terminal, or to a pipe that may close at any time.

use crate::failure::{Failure, Outcome};
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::time::Duration;

/// Writes to standard output. A reader that has seen enough and closed the pipe is no error.
pub fn out(text: impl Display) -> Outcome {
    if cfg!(test) {
        print!("{text}"); // the test harness shows it where a test fails
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.to_string().as_bytes()).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::input(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error, if anyone listens there.
pub fn error(text: &str) {
    if cfg!(test) {
        return eprintln!("{text}");
    }
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether standard output takes colours: a terminal, and `NO_COLOR` is not set.
pub fn colours() -> bool {
    take_colours(std::io::stdout())
}

/// [`colours`] of standard error.
pub fn error_colours() -> bool {
    take_colours(std::io::stderr())
}

fn take_colours(stream: impl IsTerminal) -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stream.is_terminal()
}

/// `12 µs`, `3.4 ms`, `56 s`, `7 min 8 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        ..1e-3 => (seconds * 1e6, "µs"),
        ..1.0 => (seconds * 1e3, "ms"),
        ..120.0 => (seconds, "s"),
        _ => return format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    };
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A number with four decimals at most.
pub fn decimal(number: f64) -> String {
    ((number * 1e4).round() / 1e4).to_string()
}

/// `1 file`, `2 files`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number as u64), if number == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(1234567), "1,234,567");
        assert_eq!(decimal(4.5), "4.5");
        assert_eq!(decimal(4.126953125), "4.127");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1200, "file"), "1,200 files");
        assert_eq!(duration(Duration::from_micros(12)), "12 µs");
        assert_eq!(duration(Duration::from_micros(3400)), "3.4 ms");
        assert_eq!(duration(Duration::from_secs(56)), "56 s");
        assert_eq!(duration(Duration::from_secs(428)), "7 min 8 s");
    }
}
