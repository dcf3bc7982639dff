//! Devices. One module per backend implements the two traits here; everything a caller can get wrong
//! is checked before a backend sees it.

use std::fmt;
use std::sync::Arc;

use crate::artifact::Activations;
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::{Result, Tensor, Weights, f16};

/// Where weights lie and products are computed; cheap to clone.
#[derive(Clone)]
pub struct Device {
    backend: Arc<dyn Backend>,
}

impl Device {
    /// A device of this backend.
    pub(crate) fn new(backend: impl Backend + 'static) -> Device {
        Device { backend: Arc::new(backend) }
    }

    /// The CPU, all cores. Weights stay where they are, in the mapped file for instance.
    ///
    /// Products are exact and read native storage; module [`cpu`](crate::cpu) has the others.
    #[cfg(feature = "cpu")]
    pub fn cpu() -> Device {
        crate::cpu::Cpu::new().into()
    }

    /// The fastest GPU that Vulkan, Metal or DirectX 12 offer, or a software one where there is
    /// none. See [`gpu::Gpu`](crate::gpu::Gpu) for a device and queue of your own.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none at all; it says what to install.
    #[cfg(all(feature = "wgpu", not(target_family = "wasm")))]
    pub fn wgpu() -> Result<Device> {
        Ok(crate::gpu::Gpu::new()?.into())
    }

    /// Like `Device::wgpu`, for browsers, where nothing may block.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none.
    #[cfg(any(feature = "wgpu", feature = "web"))]
    pub async fn wgpu_async() -> Result<Device> {
        Ok(crate::gpu::Gpu::new_async().await?.into())
    }

    /// AMD's first GPU, through HIP. See [`hip::Hip`](crate::hip::Hip) for others, and for streams and
    /// memory of your own.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, or no HIP runtime; it names the libraries looked for.
    #[cfg(feature = "hip")]
    pub fn amd() -> Result<Device> {
        Ok(crate::hip::Hip::amd(0)?.into())
    }

    /// NVIDIA's first GPU, through CUDA. See [`hip::Hip`](crate::hip::Hip) for others, and for streams
    /// and memory of your own.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, or no driver; it names the libraries looked for.
    #[cfg(feature = "hip")]
    pub fn cuda() -> Result<Device> {
        Ok(crate::hip::Hip::cuda(0)?.into())
    }

    /// What it is, for people: the GPU's name and driver, or the CPU's cores.
    pub fn name(&self) -> String {
        self.backend.name()
    }

    pub(crate) fn upload(&self, tensor: &Tensor) -> Result<Weights> {
        Ok(Weights::new(tensor, self.backend.upload(tensor)?))
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name())
    }
}

/// A kind of device.
pub(crate) trait Backend: Shared {
    /// What it is, for people.
    fn name(&self) -> String;
    /// Brings a tensor, whose lengths are checked, to the device.
    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>>;
}

/// Weights on a device. Activations have exactly `m · k` values and `m` is at least 1, outputs and
/// biases as many as they should, and rows are there.
pub(crate) trait Resident: Shared {
    fn dequantize(&self) -> Result<Vec<f32>>;
    fn dequantize_f16(&self) -> Result<Vec<f16>>;
    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>>;
    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>>;
    /// `x[m, k]` times the weights, to `y[m, n]`.
    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()>;
    /// Activation rows times the matrices that each chooses, to `y[m, used, n / matrices]`.
    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()>;

    /// How products read activations.
    fn activations(&self) -> Activations {
        Activations::F32
    }

    #[cfg(feature = "cpu")]
    fn on_cpu(&self) -> Option<&crate::cpu::CpuWeights> {
        None
    }

    #[cfg(any(feature = "wgpu", feature = "web"))]
    fn on_gpu(&self) -> Option<&crate::gpu::GpuWeights> {
        None
    }

    #[cfg(feature = "hip")]
    fn on_hip(&self) -> Option<&crate::hip::HipWeights> {
        None
    }
}

/// Usable from any thread, but for browsers, whose GPU objects belong to one.
#[cfg(not(target_family = "wasm"))]
pub(crate) trait Shared: Send + Sync {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send + Sync> Shared for T {}
#[cfg(target_family = "wasm")]
pub(crate) trait Shared {}
#[cfg(target_family = "wasm")]
impl<T> Shared for T {}
