//! Products with matrices that activation rows choose.

use std::ops::Range;

use super::launch::Launch;
use super::{HipWeights, Stream, View};
use crate::artifact::{Element, Shape};
use crate::{Epilogue, Experts, Result};

impl HipWeights {
    /// Launches `y[m, used, n / matrices]` = each row of `x[m, k]` times the matrices that
    /// `indices[m, used]`, u32, names for it. For [`Experts::NONE`] `y` gets 0, or nothing is added; where
    /// there is no matrix of a number, `y` gets NaN. `x` and `y` are as for
    /// [`HipWeights::launch_matvec`]. Where many rows choose few matrices, those with the same one are
    /// collected, so that its weights are read once for several.
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matvec`]; also where a number of `experts` is 0, or `matrices` does
    /// not divide `n`.
    pub fn launch_matmul_experts<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        indices: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        experts: Experts,
    ) -> Result<()> {
        self.launch_matmul_experts_with(stream, x, indices, y, experts, Epilogue::default())
    }

    /// [`HipWeights::launch_matmul_experts`] with an epilogue, whose bias has a value for each row of
    /// each matrix, `n` in all.
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matmul_experts`] and [`HipWeights::launch_matvec_with`].
    pub fn launch_matmul_experts_with<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        indices: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        experts: Experts,
        epilogue: Epilogue<View<'a>>,
    ) -> Result<()> {
        let Experts { m, used, matrices } = experts;
        let (n, outputs) = experts.sizes(&self.name, self.n)?;
        let x = self.checked("activations", stream, x.into(), [m.into(), self.k], Element::F32)?;
        let y = self.checked("output", stream, y.into(), [outputs, n], Element::F32)?;
        let indices = self.words("indices", stream, indices.into(), outputs)?;
        let epilogue = epilogue.try_map(|bias| self.words("bias", stream, bias, self.n))?;
        let kernel = self.hip.choice.exact(&self.format, experts.kind(), Element::F32)?;
        let function = self.function(kernel)?;
        epilogue.check(&function.facts, &self.format)?;
        for part in &self.parts {
            let Range { start, end } = part.rows;
            // Rows and columns are below 2^31: `plan::parts`; `Tensor` counts all rows in 32 bits.
            let shape = epilogue.tell(Shape {
                n: (end - start) as u32,
                k: self.k as u32,
                m,
                first: start as u32,
                stride: n as u32,
                sizes: self.dims.sizes,
                used,
                matrices,
                ..Shape::default()
            });
            let launch = Launch {
                part: Some(part),
                block: 0,
                x: Some(x),
                bias: epilogue.bias,
                indices: Some(indices),
                y,
                shape,
                covered: [n, self.k, experts.covered(kernel.kind)],
            };
            self.launch(stream, function, &launch)?;
        }
        Ok(())
    }
}
