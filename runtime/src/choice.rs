//! Which kernel a GPU takes, of those that a format has.

use crate::artifact::{Activations, Backend, CHUNK, CHUNK_BYTES, Element, Grid, Kernel, Kind};
use crate::{Error, Format, Result, quantizers};

/// What a device has and its user wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub backend: Backend,
    /// How products shall read activations.
    pub activations: Activations,
    /// Whether there are subgroup operations.
    pub subgroups: bool,
    /// Side of the matrices that there are units for; 0 where there are none.
    pub matrix: u32,
    /// Turns after which the device ends the loops of an invocation.
    pub turns: u64,
}

/// Up to so many activation rows tiles do not pay, which have many more.
const FEW: u32 = 16;

impl Choice {
    /// Exact products, with nothing that a device may lack.
    pub fn new(backend: Backend) -> Choice {
        Choice {
            backend,
            activations: Activations::F32,
            subgroups: false,
            matrix: 0,
            turns: u64::MAX,
        }
    }

    /// The kernel that multiplies `m` activation rows: the exact one where the device or the format has
    /// none that rounds so many as it is wanted.
    pub fn product<'f>(&self, format: &'f Format, m: u32) -> Result<&'f Kernel> {
        let exact = if m == 1 { Kind::Matvec } else { Kind::Matmul };
        let int8 = |kind| format.int8_kernel(self.backend, kind, self.subgroups);
        let rounding = match self.activations {
            Activations::F32 => None,
            Activations::F16 if m <= FEW => None,
            Activations::F16 => format.f16_kernel(self.backend, self.matrix),
            Activations::Int8 if m == 1 => int8(Kind::Matvec),
            Activations::Int8 if m <= FEW => int8(Kind::Batch),
            // Not all strips fit tiles.
            Activations::Int8 => int8(Kind::Matmul).or_else(|| int8(Kind::Batch)),
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

    /// This kernel for `outputs` rows of products of `k` weights, or one that has fewer for each of its
    /// invocations where the loops of this one might be ended early. `None` where those of all might.
    pub fn in_time<'f>(
        &self,
        format: &'f Format,
        kernel: &'f Kernel,
        k: u64,
        outputs: u64,
    ) -> Option<&'f Kernel> {
        let batch = || format.int8_kernel(self.backend, Kind::Batch, self.subgroups);
        let batch = (kernel.activations == Activations::Int8).then(batch).flatten();
        let rows = format.kernel(self.backend, Kind::MatvecExperts, Element::F32);
        let all = [Some(kernel), batch, rows].into_iter().flatten();
        all.into_iter().find(|kernel| turns(kernel, k, outputs) <= self.turns)
    }

    /// How products of a format read activations, of enough rows at least.
    pub fn activations(&self, format: &Format) -> Activations {
        let rows = if self.activations == Activations::F16 { FEW + 1 } else { 1 };
        self.product(format, rows).map_or(Activations::F32, |kernel| kernel.activations)
    }
}

/// Turns that the loops of an invocation take together, at most, each with the one that ends it, in a
/// kernel of the compiler's that multiplies `outputs` rows.
fn turns(kernel: &Kernel, k: u64, outputs: u64) -> u64 {
    // Sums over the workgroup, tables that are filled, edges that are stored.
    const ONCE: u64 = 1024;
    let threads = u64::from(kernel.workgroup.iter().product::<u32>().max(1));
    // A tile's step of at least 16 weights loads strips of either side, one weight long at least, and takes
    // a turn for each weight at most; few to begin and end its loops.
    let tile = |rows: u64| {
        let each = 2 + rows.div_ceil(threads);
        k.saturating_mul(each)
    };
    let once = match (kernel.kind, kernel.grid) {
        (Kind::MatmulExperts, Grid::Tiles { n, .. }) => {
            // All outputs may have the same matrix; a tile has at least 4 of them, at most 64.
            let passes = outputs.div_ceil(4);
            let list = outputs.div_ceil(threads).saturating_mul(2 + u64::from(n));
            passes.saturating_mul(tile(u64::from(n) + 64).saturating_add(list)).max(list)
        }
        (Kind::Matmul, Grid::Tiles { n, m }) => tile(u64::from(n) + u64::from(m)),
        _ => k.div_ceil(threads),
    };
    once.saturating_add(ONCE)
}

/// The kernel that rounds activations.
pub(crate) fn quantizer(backend: Backend) -> Result<&'static Kernel> {
    let own = quantizers().iter().find(|kernel| kernel.backend == backend);
    own.ok_or_else(|| Error::Missing {
        format: "activations".to_owned(),
        what: format!("{backend:?} kernel that rounds them to 8 bits"),
        hint: String::new(),
    })
}

/// Bytes of `m` rows of `k` activations once they are rounded.
pub(crate) fn quantized_bytes(m: u64, k: u64) -> u64 {
    m.saturating_mul(k.div_ceil(CHUNK.into())).saturating_mul(CHUNK_BYTES.into())
}
