//! `fuzz`: random descriptors, files and calls until time is up.

use crate::failure::{Failure, Outcome};
use crate::files;

/// Try random descriptors, GGUF files and calls until time is up
///
/// Descriptors are made at random, valid ones, or are damaged copies of those there are; each is refused with a
/// place in its text, or compiles, decodes to its meaning bit by bit and is multiplied so by the CPU in all of
/// its ways. GGUF files have tensors that cannot be, or damage, or are models in two parts. Calls have sizes,
/// shapes, lengths and numbers of groups of any kind. Nothing may panic, hang or be wrong. Prints how many
/// inputs reached each stage; the first finding ends it, with the command that repeats it. Exit code 1 where
/// something is found, or where too few inputs reach lowering or a tensor.
///
/// Examples:
///   cargo xtask fuzz --seconds 600
///   cargo xtask fuzz --only descriptors --seed 7 --number 1234     one input again
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Seconds for all kinds together
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u64,
    /// Other inputs [default: the time]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Kinds of inputs, separated by commas: descriptors, files, calls [default: all]
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// A single input
    #[arg(long, value_name = "NUMBER")]
    number: Option<u64>,
}

/// Runs the command: a program of the crate that tests formats.
pub fn run(args: &Args) -> Outcome {
    let mut cargo = files::cargo();
    cargo.args(["run", "--quiet", "--package", "quantloom-tests", "--bin", "fuzz", "--"]);
    cargo.args(["--seconds", &args.seconds.to_string()]).current_dir(files::root());
    let numbers = [("--seed", args.seed), ("--number", args.number)];
    for (name, number) in numbers.into_iter().filter_map(|(name, own)| Some((name, own?))) {
        cargo.args([name, &number.to_string()]);
    }
    cargo.args(args.only.iter().flat_map(|only| ["--only", only]));
    let status = cargo.status();
    match status.map_err(|error| Failure::input(format!("cannot start cargo: {error}")))?.code() {
        Some(0) => Ok(()),
        code => Err(Failure::Told(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2))),
    }
}
