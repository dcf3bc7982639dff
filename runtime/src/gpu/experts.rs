//! Products with matrices that activation rows choose.

use super::groups::Groups;
use super::pipeline::{Launch, Streams};
use super::{GpuWeights, Recorder, View};
use crate::artifact::{Element, Shape};
use crate::{Epilogue, Experts, Result};

/// A product with chosen matrices.
pub(super) struct Mixture<'a> {
    pub x: View<'a>,
    pub indices: View<'a>,
    pub y: View<'a>,
    pub experts: Experts,
    pub epilogue: Epilogue<View<'a>>,
}

impl GpuWeights {
    /// Records `y[m, used, n / matrices]` = each row of `x[m, k]` times the matrices that
    /// `indices[m, used]`, u32, names for it. For [`Experts::NONE`] `y` gets 0, or nothing is added; where
    /// there is no matrix of a number, `y` gets NaN. `x` and `y`
    /// are as for [`GpuWeights::record_matvec`], and `indices` has the usage `STORAGE`. Where many rows
    /// choose few matrices, those with the same one are collected, so that its weights are read once
    /// for several.
    ///
    /// # Errors
    /// Where a number of `experts` is 0 or `matrices` does not divide `n`; or a buffer is too small, has
    /// not the usage, is larger than a binding may be, or is written and read; nothing is recorded then.
    pub fn record_matmul_experts<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        indices: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        experts: Experts,
    ) -> Result<()> {
        self.record_matmul_experts_with(into, x, indices, y, experts, Epilogue::default())
    }

    /// [`GpuWeights::record_matmul_experts`] with an epilogue, whose bias has a value for each row of
    /// each matrix, `n` in all.
    ///
    /// # Errors
    /// As for [`GpuWeights::record_matmul_experts`] and [`GpuWeights::record_matvec_with`].
    pub fn record_matmul_experts_with<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        indices: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        experts: Experts,
        epilogue: Epilogue<View<'a>>,
    ) -> Result<()> {
        let (x, indices, y) = (x.into(), indices.into(), y.into());
        self.record_mixture(into, &Mixture { x, indices, y, experts, epilogue }, &self.groups)
    }

    /// Records a product with chosen matrices; its bind groups are kept in `groups`.
    pub(super) fn record_mixture(
        &self,
        into: &mut impl Recorder,
        mixture: &Mixture<'_>,
        groups: &Groups,
    ) -> Result<()> {
        let Mixture { experts, epilogue, .. } = *mixture;
        let Experts { m, used, matrices } = experts;
        let (n, outputs) = experts.sizes(&self.name, self.n)?;
        let x = self.bindable("activations", mixture.x, [m.into(), self.k], Element::F32)?;
        let y = self.bindable("output", mixture.y, [outputs, n], Element::F32)?;
        let indices = self.words("indices", mixture.indices, outputs)?;
        self.apart(&y, &x, "activations")?;
        self.apart(&y, &indices, "indices")?;
        let kernel = self.gpu.choice.exact(&self.format, experts.kind(), Element::F32)?;
        let kernel = self.in_time(kernel, outputs)?;
        let pipeline = self.pipeline(kernel)?;
        let epilogue = self.epilogue(epilogue, &y, &pipeline)?;
        into.compute(|pass| {
            self.parts.iter().try_for_each(|part| {
                // Rows, columns and products of them are below 2^31: `plan::parts` and `bindable`.
                let shape = epilogue.tell(Shape {
                    n: (part.rows.end - part.rows.start) as u32,
                    k: self.k as u32,
                    m,
                    first: part.rows.start as u32,
                    stride: n as u32,
                    sizes: self.dims.sizes,
                    used,
                    matrices,
                    ..Shape::default()
                });
                let launch = Launch {
                    weights: Streams::Whole(&part.streams),
                    tables: self.tables.as_ref().map(View::from),
                    x: Some(x),
                    bias: epilogue.bias,
                    indices: Some(indices),
                    y,
                    shape,
                    covered: [n, self.k, experts.covered(kernel.kind)],
                    groups,
                };
                self.gpu.launch(pass, &pipeline, &launch)
            })
        })
    }
}
