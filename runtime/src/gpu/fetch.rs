//! Computes on a GPU and brings the result back.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use bytemuck::Pod;

use super::groups::Groups;
use super::{Gpu, GpuWeights, View, plan};
use crate::artifact::Element;
use crate::device::check_activations;
use crate::memory::{elements, zeros};
use crate::{Result, choice, f16};

/// Decoded bytes fetched at a time.
const PIECE: u64 = 64 << 20;

const OUTPUT: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC);

impl GpuWeights {
    /// All weights decoded, `[n, k]` row-major.
    ///
    /// # Errors
    /// Where memory is exhausted or the device fails.
    pub async fn dequantize_async(&self) -> Result<Vec<f32>> {
        self.decode(Element::F32).await
    }

    /// All weights decoded, `[n, k]` row-major, rounded to nearest even.
    ///
    /// # Errors
    /// Where memory is exhausted or the device fails.
    pub async fn dequantize_f16_async(&self) -> Result<Vec<f16>> {
        self.decode(Element::F16).await
    }

    /// `y[n] = weights · x[k]`.
    ///
    /// # Errors
    /// Where `x` has not `k` values, memory is exhausted or the device fails.
    pub async fn matvec_async(&self, x: &[f32]) -> Result<Vec<f32>> {
        check_activations(&self.name, x, 1, self.k as usize)?;
        let mut y = zeros(self.n as usize, "the output")?;
        self.product(x, &mut y, 1).await?;
        Ok(y)
    }

    /// `y[m, n] = x[m, k] · weightsᵀ`, all row-major.
    ///
    /// # Errors
    /// Where `m` is 0 or `x` has not `m · k` values, memory is exhausted or the device fails.
    pub async fn matmul_async(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let (n, k) = (self.n as usize, self.k as usize);
        check_activations(&self.name, x, m, k)?;
        let mut y = zeros(elements(m, n, "an output")?, "the output")?;
        // As many activation rows at a time as bindings hold.
        let room = plan::bindable(&self.gpu.limits);
        let rounded = choice::quantized_bytes(1, self.k);
        let rows = room / (4 * self.n.max(self.k).next_multiple_of(4)).max(rounded);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, m);
        for (x, y) in x.chunks(rows * k).zip(y.chunks_mut(rows * n)) {
            let m = (x.len() / k) as u32;
            self.product(x, y, m).await?;
        }
        Ok(y)
    }

    async fn decode<T: Pod + Default>(&self, element: Element) -> Result<Vec<T>> {
        let gpu = &self.gpu;
        let mut weights = zeros((self.n * self.k) as usize, "decoded weights")?;
        let mut rest = weights.as_mut_slice();
        let mut buffers: Option<Fetch> = None;
        for part in &self.parts {
            for piece in self.pieces(part, element, PIECE)? {
                let count = (piece.end - piece.start) * u64::from(self.format.weights);
                let size = plan::rounded(count) * element.bytes();
                let buffers = match &mut buffers {
                    Some(buffers) if buffers.y.size() >= size => buffers,
                    buffers => buffers.insert(Fetch::new(gpu, size)?),
                };
                let mut encoder = gpu.encoder()?;
                let y = View::from(&buffers.y);
                self.record_piece(&mut encoder, part, &piece, y, element, &Groups::default())?;
                let (decoded, after) = rest.split_at_mut((count as usize).min(rest.len()));
                buffers.fetch(gpu, encoder, decoded).await?;
                rest = after;
            }
        }
        Ok(weights)
    }

    /// Runs one product, whose activations and output fit a binding.
    async fn product(&self, x: &[f32], y: &mut [f32], m: u32) -> Result<()> {
        let gpu = &self.gpu;
        let x = gpu.filled("activations", bytemuck::cast_slice(x), wgpu::BufferUsages::STORAGE)?;
        let mut buffers = Fetch::new(gpu, plan::rounded(y.len() as u64) * 4)?;
        let mut encoder = gpu.encoder()?;
        // The buffers do not come again.
        let (x, y_view, groups) = (View::from(&x), View::from(&buffers.y), Groups::default());
        self.record_product(&mut encoder, x, y_view, m, &groups)?;
        buffers.fetch(gpu, encoder, y).await
    }
}

/// An output on the GPU and the buffer that the host sees.
struct Fetch {
    y: wgpu::Buffer,
    host: wgpu::Buffer,
}

impl Fetch {
    fn new(gpu: &Gpu, size: u64) -> Result<Fetch> {
        let host = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Fetch {
            y: gpu.buffer("output", size, OUTPUT)?,
            host: gpu.buffer("output on the host", size, host)?,
        })
    }

    /// Submits what is recorded, waits, and copies the beginning of `y` to `values`.
    async fn fetch<T: Pod>(
        &mut self,
        gpu: &Gpu,
        mut encoder: wgpu::CommandEncoder,
        values: &mut [T],
    ) -> Result<()> {
        let during = "fetching a result";
        let size = (size_of_val(values) as u64).next_multiple_of(4);
        let index = gpu.guarded(during, || {
            encoder.copy_buffer_to_buffer(&self.y, 0, &self.host, 0, size);
            gpu.queue().submit([encoder.finish()])
        })?;
        let mapped = Arc::new(Mutex::new((None, None::<Waker>)));
        let slot = mapped.clone();
        gpu.guarded(during, || {
            self.host.map_async(wgpu::MapMode::Read, ..size, move |result| {
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                slot.0 = Some(result);
                if let Some(waker) = slot.1.take() {
                    waker.wake();
                }
            });
        })?;
        gpu.poll(during, index)?;
        let result = poll_fn(|context| {
            let mut slot = mapped.lock().unwrap_or_else(PoisonError::into_inner);
            match slot.0.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    slot.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        result.await.map_err(|error| gpu.failed(during, error))?;
        let view = self.host.get_mapped_range(..size).map_err(|error| gpu.failed(during, error))?;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
        for (to, from) in bytes.chunks_mut(1 << 20).zip(view.chunks(1 << 20)) {
            if let Some(from) = from.get(..to.len()) {
                to.copy_from_slice(from);
            }
        }
        drop(view);
        self.host.unmap();
        Ok(())
    }
}

impl Gpu {
    fn encoder(&self) -> Result<wgpu::CommandEncoder> {
        self.guarded("creating an encoder", || {
            self.shared.device.create_command_encoder(&Default::default())
        })
    }
}
