//! GPUs through wgpu: Vulkan, Metal and DirectX 12, and WebGPU in browsers.
//!
//! [`Gpu`] is a device; [`Gpu::from_parts`] takes a device and queue of the caller's.
//! [`GpuWeights`] are weights on it. Their `record_*` methods only record into an encoder of the
//! caller's, with no hidden submission and no wait; the others compute and fetch the result.

// In a browser GPU objects belong to one thread, and so does what holds them.
#![cfg_attr(target_family = "wasm", allow(clippy::arc_with_non_send_sync))]

mod experts;
mod fault;
mod fetch;
mod gather;
mod groups;
mod matrices;
mod pipeline;
mod quantize;
mod record;
mod upload;
mod view;
mod waiter;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use self::fault::Faults;
use self::pipeline::Pipeline;
pub use self::upload::GpuWeights;
pub use self::view::{Recorder, View};
use self::waiter::Waiting;
use crate::artifact::{self, Activations, Element, List};
use crate::choice::Choice;
use crate::device::{Backend, Resident};
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::plan::{self, Limits};
use crate::{Device, Error, Format, Result, Tensor, f16};

/// A wgpu device with its pipelines; cheap to clone.
#[derive(Clone)]
pub struct Gpu {
    shared: Arc<Shared>,
    limits: Limits,
    choice: Choice,
    #[cfg(feature = "tune")]
    tuning: Option<Arc<crate::tuning::Tuning>>,
}

/// Features that a device we open gets where it has them, beside those of matrix units: subgroups, and
/// timestamps, as callers may time what they record.
const OPTIONAL: wgpu::Features = wgpu::Features::SUBGROUP.union(wgpu::Features::TIMESTAMP_QUERY);

struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    faults: Arc<Faults>,
    /// Pipelines by kernel name; one name may belong to several texts.
    pipelines: Mutex<HashMap<String, Vec<Arc<Pipeline>>>>,
    /// Tables of formats, and their buffers.
    tables: Mutex<Vec<(List<u32>, wgpu::Buffer)>>,
    /// Activations in 8 bits, of one product after another.
    quantized: Mutex<Option<wgpu::Buffer>>,
    /// Zeros, which no kernel writes.
    zeros: Mutex<Option<wgpu::Buffer>>,
    /// Bytes written to the queue since the last submission of an upload.
    written: AtomicU64,
    /// The thread that waits for async calls, once there was one.
    #[cfg(not(target_family = "wasm"))]
    waiter: Mutex<Option<std::sync::mpsc::Sender<waiter::Job>>>,
}

impl Gpu {
    /// The fastest GPU there is, or a software one.
    ///
    /// Where the program's own calls of wgpu on this device go wrong, outside of error scopes of its own,
    /// the next call here fails with that error, which names the operation; the one after it works. A
    /// device of the caller's ([`Gpu::from_parts`]) tells the caller.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none; it says what to install.
    #[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
    pub fn new() -> Result<Gpu> {
        pollster::block_on(Gpu::new_async())
    }

