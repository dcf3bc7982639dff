//! Brings quantized bytes to a GPU as they are.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::Gpu;
use super::groups::Groups;
use super::pipelines::Pipeline;
use super::waiter::{Done, Waiting};
use crate::launch::{Planner, locked};
use crate::{Bytes, Error, Result, Tensor};

/// Weights `[n, k]` on a GPU, quantized, in one buffer per stream or in several where a binding
/// does not hold them.
pub struct GpuWeights {
    pub(super) gpu: Gpu,
    pub(super) planner: Planner,
    /// A buffer for each stream of each part.
    pub(super) parts: Vec<Vec<wgpu::Buffer>>,
    /// The format's tables, where it has some.
    pub(super) tables: Option<wgpu::Buffer>,
    /// Kernels that were used, by their addresses.
    pub(super) pipelines: Mutex<Vec<(usize, Arc<Pipeline>)>>,
    pub(super) groups: Groups,
}

impl GpuWeights {
    /// Bytes on the GPU, with padding.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().flatten().map(|buffer| buffer.size()).sum()
    }
}

/// Bytes written to the queue at a time.
const PIECE: usize = 16 << 20;
/// Bytes that may wait in the queue, which holds a copy of them.
const IN_FLIGHT: u64 = 64 << 20;

impl Gpu {
    /// Brings a tensor to this GPU. The host never holds more than a small part of it twice:
    /// after every 64 MiB it submits what is written and waits for it, which is the only
    /// submission and the only wait.
    ///
    /// # Errors
    /// Where one row is larger than a binding, the device grants less than kernels of the format need, or the
    /// GPU has no room.
    pub fn upload(&self, tensor: &Tensor) -> Result<GpuWeights> {
        // Where it blocks it is never pending.
        let uploaded = pin!(self.bring(tensor, Waiting::Blocked));
        match uploaded.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(uploaded) => uploaded,
            Poll::Pending => Err(self.failed(&uploading(tensor.name()), "it did not wait")),
        }
    }

    /// [`Gpu::upload`], without blocking: the wait is for whoever polls this, and in a browser errors that
    /// it tells of later are waited for.
    ///
    /// # Errors
    /// As for [`Gpu::upload`].
    pub async fn upload_async(&self, tensor: &Tensor) -> Result<GpuWeights> {
        let uploaded = self.bring(tensor, Waiting::Woken).await;
        self.settle(uploaded, Waiting::Woken).await
    }

    async fn bring(&self, tensor: &Tensor, waiting: Waiting) -> Result<GpuWeights> {
        let planner = Planner::new(self.name(), &self.choice, tensor, self.format(tensor)?)?;
        let mut parts = Vec::new();
        for rows in &planner.parts {
            let mut streams = Vec::new();
            for (bytes, range) in tensor.streams().iter().zip(planner.streams(rows)) {
                let bytes = bytes.slice(range).unwrap_or_else(|| Vec::new().into());
                let size = planner.padded(bytes.len());
                streams.push(self.write(tensor.name(), &bytes, size, waiting).await?);
            }
            parts.push(streams);
        }
        Ok(GpuWeights {
            gpu: self.clone(),
            parts,
            tables: self.tables(&planner)?,
            planner,
            pipelines: Mutex::default(),
            groups: Groups::default(),
        })
    }

    /// A format's tables, one buffer for all tensors of the format.
    fn tables(&self, planner: &Planner) -> Result<Option<wgpu::Buffer>> {
        let format = &planner.format;
        if format.tables.is_empty() {
            return Ok(None);
        }
        let mut known = locked(&self.shared.tables);
        if let Some((_, buffer)) = known.iter().find(|(words, _)| *words == format.tables) {
            return Ok(Some(buffer.clone()));
        }
        let buffer = self.filled("tables", &planner.tables(), wgpu::BufferUsages::STORAGE)?;
        known.push((format.tables.clone(), buffer.clone()));
        Ok(Some(buffer))
    }

    /// A buffer of weights; what follows them is zero.
    async fn write(
        &self,
        name: &str,
        bytes: &Bytes,
        size: u64,
        waiting: Waiting,
    ) -> Result<wgpu::Buffer> {
        let during = uploading(name);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(name, size, usage)?;
        let mut offset = 0;
        for piece in bytes.chunks(PIECE) {
            // Copies are of whole words.
            let (whole, rest) = piece.split_at(piece.len() / 4 * 4);
            let mut last = [0; 4];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            let queue = &self.shared.queue;
            self.guarded(&during, || {
                queue.write_buffer(&buffer, offset, whole);
                if !rest.is_empty() {
                    queue.write_buffer(&buffer, offset + whole.len() as u64, &last);
                }
            })?;
            offset += piece.len() as u64;
            self.flush(&during, piece.len() as u64, waiting).await?;
        }
        Ok(buffer)
    }

    /// Waits for what is written once it is much.
    async fn flush(&self, during: &str, written: u64, waiting: Waiting) -> Result<()> {
        let waits = self.shared.written.fetch_add(written, Ordering::Relaxed) + written;
        if waits < IN_FLIGHT {
            return Ok(());
        }
        self.shared.written.store(0, Ordering::Relaxed);
        let index = self.guarded(during, || self.shared.queue.submit([]))?;
        let done = match waiting {
            // In a browser this returns at once.
            Waiting::Blocked => return self.poll(during, index),
            Waiting::Woken => Arc::<Done>::default(),
        };
        let told = done.clone();
        self.shared.queue.on_submitted_work_done(move || told.set(Ok(())));
        self.settle(Ok(()), waiting).await?;
        self.reach(during, index, &done, waiting).await
    }

    pub(super) fn buffer(
        &self,
        label: &str,
        size: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        let result = self.guarded(&format!("creating buffer `{label}`"), || {
            self.shared.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        });
        result.map_err(|error| match error {
            Error::OutOfMemory { during, .. } => Error::OutOfMemory { during, bytes: Some(size) },
            other => other,
        })
    }

    /// A buffer that begins with these bytes, whole words; its length is rounded up to 16.
    pub(super) fn filled(
        &self,
        label: &str,
        bytes: &[u8],
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer> {
        let usage = usage | wgpu::BufferUsages::COPY_DST;
        let size = (bytes.len() as u64).next_multiple_of(16);
        let buffer = self.buffer(label, size, usage)?;
        self.fill(label, &buffer, bytes)?;
        Ok(buffer)
    }

    /// Writes bytes, whole words, to the beginning of a buffer.
    pub(super) fn fill(&self, label: &str, buffer: &wgpu::Buffer, bytes: &[u8]) -> Result<()> {
        // A buffer that is mapped from the start would be shorter to write, but browsers throw where
        // they have no memory for it.
        self.guarded(&format!("filling buffer `{label}`"), || {
            self.shared.queue.write_buffer(buffer, 0, bytes);
        })
    }
}

fn uploading(name: &str) -> String {
    format!("uploading tensor `{name}`")
}
