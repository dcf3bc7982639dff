//! Which kernel a device takes, of those that a format has.

use super::limits::{Limits, invocations};
use crate::artifact::{Activations, Backend, Element, Grid, Kernel, Kind};
use crate::{Experts, Format, quantizers};

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
    pub limits: Limits,
}

/// Up to so many activation rows tiles do not pay, which have many more: products that round have other
/// kernels for them than for more rows, or none.
pub const FEW_ROWS: u32 = 16;

/// What a kernel must do to serve a call.
#[derive(Clone, Copy)]
pub(super) struct Task {
    /// Columns of the output: weight rows of the tensor, or of one of its matrices.
    pub n: u64,
    /// Weight rows that are bound.
    pub rows: u64,
    /// Weights per row; decoded weights, of a dequantization.
    pub k: u64,
    /// Rows of activations, of outputs, or that are gathered.
    pub m: u64,
    /// How they choose among matrices, if they do.
    pub experts: Option<Experts>,
}

impl Choice {
    /// Exact products, with nothing that a device may lack.
    pub fn new(backend: Backend, limits: Limits) -> Choice {
        let activations = Activations::F32;
        Choice { backend, activations, subgroups: false, matrix: 0, turns: u64::MAX, limits }
    }

    /// Kernels that multiply `m` activation rows, the best first: those that round as it is wanted, then
    /// exact ones down to the plainest.
    pub(super) fn products<'f>(
        &self,
        format: &'f Format,
        m: u32,
    ) -> impl Iterator<Item = &'f Kernel> + use<'f> {
        let kinds = match m {
            1 => [Kind::Matvec, Kind::Batch],
            ..=FEW_ROWS => [Kind::Batch, Kind::Matmul],
            // Not all strips fit tiles.
            _ => [Kind::Matmul, Kind::Batch],
        };
        let exact = match m {
            1 => [Kind::Matvec, Kind::MatvecExperts, Kind::Matmul, Kind::MatmulExperts],
            // The whole tensor is the one matrix that all rows choose, or they come one by one.
            _ => [Kind::Matmul, Kind::MatvecExperts, Kind::MatmulExperts, Kind::Matvec],
        };
        let Choice { backend, activations, subgroups, matrix, .. } = *self;
        let int8 = activations == Activations::Int8 && quantizer(backend).is_some();
        let int8 = kinds.into_iter().filter(move |_| int8).flat_map(move |kind| {
            [subgroups, false].map(|subgroups| format.int8_kernel(backend, kind, subgroups))
        });
        let units = activations == Activations::F16 && m > FEW_ROWS && matrix > 0;
        let units = units.then(|| format.f16_kernel(backend, matrix));
        let exact = exact.map(|kind| format.kernel(backend, kind, Element::F32));
        int8.chain(units).chain(exact).flatten()
    }

    /// Kernels for matrices that activation rows choose, the best first.
    pub(super) fn experts<'f>(
        &self,
        format: &'f Format,
        experts: &Experts,
    ) -> impl Iterator<Item = &'f Kernel> + use<'f> {
        let kinds = match experts.kind() {
            Kind::MatvecExperts => [Kind::MatvecExperts, Kind::MatmulExperts],
            _ => [Kind::MatmulExperts, Kind::MatvecExperts],
        };
        kinds.map(|kind| format.kernel(self.backend, kind, Element::F32)).into_iter().flatten()
    }

    /// What keeps a kernel from a task on this device, if anything.
    pub(super) fn obstacle(&self, kernel: &Kernel, task: &Task) -> Option<String> {
        let Limits { workgroups, .. } = self.limits;
        let Task { k, m, .. } = *task;
        let name = &kernel.name;
        if let Some(beyond) = self.limits.beyond(kernel) {
            return Some(beyond);
        }
        let [n, columns, rows] = covered(kernel.kind, task);
        if kernel.grid.launch(n, columns, rows, workgroups).is_none() {
            return Some(format!(
                "`{name}` needs more than {workgroups} x {workgroups} workgroups for [{n}, {columns}] \
                 weights and {rows} rows"
            ));
        }
        let turns = self.turns;
        (loops(kernel, k, m) > turns).then(|| {
            format!(
                "rows of {k} weights take `{name}` more turns of a loop than {turns}, after which the device \
                 goes on as if they were done"
            )
        })
    }
}

/// Weights `[n, k]` and rows that a kernel's grid covers.
pub(super) fn covered(kind: Kind, task: &Task) -> [u64; 3] {
    let Task { n, rows, k, m, experts } = *task;
    let one = Experts { m: m as u32, used: 1, matrices: 1 };
    match kind {
        Kind::Dequant | Kind::Quantize => [1, k, m],
        Kind::Gather => [m, k, 1],
        // Activation rows come one by one.
        Kind::Matvec => [rows, k, 1],
        Kind::Batch | Kind::Matmul => [rows, k, m],
        Kind::MatvecExperts | Kind::MatmulExperts => [n, k, experts.unwrap_or(one).covered(kind)],
    }
}

/// Turns that the loops of an invocation take together, at most, each with the one that ends it, in a
/// kernel of the compiler's that multiplies `outputs` rows.
fn loops(kernel: &Kernel, k: u64, outputs: u64) -> u64 {
    // Sums over the workgroup, tables that are filled, edges that are stored.
    const ONCE: u64 = 1024;
    let threads = invocations(kernel).max(1);
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
        (Kind::Dequant | Kind::Gather, _) => 0,
        _ => k.div_ceil(threads),
    };
    once.saturating_add(ONCE)
}

/// The kernel that rounds activations to 8 bits.
pub(super) fn quantizer(backend: Backend) -> Option<&'static Kernel> {
    quantizers().iter().find(|kernel| kernel.backend == backend)
}