    /// Like `Gpu::new`, without blocking a browser.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none.
    pub async fn new_async() -> Result<Gpu> {
        // wgpu panics without a backend rather than finding no adapter.
        if wgpu::Instance::enabled_backend_features().is_empty() {
            return Err(no_adapter("this program was built without a graphics backend".to_owned()));
        }
        let instance = wgpu::Instance::default();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await;
        let adapter = adapter.map_err(|error| no_adapter(error.to_string()))?;
        let (required_features, experimental_features) = matrices::features(&adapter);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("quantloom"),
            required_features: required_features | adapter.features() & OPTIONAL,
            experimental_features,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|error| {
            no_adapter(format!("`{}` cannot be opened: {error}", adapter.get_info().name))
        })?;
        let gpu = Gpu::from_parts(device, queue).with_adapter(&adapter);
        gpu.shared.faults.watch(&gpu.shared.device);
        Ok(gpu)
    }

    /// A device and its queue that the caller owns and may go on using. Its limits decide where
    /// large tensors are split. No feature is needed; `SUBGROUP` is used where the device has it, and
    /// cooperative matrices after [`Gpu::with_adapter`].
    ///
    /// The caller keeps the device's callbacks: where it is lost, calls here fail with
    /// [`Error::Device`] instead of [`Error::DeviceLost`].
    pub fn from_parts(device: wgpu::Device, queue: wgpu::Queue) -> Gpu {
        let info = device.adapter_info();
        let limits = device.limits();
        Gpu {
            #[cfg(feature = "tune")]
            tuning: None,
            limits: Limits {
                binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
                alignment: limits.min_storage_buffer_offset_alignment.into(),
                workgroups: limits.max_compute_workgroups_per_dimension,
            },
            choice: Choice {
                subgroups: device.features().contains(wgpu::Features::SUBGROUP),
                turns: turns(&info),
                ..Choice::new(artifact::Backend::Wgsl)
            },
            shared: Arc::new(Shared {
                device,
                queue,
                name: format!("{} ({:?})", info.name, info.backend),
                faults: Arc::default(),
                pipelines: Mutex::default(),
                tables: Mutex::default(),
                quantized: Mutex::default(),
                zeros: Mutex::default(),
                written: AtomicU64::new(0),
                #[cfg(not(target_family = "wasm"))]
                waiter: Mutex::default(),
            }),
        }
    }

    /// The same device, whose products round activations to [`Activations::Int8`] first and multiply
    /// integers: with a matvec kernel for one activation row, with one that loads weights once for up to
    /// 16, with tiles for more. Formats without 8-bit codes, floats that is, are multiplied as without
    /// it; [`Weights::activations`](crate::Weights::activations) says so. Products with chosen matrices
    /// ([`Weights::matmul_experts`](crate::Weights::matmul_experts)) stay exact.
    ///
    /// Rounded activations lie in one buffer of the device, which grows with the largest product.
    #[must_use]
    pub fn int8(mut self) -> Gpu {
        self.choice.activations = Activations::Int8;
        self
    }

    /// The same device, pretending that it has no subgroup operations.
    #[must_use]
    pub fn without_subgroups(mut self) -> Gpu {
        self.choice.subgroups = false;
        self
    }

    /// The same device, pretending that storage bindings hold at most so many bytes: larger tensors
    /// are split by rows. Never raises the device's own limit.
    pub fn with_binding_limit(mut self, bytes: u64) -> Gpu {
        self.limits.binding = self.limits.binding.min(bytes);
        self
    }

    /// The same device, pretending that a grid has at most so many workgroups per dimension:
    /// larger ones become two-dimensional. Never raises the device's own limit.
    pub fn with_workgroup_limit(mut self, workgroups: u32) -> Gpu {
        self.limits.workgroups = self.limits.workgroups.min(workgroups.max(1));
        self
    }

    /// The same device with the schedules that were measured for it; see [`tuning`](crate::tuning).
    ///
    /// # Errors
    /// [`Error::Tuning`] where a table is damaged.
    #[cfg(feature = "tune")]
    pub fn tuned(self) -> Result<Gpu> {
        Ok(self.with_tuning(crate::tuning::Tuning::of_environment()?))
    }

    /// The same device with schedules of this table.
    #[cfg(feature = "tune")]
    pub fn with_tuning(mut self, tuning: crate::tuning::Tuning) -> Gpu {
        self.tuning = Some(Arc::new(tuning));
        self
    }

    /// The format that a tensor is computed with.
    fn format(&self, tensor: &Tensor) -> Result<Format> {
        #[cfg(feature = "tune")]
        if let Some(tuning) = &self.tuning {
            return tuning.format(self.name(), crate::artifact::Backend::Wgsl, tensor);
        }
        Ok(tensor.format().clone())
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

impl From<Gpu> for Device {
    fn from(gpu: Gpu) -> Device {
        Device::new(gpu)
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.name())
    }
}

/// Turns after which a driver ends the loops of an invocation, in silence.
fn turns(info: &wgpu::AdapterInfo) -> u64 {
    // Mesa's software Vulkan counts those of all loops of a shader together.
    let counts = [&info.driver, &info.name].iter().any(|name| name.starts_with("llvmpipe"));
    if counts { 65_535 } else { u64::MAX }
}

fn no_adapter(problem: String) -> Error {
    let hint = if cfg!(target_family = "wasm") {
        "use a browser with WebGPU"
    } else if cfg!(target_os = "linux") {
        "install your GPU's Vulkan driver, or Mesa's software Vulkan (package mesa-vulkan-drivers \
         on Debian and Ubuntu), or compute on the CPU device"
    } else {
        "install your GPU's driver, or compute on the CPU device"
    };
    Error::NoAdapter { problem, hint: hint.to_owned() }
}

impl Backend for Gpu {
    fn name(&self) -> String {
        self.shared.name.clone()
    }

    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>> {
        Ok(Arc::new(Gpu::upload(self, tensor)?))
    }
}

impl Resident for GpuWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        wait(self.decode(Element::F32, Waiting::Blocked))
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        wait(self.decode(Element::F16, Waiting::Blocked))
    }

    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        wait(self.rows(rows, Element::F32, Waiting::Blocked))
    }

    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        wait(self.rows(rows, Element::F16, Waiting::Blocked))
    }

    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()> {
        wait(self.products(x, m, y, epilogue, Waiting::Blocked))
    }

    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        wait(self.chosen(chosen, y, epilogue, Waiting::Blocked))
    }

    fn activations(&self) -> Activations {
        self.gpu.choice.activations(&self.format)
    }

    fn on_gpu(&self) -> Option<&GpuWeights> {
        Some(self)
    }
}

#[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
fn wait<T>(result: impl Future<Output = Result<T>>) -> Result<T> {
    pollster::block_on(result)
}

#[cfg(not(all(feature = "wgpu", not(target_family = "wasm"))))]
fn wait<T>(_: impl Future<Output = Result<T>>) -> Result<T> {
    Err(Error::Device {
        device: "browser".to_owned(),
        during: "waiting for a result".to_owned(),
        problem: "a browser cannot block; call `Weights::on_gpu` and its async methods".to_owned(),
    })
}
