//! What is searched: kernels, shapes, formats, and for how long.

use super::{Args, Kind};
use crate::bench::Result;
use crate::bench::gpu::machine::What;
use crate::bench::gpu::options::Precision;
use crate::bench::gpu::run::formats;
use crate::bench::options::Shape;
use clap::ValueEnum;
use quantloom::artifact::{Backend, Element};
use quantloom::tuning::{self, Numbers, TUNED};
use quantloom::{FEW_ROWS, Format};
use std::time::Duration;

/// What is asked for, defaults filled in.
pub struct Plan {
    pub formats: Vec<Format>,
    pub shapes: Vec<Shape>,
    /// Of one device.
    pub time: Duration,
    /// Bytes that copies of a tensor take together, at least.
    pub rotate: u64,
    kernels: Vec<Kernels>,
    /// Activation rows of a matmul.
    m: u32,
}

/// Kernels that share their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    pub kind: Kind,
    pub precision: tuning::Precision,
}

/// Activation rows of the kernels for a few of them: gains are means over these.
const BATCHES: [u32; 2] = [4, 16];

impl Plan {
    /// Refuses kernels that there are not.
    pub fn new(args: &Args) -> Result<Plan> {
        let mut formats = formats(&args.format)?;
        if args.format.is_empty() {
            // A few that differ.
            formats.truncate(3);
        }
        let shapes = [(1024, 4096), (4096, 4096), (4096, 14336), (16384, 14336)];
        let shapes = shapes.map(|(n, k)| Shape { n, k });
        let shapes = match args.shape.as_slice() {
            [] if args.quick => &shapes[..1],
            [] => &shapes[..],
            given => given,
        };
        let kinds = if args.kind.is_empty() { Kind::value_variants() } else { &args.kind };
        let precisions = match args.precision.as_slice() {
            [] => Precision::value_variants(),
            given => given,
        };
        let asked = |kernels: &Kernels| {
            // Fewer rows than that are another kernel's.
            let serves = kernels.kind != Kind::Matmul
                || kernels.precision == tuning::Precision::Exact
                || args.m > FEW_ROWS;
            kinds.contains(&kernels.kind) && precisions.contains(&kernels.way()) && serves
        };
        let kernels: Vec<Kernels> = Kernels::all().filter(asked).collect();
        if kernels.is_empty() {
            return Err("there are no kernels of these kinds in these precisions".into());
        }
        let seconds = args.seconds.unwrap_or(if args.quick { 60.0 } else { 300.0 });
        Ok(Plan {
            formats,
            shapes: shapes.to_vec(),
            time: Duration::try_from_secs_f64(seconds)?,
            rotate: u64::from(args.rotate.unwrap_or(if args.quick { 64 } else { 512 })) << 20,
            kernels,
            m: args.m,
        })
    }

    /// The kernels that a device of these precisions has.
    pub fn kernels(&self, precisions: &[Precision]) -> Vec<Kernels> {
        let has = |kernels: &&Kernels| precisions.contains(&kernels.way());
        self.kernels.iter().filter(has).copied().collect()
    }

    /// What is timed of them.
    pub fn cases(&self, kernels: Kernels) -> Vec<What> {
        match kernels.kind {
            Kind::Dequant => vec![What::Dequantize(Element::F32)],
            Kind::Matvec => vec![What::Matvec],
            Kind::Batch => BATCHES.map(What::Matmul).to_vec(),
            Kind::Matmul => vec![What::Matmul(self.m)],
        }
    }
}

impl Kernels {
    /// All there are.
    pub fn all() -> impl Iterator<Item = Kernels> {
        TUNED.into_iter().filter_map(|(kernel, precision)| {
            let kind = Kind::value_variants().iter().find(|kind| kind.kernel() == kernel);
            kind.map(|&kind| Kernels { kind, precision })
        })
    }

    /// All that is tried instead of the compiler's own numbers.
    pub fn choices(self, backend: Backend) -> Vec<Numbers> {
        self.kind.choices(self.precision, backend)
    }

    /// How a device is asked for them.
    pub fn way(self) -> Precision {
        match self.precision {
            tuning::Precision::Exact => Precision::Exact,
            tuning::Precision::Int8 => Precision::Int8,
            tuning::Precision::F16 => Precision::F16,
        }
    }

    /// Whether a format has them.
    pub fn are_of(self, format: &Format, backend: Backend) -> bool {
        let wanted = (backend, self.kind.kernel(), self.precision.activations());
        format.kernels.iter().any(|own| (own.backend, own.kind, own.activations) == wanted)
    }

    /// What people call them.
    pub fn name(self) -> String {
        format!("{} {}", self.way().name(), self.kind.kernel().word())
    }
}
