//! Options of `bench cpu`: declared once, read by the command and by the package that measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Measure the CPU kernels beside ggml, candle and what the machine can do
///
/// Every product and dequantization is timed in turn with the same call of ggml (plain and repacked
/// buffers) and candle, in one process for each number of threads. Weights come from memory: copies
/// of a tensor, larger than the last-level cache together, take turns. Results are compared with an
/// f64 reference. Read and write bandwidth and an f32 matmul are measured in the same run.
///
/// The first run builds the peers in target/bench, about five minutes on two cores. That takes cmake,
/// a C++ compiler and libclang (Debian: cmake g++ libclang-dev). All is built for this processor.
///
/// Examples:
///   cargo xtask bench cpu --quick
///   cargo xtask bench cpu --format q4_k,q6_k --kind matmul --m 128 --threads 1
///   cargo xtask bench cpu --kind matvec --no-peers --seconds 0.2
///   cargo xtask bench cpu                    everything: about half an hour
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Cpu {
    /// Formats, separated by commas: any that is stored row by row [default: those of
    /// xtask/bench/formats.yaml]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub format: Vec<String>,
    /// Weight matrices, rows x weights per row [default: 4096x4096,4096x14336; with --quick the first]
    #[arg(long, value_delimiter = ',', value_name = "NxK")]
    pub shape: Vec<Shape>,
    /// Activation rows of products; 1 is a matvec [default: 1,8,128,512; with --quick 1,8,128]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub m: Vec<usize>,
    /// Numbers of threads, each measured in a process of its own [default: 1,2]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub threads: Vec<usize>,
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub kind: Vec<Kind>,
    /// One shape, few activation rows, a fifth of the time
    #[arg(long)]
    pub quick: bool,
    /// Seconds that contenders of one row of the table share, after preparation [default: 2.5; with
    /// --quick 0.5]
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Measure ours alone
    #[arg(long)]
    pub no_peers: bool,
    /// File for all samples and verdicts [default: target/bench-cpu.json]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// File for the plot [default: target/bench-cpu.svg]
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// All weights to f32
    Dequantize,
    /// All weights to f16
    DequantizeF16,
    /// One activation row
    Matvec,
    /// Several activation rows
    Matmul,
}

/// Weights `[n, k]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub n: usize,
    /// Weights per row.
    pub k: usize,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        let number = |text: &str| text.parse().ok().filter(|&number: &usize| number > 0);
        let sides = text.split_once('x').and_then(|(n, k)| Some((number(n)?, number(k)?)));
        sides.map(|(n, k)| Shape { n, k }).ok_or_else(|| "write ROWSxWEIGHTS, as 4096x4096".into())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.n, self.k)
    }
}
