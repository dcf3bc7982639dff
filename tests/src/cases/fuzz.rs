//! A few seconds of `cargo xtask fuzz`, with the same inputs each time; the command itself takes others.

use crate::fuzz::{Options, TARGETS, run};
use crate::test;
use libtest_mimic::Trial;
use std::time::Duration;

/// For each kind of inputs.
const TIME: Duration = Duration::from_secs(4);

pub fn trials() -> Vec<Trial> {
    let one = |target: &'static crate::fuzz::Target| {
        test(format!("fuzz/{}", target.name), move || {
            let only = [target.name.to_owned()];
            run(&Options { time: TIME, seed: 0, only: &only, number: None }).map(drop)
        })
    };
    TARGETS.iter().map(one).collect()
}
