//! Devices and the weights that lie on them. One module per backend implements the two traits
//! here; everything a caller can get wrong is checked before a backend sees it.

use std::fmt;
use std::sync::Arc;

use crate::artifact::Activations;
use crate::experts::Chosen;
use crate::{Epilogue, Error, Format, Result, Tensor, f16};

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
        let resident = self.backend.upload(tensor)?;
        Ok(Weights { tensor: Facts::of(tensor), resident })
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name())
    }
}

/// Weights `[n, k]` on a device, quantized; cheap to clone.
///
/// Every call here computes and waits for its result. To record into an encoder of your own, see
/// `gpu::GpuWeights`.
#[derive(Clone)]
pub struct Weights {
    tensor: Facts,
    resident: Arc<dyn Resident>,
}

#[derive(Clone)]
struct Facts {
    name: Arc<str>,
    format: Format,
    n: usize,
    k: usize,
}

impl Facts {
    fn of(tensor: &Tensor) -> Facts {
        Facts {
            name: tensor.name().into(),
            format: tensor.format().clone(),
            n: tensor.n(),
            k: tensor.k(),
        }
    }
}

impl Weights {
    /// All weights decoded, `[n, k]` row-major.
    ///
    /// # Errors
    /// Where memory is exhausted or the device fails.
    pub fn dequantize(&self) -> Result<Vec<f32>> {
        self.resident.dequantize()
    }

    /// All weights decoded, `[n, k]` row-major, rounded to nearest even.
    ///
    /// # Errors
    /// Where memory is exhausted or the device fails.
    pub fn dequantize_f16(&self) -> Result<Vec<f16>> {
        self.resident.dequantize_f16()
    }

    /// `y[n] = weights · x[k]`.
    ///
    /// # Errors
    /// Where `x` has not `k` values, memory is exhausted or the device fails.
    pub fn matvec(&self, x: &[f32]) -> Result<Vec<f32>> {
        check_activations(&self.tensor.name, x, 1, self.tensor.k)?;
        self.resident.matvec(x)
    }

    /// `y[m, n] = x[m, k] · weightsᵀ`, all row-major.
    ///
    /// # Errors
    /// Where `m` is 0 or `x` has not `m · k` values, memory is exhausted or the device fails.
    pub fn matmul(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        check_activations(&self.tensor.name, x, m, self.tensor.k)?;
        self.resident.matmul(x, m)
    }

    /// [`Weights::matvec`] into `y[n]`, with an epilogue.
    ///
    /// # Errors
    /// As for [`Weights::matvec`]; also where `y` or the bias have not `n` values, or
    /// [`Error::Missing`] where the format's kernels have no such epilogue.
    pub fn matvec_with(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue<&[f32]>) -> Result<()> {
        self.check_epilogue(x, 1, y, &epilogue)?;
        self.resident.matvec_with(x, y, epilogue)
    }

    /// [`Weights::matmul`] into `y[m, n]`, with an epilogue.
    ///
    /// # Errors
    /// As for [`Weights::matmul`]; also where `y` has not `m · n` values or the bias not `n`, or
    /// [`Error::Missing`] where the format's kernels have no such epilogue.
    pub fn matmul_with(
        &self,
        x: &[f32],
        m: usize,
        y: &mut [f32],
        epilogue: Epilogue<&[f32]>,
    ) -> Result<()> {
        self.check_epilogue(x, m, y, &epilogue)?;
        self.resident.matmul_with(x, m, y, epilogue)
    }

    /// `y[m, used, n / matrices]`: row `i` of `x[m, k]` times each of the matrices that
    /// `experts[m, used]` names for it, where the weights are `matrices` matrices of equal size, one
    /// after another, as in mixtures of experts. How many each row uses follows from the lengths.
    ///
    /// # Errors
    /// Where `x` has not some rows of `k` values, `experts` not as many numbers for each, or one that no
    /// matrix has, `n` is no multiple of `matrices`, memory is exhausted or the device fails.
    pub fn matmul_experts(&self, x: &[f32], experts: &[u32], matrices: usize) -> Result<Vec<f32>> {
        let Facts { name, n, k, .. } = &self.tensor;
        self.resident.matmul_experts(Chosen::new(name, [*n, *k], x, experts, matrices)?)
    }

