//! Opens devices.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::pipelines::Pipelines;
use super::{Gpu, Shared, matrices};
use crate::artifact;
use crate::launch::{Choice, Kept, Limits};
use crate::{Error, Result};

/// Features that a device we open gets where it has them, beside those of matrix units: subgroups;
/// timestamps, as callers may time what they record; compiled kernels to hand out.
const OPTIONAL: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::PIPELINE_CACHE);

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
        Gpu {
            #[cfg(feature = "tune")]
            tuning: None,
            choice: Choice {
                subgroups: device.features().contains(wgpu::Features::SUBGROUP),
                turns: turns(&info),
                ..Choice::new(artifact::Backend::Wgsl, granted(&device.limits()))
            },
            shared: Arc::new(Shared {
                name: format!("{} ({:?})", info.name, info.backend),
                faults: Arc::default(),
                pipelines: Pipelines::new(&device),
                tables: Mutex::default(),
                scratch: Default::default(),
                kept: Kept::default(),
                device,
                queue,
                written: AtomicU64::new(0),
                #[cfg(not(target_family = "wasm"))]
                waiter: Mutex::default(),
            }),
        }
    }
}

/// What a device of these limits grants.
fn granted(limits: &wgpu::Limits) -> Limits {
    Limits {
        binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        alignment: limits.min_storage_buffer_offset_alignment.into(),
        addresses: false,
        workgroups: limits.max_compute_workgroups_per_dimension,
        invocations: limits
            .max_compute_invocations_per_workgroup
            .min(limits.max_compute_workgroup_size_x),
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        buffers: limits.max_storage_buffers_per_shader_stage,
        dynamic: limits.max_dynamic_storage_buffers_per_pipeline_layout,
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
