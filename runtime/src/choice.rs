//! Which kernel a GPU takes, of those that a format has.

use crate::artifact::{Activations, Backend, Element, Kernel, Kind};
use crate::{Error, Format, Result};

/// What a device has and its user wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub backend: Backend,
    /// How products shall read activations.
    pub activations: Activations,
    /// Side of the matrices that there are units for, for [`Activations::F16`]; 0 where there are none.
    pub matrix: u32,
}

/// Up to so many activation rows matrix units do not pay: their tiles have many more.
const FEW: u32 = 16;

impl Choice {
    /// Exact products, with nothing that a device may lack.
    pub fn new(backend: Backend) -> Choice {
        Choice { backend, activations: Activations::F32, matrix: 0 }
    }

    /// The kernel that multiplies `m` activation rows: the exact one where the device or the format
    /// has no other for them.
    pub fn product<'f>(&self, format: &'f Format, m: u32) -> Result<&'f Kernel> {
        let exact = if m == 1 { Kind::Matvec } else { Kind::Matmul };
        let rounding = match self.activations {
            Activations::F16 if m > FEW => format.f16_kernel(self.backend, self.matrix),
            Activations::F16 | Activations::F32 | Activations::Int8 => None,
        };
        rounding.map_or_else(|| self.exact(format, exact, Element::F32), Ok)
    }

    /// The kernel that reads activations as they are, or none.
    pub fn exact<'f>(&self, format: &'f Format, kind: Kind, output: Element) -> Result<&'f Kernel> {
        format.kernel(self.backend, kind, output).ok_or_else(|| Error::Missing {
            format: format.name.to_string(),
            what: format!("{:?} kernel for {} to {}", self.backend, kind.word(), output.word()),
            hint: String::new(),
        })
    }
}
