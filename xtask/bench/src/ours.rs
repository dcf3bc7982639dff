//! Quantloom itself: the one place that calls its interface.

use crate::Result;
use crate::contender::{Activations, Call, Contender, Engine, Held, Label};
use crate::weights::Weights;
use quantloom::cpu::{Cpu, CpuWeights};
use quantloom::{Device, Tensor, f16};
use rayon::ThreadPool;
use std::sync::Arc;

/// Copies of a tensor on the CPU, in every way that the format has.
pub struct Ours<'a> {
    ways: Arc<[Way]>,
    weights: &'a Weights,
    pool: &'a ThreadPool,
}

/// Storage and arithmetic.
struct Way {
    storage: &'static str,
    activations: Activations,
    copies: Vec<quantloom::Weights>,
}

impl<'a> Ours<'a> {
    pub fn prepare(weights: &'a Weights, copies: usize, pool: &'a ThreadPool) -> Result<Ours<'a>> {
        let tensors: Vec<Tensor> = (0..copies).map(|_| weights.tensor()).collect::<Result<_>>()?;
        let mut ways: Vec<Way> = Vec::new();
        for (storage, cpu) in [("native", Cpu::new()), ("interleaved", Cpu::new().interleaved())] {
            let exact = (Activations::F32, cpu);
            for (activations, cpu) in [exact, (Activations::Int8, cpu.int8())] {
                let device = Device::from(cpu);
                // Where a format has no such way, its kernel is that of another.
                let kernel = |weights: &quantloom::Weights| Some(weights.on_cpu()?.kernel(1));
                let first = tensors[0].upload(&device)?;
                if ways.iter().any(|way| kernel(&way.copies[0]) == kernel(&first)) {
                    continue;
                }
                let others = tensors[1..].iter().map(|tensor| Ok(tensor.upload(&device)?));
                let copies = [Ok(first)].into_iter().chain(others).collect::<Result<_>>()?;
                ways.push(Way { storage, activations, copies });
            }
        }
        Ok(Ours { ways: ways.into(), weights, pool })
    }

    /// The same copies in other threads' hands.
    pub fn share(&self, pool: &'a ThreadPool) -> Ours<'a> {
        Ours { ways: self.ways.clone(), pool, ..*self }
    }

    fn label(&self, way: &Way, activations: Activations, kernel: String) -> Label {
        Label {
            engine: Engine::Ours,
            storage: way.storage.to_owned(),
            activations,
            kernel,
            threads: self.pool.current_num_threads(),
        }
    }
}

impl Way {
    fn copy(&self, copy: usize) -> Result<&CpuWeights> {
        Ok(self.copies[copy].on_cpu().ok_or("weights on the CPU are not there")?)
    }
}

impl Held for Ours<'_> {
    fn dequantize(&self, half: bool) -> Result<Vec<Contender<'_>>> {
        // Weights are decoded where they lie, whatever else there is.
        let way = &self.ways[0];
        let count = self.weights.shape.n * self.weights.shape.k;
        let call: Box<dyn Call> = match half {
            true => Box::new(Halves { ours: self, way, out: vec![f16::ZERO; count] }),
            false => Box::new(Floats { ours: self, way, out: vec![0.0; count] }),
        };
        let device = Device::from(Cpu::new()).name();
        let kernel = format!("{} decoder", device.rsplit(", ").next().unwrap_or_default());
        let label = self.label(way, Activations::None, kernel);
        Ok(vec![Contender { label, call }])
    }

    fn product<'a>(&'a self, x: &'a [f32], m: usize) -> Result<Vec<Contender<'a>>> {
        let contender = |way: &'a Way| {
            let out = vec![0.0; m * self.weights.shape.n];
            let label = self.label(way, way.activations, way.copy(0)?.kernel(m));
            let call = Box::new(Product { ours: self, way, x, m, out });
            Ok(Contender { label, call })
        };
        self.ways.iter().map(contender).collect()
    }
}

struct Floats<'a> {
    ours: &'a Ours<'a>,
    way: &'a Way,
    out: Vec<f32>,
}

impl Call for Floats<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        let weights = self.way.copy(copy)?;
        Ok(self.ours.pool.install(|| weights.dequantize_into(&mut self.out))?)
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}

struct Halves<'a> {
    ours: &'a Ours<'a>,
    way: &'a Way,
    out: Vec<f16>,
}

impl Call for Halves<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        let weights = self.way.copy(copy)?;
        Ok(self.ours.pool.install(|| weights.dequantize_f16_into(&mut self.out))?)
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.iter().map(|weight| weight.to_f32()).collect())
    }
}

struct Product<'a> {
    ours: &'a Ours<'a>,
    way: &'a Way,
    x: &'a [f32],
    m: usize,
    out: Vec<f32>,
}

impl Call for Product<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        let weights = self.way.copy(copy)?;
        let Product { x, m, out, .. } = self;
        Ok(self.ours.pool.install(|| weights.matmul_into(x, *m, out))?)
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}
