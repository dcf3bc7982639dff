//! Decodes single rows.

use std::ops::Range;

use super::launch::Launch;
use super::{HipWeights, Stream, View};
use crate::Result;
use crate::artifact::{Element, Kind, Shape};

impl HipWeights {
    /// Launches decoding single rows into `y[rows, k]`, row-major, of f32 or f16: the look-up of
    /// embeddings. `indices` has a u32 for each, the number of a weight row; where there is no such
    /// row, `y` gets NaN. `y` is as for [`HipWeights::launch_matvec`], with `rows · k` elements.
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matvec`].
    pub fn launch_gather<'a>(
        &self,
        stream: &Stream,
        indices: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        rows: u32,
        element: Element,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let indices = self.words("indices", stream, indices.into(), rows.into())?;
        let y = self.checked("output", stream, y.into(), [rows.into(), self.k], element)?;
        let kernel = self.hip.choice.exact(&self.format, Kind::Gather, element)?;
        let function = self.function(kernel)?;
        for part in &self.parts {
            let Range { start, end } = part.rows;
            // Rows and columns are below 2^31: `plan::parts`; `Tensor` counts all rows in 32 bits.
            let shape = Shape {
                n: (end - start) as u32,
                k: self.k as u32,
                m: rows,
                first: start as u32,
                stride: self.n as u32,
                sizes: self.dims.sizes,
                ..Shape::default()
            };
            let launch = Launch {
                part: Some(part),
                block: 0,
                x: None,
                bias: None,
                indices: Some(indices),
                y,
                shape,
                covered: [rows.into(), self.k, 1],
            };
            self.launch(stream, function, &launch)?;
        }
        Ok(())
    }
}
