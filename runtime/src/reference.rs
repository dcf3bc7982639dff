//! The reference engine: the interpreter of the decoder program, and products in f64. Slow, and what
//! every other device is compared with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quantloom_codegen::ir::{Decoder, Verified, interpret};
use rayon::prelude::*;

use crate::device::{Backend, Resident};
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Device, Error, Format, Result, Tensor, descriptor, f16};

impl Device {
    /// The reference: weights are decoded by interpreting the program that every backend is rendered
    /// from; each product is summed in f64 and rounded once. It compiles a format's descriptor when
    /// it first meets it, and needs nothing else of the format.
    pub fn reference() -> Device {
        Device::new(Reference::default())
    }
}

/// The device, and the programs it has compiled, by their names and descriptors.
#[derive(Default)]
struct Reference {
    programs: Mutex<HashMap<(String, String), Program>>,
}

type Program = Arc<Verified<Decoder>>;

impl Backend for Reference {
    fn name(&self) -> String {
        format!("interpreter, {} threads", rayon::current_num_threads())
    }

    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>> {
        let program = self.program(tensor.format())?;
        Ok(Arc::new(ReferenceWeights { tensor: tensor.clone(), program }))
    }
}

impl Reference {
    fn program(&self, format: &Format) -> Result<Program> {
        let compiled = || self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (format.name.to_string(), format.descriptor.to_string());
        let known = compiled().get(&key).cloned();
        let program = match known {
            Some(program) => program,
            None => {
                let program = Arc::new(compile(format)?);
                compiled().insert(key, program.clone());
                program
            }
        };
        // The program may be that of another handle, with the same descriptor.
        descriptor::agree(format, program.weights, &program.streams)?;
        Ok(program)
    }
}

fn compile(format: &Format) -> Result<Verified<Decoder>> {
    let lowered = quantloom_codegen::lower::weights(&descriptor::parse(format)?, WORD);
    lowered.map_err(|error| Error::Format {
        format: format.name.to_string(),
        problem: format!("its descriptor does not compile: {error}"),
    })
}

/// Bytes of a strip. Any choice gives the same weights.
const WORD: u32 = 4;

/// A tensor and the program that decodes it.
struct ReferenceWeights {
    tensor: Tensor,
    program: Program,
}

/// Weights decoded at a time.
const RUN: usize = 4096;

impl Resident for ReferenceWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        let mut weights = zeros(self.tensor.n() * self.tensor.k(), "decoded weights")?;
        let blocks = self.run();
        weights.par_chunks_mut(blocks * self.block()).enumerate().for_each(|(run, weights)| {
            self.decode(run * blocks, weights);
        });
        Ok(weights)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        let mut weights = zeros(self.tensor.n() * self.tensor.k(), "decoded weights")?;
        let blocks = self.run();
        weights.par_chunks_mut(blocks * self.block()).enumerate().for_each(|(run, weights)| {
            let mut decoded = vec![0.0; weights.len()];
            self.decode(run * blocks, &mut decoded);
            for (weight, decoded) in weights.iter_mut().zip(decoded) {
                *weight = f16::from_f32(decoded);
            }
        });
        Ok(weights)
    }

    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        let k = self.tensor.k();
        let mut y = zeros(elements(rows.len(), k, "rows")?, "rows")?;
        y.par_chunks_mut(k).zip(rows).for_each(|(y, &row)| {
            self.decode(row as usize * (k / self.block()), y);
        });
        Ok(y)
    }

    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        Ok(self.gather(rows)?.into_iter().map(f16::from_f32).collect())
    }

    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()> {
        let n = self.tensor.n();
        let mut columns = zeros(elements(m, n, "the output")?, "the output")?;
        columns.par_chunks_mut(m).enumerate().for_each(|(row, column)| self.row(row, x, column));
        epilogue.store(
            y,
            n,
            |_| Some(0),
            |y| {
                for (row, column) in columns.chunks_exact(m).enumerate() {
                    for (y, &sum) in y.iter_mut().skip(row).step_by(n).zip(column) {
                        *y = sum;
                    }
                }
                Ok(())
            },
        )
    }

    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        let (n, k) = (chosen.n, self.tensor.k());
        epilogue.store(
            y,
            n,
            |output| chosen.first(output),
            |y| {
                y.par_chunks_mut(n).enumerate().for_each(|(output, y)| {
                    let x = chosen.x.chunks_exact(k).nth(output / chosen.used).unwrap_or_default();
                    let Some(first) = chosen.first(output) else { return y.fill(0.0) };
                    for (row, sum) in y.chunks_mut(1).enumerate() {
                        self.row(first + row, x, sum);
                    }
                });
                Ok(())
            },
        )
    }
}

