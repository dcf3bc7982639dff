//! One choice of numbers beside the compiler's own: whether results are right, and which is faster.

use super::plan::Kernels;
use crate::bench::Result;
use crate::bench::gpu::case::Case;
use crate::bench::gpu::machine::{Machine, What};
use crate::bench::gpu::options::Precision;
use crate::bench::options::Shape;
use crate::bench::spread::Spread;
use crate::bench::timing::{Call, Plan, measure};
use crate::bench::weights::Weights;
use quantloom::tuning::Schedules;
use quantloom::{Format, Tensor};
use std::time::Duration;

/// A tensor with copies that have the compiler's own schedules.
pub struct Held<M: Machine> {
    weights: Weights,
    tensor: Tensor,
    copies: Vec<M::Weights>,
}

/// What became of a choice.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// So many times as fast, as a mean over formats.
    Faster(f64),
    /// Not faster, or by so little that it may be noise; or no format has kernels of such schedules.
    Not,
    /// It computes something wrong.
    Wrong(String),
}

/// How much faster numbers must be to replace the compiler's, beyond the noise.
const GAIN: f64 = 1.02;
/// Time of one choice with one case, after preparation.
const BUDGET: Duration = Duration::from_millis(60);

impl<M: Machine> Held<M> {
    /// Random weights, not on the machine yet.
    pub fn new(format: &Format, shape: Shape) -> Result<Held<M>> {
        let weights = Weights::random(format, shape)?;
        Ok(Held { tensor: weights.tensor()?, weights, copies: vec![] })
    }

    /// Has copies for products of this precision, `rotate` bytes of them and two at least, and no others.
    pub fn upload(&mut self, machine: &M, precision: Precision, rotate: u64) -> Result<()> {
        self.copies.clear();
        for _ in 0..rotate.div_ceil(self.weights.bytes() as u64).max(2) {
            self.copies.push(machine.upload(&self.tensor, precision)?);
        }
        Ok(())
    }

    /// The format, with the compiler's own schedules.
    pub fn format(&self) -> &Format {
        self.tensor.format()
    }
}

/// Cases of kernels, each with the tensor it is about.
pub struct Cases<'a, M: Machine>(Vec<(&'a Held<M>, Case<'a, M>)>);

impl<'a, M: Machine> Cases<'a, M> {
    /// With as many outputs of a dequantization as take `rotate` bytes.
    pub fn new(
        machine: &'a M,
        held: impl IntoIterator<Item = &'a Held<M>>,
        whats: &[What],
        rotate: u64,
    ) -> Result<Cases<'a, M>> {
        let mut cases = vec![];
        for held in held {
            for &what in whats {
                cases.push((held, Case::new(machine, &held.weights, what, rotate)?));
            }
        }
        Ok(Cases(cases))
    }

    /// Compares kernels of these schedules with the compiler's, in turn.
    pub fn compare(&self, machine: &M, kernels: Kernels, schedules: &Schedules) -> Result<Verdict> {
        let precision = kernels.way();
        let (mut gains, mut least) = (vec![], vec![]);
        for (held, case) in &self.0 {
            let Ok(format) = held.format().scheduled(schedules) else { continue };
            let (n, k) = (held.tensor.n(), held.tensor.k());
            let tensor = Tensor::new("weights", &format, n, k, held.tensor.streams().to_vec())?;
            let copies = held.copies.iter().map(|_| machine.upload(&tensor, precision));
            let copies = copies.collect::<Result<Vec<_>>>()?;
            if let Some(problem) = case.check(&copies, precision).problem {
                return Ok(Verdict::Wrong(format!("{}: {problem}", format.name)));
            }
            let (own, call) = (case.call(&held.copies, false), case.call(&copies, false));
            let mut timed: [Box<dyn Call + '_>; 2] = [Box::new(own), Box::new(call)];
            let plan = Plan {
                budget: BUDGET,
                warm: Duration::ZERO,
                copies: case.turns(copies.len()),
                behind: 2.0,
            };
            let samples = measure(&mut timed, &plan)?;
            let ratios = samples[0].iter().zip(&samples[1]).map(|(own, other)| own / other);
            let ratio = Spread::of(ratios).ok_or("no samples")?;
            gains.push(ratio.median);
            least.push(ratio.lower_quartile);
        }
        let mean = |ratios: &[f64]| {
            (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
        };
        let faster = !gains.is_empty() && mean(&least) > GAIN;
        Ok(if faster { Verdict::Faster(mean(&gains)) } else { Verdict::Not })
    }
}
