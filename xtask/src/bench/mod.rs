//! `bench`: the CPU's kernels beside those of others, and GPUs' kernels beside what the GPU can do.
//!
//! A package outside the workspace measures CPUs, since it builds ggml and candle; it shares `options`,
//! `timing`, `spread` and `weights` with what is here.

mod cpu;
pub mod gpu;
#[allow(dead_code)] // Read by the package that measures; here they are checked and explained.
pub mod options;
#[cfg(feature = "engines")]
pub mod spread;
#[cfg(feature = "engines")]
pub mod timing;
#[cfg(feature = "engines")]
pub mod weights;

use crate::failure::Outcome;
pub use cpu::PACKAGE;

/// Measure what the kernels can do
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Cpu(options::Cpu),
    Gpu(gpu::Options),
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Cpu(_) => cpu::run(),
        What::Gpu(options) => gpu::run(options),
    }
}

/// Anything that keeps it from measuring.
#[cfg(feature = "engines")]
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
