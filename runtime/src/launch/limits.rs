//! What a device grants its kernels, and whether one keeps to it.

use crate::artifact::{Kernel, Role};

/// What a launch must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a storage binding.
    pub binding: u64,
    /// Multiple of bytes at which a storage binding may start.
    pub alignment: u64,
    /// Whether kernels are told addresses: memory may then be longer than a binding, words begin anywhere,
    /// and what is written may lie beside what is read.
    pub addresses: bool,
    /// Workgroups per grid dimension.
    pub workgroups: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Storage buffers that a kernel binds.
    pub buffers: u32,
    /// Those among them whose place is told when they are bound: the callers' own.
    pub dynamic: u32,
}

/// Kernels count weights and bytes in u32. Staying this far below leaves room for the invocations
/// past the end of a grid.
pub(super) const ADDRESSABLE: u64 = 1 << 31;

/// Buffers and bindings end at a multiple of the widest load.
const ROUND: u64 = 16;

/// Bytes of a buffer that holds `bytes` of weights and the `padding` that kernels may read.
pub(super) fn padded(bytes: u64, padding: u32) -> u64 {
    (bytes + u64::from(padding)).next_multiple_of(ROUND)
}

impl Limits {
    /// Those of AMD's and NVIDIA's GPUs, where kernels are told addresses.
    pub const ADDRESSES: Limits = Limits {
        binding: u64::MAX,
        alignment: ROUND,
        addresses: true,
        // Drivers allow more workgroups in x, NVIDIA's no more in y.
        workgroups: 65_535,
        invocations: 1024,
        workgroup_bytes: 48 << 10,
        buffers: u32::MAX,
        dynamic: u32::MAX,
    };

    /// The most bytes of a binding.
    pub fn bindable(&self) -> u64 {
        self.binding.min(ADDRESSABLE) / ROUND * ROUND
    }

    /// The most bytes of an operand.
    pub fn operand(&self) -> u64 {
        if self.addresses { u64::MAX } else { self.bindable() }
    }

    /// Where operands may begin that are read or written four elements at once, and others.
    pub fn alignment_of(&self, fours: bool) -> u64 {
        if self.addresses && !fours { 4 } else { self.alignment.max(1) }
    }

    /// Refuses limits under which nothing can be computed.
    pub fn check(&self) -> Result<(), String> {
        let all = [
            ("bytes of a storage binding", self.binding),
            ("workgroups per dimension of a grid", self.workgroups.into()),
            ("invocations of a workgroup", self.invocations.into()),
            ("bytes of workgroup memory", self.workgroup_bytes.into()),
            ("storage buffers of a kernel", self.buffers.into()),
            ("storage buffers with dynamic offsets", self.dynamic.into()),
        ];
        match all.iter().find(|(_, limit)| *limit == 0) {
            None => Ok(()),
            Some((what, _)) => Err(format!(
                "its limit of {what} is 0, so no kernel runs on it; open it with limits of at least those that \
                 WebGPU grants, as `wgpu::Limits::default()` are"
            )),
        }
    }

    /// What a kernel needs more of than there is, if anything.
    pub fn beyond(&self, kernel: &Kernel) -> Option<String> {
        let count = |counted: fn(Role) -> bool| {
            kernel.bindings.iter().filter(|binding| counted(binding.role)).count() as u64
        };
        // The facts do not say how much a kernel takes: what the compiler lets it take counts.
        let bytes = kernel.backend.workgroup_bytes(kernel.matrix > 0);
        let all = [
            ("invocations of a workgroup", invocations(kernel), self.invocations),
            ("bytes of workgroup memory", bytes.into(), self.workgroup_bytes),
            ("storage buffers", count(|role| role != Role::Shape), self.buffers),
            ("storage buffers with dynamic offsets", count(is_callers), self.dynamic),
        ];
        let beyond = all.iter().find(|(_, needed, limit)| *needed > u64::from(*limit));
        beyond.map(|(what, needed, limit)| {
            format!("`{}` may take {needed} {what}; the device grants {limit}", kernel.name)
        })
    }
}

/// Whether a binding is memory of a caller's.
pub(crate) fn is_callers(role: Role) -> bool {
    matches!(role, Role::Activations | Role::Output | Role::Bias | Role::Indices)
}

/// Invocations of a workgroup of a kernel.
pub(super) fn invocations(kernel: &Kernel) -> u64 {
    kernel.workgroup.iter().fold(1, |all, &size| all.saturating_mul(size.into()))
}