impl ReferenceWeights {
    /// `sums[m]` = one weight row times every activation row.
    fn row(&self, row: usize, x: &[f32], sums: &mut [f32]) {
        let k = self.tensor.k();
        let mut exact = vec![0.0f64; sums.len()];
        let mut decoded = vec![0.0; (self.run() * self.block()).min(k)];
        for first in (0..k).step_by(decoded.len()) {
            let columns = first..k.min(first + decoded.len());
            let Some(decoded) = decoded.get_mut(..columns.len()) else { return };
            self.decode((row * k + first) / self.block(), decoded);
            for (sum, x) in exact.iter_mut().zip(x.chunks_exact(k)) {
                let x = x.get(columns.clone()).unwrap_or_default();
                let products = decoded.iter().zip(x).map(|(&w, &x)| f64::from(w) * f64::from(x));
                *sum += products.sum::<f64>();
            }
        }
        for (sum, exact) in sums.iter_mut().zip(exact) {
            *sum = exact as f32;
        }
    }

    /// Decodes the blocks from `first` on that fill `weights`.
    fn decode(&self, first: usize, weights: &mut [f32]) {
        let streams = self.tensor.stream_bytes();
        interpret(&self.program, &streams, self.tensor.layout(), first, weights);
    }

    /// Weights per block.
    fn block(&self) -> usize {
        self.tensor.format().weights as usize
    }

    /// Blocks decoded at a time.
    fn run(&self) -> usize {
        (RUN / self.block()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Stream, Units};

    const DESCRIPTOR: &str = "
format: toy
title: a test's format
weights: 4
block:
  d: f16
  q: u8[2]
fields:
  q: {from: q, bits: 4, k: \"4:4\", bias: 8}
value: q * d
";

    fn format(descriptor: &'static str, bytes: u32) -> Format {
        Format::from(crate::artifact::Artifact {
            name: "toy".into(),
            weights: 4,
            streams: vec![Stream { name: "blocks".into(), bytes, units: Units::BLOCKS }].into(),
            descriptor: descriptor.into(),
            ..crate::artifact::Artifact::default()
        })
    }

    #[test]
    fn decodes_and_multiplies() {
        // Two rows of one block each: d = 0.5 and 2, codes 8+{1, 2, -1, 0} and 8+{3, 0, 0, -8}.
        let bytes = vec![0x00, 0x38, 0xa9, 0x87, 0x00, 0x40, 0x8b, 0x08];
        let tensor = Tensor::new("t", format(DESCRIPTOR, 4), 2, 4, [bytes]).unwrap();
        let weights = tensor.upload(&Device::reference()).unwrap();
        let decoded = [0.5, 1.0, -0.5, 0.0, 6.0, 0.0, 0.0, -16.0];
        assert_eq!(weights.dequantize().unwrap(), decoded);
        assert_eq!(weights.dequantize_f16().unwrap(), decoded.map(f16::from_f32));
        assert_eq!(weights.matvec(&[1.0, 2.0, 4.0, 8.0]).unwrap(), [0.5, -122.0]);
        let x = [1.0, 2.0, 4.0, 8.0, 0.0, 0.0, 2.0, 1.0];
        assert_eq!(weights.matmul(&x, 2).unwrap(), [0.5, -122.0, -1.0, -16.0]);
    }

    #[test]
    fn refuses_a_descriptor_of_other_blocks() {
        let upload = |descriptor, bytes: u32| {
            let stream = vec![0; bytes as usize];
            let tensor = Tensor::new("t", format(descriptor, bytes), 1, 4, [stream]).unwrap();
            tensor.upload(&Device::reference()).unwrap_err().to_string()
        };
        assert!(upload(DESCRIPTOR, 8).contains("other blocks"));
        assert!(upload("", 4).contains("has no descriptor"));
        assert!(upload("format: [", 4).contains("does not compile"));
    }
}
