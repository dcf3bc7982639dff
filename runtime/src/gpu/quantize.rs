//! Activations in 8 bits, made on the GPU by every product that reads them.

use std::sync::{Arc, Mutex, PoisonError};

use super::groups::Groups;
use super::pipeline::{Launch, Pipeline, Streams};
use super::{Gpu, GpuWeights, Recorder, View, plan};
use crate::artifact::{Element, Shape};
use crate::{Result, choice};

/// The kernel that rounds activations, and where it puts them.
pub(super) struct Quantized {
    pipeline: Arc<Pipeline>,
    buffer: wgpu::Buffer,
    bytes: u64,
}

impl GpuWeights {
    /// Records what a product of `m` activation rows does first where it rounds them to 8 bits, and no
    /// more: to time it apart. `x` is as for [`GpuWeights::record_matmul`].
    ///
    /// # Errors
    /// As for [`GpuWeights::record_matmul`].
    pub fn record_rounding<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        m: u32,
    ) -> Result<()> {
        let x = self.bindable("activations", x.into(), [m.into(), self.k], Element::F32)?;
        let quantized = self.quantized(m)?;
        // A row is below 2^31: `plan::parts`.
        let shape = [m, self.k as u32];
        into.compute(|pass| quantized.record(&self.gpu, pass, x, shape, &self.groups).map(drop))
    }

    /// What rounding `m` activation rows takes.
    pub(super) fn quantized(&self, m: u32) -> Result<Quantized> {
        let bytes = choice::quantized_bytes(m.into(), self.k);
        let limit = plan::bindable(&self.gpu.limits);
        if bytes > limit {
            let problem = format!(
                "[{m}, {}] in 8 bits take {bytes} bytes; a binding holds {limit}, so record fewer \
                 activation rows at a time",
                self.k
            );
            return Err(self.argument("activations", problem));
        }
        Ok(Quantized { pipeline: self.quantizer()?, buffer: self.gpu.quantized(bytes)?, bytes })
    }
}

impl Gpu {
    /// The device's buffer for so many bytes of rounded activations. Commands run in the order of
    /// their submission, and each product rounds its own activations, so one is enough.
    fn quantized(&self, bytes: u64) -> Result<wgpu::Buffer> {
        self.grown(&self.shared.quantized, "activations in 8 bits", bytes)
    }

    /// As many zeros, each a u32.
    pub(super) fn zeros(&self, count: u32) -> Result<wgpu::Buffer> {
        self.grown(&self.shared.zeros, "zeros", 4 * u64::from(count))
    }

    /// A buffer that is kept until a larger one is needed; it begins with zeros.
    fn grown(
        &self,
        kept: &Mutex<Option<wgpu::Buffer>>,
        label: &str,
        bytes: u64,
    ) -> Result<wgpu::Buffer> {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(buffer) = kept.as_ref().filter(|buffer| buffer.size() >= bytes) {
            return Ok(buffer.clone());
        }
        // What is larger by a little comes soon.
        let size = bytes.next_power_of_two().min(plan::bindable(&self.limits)).max(bytes);
        let buffer = self.buffer(label, size, wgpu::BufferUsages::STORAGE)?;
        Ok(kept.insert(buffer).clone())
    }
}

impl Quantized {
    /// Records rounding `m` rows of `k` activations. What products read then.
    pub(super) fn record(
        &self,
        gpu: &Gpu,
        pass: &mut wgpu::ComputePass<'_>,
        x: View<'_>,
        [m, k]: [u32; 2],
        groups: &Groups,
    ) -> Result<View<'_>> {
        let y = View { buffer: &self.buffer, offset: 0, size: self.bytes };
        let launch = Launch {
            weights: Streams::Whole(&[]),
            tables: None,
            x: Some(x),
            bias: None,
            indices: None,
            y,
            shape: Shape { k, m, ..Shape::default() },
            covered: [1, k.into(), m.into()],
            groups,
        };
        gpu.launch(pass, &self.pipeline, &launch)?;
        Ok(y)
    }
}
