//! Quantloom itself: the one place that calls its interface.

use crate::Result;
use crate::contender::{Activations, Call, Contender, Engine, Held, Label};
use crate::weights::Weights;
use quantloom::{Device, f16};
use rayon::ThreadPool;

/// Copies of a tensor on the CPU.
pub struct Ours<'a> {
    copies: Vec<quantloom::Weights>,
    pool: &'a ThreadPool,
}

impl<'a> Ours<'a> {
    pub fn prepare(weights: &Weights, copies: usize, pool: &'a ThreadPool) -> Result<Ours<'a>> {
        let device = Device::cpu();
        let copies = (0..copies).map(|_| Ok(weights.tensor()?.upload(&device)?));
        Ok(Ours { copies: copies.collect::<Result<_>>()?, pool })
    }

    /// The same copies in other threads' hands.
    pub fn share(&self, pool: &'a ThreadPool) -> Ours<'a> {
        Ours { copies: self.copies.clone(), pool }
    }

    fn label(&self, activations: Activations) -> Label {
        Label {
            engine: Engine::Ours,
            storage: "native".to_owned(),
            activations,
            kernel: "portable".to_owned(),
            threads: self.pool.current_num_threads(),
        }
    }
}

impl Held for Ours<'_> {
    fn dequantize(&self, half: bool) -> Result<Vec<Contender<'_>>> {
        let call: Box<dyn Call> = match half {
            true => Box::new(Halves { ours: self, out: Vec::new() }),
            false => Box::new(Floats { ours: self, out: Vec::new() }),
        };
        Ok(vec![Contender { label: self.label(Activations::None), call }])
    }

    fn product<'a>(&'a self, x: &'a [f32], m: usize) -> Result<Vec<Contender<'a>>> {
        let call = Box::new(Product { ours: self, x, m, out: Vec::new() });
        Ok(vec![Contender { label: self.label(Activations::F32), call }])
    }
}

struct Floats<'a> {
    ours: &'a Ours<'a>,
    out: Vec<f32>,
}

impl Call for Floats<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        self.out = self.ours.pool.install(|| self.ours.copies[copy].dequantize())?;
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}

struct Halves<'a> {
    ours: &'a Ours<'a>,
    out: Vec<f16>,
}

impl Call for Halves<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        self.out = self.ours.pool.install(|| self.ours.copies[copy].dequantize_f16())?;
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.iter().map(|weight| weight.to_f32()).collect())
    }
}

struct Product<'a> {
    ours: &'a Ours<'a>,
    x: &'a [f32],
    m: usize,
    out: Vec<f32>,
}

impl Call for Product<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        let weights = &self.ours.copies[copy];
        self.out = self.ours.pool.install(|| match self.m {
            1 => weights.matvec(self.x),
            m => weights.matmul(self.x, m),
        })?;
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}
