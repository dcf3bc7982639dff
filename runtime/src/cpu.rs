//! The CPU backend: decoders on all cores. Products decode a run of blocks at a time into a small
//! buffer and never hold the decoded matrix.
#![allow(unsafe_code)]

use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::artifact::DecodeFn;
use crate::device::{Backend, Resident};
use crate::memory::{elements, zeros};
use crate::{Error, Result, Tensor, f16};

/// The CPU as a device.
pub(crate) struct Cpu;

impl Backend for Cpu {
    fn name(&self) -> String {
        format!("CPU, {} threads", rayon::current_num_threads())
    }

    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>> {
        let cpu = tensor.format().cpu.ok_or_else(|| Error::Missing {
            format: tensor.format().name.to_string(),
            what: "CPU functions".to_owned(),
            hint: "; a format compiled at run time decodes on the reference engine or a GPU"
                .to_owned(),
        })?;
        Ok(Arc::new(CpuWeights { tensor: tensor.clone(), decode: cpu.decode.portable }))
    }
}

/// A tensor and its decoder.
struct CpuWeights {
    tensor: Tensor,
    decode: DecodeFn,
}

/// Weights decoded at a time: small enough to stay in the first-level cache.
const RUN: usize = 1024;
/// Weights per task of a dequantization.
const TASK: usize = 16 * 1024;

impl Resident for CpuWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        let mut weights = zeros(self.tensor.n() * self.tensor.k(), "decoded weights")?;
        let per_task = self.run(TASK);
        weights.par_chunks_mut(per_task * self.block()).enumerate().for_each(|(task, weights)| {
            let first = task * per_task;
            self.decode(first, weights);
        });
        Ok(weights)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        let mut weights = zeros::<f16>(self.tensor.n() * self.tensor.k(), "decoded weights")?;
        let per_task = self.run(RUN);
        weights.par_chunks_mut(per_task * self.block()).enumerate().for_each_init(
            || vec![0.0; per_task * self.block()],
            |decoded, (task, weights)| {
                let first = task * per_task;
                let Some(decoded) = decoded.get_mut(..weights.len()) else { return };
                self.decode(first, decoded);
                weights.convert_from_f32_slice(decoded);
            },
        );
        Ok(weights)
    }

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.columns(x, 1)
    }

    fn matmul(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let n = self.tensor.n();
        let columns = self.columns(x, m)?;
        let mut y = zeros(columns.len(), "the output")?;
        y.par_chunks_mut(n).enumerate().for_each(|(row, y)| {
            for (y, column) in y.iter_mut().zip(columns.chunks_exact(m)) {
                *y = column.get(row).copied().unwrap_or_default();
            }
        });
        Ok(y)
    }
}

impl CpuWeights {
    /// The product transposed, `[n, m]`: one task per weight row.
    fn columns(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let len = elements(m, self.tensor.n(), "the output")?;
        let mut y = zeros(len, "the output")?;
        y.par_chunks_mut(m).enumerate().for_each_init(
            || (vec![0.0; self.run(RUN) * self.block()], vec![0.0; m]),
            |(decoded, sums), (row, y)| {
                self.row(row, x, decoded, sums);
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = *sum as f32;
                }
            },
        );
        Ok(y)
    }

    /// `sums[m]` = one weight row times every activation row.
    fn row(&self, row: usize, x: &[f32], decoded: &mut [f32], sums: &mut [f64]) {
        let k = self.tensor.k();
        let per_row = k / self.block();
        sums.fill(0.0);
        for block in (0..per_row).step_by(self.run(RUN)) {
            let blocks = block..per_row.min(block + self.run(RUN));
            let columns = blocks.start * self.block()..blocks.end * self.block();
            let Some(decoded) = decoded.get_mut(..columns.len()) else { return };
            self.decode(row * per_row + blocks.start, decoded);
            for (sum, x) in sums.iter_mut().zip(x.chunks_exact(k)) {
                *sum += dot(decoded, x.get(columns.clone()).unwrap_or_default());
            }
        }
    }

    /// Decodes the blocks from `first` on that fill `weights`.
    fn decode(&self, first: usize, weights: &mut [f32]) {
        let dims = self.tensor.layout().words();
        // SAFETY: the portable version needs no instructions beyond the target's.
        unsafe { (self.decode)(&self.tensor.stream_bytes(), &dims, first, weights) };
    }

    /// Weights per block.
    fn block(&self) -> usize {
        self.tensor.format().weights as usize
    }

    /// Blocks in about so many weights, at least 1 and at most all there are.
    fn run(&self, weights: usize) -> usize {
        (weights / self.block()).clamp(1, self.tensor.blocks())
    }
}

const LANES: usize = 16;

/// `w · x`. Sums of up to 32 products run in f32, which bounds the error to 3e-6 of Σ|w·x|; the
/// rest adds up in f64.
fn dot(w: &[f32], x: &[f32]) -> f64 {
    let runs = w.chunks(32 * LANES).zip(x.chunks(32 * LANES));
    runs.map(|(w, x)| dot_run(w, x)).sum()
}

fn dot_run(w: &[f32], x: &[f32]) -> f64 {
    let (w, w_rest) = w.as_chunks::<LANES>();
    let (x, x_rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for (w, x) in w.iter().zip(x) {
        for ((lane, w), x) in lanes.iter_mut().zip(w).zip(x) {
            *lane += w * x;
        }
    }
    for ((lane, w), x) in lanes.iter_mut().zip(w_rest).zip(x_rest) {
        *lane += w * x;
    }
    lanes.into_iter().map(f64::from).sum()
}
