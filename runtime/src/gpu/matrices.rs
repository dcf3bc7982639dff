//! Cooperative matrices: what a device must have for the kernels that round to f16.
#![allow(unsafe_code)]

use super::Gpu;
use crate::artifact::Backend;

/// What a device is asked for, where its adapter has all of it.
const FEATURES: wgpu::Features = wgpu::Features::SHADER_F16
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

/// The largest subgroups that the kernels are written for, and the invocations and the bytes of
/// workgroup memory that they take.
const SUBGROUP: u32 = 32;
const INVOCATIONS: u32 = 256;
const WORKGROUP_BYTES: u32 = Backend::Wgsl.workgroup_bytes(true);

/// The features to open an adapter's device with, and the leave to.
pub(super) fn features(adapter: &wgpu::Adapter) -> (wgpu::Features, wgpu::ExperimentalFeatures) {
    if !adapter.features().contains(FEATURES) || side(adapter, &adapter.limits()) == 0 {
        return Default::default();
    }
    // SAFETY: wgpu wants to be told that its experimental features may have defects which break memory
    // safety. Cooperative matrices are used where a caller asks for them with `Gpu::f16`, by kernels of
    // the compiler alone (`Format::is_proven`), which naga validates; their matrices lie in workgroup
    // memory, or in rows and columns that were compared with the shape.
    (FEATURES, unsafe { wgpu::ExperimentalFeatures::enabled() })
}

/// Side of the largest matrices of f16 that an adapter multiplies and adds up in f32, as the kernels do
/// it, on a device of these limits; 0 where there are none.
fn side(adapter: &wgpu::Adapter, limits: &wgpu::Limits) -> u32 {
    let info = adapter.get_info();
    // naga's Metal text takes no matrices out of vectors.
    if info.backend != wgpu::Backend::Vulkan
        || info.subgroup_max_size > SUBGROUP
        || limits.max_compute_invocations_per_workgroup < INVOCATIONS
        || limits.max_compute_workgroup_storage_size < WORKGROUP_BYTES
    {
        return 0;
    }
    let known = adapter.cooperative_matrix_properties();
    let has = |side: &u32| {
        let wanted = wgpu::CooperativeMatrixProperties {
            m_size: *side,
            n_size: *side,
            k_size: *side,
            ab_type: wgpu::CooperativeScalarType::F16,
            cr_type: wgpu::CooperativeScalarType::F32,
            saturating_accumulation: false,
        };
        known.contains(&wanted)
    };
    [16, 8].into_iter().find(has).unwrap_or_default()
}

impl Gpu {
    /// Whether the device multiplies cooperative matrices of 16 × 16 or 8 × 8 f16 and adds them up in f32,
    /// in subgroups of 32 invocations or less: with Vulkan's `VK_KHR_cooperative_matrix`.
    pub fn has_matrices(&self) -> bool {
        self.choice.matrix > 0
    }

    /// Tells of a device of the caller's what only its adapter knows: whether it has cooperative
    /// matrices. To use them, the device needs the features `SHADER_F16`, `SUBGROUP` and
    /// `EXPERIMENTAL_COOPERATIVE_MATRIX`, and 32 KiB of workgroup memory for 256 invocations.
    #[must_use]
    pub fn with_adapter(mut self, adapter: &wgpu::Adapter) -> Gpu {
        let device = &self.shared.device;
        let enabled = device.features().contains(FEATURES);
        self.choice.matrix = if enabled { side(adapter, &device.limits()) } else { 0 };
        self
    }
}
