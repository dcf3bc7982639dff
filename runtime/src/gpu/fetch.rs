//! Computes on the host's memory: brings what a step reads to the GPU, and the result back.

use std::sync::Arc;

use bytemuck::cast_slice;

use super::waiter::{Done, Waiting};
use super::{Gpu, GpuWeights, View};
use crate::launch::{Operands, Planner, Runs, Step, grown};
use crate::{Epilogue, Result};

/// Buffers of a call, which later ones use again.
#[derive(Default)]
pub(super) struct Staging {
    x: Option<wgpu::Buffer>,
    indices: Option<wgpu::Buffer>,
    bias: Option<wgpu::Buffer>,
    y: Option<wgpu::Buffer>,
    /// What the host sees of `y`.
    host: Option<wgpu::Buffer>,
}

const DURING: &str = "fetching a result";

impl Runs for GpuWeights {
    fn planner(&self) -> &Planner {
        &self.planner
    }

    fn run(&self, step: Step<'_>) -> Result<()> {
        wait(self.compute(step, Waiting::Blocked))
    }

    fn on_gpu(&self) -> Option<&GpuWeights> {
        Some(self)
    }
}

impl GpuWeights {
    /// Runs a step and waits for its output.
    pub(super) async fn compute(&self, step: Step<'_>, waiting: Waiting) -> Result<()> {
        let gpu = &self.gpu;
        let mut staging = gpu.shared.kept.take();
        let started = gpu.settle(self.start(&step, &mut staging), waiting);
        started.await?.copy(gpu, step.y, waiting).await?;
        // After an error nobody knows whether buffers are mapped: they are made anew.
        gpu.shared.kept.give(staging);
        Ok(())
    }

    /// Submits a step, and asks for its output.
    fn start(&self, step: &Step<'_>, staging: &mut Staging) -> Result<Started> {
        let gpu = &self.gpu;
        let Step { ref call, x, indices, epilogue, ref y } = *step;
        let Epilogue { bias, add, .. } = epilogue;
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let read = |slot: &mut _, label, bytes: &[u8]| -> Result<Option<wgpu::Buffer>> {
            if bytes.is_empty() {
                return Ok(None);
            }
            let buffer = gpu.sized(slot, label, bytes.len() as u64, storage)?;
            gpu.fill(label, &buffer, bytes)?;
            Ok(Some(buffer))
        };
        let x = read(&mut staging.x, "activations", cast_slice(x))?;
        let indices = read(&mut staging.indices, "indices", cast_slice(indices))?;
        let bias = read(&mut staging.bias, "bias", cast_slice(bias.unwrap_or_default()))?;
        let usage = storage | wgpu::BufferUsages::COPY_SRC;
        let output = gpu.sized(&mut staging.y, "output", step.bytes(), usage)?;
        if add {
            gpu.fill("output", &output, y)?;
        }
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let host = gpu.sized(&mut staging.host, "output on the host", step.bytes(), usage)?;
        let mut encoder = gpu.guarded("creating an encoder", || {
            gpu.shared.device.create_command_encoder(&Default::default())
        })?;
        let operands = Operands {
            x: x.as_ref().map(View::from),
            indices: indices.as_ref().map(View::from),
            y: Some(View::from(&output)),
            epilogue: epilogue.with_bias(bias.as_ref().map(View::from)),
        };
        self.record(&mut encoder, call, operands)?;
        let size = (y.len() as u64).next_multiple_of(4);
        let index = gpu.guarded(DURING, || {
            encoder.copy_buffer_to_buffer(&output, 0, &host, 0, size);
            gpu.queue().submit([encoder.finish()])
        })?;
        let done = Arc::<Done>::default();
        let told = done.clone();
        gpu.guarded(DURING, || {
            host.map_async(wgpu::MapMode::Read, ..size, move |result| {
                told.set(result.map_err(|error| error.to_string()));
            });
        })?;
        Ok(Started { host, index, done, size })
    }
}

/// A result on its way to the host.
struct Started {
    host: wgpu::Buffer,
    index: wgpu::SubmissionIndex,
    done: Arc<Done>,
    size: u64,
}

impl Started {
    /// Waits for the result and copies it.
    async fn copy(self, gpu: &Gpu, bytes: &mut [u8], waiting: Waiting) -> Result<()> {
        let Started { host, index, done, size } = self;
        gpu.reach(DURING, index, &done, waiting).await?;
        let view = host.get_mapped_range(..size);
        let view = view.map_err(|error| gpu.failed(DURING, error))?;
        for (to, from) in bytes.chunks_mut(1 << 20).zip(view.chunks(1 << 20)) {
            if let Some(from) = from.get(..to.len()) {
                to.copy_from_slice(from);
            }
        }
        drop(view);
        host.unmap();
        Ok(())
    }
}

impl Gpu {
    /// The buffer of a slot, or a larger one that stays there.
    pub(super) fn sized(
        &self,
        slot: &mut Option<wgpu::Buffer>,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        if let Some(buffer) = slot.as_ref().filter(|buffer| buffer.size() >= bytes) {
            return Ok(buffer.clone());
        }
        let size = grown(bytes, self.choice.limits.bindable());
        Ok(slot.insert(self.buffer(label, size, usage)?).clone())
    }
}

#[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
fn wait<T>(result: impl Future<Output = Result<T>>) -> Result<T> {
    pollster::block_on(result)
}

#[cfg(not(all(feature = "wgpu", not(target_family = "wasm"))))]
fn wait<T>(_: impl Future<Output = Result<T>>) -> Result<T> {
    Err(crate::Error::Device {
        device: "browser".to_owned(),
        during: "waiting for a result".to_owned(),
        problem: "a browser cannot block; call `Weights::on_gpu` and its async methods".to_owned(),
    })
}
