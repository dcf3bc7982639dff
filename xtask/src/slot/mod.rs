//! `slot`: a few minutes on a GPU, used for what matters most first, with every result kept as it comes.

#[cfg(feature = "engines")]
mod check;
#[cfg(feature = "engines")]
mod clock;
#[cfg(feature = "engines")]
mod job;
#[cfg(feature = "engines")]
mod line;
#[cfg(feature = "engines")]
mod plan;
#[cfg(feature = "engines")]
mod process;
#[cfg(feature = "engines")]
mod report;
#[cfg(feature = "engines")]
mod run;
#[cfg(feature = "engines")]
mod worker;

use crate::bench::gpu::options::Api;
use crate::failure::Outcome;
use std::path::PathBuf;

/// Use a few minutes on a GPU: look around, verify, measure, tune; every result is kept as it comes
///
/// Works on every GPU that is there: NVIDIA's and AMD's through HIP texts, then all through wgpu. In this
/// order: (1) what there is of adapters, drivers and compilers; (2) whether kernels of every kind compute what
/// the main formats mean, on odd and large shapes, with golden vectors that this program carries; (3) `bench
/// gpu`, the most valuable rows first; (4) `tune` with what time is left. Each part has a share of the time, and
/// what it does not need goes to those after it. Devices work in processes of their own: a row that takes too
/// long or ends its process is reported and left, and after the second one in a part its device is left for
/// that part. A device that reads less than 20 GB/s, as software does, gets small tensors.
///
/// Each result is a line of rows.jsonl in the folder; report.txt and report.svg are made of them at the end, or
/// later with --report. This program needs no cargo, repository or network: see xtask/slot/README.md for how to
/// carry it. Exit code 1 where something is wrong or failed.
///
/// Examples:
///   cargo xtask slot --seconds 540 --out slot
///   cargo xtask slot --seconds 120 --out vulkan --device wgpu
///   cargo xtask slot --report slot
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[cfg_attr(not(feature = "engines"), allow(dead_code))]
pub struct Args {
    /// Seconds for everything
    #[arg(long, default_value_t = 540, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(5..=86400))]
    seconds: u64,
    /// Folder for the results, which has none yet
    #[arg(long, value_name = "FOLDER", required_unless_present_any = ["report", "worker"])]
    out: Option<PathBuf>,
    /// Ways to a GPU, separated by commas, in this order [default: cuda,amd,wgpu]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "DEVICE")]
    device: Vec<Api>,
    /// Seconds for one row, after which it counts as hanging
    #[arg(long, default_value_t = 30, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Make the report of a folder again, and run nothing
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["out", "worker"])]
    report: Option<PathBuf>,
    /// Work on this device: what the command starts
    #[arg(long, value_enum, value_name = "DEVICE", hide = true)]
    worker: Option<Api>,
}

/// Runs the command, in a process that is optimized: references take a while.
#[cfg(not(feature = "engines"))]
pub fn run(_: &Args) -> Outcome {
    crate::engine::rerun(crate::engine::Profile::Release)
}

/// Runs the command.
#[cfg(feature = "engines")]
pub fn run(args: &Args) -> Outcome {
    match args {
        Args { worker: Some(api), .. } => worker::run(*api),
        Args { report: Some(folder), .. } => report::make(folder),
        Args { out: Some(folder), .. } => {
            run::run(args, folder)?;
            report::make(folder)
        }
        Args { .. } => Ok(()), // clap asks for one of them
    }
}
