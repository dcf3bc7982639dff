//! What was found: every sample, written as JSON.

use super::machine::Clock;
use super::options::{Api, Kind, Precision};
use super::target::Target;
use crate::bench::options::Shape;
use crate::bench::spread::Spread;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Everything.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Version of Quantloom.
    pub version: Cow<'static, str>,
    pub devices: Vec<Device>,
    pub missing: Vec<Missing>,
}

/// What was measured on a device.
#[derive(Debug, Serialize, Deserialize)]
pub struct Device {
    pub api: Api,
    pub name: String,
    pub clock: Clock,
    /// Bytes that copies of a tensor take together, at least.
    pub rotated_bytes: u64,
    pub rows: Vec<Row>,
    pub failures: Vec<Failed>,
}

/// A device that is not there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Missing {
    pub api: Api,
    pub reason: String,
}

/// A tensor that could not be measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failed {
    pub format: String,
    pub shape: Shape,
    pub reason: String,
}

/// One kind of launch with one tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub format: String,
    pub kind: Kind,
    pub shape: Shape,
    /// Activation rows; 0 without.
    pub m: u32,
    /// Native bytes of the weights.
    pub bytes: u64,
    pub ceiling: Option<Samples>,
    /// Seconds that it takes alone to round the activations to 8 bits, of products some of whose
    /// `ways` do so, and whose times have it in them.
    pub rounding: Vec<f64>,
    pub ways: Vec<Way>,
}

/// Samples of a ceiling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Samples {
    pub name: Cow<'static, str>,
    /// Bytes that a launch reads and writes.
    pub bytes: u64,
    /// Seconds per launch; the n-th samples of a row were taken one after the other.
    pub seconds: Vec<f64>,
}

/// A precision's samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Way {
    pub precision: Precision,
    /// Seconds per launch; of the host for the kind `launch`, else of the device. None where the result
    /// is wrong.
    pub seconds: Vec<f64>,
    /// Mean squared error relative to the mean square of an f64 reference; null where it is not finite.
    pub nmse: Option<f64>,
    /// Why it was not timed.
    pub problem: Option<String>,
    pub verdict: Option<Verdict>,
}

/// What samples say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Microseconds of a launch.
    pub microseconds: Spread,
    /// In the unit of the row.
    pub rate: Spread,
    /// By the ceiling, sample by sample.
    pub of_ceiling: Option<Spread>,
    pub target: Option<Target>,
}

impl Report {
    /// Rows that are wrong, and tensors that were not measured.
    pub fn problems(&self) -> usize {
        let devices = self.devices.iter();
        devices.map(|device| device.failures.len() + device.wrong().count()).sum()
    }
}

impl Device {
    /// What was not timed, with its row.
    pub fn wrong(&self) -> impl Iterator<Item = (&Row, &Way, &str)> {
        let ways = self.rows.iter().flat_map(|row| row.ways.iter().map(move |way| (row, way)));
        ways.filter_map(|(row, way)| Some((row, way, way.problem.as_deref()?)))
    }
}

impl Row {
    /// What one launch moves or computes: bytes of weights read, bytes read and written, operations, or
    /// launches.
    pub fn work(&self) -> f64 {
        let weights = (self.shape.n * self.shape.k) as f64;
        match self.kind {
            Kind::Matvec => self.bytes as f64,
            Kind::Matmul => 2.0 * weights * f64::from(self.m),
            Kind::Dequantize => self.bytes as f64 + 4.0 * weights,
            Kind::DequantizeF16 => self.bytes as f64 + 2.0 * weights,
            Kind::Launch => 1.0,
        }
    }

    /// What rates are counted in, and how much that is.
    pub fn unit(&self) -> (&'static str, f64) {
        match self.kind {
            Kind::Matvec | Kind::Dequantize | Kind::DequantizeF16 => ("GB/s", 1e9),
            Kind::Matmul => ("TFLOPS", 1e12),
            Kind::Launch => ("per ms", 1e3),
        }
    }

    /// What it is, but for the format.
    pub fn call(&self) -> String {
        match self.kind {
            Kind::Matvec => format!("{} matvec", self.shape),
            Kind::Matmul => format!("{} m={}", self.shape, self.m),
            Kind::Dequantize => format!("{} dequantize", self.shape),
            Kind::DequantizeF16 => format!("{} dequantize to f16", self.shape),
            Kind::Launch => "recording a matvec".to_owned(),
        }
    }
}
