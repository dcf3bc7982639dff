//! What was checked, and what was found.

use super::compare::{Decoded, Exact, LIMIT, worst};
use std::fmt;

/// What [`verify`](crate::verify()) has checked: everything agrees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The format.
    pub format: String,
    /// What each device was asked, in the order given.
    pub devices: Vec<Checks>,
}

/// What a device was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// What the device is called.
    pub device: String,
    /// Tensors brought to it.
    pub tensors: u64,
    /// Weights compared bit for bit, as f32 and as f16.
    pub weights: u64,
    /// Outputs of products compared.
    pub outputs: u64,
    /// Where weights are what they are where subnormals are taken for 0.
    pub flushed: Vec<Flushed>,
}

/// Weights that a device got by taking subnormals for 0: not an error, as GPUs may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// How many.
    pub weights: u64,
    /// Where.
    pub call: Call,
}

/// A call of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The format.
    pub format: String,
    /// What the device is called.
    pub device: String,
    /// What it computed.
    pub operation: Operation,
    /// Weight rows.
    pub n: usize,
    /// Weights per row.
    pub k: usize,
    /// The tensor's sizes: name and weights.
    pub sizes: Vec<(String, u32)>,
    /// Where its bytes come from.
    pub origin: Origin,
}

/// What a device computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// All weights as f32.
    Dequantize,
    /// All weights as f16.
    DequantizeF16,
    /// A product with one activation row.
    Matvec,
    /// A product with several activation rows.
    Matmul {
        /// How many.
        m: usize,
    },
    /// A product with a scale, and what else is added to it.
    Epilogue {
        /// Activation rows; 1 is a matvec.
        m: usize,
        /// A bias.
        bias: bool,
        /// What the output holds.
        add: bool,
    },
    /// A product with matrices that activation rows choose.
    Experts {
        /// Activation rows.
        m: usize,
        /// Matrices that each of them chooses.
        used: usize,
        /// Matrices of the tensor.
        matrices: usize,
    },
    /// Some rows as f32.
    Gather {
        /// How many.
        rows: usize,
    },
    /// Some rows as f16.
    GatherF16 {
        /// How many.
        rows: usize,
    },
}

/// Where a tensor's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Random bytes of a seed.
    Seed(u64),
    /// Vectors of this name.
    Vectors(String),
}

/// A result that is not what the format means.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The call that gave it.
    pub call: Call,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It has another number of values than it should.
    Length {
        /// Values it has.
        got: usize,
        /// Values it should have.
        expected: usize,
    },
    /// Weights have other bits than they should.
    Weights {
        /// How many.
        different: u64,
        /// Number of the first, `[n, k]` row-major.
        index: usize,
        /// The bits it has; of binary16 the lower 16.
        got: u32,
        /// The bits it should have.
        expected: u32,
    },
    /// An output of a product is off by more than [`LIMIT`] of Σ|w·x|.
    Output {
        /// Its number, `[m, n]` row-major.
        index: usize,
        /// Its value.
        got: f32,
        /// The f64 product of the weights.
        expected: f64,
        /// How far it is off, relative to Σ|w·x|.
        error: f64,
    },
    /// An output of a product that rounds activations is off by more than that explains.
    Rounding {
        /// Its number, `[m, n]` row-major.
        index: usize,
        /// Its value.
        got: f32,
        /// The f64 product of the weights.
        expected: f64,
        /// What rounding can change.
        rounding: f64,
    },
    /// Outputs of a product that rounds activations are off by more than [`MEAN_SQUARE`](super::rounded::MEAN_SQUARE) on average, and
    /// more than chance explains.
    MeanSquare {
        /// Their squared errors, relative to the squares of their terms.
        error: f64,
        /// What would be in order.
        most: f64,
    },
}

impl Fault {
    /// What is wrong with `got` weights, if anything.
    pub(super) fn of_weights(found: Decoded, got: usize, expected: usize) -> Option<Fault> {
        if got != expected {
            return Some(Fault::Length { got, expected });
        }
        let (first, different) = (found.first?, found.different);
        Some(Fault::Weights {
            different,
            index: first.index,
            got: first.got,
            expected: first.expected,
        })
    }

