//! Calls on the host's memory that do not block, for browsers too.

use bytemuck::Pod;

use super::GpuWeights;
use super::waiter::Waiting;
use crate::arguments::{check_activations, check_rows};
use crate::artifact::Element;
use crate::experts::Chosen;
use crate::launch::Step;
use crate::memory::{elements, zeros};
use crate::{Epilogue, Result, f16};

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
        self.matmul_async(x, 1).await
    }

    /// `y[m, n] = x[m, k] · weightsᵀ`, all row-major.
    ///
    /// # Errors
    /// Where `m` is 0 or `x` has not `m · k` values, memory is exhausted or the device fails.
    pub async fn matmul_async(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let [n, k] = self.sizes();
        check_activations(&self.planner.tensor, x, m, k)?;
        let mut y = zeros(elements(m, n, "an output")?, "the output")?;
        self.all(self.planner.products(x, m, &mut y, Epilogue::default())).await?;
        Ok(y)
    }

    /// Some rows decoded, `[rows, k]`.
    ///
    /// # Errors
    /// Where there is no such row, memory is exhausted or the device fails.
    pub async fn gather_async(&self, rows: &[u32]) -> Result<Vec<f32>> {
        self.rows(rows, Element::F32).await
    }

    /// Some rows decoded, `[rows, k]`, rounded to nearest even.
    ///
    /// # Errors
    /// Where there is no such row, memory is exhausted or the device fails.
    pub async fn gather_f16_async(&self, rows: &[u32]) -> Result<Vec<f16>> {
        self.rows(rows, Element::F16).await
    }

    /// `y[m, used, n / matrices]`: each row of `x[m, k]` times the matrices that `experts[m, used]` names
    /// for it; see [`Weights::matmul_experts`](crate::Weights::matmul_experts).
    ///
    /// # Errors
    /// As for [`Weights::matmul_experts`](crate::Weights::matmul_experts).
    pub async fn matmul_experts_async(
        &self,
        x: &[f32],
        experts: &[u32],
        matrices: usize,
    ) -> Result<Vec<f32>> {
        let chosen = Chosen::new(&self.planner.tensor, self.sizes(), x, experts, matrices)?;
        let mut y = zeros(elements(experts.len(), chosen.n, "an output")?, "the output")?;
        self.all(self.planner.mixtures(chosen, &mut y, Epilogue::default())?).await?;
        Ok(y)
    }

    async fn rows<T: Pod + Default>(&self, rows: &[u32], element: Element) -> Result<Vec<T>> {
        let [n, k] = self.sizes();
        check_rows(&self.planner.tensor, rows, n)?;
        let mut y = zeros(elements(rows.len(), k, "rows")?, "rows")?;
        self.all(self.planner.rows(rows, &mut y, element)).await?;
        Ok(y)
    }

    async fn decode<T: Pod + Default>(&self, element: Element) -> Result<Vec<T>> {
        let [n, k] = self.sizes();
        let mut y = zeros(elements(n, k, "decoded weights")?, "decoded weights")?;
        self.all(self.planner.weights(&mut y, element)?).await?;
        Ok(y)
    }

    async fn all(&self, steps: impl IntoIterator<Item = Step<'_>>) -> Result<()> {
        for step in steps {
            self.compute(step, Waiting::Woken).await?;
        }
        Ok(())
    }

    fn sizes(&self) -> [usize; 2] {
        [self.planner.n as usize, self.planner.k as usize]
    }
}
