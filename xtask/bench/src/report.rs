//! What was found: samples as they were taken. Written as JSON, and read back from the processes that
//! measure.

use crate::contender::{Engine, Label};
use crate::options::{Kind, Shape};
pub use crate::spread::Spread;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub runs: Vec<Run>,
}

/// Where it was measured, and with what.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub last_level_cache_bytes: usize,
    pub rustflags: String,
    /// Versions of the peers.
    pub peers: Vec<String>,
}

/// What one process measured.
#[derive(Debug, Serialize)]
pub struct Run {
    pub threads: usize,
    /// Share of the processor's time that other processes took meanwhile; figures suffer from it.
    pub others: Option<f64>,
    pub ceilings: Vec<Ceiling>,
    pub rows: Vec<Row>,
    /// Why it ended early.
    pub failure: Option<String>,
}

/// What a process tells the one that started it, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    Ceiling(Ceiling),
    Row(Row),
    /// See [`Run::others`].
    Others(f64),
}

/// What the machine can do at best: GB/s of memory, or GFLOPS.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ceiling {
    pub name: String,
    /// Of a product.
    pub shape: Option<Shape>,
    /// Activation rows of a product.
    pub m: usize,
    pub rates: Vec<f64>,
}

/// One kind of call with one tensor, by everyone who can.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    pub format: String,
    pub kind: Kind,
    pub shape: Shape,
    /// Activation rows; 0 without.
    pub m: usize,
    /// Native bytes of the weights.
    pub bytes: usize,
    /// Weights that share scale and offset, where integer products exist.
    pub run: Option<u32>,
    pub measured: Vec<Measured>,
    /// Peers that do not take part, and why.
    pub absent: Vec<String>,
    /// How each way of ours does.
    pub verdicts: Vec<Verdict>,
}

/// A contender's samples.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    pub label: Label,
    /// Seconds per call; the n-th samples of all contenders were taken one after the other.
    pub seconds: Vec<f64>,
    /// Mean squared error relative to that of an f64 reference; none where it is not finite.
    pub nmse: Option<f64>,
    /// Whether the error is small enough for the figure to count.
    pub right: bool,
}

impl Report {
    /// Whether anything of ours is wrong.
    pub fn ours_wrong(&self) -> bool {
        let rows = self.runs.iter().flat_map(|run| &run.rows);
        let mut ours = rows.flat_map(|r| &r.measured).filter(|m| m.label.engine == Engine::Ours);
        ours.any(|measured| !measured.right)
    }
}

impl Row {
    /// What one call moves or computes: GB of weights written, GB of weights read, or billions of
    /// operations.
    pub fn work(&self) -> f64 {
        let weights = (self.shape.n * self.shape.k) as f64;
        let work = match self.kind {
            Kind::Dequantize => 4.0 * weights,
            Kind::DequantizeF16 => 2.0 * weights,
            Kind::Matvec => self.bytes as f64,
            Kind::Matmul => 2.0 * weights * self.m as f64,
        };
        work / 1e9
    }

    /// What rates are counted in.
    pub fn unit(&self) -> &'static str {
        if self.kind == Kind::Matmul { "GFLOPS" } else { "GB/s" }
    }

    /// What it is, in a few words.
    pub fn title(&self) -> String {
        format!("{} {}", self.format, self.call())
    }

    /// What it is, but for the format.
    pub fn call(&self) -> String {
        match self.kind {
            Kind::Dequantize => format!("{} dequantize", self.shape),
            Kind::DequantizeF16 => format!("{} dequantize to f16", self.shape),
            Kind::Matvec => format!("{} matvec", self.shape),
            Kind::Matmul => format!("{} m={}", self.shape, self.m),
        }
    }
}
