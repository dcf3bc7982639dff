//! What a device is asked to do, one line of JSON each.

use crate::bench::gpu::options::Kind;
use crate::bench::options::Shape;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// A part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Look,
    Verify,
    Bench,
    Tune,
}

/// One thing to do on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Open it and tell what it is.
    Open,
    /// Compare what kernels of a format compute with what it means.
    Verify { format: String, check: Check, small: bool },
    /// Find out how fast it reads.
    Probe,
    /// A row of `bench gpu`.
    Bench { format: String, shape: Shape, kind: Kind, m: u32, small: bool },
    /// Search schedules for so many seconds, and keep them in a file.
    Tune { seconds: f64, file: PathBuf, small: bool },
}

/// What is compared of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Numbers from elsewhere.
    Golden,
    /// Everything with f32 activations on random tensors of odd shapes: decoding, look-up, products,
    /// epilogues, experts.
    Exact,
    /// Products with 8-bit activations, and their epilogues.
    Int8,
    /// Products by matrix units, and their epilogues.
    F16,
    /// Grids of two dimensions.
    Grids,
    /// More experts, of several rows each.
    Experts,
    /// Products of large tensors in every precision.
    Large,
}

impl Check {
    /// The name in lines and reports.
    pub fn name(self) -> &'static str {
        match self {
            Check::Golden => "golden vectors",
            Check::Exact => "exact",
            Check::Int8 => "int8",
            Check::F16 => "f16",
            Check::Grids => "grids of two dimensions",
            Check::Experts => "experts",
            Check::Large => "large tensors",
        }
    }
}

/// What it is, for people.
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Job::Open => f.write_str("opening"),
            Job::Verify { format, check, .. } => write!(f, "{format}, {}", check.name()),
            Job::Probe => f.write_str("reading"),
            Job::Bench { format, shape, kind, m, .. } => match kind {
                Kind::Matvec => write!(f, "{format} {shape} matvec"),
                Kind::Matmul => write!(f, "{format} {shape} m={m}"),
                Kind::Dequantize => write!(f, "{format} {shape} dequantize"),
                Kind::DequantizeF16 => write!(f, "{format} {shape} dequantize to f16"),
                Kind::Launch => write!(f, "{format} recording a matvec"),
            },
            Job::Tune { seconds, .. } => write!(f, "search of {seconds:.0} s"),
        }
    }
}
