//! Formats x engines x vectors through one check.
//!
//! [`run`] lists every combination as a test with a name of its own, such as
//! `decode/<format>/wgsl/random`; arguments select tests as in any test binary. What could not run says
//! so by name and reason. The environment's `REQUIRE=wgsl,hip,amdgpu,browser` turns such a skip into a
//! failure (`amd` and `cuda` are real GPUs, `matrices` cooperative matrices of `wgsl`, `hiprtc` and `nvrtc`
//! are their own compilers), and `SEED` repeats the random tests of an earlier run.

mod affine;
pub mod amdgpu;
pub mod browser;
mod cases;
pub mod descriptors;
pub mod engine;
pub mod fuzz;
pub mod gpu;
pub mod interpreted;
pub mod nvptx;
mod products;
pub mod seed;
pub mod stand_in;
pub mod subject;
pub mod vendors;

pub use libtest_mimic::Failed;
use libtest_mimic::{Arguments, Trial};
use quantloom::verify::{Checks, Report};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Runs the tests that the arguments select; as `slot` the command of that name, for the tests of it,
/// whose devices work in processes of the same program.
pub fn run() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|first| first == "slot") {
        return xtask::run();
    }
    let arguments = Arguments::from_args();
    let known = engine::ENGINES.iter().map(|engine| engine.name).chain(["amdgpu", "browser"]);
    let known = known.chain(vendors::VENDORS.iter().map(|vendor| vendor.name));
    // `cargo xtask test` sees to these itself.
    let known: Vec<&str> =
        known.chain(cases::LEVELS).chain(["matrices", "mesa", "miri", "asan"]).collect();
    if let Some(name) = engine::required().iter().find(|name| !known.contains(&name.as_str())) {
        eprintln!("REQUIRE names `{name}`; it may name {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    if !arguments.list {
        eprintln!("SEED={}", *seed::SEED);
    }
    let conclusion = libtest_mimic::run(&arguments, cases::all());
    browser::close();
    for note in notes().iter() {
        println!("note: {note}");
    }
    conclusion.exit_code()
}

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn notes() -> std::sync::MutexGuard<'static, Vec<String>> {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that is no failure, but that a reader must be told when all tests have run.
pub fn note(text: String) {
    notes().push(text);
}

/// What a device has passed; subnormals that it flushed are told of at the end.
fn passed(checks: quantloom::Result<Checks>) -> Result<(), Failed> {
    checks?.flushed.iter().for_each(|flushed| note(flushed.to_string()));
    Ok(())
}

/// [`passed`] for all devices of a report.
fn all_passed(report: quantloom::Result<Report>) -> Result<(), Failed> {
    report?.devices.into_iter().try_for_each(|checks| passed(Ok(checks)))
}

/// A test that needs no engine.
fn test(
    name: impl Into<String>,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::test(name, test)
}
