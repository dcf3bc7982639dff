//! Options of `bench gpu`.

use crate::bench::options::Shape;
use clap::ValueEnum;
#[cfg(feature = "engines")]
use quantloom::artifact::Activations;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Measure the GPU kernels beside what the device can do
///
/// Every GPU that is found is measured: through wgpu (Vulkan, Metal, DirectX 12), and with AMD's and
/// NVIDIA's own drivers through HIP texts. One that is missing is named with the reason. Times are the
/// device's own, around batches of launches that nobody waits for; read and copy bandwidth are measured
/// in the same rounds by plain kernels of the same number of bytes. Weights come from memory: copies of
/// a tensor, larger than the cache together, take turns. Results are compared with an f64 reference
/// before they are timed. Exit code 1 where one is wrong.
///
/// Examples:
///   cargo xtask bench gpu                          everything, some minutes on a fast GPU
///   cargo xtask bench gpu --quick                  small tensors, also for software Vulkan
///   cargo xtask bench gpu --device cuda --kind matvec --format q4_k,q6_k
///   cargo xtask bench gpu --kind matmul --m 2,8,16,512 --shape 4096x14336 --seconds 1
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[cfg_attr(not(feature = "engines"), allow(dead_code))]
pub struct Gpu {
    /// Ways to a GPU, separated by commas [default: all that are there]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "DEVICE")]
    pub device: Vec<Api>,
    /// Formats, separated by commas: any that is stored row by row [default: those of
    /// xtask/bench/formats.yaml]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub format: Vec<String>,
    /// Weight matrices, rows x weights per row [default: 16384x14336,4096x14336; with --quick 1024x2048]
    #[arg(long, value_delimiter = ',', value_name = "NxK")]
    pub shape: Vec<Shape>,
    /// Activation rows of products; 1 is a matvec [default: 1,8,512; with --quick 1,8,64]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub m: Vec<u32>,
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub kind: Vec<Kind>,
    /// How activations are taken, separated by commas [default: all that a device has]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PRECISION")]
    pub precision: Vec<Precision>,
    /// With the schedules that `cargo xtask tune` found
    #[arg(long)]
    pub tuned: bool,
    /// Small tensors, fewer copies, a fifth of the time
    #[arg(long)]
    pub quick: bool,
    /// Seconds for one row of the table, after preparation [default: 0.5; with --quick 0.1]
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// MiB that copies of a tensor take together, at least: several times the device's cache [default:
    /// 512; with --quick 64]
    #[arg(long, value_name = "MIB")]
    pub rotate: Option<u32>,
    /// File for all samples and verdicts [default: target/bench-gpu.json]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// File for the plot [default: target/bench-gpu.svg]
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

/// A way to a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// WGSL kernels through wgpu
    Wgpu,
    /// HIP kernels on a GPU of AMD's
    Amd,
    /// HIP kernels on a GPU of NVIDIA's
    Cuda,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One activation row
    Matvec,
    /// Several activation rows
    Matmul,
    /// All weights to f32
    Dequantize,
    /// All weights to f16
    DequantizeF16,
    /// The host's time to record a matvec
    Launch,
}

/// How products take activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// As f32
    Exact,
    /// Activations in 8 bits
    Int8,
    /// Weights and activations in f16, for matrix units
    F16,
}

impl Api {
    /// The name in arguments and tables.
    #[cfg(feature = "engines")]
    pub fn name(self) -> &'static str {
        match self {
            Api::Wgpu => "wgpu",
            Api::Amd => "amd",
            Api::Cuda => "cuda",
        }
    }
}

#[cfg(feature = "engines")]
impl Precision {
    /// The name in arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Exact => "exact",
            Precision::Int8 => "int8",
            Precision::F16 => "f16",
        }
    }

    /// How kernels of this precision read activations.
    pub fn activations(self) -> Activations {
        match self {
            Precision::Exact => Activations::F32,
            Precision::Int8 => Activations::Int8,
            Precision::F16 => Activations::F16,
        }
    }

    /// Whether products of `m` activation rows are computed in this precision: matrix units take more
    /// than a few.
    pub fn serves(self, m: u32) -> bool {
        self != Precision::F16 || m > quantloom::FEW_ROWS
    }

    /// The mean squared error that is allowed, relative to the mean square of what is expected.
    pub fn limit(self) -> f64 {
        match self {
            Precision::Exact => 1e-9,
            Precision::Int8 => 5e-4,
            Precision::F16 => 1e-6,
        }
    }
}
