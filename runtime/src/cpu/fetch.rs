//! The same with results that are allocated, as devices give them.

use super::{Activations, CpuWeights};
use crate::device::Resident;
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Result, f16};

impl Resident for CpuWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        let mut y = zeros(self.tensor.n() * self.tensor.k(), "decoded weights")?;
        self.dequantize_into(&mut y)?;
        Ok(y)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        let mut y = zeros(self.tensor.n() * self.tensor.k(), "decoded weights")?;
        self.dequantize_f16_into(&mut y)?;
        Ok(y)
    }

    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        let mut y = zeros(elements(rows.len(), self.tensor.k(), "rows")?, "rows")?;
        self.gather_into(rows, &mut y)?;
        Ok(y)
    }

    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        let mut y = zeros(elements(rows.len(), self.tensor.k(), "rows")?, "rows")?;
        self.gather_f16_into(rows, &mut y)?;
        Ok(y)
    }

    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()> {
        epilogue.store(y, self.tensor.n(), |_| Some(0), |y| self.matmul_into(x, m, y))
    }

    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        let Chosen { x, experts, matrices, n, .. } = chosen;
        epilogue.store(
            y,
            n,
            |output| chosen.first(output),
            |y| self.matmul_experts_into(x, experts, matrices, y),
        )
    }

    fn activations(&self) -> Activations {
        if self.int8().is_some() { Activations::Int8 } else { Activations::F32 }
    }

    fn on_cpu(&self) -> Option<&CpuWeights> {
        Some(self)
    }
}
