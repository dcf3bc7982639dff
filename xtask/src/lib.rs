//! Quantloom's commands. `cargo xtask --help` lists them.

pub mod atlas;
mod bench;
mod decode;
mod demo;
mod draft;
mod engine;
mod explain;
mod failure;
mod files;
mod fuzz;
mod generate;
#[cfg(feature = "engines")]
pub mod golden;
mod new;
mod print;
#[cfg(feature = "engines")]
mod progress;
mod slot;
mod suite;
mod templates;
mod tune;
mod whole;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs the command that the arguments name. Exit code 0: all is well; 1: something differs or
/// fails a test; 2: the arguments or an input are wrong.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::New(args) => new::run(&args),
        Command::Gen(args) => generate::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Atlas(args) => atlas::run(&args),
        Command::Test(args) => suite::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Slot(args) => slot::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Quantization formats in, kernels out.
///
/// Descriptors in formats/ are compiled into CPU decoders, WGSL kernels and HIP kernels; these
/// commands write them, show them and prove them. Each explains itself: cargo xtask gen --help
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true,
    verbatim_doc_comment
)]
#[command(
    after_help = "Exit code: 0 all is well, 1 something differs or fails, 2 wrong arguments or input."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::Args),
    Gen(generate::Args),
    Demo(demo::Args),
    Decode(decode::Args),
    Explain(explain::Args),
    Atlas(atlas::Args),
    Test(suite::Args),
    Bench(bench::Args),
    Tune(tune::Args),
    Slot(slot::Args),
    Fuzz(fuzz::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_declared_consistently() {
        super::Cli::command().debug_assert();
    }
}
