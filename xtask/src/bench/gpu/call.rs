//! A launch that is repeated, with copies of a tensor in turn.

use super::machine::{Launch, Machine, What};
use crate::bench::Result;
use crate::bench::timing::Call;
use quantloom::artifact::Element;
use quantloom::f16;

/// What is timed again and again.
pub struct Repeated<'a, M: Machine> {
    pub machine: &'a M,
    pub what: What,
    /// Copies of the weights.
    pub copies: &'a [M::Weights],
    pub x: &'a M::Memory,
    /// Outputs, which take turns too.
    pub outputs: &'a [M::Memory],
    /// Elements of an output.
    pub values: usize,
    /// Whether the host's time to record counts instead of the device's.
    pub recorded: bool,
}

/// Launches that are recorded at a time.
const RECORDED: usize = 200;

impl<M: Machine> Repeated<'_, M> {
    fn launch(&self, copy: usize) -> Launch<'_, M> {
        Launch {
            what: self.what,
            weights: &self.copies[copy % self.copies.len()],
            x: self.x,
            y: &self.outputs[copy % self.outputs.len()],
        }
    }

    /// The bytes of the first output.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let size = if self.what == What::Dequantize(Element::F16) { 2 } else { 4 };
        self.machine.read(&self.outputs[0], self.values * size)
    }
}

impl<M: Machine> Call for Repeated<'_, M> {
    fn run(&mut self, copy: usize) -> Result<()> {
        self.machine.time(&[self.launch(copy)]).map(drop)
    }

    fn time(&mut self, copies: &mut dyn ExactSizeIterator<Item = usize>) -> Result<f64> {
        // Drivers make the host wait where too many launches do.
        let most = if self.recorded { RECORDED } else { usize::MAX };
        let launches: Vec<_> = copies.take(most).map(|copy| self.launch(copy)).collect();
        let seconds = match self.recorded {
            true => self.machine.record(&launches),
            false => self.machine.time(&launches),
        };
        Ok(seconds? / launches.len() as f64)
    }

    fn output(&self) -> Result<Vec<f32>> {
        let bytes = self.bytes()?;
        Ok(match self.what {
            What::Dequantize(Element::F16) => {
                bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two).to_f32()).collect()
            }
            _ => bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect(),
        })
    }
}
