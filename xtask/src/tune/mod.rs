//! `tune`: searches the schedules that are fastest on the devices that are here.

#[cfg(feature = "engines")]
mod choices;
#[cfg(feature = "engines")]
mod compare;
#[cfg(feature = "engines")]
mod plan;
#[cfg(feature = "engines")]
pub mod report;
#[cfg(feature = "engines")]
mod search;
#[cfg(all(test, feature = "engines"))]
mod tests;

use crate::bench::gpu::options::{Api, Precision};
use crate::bench::options::Shape;
use crate::failure::Outcome;
use clap::ValueEnum;
use std::path::PathBuf;

/// Search the schedules of kernels that are fastest on this device
///
/// Kernels are compiled with other numbers (invocations and rows of a workgroup, widths of strips, tiles,
/// matrices, steps along k), compared with an f64 reference and timed beside those that are built in, in
/// turn. Numbers that are faster by more than the noise are kept in a table, by kind and precision of
/// kernels and class of shapes, which devices opened with `tuned` read. What was tried is kept with them: an ended search goes on where it
/// ended. Exit code 1 where a kernel computes something wrong.
///
/// Examples:
///   cargo xtask tune                          five minutes on every GPU that is found
///   cargo xtask tune --device cuda --kind matvec --precision int8 --seconds 60
///   cargo xtask tune --quick --file tuning.yaml
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[cfg_attr(not(feature = "engines"), allow(dead_code))]
pub struct Args {
    /// Ways to a GPU, separated by commas [default: all that are there]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "DEVICE")]
    device: Vec<Api>,
    /// Formats whose kernels are timed; gains are means over them [default: the first three of
    /// xtask/bench/formats.yaml]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    format: Vec<String>,
    /// Weight matrices that stand for their class of shapes [default:
    /// 1024x4096,4096x4096,4096x14336,16384x14336; with --quick the first]
    #[arg(long, value_delimiter = ',', value_name = "NxK")]
    shape: Vec<Shape>,
    /// Kinds of kernels, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    kind: Vec<Kind>,
    /// How activations are taken, separated by commas [default: all that a device has]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PRECISION")]
    precision: Vec<Precision>,
    /// Activation rows of a matmul; of those that round, more than 16
    #[arg(long, default_value_t = 512, value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(2..))]
    m: u32,
    /// Seconds for one device, at most but for what has begun [default: 300; with --quick 60]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// MiB that copies of a tensor take together, at least: several times the device's cache [default:
    /// 512; with --quick 64]
    #[arg(long, value_name = "MIB")]
    rotate: Option<u32>,
    /// One shape, fewer copies, less time
    #[arg(long)]
    quick: bool,
    /// The table [default: what QUANTLOOM_TUNING names, else quantloom/tuning.yaml in the user's folder for
    /// configuration]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A kind of kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Decoding to f32
    Dequant,
    /// One activation row
    Matvec,
    /// Up to 16 activation rows, in 8 bits
    Batch,
    /// Several activation rows
    Matmul,
}

/// Runs the command, in a process that is optimized: references take a while.
#[cfg(not(feature = "engines"))]
pub fn run(_: &Args) -> Outcome {
    crate::engine::rerun(crate::engine::Profile::Release)
}

/// Runs the command.
#[cfg(feature = "engines")]
pub fn run(args: &Args) -> Outcome {
    use crate::failure::Failure;
    use crate::{files, print};

    let path = args.file.clone().or_else(quantloom::tuning::user_file);
    let path =
        path.ok_or_else(|| Failure::input("no place for the table; name one with --file"))?;
    let found = search::run(args, &path)?;
    print::out(report::text(&found))?;
    print::out(format!("\nwritten: {}\n", files::shown(&path)))?;
    match found.wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::Differs(format!(
            "kernels compute something wrong: {}",
            found.wrong.join("; ")
        ))),
    }
}

/// Searches on one machine, and keeps what it finds in a file. Each kernel that computes something wrong is
/// `told` of at once.
///
/// # Errors
/// Where the machine fails, or the file cannot be read or written.
#[cfg(feature = "engines")]
pub fn search<M: crate::bench::gpu::machine::Machine>(
    machine: &M,
    backend: quantloom::artifact::Backend,
    seconds: f64,
    file: &std::path::Path,
    quick: bool,
    told: &dyn Fn(&str) -> crate::bench::Result<()>,
) -> crate::bench::Result<()> {
    // Where a device is slow one tensor, and a small one, is enough to wait for.
    let formats = crate::bench::gpu::run::formats(&[])?;
    let format = formats.first().filter(|_| quick).map(|format| format.name.to_string());
    let args = Args {
        device: vec![],
        format: format.into_iter().collect(),
        shape: if quick { vec![Shape { n: 256, k: 2048 }] } else { vec![] },
        kind: vec![],
        precision: vec![],
        m: if quick { 64 } else { 512 },
        seconds: Some(seconds),
        rotate: quick.then_some(8),
        quick,
        file: None,
    };
    let table = match file.is_file() {
        true => quantloom::tuning::Table::read(file)?,
        false => quantloom::tuning::Table::default(),
    };
    let mut search = search::Search::new(plan::Plan::new(&args)?, file, table);
    search.told = told;
    search.device(backend, machine)
}
