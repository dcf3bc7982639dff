//! Kernels compiled ahead of use, and kept from one process to the next.
#![allow(unsafe_code)]

use super::{Gpu, GpuWeights};
use crate::Result;
use crate::artifact::{Element, Kind};
use crate::launch::locked;

impl GpuWeights {
    /// Compiles the kernels of decoding to `element`, of products of one activation row
    /// ([`Kind::Matvec`]) or of more ([`Kind::Matmul`]), which their first use would do else: before time
    /// is taken, or an answer is waited for.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) where the format has no such kernel,
    /// [`Error::Device`](crate::Error::Device) where it cannot be compiled.
    pub fn prepare(&self, kind: Kind, element: Element) -> Result<()> {
        let kernels = self.planner.kernels(kind, element)?;
        kernels.into_iter().try_for_each(|kernel| self.pipeline(kernel).map(drop))
    }

    /// Name of the kernel that computes products of `m` activation rows.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) where the format has none.
    pub fn kernel(&self, m: u32) -> Result<&str> {
        Ok(&self.planner.product_kernel(m)?.name)
    }
}

impl Gpu {
    /// What the driver has made of the kernels that were compiled so far, for [`Gpu::load`] in a later
    /// process. `None` where the device has not the feature `PIPELINE_CACHE`, which Vulkan has alone.
    ///
    /// Of use where drivers keep no such code themselves; those of desktops do.
    pub fn compiled(&self) -> Option<Vec<u8>> {
        // Browsers have no such feature, and so no such object: wgpu panics there.
        locked(&self.shared.pipelines.code).as_ref()?.get_data()
    }

    /// Takes what [`Gpu::compiled`] handed out, for the kernels that are compiled from now on. What another
    /// driver or another GPU made is left out, and does no harm; so is all of it where the device has not
    /// the feature.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where wgpu refuses it.
    ///
    /// # Safety
    /// `data` is what [`Gpu::compiled`] returned, unchanged: drivers may trust it.
    pub unsafe fn load(&self, data: &[u8]) -> Result<()> {
        let mut code = locked(&self.shared.pipelines.code);
        if code.is_none() {
            return Ok(());
        }
        let (label, data, fallback) = (Some("quantloom"), Some(data), true);
        let descriptor = wgpu::PipelineCacheDescriptor { label, data, fallback };
        let device = &self.shared.device;
        // SAFETY: the caller's.
        let made = || unsafe { device.create_pipeline_cache(&descriptor) };
        *code = Some(self.guarded("loading compiled kernels", made)?);
        Ok(())
    }
}
