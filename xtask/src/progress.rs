//! A bar on a terminal, once something takes long.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Before that, nothing is shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Progress of a command, on standard error if that is a terminal.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// Begins; `total` is in any unit.
    pub fn new(total: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style =
            ProgressStyle::with_template("{percent:>3}% {bar:40} {elapsed}, {eta} left  {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("━━ "));
        }
        Progress { bar, started: Instant::now() }
    }

    /// Says what is being done.
    pub fn at(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// So much more is done.
    pub fn advance(&self, done: u64) {
        if self.bar.is_hidden() && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
