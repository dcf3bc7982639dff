//! A tensor and a kind of launch: what goes in and what must come out.

use super::call::Repeated;
use super::machine::{Machine, What};
use super::options::Precision;
use crate::bench::Result;
use crate::bench::options::Shape;
use crate::bench::timing::Call;
use crate::bench::weights::{Weights, nmse};
use quantloom::artifact::Element;
use quantloom::f16;
use quantloom::verify::random::Rng;
use std::slice;

/// Activations and outputs on a machine, and the exact result.
pub struct Case<'a, M: Machine> {
    machine: &'a M,
    weights: &'a Weights,
    what: What,
    /// Of products, in f64.
    product: Vec<f64>,
    x: M::Memory,
    outputs: Vec<M::Memory>,
    /// Elements of an output.
    values: usize,
}

/// What a result was compared with.
pub struct Checked {
    /// Mean squared error relative to the mean square of what is expected; none where it is not finite.
    pub nmse: Option<f64>,
    /// What is wrong, or why there is no result.
    pub problem: Option<String>,
}

impl<'a, M: Machine> Case<'a, M> {
    /// With as many outputs of a dequantization as take `rotate` bytes.
    pub fn new(machine: &'a M, weights: &'a Weights, what: What, rotate: u64) -> Result<Self> {
        let Shape { n, k } = weights.shape;
        let m = if let What::Matmul(m) = what { m } else { 1 };
        let (values, size) = match what {
            What::Matvec | What::Matmul(_) | What::Round(_) => (m as usize * n, 4),
            What::Dequantize(element) => (n * k, element.bytes()),
        };
        let x = Rng::new(m.into(), "activations").activations(m as usize * k);
        let bytes: Vec<u8> = x.iter().flat_map(|x| x.to_le_bytes()).collect();
        let size = values as u64 * size;
        let (product, outputs) = match what {
            What::Matvec | What::Matmul(_) => (weights.product(&x), 1),
            // So that none is in the cache when it is written again.
            What::Dequantize(_) => (vec![], rotate.div_ceil(size)),
            What::Round(_) => (vec![], 1),
        };
        let outputs = (0..outputs).map(|_| machine.memory(size.next_multiple_of(16), &[]));
        Ok(Case {
            machine,
            weights,
            what,
            product,
            x: machine.memory((bytes.len() as u64).next_multiple_of(16), &bytes)?,
            outputs: outputs.collect::<Result<_>>()?,
            values,
        })
    }

    /// What is timed, with these copies of the weights. `recorded`: by the host's time to record.
    pub fn call<'b>(&'b self, copies: &'b [M::Weights], recorded: bool) -> Repeated<'b, M> {
        let Case { machine, what, x, outputs, values, .. } = self;
        Repeated { machine: *machine, what: *what, copies, x, outputs, values: *values, recorded }
    }

    /// Rounding the activations alone, as products with these copies do first.
    pub fn rounding<'b>(&'b self, copies: &'b [M::Weights], m: u32) -> Repeated<'b, M> {
        Repeated { what: What::Round(m), ..self.call(copies, false) }
    }

    /// Runs a call once, with these copies of the weights, and compares what it computes.
    pub fn check(&self, copies: &[M::Weights], precision: Precision) -> Checked {
        let limit = match self.what {
            What::Dequantize(_) => 0.0,
            What::Matvec | What::Matmul(_) | What::Round(_) => precision.limit(),
        };
        let compared = self.computed(copies).map(|output| nmse(&output, self.expected()));
        match compared {
            Ok(nmse) if nmse <= limit => Checked { nmse: Some(nmse), problem: None },
            Ok(nmse) => Checked {
                nmse: nmse.is_finite().then_some(nmse),
                problem: Some(format!("WRONG: NMSE {nmse:.1e}, at most {limit:.0e} is right")),
            },
            Err(error) => Checked { nmse: None, problem: Some(error.to_string()) },
        }
    }

    /// What a call computes, in memory that holds NaN before: an output that is not written shows.
    fn computed(&self, copies: &[M::Weights]) -> Result<Vec<f32>> {
        let size = self.values * if self.what == What::Dequantize(Element::F16) { 2 } else { 4 };
        let output = self.machine.memory(size as u64, &vec![0xff; size])?;
        let mut call = Repeated { outputs: slice::from_ref(&output), ..self.call(copies, false) };
        call.run(0)?;
        call.output()
    }

    /// Turns until every one of so many copies has met every output.
    pub fn turns(&self, copies: usize) -> usize {
        copies * self.outputs.len()
    }

    fn expected(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        let decoded = self.weights.decoded();
        match self.what {
            What::Dequantize(Element::F32) => Box::new(decoded.map(f64::from)),
            What::Dequantize(Element::F16) => Box::new(decoded.map(|w| f16::from_f32(w).to_f64())),
            What::Matvec | What::Matmul(_) | What::Round(_) => {
                Box::new(self.product.iter().copied())
            }
        }
    }
}
