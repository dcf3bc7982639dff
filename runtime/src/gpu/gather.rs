//! Decodes single rows.

use super::groups::Groups;
use super::pipeline::{Launch, Streams};
use super::{GpuWeights, Recorder, View};
use crate::Result;
use crate::artifact::{Element, Kind, Shape};

/// Rows that are decoded.
pub(super) struct Gather<'a> {
    pub indices: View<'a>,
    pub y: View<'a>,
    pub rows: u32,
    pub element: Element,
}

impl GpuWeights {
    /// Records decoding single rows into `y[rows, k]`, row-major, of f32 or f16: the look-up of
    /// embeddings. `indices` has a u32 for each, the number of a weight row; where there is no such
    /// row, `y` gets NaN. Both buffers need the usage `STORAGE`; `y` has `rows · k` elements, rounded
    /// up to a multiple of 4, of which the rounding elements may be overwritten.
    ///
    /// # Errors
    /// Where a buffer is too small, has not the usage, is larger than a binding may be, or both are
    /// one; nothing is recorded then.
    pub fn record_gather<'a>(
        &self,
        into: &mut impl Recorder,
        indices: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        rows: u32,
        element: Element,
    ) -> Result<()> {
        let (indices, y) = (indices.into(), y.into());
        self.record_rows(into, &Gather { indices, y, rows, element }, &self.groups)
    }

    /// Records decoding single rows; bind groups are kept in `groups`.
    pub(super) fn record_rows(
        &self,
        into: &mut impl Recorder,
        gather: &Gather<'_>,
        groups: &Groups,
    ) -> Result<()> {
        let Gather { rows, element, .. } = *gather;
        if rows == 0 {
            return Ok(());
        }
        let indices = self.words("indices", gather.indices, rows.into())?;
        let y = self.bindable("output", gather.y, [rows.into(), self.k], element)?;
        self.apart(&y, &indices, "indices")?;
        let kernel = self.gpu.choice.exact(&self.format, Kind::Gather, element)?;
        let pipeline = self.pipeline(kernel)?;
        into.compute(|pass| {
            self.parts.iter().try_for_each(|part| {
                // All numbers are below 2^31: `plan::parts` and `bindable`.
                let shape = Shape {
                    n: (part.rows.end - part.rows.start) as u32,
                    k: self.k as u32,
                    m: rows,
                    first: part.rows.start as u32,
                    stride: self.n as u32,
                    sizes: self.dims.sizes,
                    ..Shape::default()
                };
                let launch = Launch {
                    weights: Streams::Whole(&part.streams),
                    tables: self.tables.as_ref().map(View::from),
                    x: None,
                    bias: None,
                    indices: Some(indices),
                    y,
                    shape,
                    covered: [rows.into(), self.k, 1],
                    groups,
                };
                self.gpu.launch(pass, &pipeline, &launch)
            })
        })
    }
}