    /// What is wrong with outputs, if anything.
    pub(super) fn of_outputs(y: &[f32], exact: &[Exact]) -> Option<Fault> {
        if y.len() != exact.len() {
            return Some(Fault::Length { got: y.len(), expected: exact.len() });
        }
        if worst(y, exact) <= LIMIT {
            return None;
        }
        let mut outputs = y.iter().zip(exact).enumerate();
        let (index, (&got, exact)) = outputs.find(|(_, (y, exact))| exact.error(**y) > LIMIT)?;
        Some(Fault::Output { index, got, expected: exact.sum, error: exact.error(got) })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "format `{}`", self.format)?;
        self.devices.iter().try_for_each(|checks| write!(f, "\n  {checks}"))
    }
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checks { device, tensors, weights, outputs, flushed } = self;
        write!(f, "{device}: {tensors} tensors, {weights} weights, {outputs} outputs")?;
        flushed.iter().try_for_each(|flushed| write!(f, "\n    {flushed}"))
    }
}

impl fmt::Display for Flushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} weights are of subnormals flushed to 0", self.call, self.weights)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { format, device, operation, n, k, sizes, origin } = self;
        write!(f, "format `{format}` on `{device}`: {operation} of weights [{n}, {k}]")?;
        for (name, weights) in sizes {
            write!(f, ", {name} = {weights}")?;
        }
        match origin {
            Origin::Seed(seed) => write!(f, ", seed {seed}"),
            Origin::Vectors(name) => write!(f, ", vectors `{name}`"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Operation::Dequantize => f.write_str("dequantize to f32"),
            Operation::DequantizeF16 => f.write_str("dequantize to f16"),
            Operation::Matvec => f.write_str("matvec"),
            Operation::Matmul { m } => write!(f, "matmul (m = {m})"),
            Operation::Epilogue { m, bias, add } => {
                let bias = if bias { ", bias" } else { "" };
                let add = if add { ", added to the output" } else { "" };
                write!(f, "product (m = {m}, scaled{bias}{add})")
            }
            Operation::Experts { m, used, matrices } => {
                write!(f, "product (m = {m}) with {used} of {matrices} matrices")
            }
            Operation::Gather { rows } => write!(f, "gather {rows} rows to f32"),
            Operation::GatherF16 { rows } => write!(f, "gather {rows} rows to f16"),
        }
    }
}

impl std::error::Error for Difference {}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { operation, n, k, .. } = &self.call;
        let place = |index: usize, row: usize| match index.checked_div(row) {
            Some(rows) => format!("[{rows}, {}]", index % row),
            None => index.to_string(),
        };
        write!(f, "{}: ", self.call)?;
        let matrices = match *operation {
            Operation::Experts { matrices, .. } => matrices,
            _ => 1,
        };
        match &self.fault {
            Fault::Length { got, expected } => write!(f, "{got} values; expected are {expected}"),
            Fault::Weights { different, index, got, expected } => {
                let halves = [Operation::DequantizeF16, Operation::GatherF16 { rows: 0 }];
                let is_half =
                    |half| std::mem::discriminant(half) == std::mem::discriminant(operation);
                let digits = if halves.iter().any(is_half) { 6 } else { 10 };
                write!(
                    f,
                    "{different} weights differ; the first, {}, has bits {got:#0digits$x}; expected are \
                     {expected:#0digits$x}",
                    place(*index, *k),
                )
            }
            Fault::Output { index, got, expected, error } => write!(
                f,
                "output {} is {got}; expected is {expected:e}, which is off by {error:.1e} of Σ|w·x|, more \
                 than {LIMIT:.0e}",
                place(*index, n.checked_div(matrices).unwrap_or_default()),
            ),
            Fault::Rounding { index, got, expected, rounding } => write!(
                f,
                "output {} is {got}; expected is {expected:e}, and rounding changes it by at most \
                 {rounding:.1e}",
                place(*index, *n),
            ),
            Fault::MeanSquare { error, most } => write!(
                f,
                "the squares of all errors are {error:.1e} of those of all terms, more than {most:.1e}"
            ),
        }
    }
}
