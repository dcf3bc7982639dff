//! AMD's and NVIDIA's GPUs, through HIP texts.

use super::machine::{Clock, Launch, Machine, What};
use super::options::Precision;
use crate::bench::Result;
use quantloom::Tensor;
use quantloom::hip::{Buffer, Event, Hip, HipWeights, Stream};
use std::time::Instant;

/// A device with a stream.
pub struct HipMachine {
    hip: Hip,
    stream: Stream,
    start: Event,
    end: Event,
    /// The device in each of its ways.
    ways: Vec<(Precision, Hip)>,
}

/// How a device can be asked to multiply.
pub fn ways(hip: &Hip) -> Vec<(Precision, Hip)> {
    let matrices = hip.has_matrices().then(|| (Precision::F16, hip.clone().f16()));
    let always = [(Precision::Exact, hip.clone()), (Precision::Int8, hip.clone().int8())];
    always.into_iter().chain(matrices).collect()
}

impl HipMachine {
    pub fn new(hip: Hip) -> Result<HipMachine> {
        Ok(HipMachine {
            stream: hip.stream()?,
            start: hip.event()?,
            end: hip.event()?,
            ways: ways(&hip),
            hip,
        })
    }

    fn launch(&self, launch: &Launch<'_, Self>) -> Result<()> {
        let Launch { what, weights, x, y } = *launch;
        match what {
            What::Matvec => weights.launch_matvec(&self.stream, x, y)?,
            What::Matmul(m) => weights.launch_matmul(&self.stream, x, y, m)?,
            What::Dequantize(element) => weights.launch_dequant(&self.stream, y, element)?,
            What::Round(m) => weights.launch_rounding(&self.stream, x, m)?,
        }
        Ok(())
    }
}

impl Machine for HipMachine {
    type Weights = HipWeights;
    type Memory = Buffer;

    fn name(&self) -> String {
        self.hip.name().to_owned()
    }

    fn clock(&self) -> Clock {
        Clock::Device
    }

    fn precisions(&self) -> Vec<Precision> {
        self.ways.iter().map(|(precision, _)| *precision).collect()
    }

    fn upload(&self, tensor: &Tensor, precision: Precision) -> Result<HipWeights> {
        let way = self.ways.iter().find(|(own, _)| *own == precision);
        Ok(way.map_or(&self.hip, |(_, hip)| hip).upload(tensor)?)
    }

    fn memory(&self, bytes: u64, begin: &[u8]) -> Result<Buffer> {
        let buffer = self.hip.buffer(bytes)?;
        buffer.write(&self.stream, begin)?;
        Ok(buffer)
    }

    fn read(&self, memory: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        memory.read(&self.stream, &mut read)?;
        Ok(read)
    }

    fn time(&self, launches: &[Launch<'_, Self>]) -> Result<f64> {
        self.stream.record(&self.start)?;
        launches.iter().try_for_each(|launch| self.launch(launch))?;
        self.stream.record(&self.end)?;
        self.stream.synchronize()?;
        Ok(self.end.since(&self.start)?.as_secs_f64())
    }

    fn record(&self, launches: &[Launch<'_, Self>]) -> Result<f64> {
        let started = Instant::now();
        launches.iter().try_for_each(|launch| self.launch(launch))?;
        let seconds = started.elapsed().as_secs_f64();
        self.stream.synchronize()?;
        Ok(seconds)
    }
}