    /// Some rows decoded, `[rows, k]`: the look-up of embeddings. Rows may come several times.
    ///
    /// # Errors
    /// Where there is no such row, memory is exhausted or the device fails.
    pub fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        check_rows(&self.tensor.name, rows, self.tensor.n)?;
        self.resident.gather(rows)
    }

    /// [`Weights::gather`], rounded to nearest even.
    ///
    /// # Errors
    /// As for [`Weights::gather`].
    pub fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        check_rows(&self.tensor.name, rows, self.tensor.n)?;
        self.resident.gather_f16(rows)
    }

    fn check_epilogue(
        &self,
        x: &[f32],
        m: usize,
        y: &[f32],
        epilogue: &Epilogue<&[f32]>,
    ) -> Result<()> {
        let Facts { name, n, k, .. } = &self.tensor;
        check_activations(name, x, m, *k)?;
        check_values(name, "output", y.len(), m as u128 * *n as u128)?;
        match epilogue.bias {
            Some(bias) => check_values(name, "bias", bias.len(), *n as u128),
            None => Ok(()),
        }
    }

    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.tensor.name
    }

    /// How the weights are stored.
    pub fn format(&self) -> &Format {
        &self.tensor.format
    }

    /// Weight rows.
    pub fn n(&self) -> usize {
        self.tensor.n
    }

    /// Weights per row.
    pub fn k(&self) -> usize {
        self.tensor.k
    }

    /// How products read activations: as the device was asked to, or as they are where the format has
    /// no 8-bit codes.
    pub fn activations(&self) -> Activations {
        self.resident.activations()
    }

    /// The same weights as the CPU sees them, to compute into memory of your own; `None` where they lie
    /// elsewhere.
    #[cfg(feature = "cpu")]
    pub fn on_cpu(&self) -> Option<&crate::cpu::CpuWeights> {
        self.resident.on_cpu()
    }

    /// The same weights as their GPU sees them, to record products into an encoder; `None` where
    /// they lie elsewhere.
    #[cfg(any(feature = "wgpu", feature = "web"))]
    pub fn on_gpu(&self) -> Option<&crate::gpu::GpuWeights> {
        self.resident.on_gpu()
    }

    /// The same weights as their HIP or CUDA device sees them, to launch products on a stream; `None`
    /// where they lie elsewhere.
    #[cfg(feature = "hip")]
    pub fn on_hip(&self) -> Option<&crate::hip::HipWeights> {
        self.resident.on_hip()
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { name, format, n, k } = &self.tensor;
        write!(f, "Weights({name}: [{n}, {k}] {})", format.name)
    }
}

/// Activations are `[m, k]` with `m` at least 1.
pub(crate) fn check_activations(tensor: &str, x: &[f32], m: usize, k: usize) -> Result<()> {
    if m >= 1 && m.checked_mul(k) == Some(x.len()) {
        return Ok(());
    }
    let problem = if m == 0 {
        "0 rows; m must be at least 1".to_owned()
    } else {
        format!("{} values; [m, k] = [{m}, {k}] are {}", x.len(), m as u128 * k as u128)
    };
    Err(Error::Argument { what: "activations", tensor: tensor.to_owned(), problem })
}

/// Rows that are gathered must be there.
pub(crate) fn check_rows(tensor: &str, rows: &[u32], n: usize) -> Result<()> {
    match rows.iter().find(|&&row| row as usize >= n) {
        None => Ok(()),
        Some(row) => Err(Error::Argument {
            what: "rows",
            tensor: tensor.to_owned(),
            problem: format!("row {row} of {n}"),
        }),
    }
}

fn check_values(tensor: &str, what: &'static str, got: usize, wanted: u128) -> Result<()> {
    match got as u128 == wanted {
        true => Ok(()),
        false => Err(Error::Argument {
            what,
            tensor: tensor.to_owned(),
            problem: format!("{got} values; they must be {wanted}"),
        }),
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
    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>>;
    fn matmul(&self, x: &[f32], m: usize) -> Result<Vec<f32>>;
    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>>;
    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>>;
    fn matmul_experts(&self, chosen: Chosen<'_>) -> Result<Vec<f32>>;

    fn matvec_with(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue<&[f32]>) -> Result<()> {
        epilogue.store(&self.matvec(x)?, y.len(), y);
        Ok(())
    }

    fn matmul_with(
        &self,
        x: &[f32],
        m: usize,
        y: &mut [f32],
        epilogue: Epilogue<&[f32]>,
    ) -> Result<()> {
        epilogue.store(&self.matmul(x, m)?, y.len() / m, y);
        Ok(())
    }

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
