//! Weights of a device that executes plans, as [`Weights`](crate::Weights) calls them.

use bytemuck::Pod;

use super::{Planner, Step};
use crate::artifact::{Activations, Element};
use crate::device::{Resident, Shared};
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Result, f16};

/// What executes steps and waits for them.
pub(crate) trait Runs: Shared {
    fn planner(&self) -> &Planner;
    /// Brings what a step reads to the device, computes, and brings the output back.
    fn run(&self, step: Step<'_>) -> Result<()>;

    #[cfg(any(feature = "wgpu", feature = "web"))]
    fn on_gpu(&self) -> Option<&crate::gpu::GpuWeights> {
        None
    }

    #[cfg(feature = "hip")]
    fn on_hip(&self) -> Option<&crate::hip::HipWeights> {
        None
    }
}

impl<R: Runs> Resident for R {
    fn dequantize(&self) -> Result<Vec<f32>> {
        decoded(self, Element::F32)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        decoded(self, Element::F16)
    }

    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        gathered(self, rows, Element::F32)
    }

    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        gathered(self, rows, Element::F16)
    }

    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()> {
        self.planner().products(x, m, y, epilogue).try_for_each(|step| self.run(step))
    }

    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        self.planner().mixtures(chosen, y, epilogue)?.try_for_each(|step| self.run(step))
    }

    fn activations(&self) -> Activations {
        self.planner().activations()
    }

    #[cfg(any(feature = "wgpu", feature = "web"))]
    fn on_gpu(&self) -> Option<&crate::gpu::GpuWeights> {
        Runs::on_gpu(self)
    }

    #[cfg(feature = "hip")]
    fn on_hip(&self) -> Option<&crate::hip::HipWeights> {
        Runs::on_hip(self)
    }
}

fn decoded<T: Pod + Default>(device: &impl Runs, element: Element) -> Result<Vec<T>> {
    let planner = device.planner();
    let count = elements(planner.n as usize, planner.k as usize, "decoded weights")?;
    let mut y = zeros(count, "decoded weights")?;
    let mut steps = planner.weights(&mut y, element)?.into_iter();
    steps.try_for_each(|step| device.run(step))?;
    Ok(y)
}

fn gathered<T: Pod + Default>(
    device: &impl Runs,
    rows: &[u32],
    element: Element,
) -> Result<Vec<T>> {
    let planner = device.planner();
    let mut y = zeros(elements(rows.len(), planner.k as usize, "rows")?, "rows")?;
    planner.rows(rows, &mut y, element).try_for_each(|step| device.run(step))?;
    Ok(y)
}
