//! `demo`: real trained weights on every engine.

#[cfg(feature = "engines")]
mod json;
#[cfg(feature = "engines")]
mod measure;
#[cfg(feature = "engines")]
mod table;

use crate::engine::Engine;
use crate::failure::Outcome;
use std::path::PathBuf;

/// Load, dequantize and multiply real weights on every engine, and compare
///
/// Every tensor of a GGUF file is decoded and multiplied with activations by every engine that this
/// machine has. Decoded weights must equal the reference's bit for bit, products an f64 product of
/// decoded weights within 1e-5 of Σ|w·x|. Exit code 1 when anything differs.
///
/// Examples:
///   cargo xtask demo                                     the sample in tests/data
///   cargo xtask demo --gguf model.gguf --engines cpu,wgsl
///   cargo xtask demo --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[cfg_attr(not(feature = "engines"), allow(dead_code))]
pub struct Args {
    /// File to read [default: tests/data/sample.gguf of the repository]
    #[arg(long, value_name = "FILE")]
    gguf: Option<PathBuf>,
    /// Engines to run, separated by commas [default: all there are]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ENGINE")]
    engines: Vec<Engine>,
    /// Print the results for a program
    #[arg(long)]
    json: bool,
}

/// Runs the command.
#[cfg(not(feature = "engines"))]
pub fn run(_: &Args) -> Outcome {
    crate::engine::rerun(crate::engine::Profile::Dev)
}

/// Runs the command.
#[cfg(feature = "engines")]
pub fn run(args: &Args) -> Outcome {
    use crate::failure::Failure;
    use crate::{files, print};

    let path = args.gguf.clone().unwrap_or_else(|| files::root().join("tests/data/sample.gguf"));
    let gguf = quantloom::Gguf::open(&path)?;
    let report = measure::run(&gguf, files::shown(&path), &args.engines)?;
    print::out(if args.json { json::text(&report) } else { table::text(&report) })?;
    match report.differing() {
        0 => Ok(()),
        number => Err(Failure::Differs(format!(
            "{} of {} not decoded and multiplied alike everywhere",
            number,
            print::count(report.tensors.len(), "tensor")
        ))),
    }
}
