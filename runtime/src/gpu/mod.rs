//! GPUs through wgpu: Vulkan, Metal and DirectX 12, and WebGPU in browsers.
//!
//! [`Gpu`] is a device; [`Gpu::from_parts`] takes a device and queue of the caller's.
//! [`GpuWeights`] are weights on it. Their `record_*` methods only record into an encoder of the
//! caller's, with no hidden submission and no wait; the others compute and fetch the result, in buffers
//! that stay with the device for later calls.

// In a browser GPU objects belong to one thread, and so does what holds them.
#![cfg_attr(target_family = "wasm", allow(clippy::arc_with_non_send_sync))]

mod asynchronous;
mod compiled;
mod copy;
mod execute;
mod fault;
mod fetch;
mod groups;
mod matrices;
mod open;
mod pipelines;
mod upload;
mod view;
mod waiter;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use self::fault::Faults;
use self::fetch::Staging;
use self::pipelines::Pipelines;
pub use self::upload::GpuWeights;
pub use self::view::{Recorder, View};
use crate::artifact::List;
use crate::launch::{Choice, Kept, Scratch, methods};

/// A wgpu device with its pipelines; cheap to clone.
#[derive(Clone)]
pub struct Gpu {
    shared: Arc<Shared>,
    choice: Choice,
    #[cfg(feature = "tune")]
    tuning: Option<Arc<crate::tuning::Tuning>>,
}

struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    faults: Arc<Faults>,
    pipelines: Pipelines,
    /// Tables of formats, and their buffers.
    tables: Mutex<Vec<(List<u32>, wgpu::Buffer)>>,
    /// What recorded calls leave to one another. Commands run in the order of their submission, and each
    /// call writes what it reads, so one of a kind is enough.
    scratch: [Mutex<Option<wgpu::Buffer>>; Scratch::COUNT],
    /// Buffers of calls that computed on the host's memory.
    kept: Kept<Staging>,
    /// Bytes written to the queue since the last submission of an upload.
    written: AtomicU64,
    /// The thread that waits for async calls, once there was one.
    #[cfg(not(target_family = "wasm"))]
    waiter: Mutex<Option<std::sync::mpsc::Sender<waiter::Job>>>,
}

impl Gpu {
    /// The same device, pretending that it has no subgroup operations.
    #[must_use]
    pub fn without_subgroups(mut self) -> Gpu {
        self.choice.subgroups = false;
        self
    }

    /// The wgpu device, to create buffers and encoders with.
    pub fn device(&self) -> &wgpu::Device {
        &self.shared.device
    }

    /// The wgpu queue, to submit recorded work to.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.shared.queue
    }

    /// The adapter's name and graphics library.
    pub fn name(&self) -> &str {
        &self.shared.name
    }
}

methods!(Gpu, GpuWeights);
