//! Weights on a device: everything that can be computed with them, from the host's memory to the host's.

use std::fmt;
use std::sync::Arc;

use crate::arguments::{check_activations, check_rows, check_values};
use crate::artifact::Activations;
use crate::device::Resident;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Epilogue, Format, Result, Tensor, f16};

/// Weights `[n, k]` on a device, quantized; cheap to clone.
///
/// Every call here computes and waits for its result. GPUs keep the buffers that it takes for later calls: a
/// set for each call that runs at a time, as large as the largest so far. To record into an encoder of your
/// own, see `gpu::GpuWeights`.
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
    pub(crate) fn new(tensor: &Tensor, resident: Arc<dyn Resident>) -> Weights {
        Weights { tensor: Facts::of(tensor), resident }
    }

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
        self.matmul(x, 1)
    }

    /// `y[m, n] = x[m, k] · weightsᵀ`, all row-major.
    ///
    /// # Errors
    /// Where `m` is 0 or `x` has not `m · k` values, memory is exhausted or the device fails.
    pub fn matmul(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let Facts { name, n, k, .. } = &self.tensor;
        check_activations(name, x, m, *k)?;
        let mut y = zeros(elements(m, *n, "the output")?, "the output")?;
        self.resident.multiply(x, m, &mut y, Epilogue::default())?;
        Ok(y)
    }

    /// [`Weights::matvec`] into `y[n]`, with an epilogue.
    ///
    /// # Errors
    /// As for [`Weights::matvec`]; also where `y` or the bias have not `n` values, or
    /// [`Error::Missing`] where the format's kernels have no such epilogue.
    pub fn matvec_with(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue<&[f32]>) -> Result<()> {
        self.matmul_with(x, 1, y, epilogue)
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
        let Facts { name, n, k, .. } = &self.tensor;
        check_activations(name, x, m, *k)?;
        self.check_output(y, [m, *n], &epilogue)?;
        self.resident.multiply(x, m, y, epilogue)
    }

    /// `y[m, used, n / matrices]`: row `i` of `x[m, k]` times each of the matrices that
    /// `experts[m, used]` names for it, where the weights are `matrices` matrices of equal size, one
    /// after another, as in mixtures of experts. How many each row uses follows from the lengths;
    /// [`Experts::NONE`](crate::Experts::NONE) names no matrix and gives zeros.
    ///
    /// # Errors
    /// Where `x` has not some rows of `k` values, `experts` not as many numbers for each, or one that no
    /// matrix has, `n` is no multiple of `matrices`, memory is exhausted or the device fails.
    pub fn matmul_experts(&self, x: &[f32], experts: &[u32], matrices: usize) -> Result<Vec<f32>> {
        let Facts { name, n, k, .. } = &self.tensor;
        let chosen = Chosen::new(name, [*n, *k], x, experts, matrices)?;
        let mut y = zeros(elements(experts.len(), chosen.n, "the output")?, "the output")?;
        self.resident.multiply_chosen(chosen, &mut y, Epilogue::default())?;
        Ok(y)
    }

    /// [`Weights::matmul_experts`] into `y[m, used, n / matrices]`, with an epilogue, whose bias has a
    /// value for each row of each matrix, `n` in all.
    ///
    /// # Errors
    /// As for [`Weights::matmul_experts`]; also where `y` has not as many values as its shape says or
    /// the bias not `n`, or [`Error::Missing`] where the format's kernels have no such epilogue.
    pub fn matmul_experts_with(
        &self,
        x: &[f32],
        experts: &[u32],
        matrices: usize,
        y: &mut [f32],
        epilogue: Epilogue<&[f32]>,
    ) -> Result<()> {
        let Facts { name, n, k, .. } = &self.tensor;
        let chosen = Chosen::new(name, [*n, *k], x, experts, matrices)?;
        self.check_output(y, [experts.len(), chosen.n], &epilogue)?;
        self.resident.multiply_chosen(chosen, y, epilogue)
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

    /// The output has as many values as it should, and a bias as many as there are weight rows.
    fn check_output(
        &self,
        y: &[f32],
        [rows, columns]: [usize; 2],
        epilogue: &Epilogue<&[f32]>,
    ) -> Result<()> {
        let Facts { name, n, .. } = &self.tensor;
        check_values(name, "output", y.len(), rows as u128 * columns as u128)?;
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
