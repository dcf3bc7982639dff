//! Every WGSL kernel is parsed and validated by naga, with the capabilities the runtime asks for.

use crate::artifact::{Activations, Backend, Kernel};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use std::fmt;

/// What naga says against a generated kernel.
#[derive(Clone, Debug)]
pub struct KernelError {
    /// Name of the kernel.
    pub kernel: String,
    /// naga's message, with the place in the text.
    pub message: String,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel {} is not valid WGSL: {}", self.kernel, self.message)
    }
}

impl std::error::Error for KernelError {}

/// The capabilities that a kernel may use: none beyond WebGPU's core and what its facts say.
pub fn capabilities(kernel: &Kernel) -> Capabilities {
    let subgroups = match kernel.subgroups {
        true => Capabilities::SUBGROUP,
        false => Capabilities::empty(),
    };
    let matrices = match kernel.activations {
        Activations::F16 => Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX,
        Activations::F32 | Activations::Int8 => Capabilities::empty(),
    };
    subgroups | matrices
}

/// Validates the WGSL kernels among `kernels`.
pub fn kernels(kernels: &[Kernel]) -> Result<(), KernelError> {
    for kernel in kernels.iter().filter(|kernel| kernel.backend == Backend::Wgsl) {
        let refuse = |message| KernelError { kernel: kernel.name.to_string(), message };
        let module = naga::front::wgsl::parse_str(&kernel.source)
            .map_err(|error| refuse(error.emit_to_string(&kernel.source)))?;
        let mut validator = Validator::new(ValidationFlags::all(), capabilities(kernel));
        if kernel.subgroups {
            validator.subgroup_stages(ShaderStages::COMPUTE);
            validator.subgroup_operations(SubgroupOperationSet::all());
        }
        validator
            .validate(&module)
            .map_err(|error| refuse(error.emit_to_string(&kernel.source)))?;
    }
    Ok(())
}
