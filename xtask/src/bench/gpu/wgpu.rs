//! GPUs through wgpu.

use super::machine::{Clock, Launch, Machine, What};
use super::options::Precision;
use crate::bench::Result;
use quantloom::Tensor;
use quantloom::gpu::{Gpu, GpuWeights};
use quantloom::wgpu::{
    self, Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassDescriptor,
    ComputePassTimestampWrites, MapMode, PollType, QuerySet, QuerySetDescriptor, QueryType,
    SubmissionIndex,
};
use std::cell::Cell;
use std::sync::mpsc::channel;
use std::time::Instant;

/// A device with what its timestamps take.
pub struct WgpuMachine {
    gpu: Gpu,
    queries: Option<QuerySet>,
    /// Where timestamps are resolved to.
    resolved: Buffer,
    /// Whether they have been found to go on.
    ticks: Cell<bool>,
    /// The device in each of its ways.
    ways: Vec<(Precision, Gpu)>,
}

/// Bytes of two timestamps.
const STAMPS: u64 = 16;
/// Bytes that are mapped at a time.
const PIECE: u64 = 64 << 20;

/// How a device can be asked to multiply.
pub fn ways(gpu: &Gpu) -> Vec<(Precision, Gpu)> {
    let matrices = gpu.has_matrices().then(|| (Precision::F16, gpu.clone().f16()));
    let always = [(Precision::Exact, gpu.clone()), (Precision::Int8, gpu.clone().int8())];
    always.into_iter().chain(matrices).collect()
}

impl WgpuMachine {
    pub fn new(gpu: Gpu) -> WgpuMachine {
        let device = gpu.device();
        let has = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let queries = has.then(|| {
            let (ty, count) = (QueryType::Timestamp, 2);
            device.create_query_set(&QuerySetDescriptor { label: None, ty, count })
        });
        let usage = BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC;
        WgpuMachine {
            resolved: buffer(&gpu, STAMPS, usage),
            ticks: Cell::new(has),
            queries,
            ways: ways(&gpu),
            gpu,
        }
    }

    /// Records all launches into one pass, with timestamps around them.
    fn pass(&self, encoder: &mut CommandEncoder, launches: &[Launch<'_, Self>]) -> Result<()> {
        let timestamp_writes = self.queries.as_ref().map(|query_set| ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        let descriptor = ComputePassDescriptor { label: None, timestamp_writes };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        for &Launch { what, weights, x, y } in launches {
            match what {
                What::Matvec => weights.record_matvec(&mut pass, x, y)?,
                What::Matmul(m) => weights.record_matmul(&mut pass, x, y, m)?,
                What::Dequantize(element) => weights.record_dequant(&mut pass, y, element)?,
                What::Round(m) => weights.record_rounding(&mut pass, x, m)?,
            }
        }
        Ok(())
    }

    fn encoder(&self) -> CommandEncoder {
        self.gpu.device().create_command_encoder(&Default::default())
    }

    fn wait(&self, index: SubmissionIndex) -> Result<()> {
        let wait = PollType::Wait { submission_index: Some(index), timeout: None };
        self.gpu.device().poll(wait)?;
        Ok(())
    }

    /// Seconds between the two timestamps; `None` where they stand still.
    fn stamps(&self) -> Result<Option<f64>> {
        let bytes = self.read(&self.resolved, STAMPS as usize)?;
        let [start, end] = [0, 8].map(|at| {
            let stamp = bytes[at..].first_chunk().copied().unwrap_or_default();
            u64::from_le_bytes(stamp)
        });
        let period = f64::from(self.gpu.queue().get_timestamp_period()) * 1e-9;
        Ok((end > start).then(|| (end - start) as f64 * period))
    }
}

fn buffer(gpu: &Gpu, size: u64, usage: BufferUsages) -> Buffer {
    let mapped_at_creation = false;
    gpu.device().create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation })
}

impl Machine for WgpuMachine {
    type Weights = GpuWeights;
    type Memory = Buffer;

    fn name(&self) -> String {
        self.gpu.name().to_owned()
    }

    fn driver(&self) -> Option<String> {
        let info = self.gpu.device().adapter_info();
        Some(format!("{} {}", info.driver, info.driver_info).trim().to_owned())
    }

    fn clock(&self) -> Clock {
        if self.ticks.get() { Clock::Device } else { Clock::Host }
    }

    fn precisions(&self) -> Vec<Precision> {
        self.ways.iter().map(|(precision, _)| *precision).collect()
    }

    fn upload(&self, tensor: &Tensor, precision: Precision) -> Result<GpuWeights> {
        let way = self.ways.iter().find(|(own, _)| *own == precision);
        Ok(way.map_or(&self.gpu, |(_, gpu)| gpu).upload(tensor)?)
    }

    fn memory(&self, bytes: u64, begin: &[u8]) -> Result<Buffer> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
        let memory = buffer(&self.gpu, bytes.next_multiple_of(16), usage);
        if !begin.is_empty() {
            self.gpu.queue().write_buffer(&memory, 0, begin);
        }
        Ok(memory)
    }

    fn read(&self, memory: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        let size = (bytes as u64).next_multiple_of(4);
        let host = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let host = buffer(&self.gpu, size.min(PIECE), host);
        let mut read = Vec::with_capacity(size as usize);
        while (read.len() as u64) < size {
            let from = read.len() as u64;
            let piece = (size - from).min(PIECE);
            let mut encoder = self.encoder();
            encoder.copy_buffer_to_buffer(memory, from, &host, 0, piece);
            let index = self.gpu.queue().submit([encoder.finish()]);
            let (sender, mapped) = channel();
            host.map_async(MapMode::Read, ..piece, move |result| drop(sender.send(result)));
            self.wait(index)?;
            mapped.recv()??;
            let view = host.get_mapped_range(..piece)?;
            read.extend_from_slice(&view);
            drop(view);
            host.unmap();
        }
        read.truncate(bytes);
        Ok(read)
    }

    fn time(&self, launches: &[Launch<'_, Self>]) -> Result<f64> {
        let mut encoder = self.encoder();
        self.pass(&mut encoder, launches)?;
        if let Some(queries) = &self.queries {
            encoder.resolve_query_set(queries, 0..2, &self.resolved, 0);
        }
        let commands = encoder.finish();
        let started = Instant::now();
        let index = self.gpu.queue().submit([commands]);
        self.wait(index)?;
        let waited = started.elapsed().as_secs_f64();
        if !self.ticks.get() {
            return Ok(waited);
        }
        let stamped = self.stamps()?;
        self.ticks.set(stamped.is_some());
        Ok(stamped.unwrap_or(waited))
    }

    fn record(&self, launches: &[Launch<'_, Self>]) -> Result<f64> {
        let started = Instant::now();
        let mut encoder = self.encoder();
        self.pass(&mut encoder, launches)?;
        let index = self.gpu.queue().submit([encoder.finish()]);
        let seconds = started.elapsed().as_secs_f64();
        self.wait(index)?;
        Ok(seconds)
    }
}
