//! Every WGSL kernel is parsed and validated by naga, with the capabilities the runtime asks for and the
//! workgroup memory that devices grant.

use crate::artifact::{Activations, Backend, Kernel};
use naga::proc::{LayoutError, Layouter};
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
        let source = kernel.source();
        let module = naga::front::wgsl::parse_str(&source)
            .map_err(|error| refuse(error.emit_to_string(&source)))?;
        let mut validator = Validator::new(ValidationFlags::all(), capabilities(kernel));
        if kernel.subgroups {
            validator.subgroup_stages(ShaderStages::COMPUTE);
            validator.subgroup_operations(SubgroupOperationSet::all());
        }
        validator.validate(&module).map_err(|error| refuse(error.emit_to_string(&source)))?;
        let bytes = workgroup_bytes(&module).map_err(|error| refuse(error.to_string()))?;
        let granted = Backend::Wgsl.workgroup_bytes(kernel.matrix > 0);
        if bytes > granted {
            let message = format!("{bytes} bytes of workgroup memory; devices grant {granted}");
            return Err(refuse(message));
        }
    }
    Ok(())
}

/// Workgroup memory of all variables, each of which begins at a multiple of 16 bytes.
fn workgroup_bytes(module: &naga::Module) -> Result<u32, LayoutError> {
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx())?;
    let variables = module.global_variables.iter().map(|(_, variable)| variable);
    let shared = variables.filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
    Ok(shared.map(|variable| layouter[variable.ty].size.next_multiple_of(16)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Element, Grid, Kind, Pieces};

    #[test]
    fn workgroup_memory_is_counted() {
        let text = |words: u32| {
            format!(
                "var<workgroup> a: array<vec3<f32>, {words}>; var<workgroup> b: u32;\n\
                 @compute @workgroup_size(1) fn main() {{ b = u32(a[0].x); }}"
            )
        };
        let kernel = |words, matrix| Kernel {
            name: "main".into(),
            backend: Backend::Wgsl,
            kind: Kind::Quantize,
            output: Element::F32,
            activations: Activations::F32,
            subgroups: false,
            matrix,
            workgroup: [1; 3],
            bindings: Vec::new().into(),
            grid: Grid::Chunks { per_workgroup: 1 },
            padding: 0,
            pieces: Pieces::whole(&text(words)),
        };
        assert!(kernels(&[kernel(1023, 0), kernel(2047, 16)]).is_ok());
        for (words, matrix, says) in [(1024, 0, "16400 bytes"), (2048, 16, "32784 bytes")] {
            let error = kernels(&[kernel(words, matrix)]).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("main"), "{error}");
        }
    }
}
