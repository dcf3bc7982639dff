//! Records kernels into an encoder of the caller's.

use std::ops::Range;

use super::pipeline::{Launch, kernel};
use super::upload::Part;
use super::{GpuWeights, plan};
use crate::artifact::{Element, Kind, Shape};
use crate::{Error, Result};

/// A range of a buffer, from a `&wgpu::Buffer` or a `wgpu::BufferSlice`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    buffer: &'a wgpu::Buffer,
    offset: u64,
    size: u64,
}

impl<'a> From<&'a wgpu::Buffer> for View<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> View<'a> {
        View { buffer, offset: 0, size: buffer.size() }
    }
}

impl<'a> From<wgpu::BufferSlice<'a>> for View<'a> {
    fn from(slice: wgpu::BufferSlice<'a>) -> View<'a> {
        View { buffer: slice.buffer(), offset: slice.offset(), size: slice.size() }
    }
}

impl<'a> View<'a> {
    pub(super) fn resource(&self) -> wgpu::BindingResource<'a> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: self.buffer,
            offset: self.offset,
            size: wgpu::BufferSize::new(self.size),
        })
    }

    /// A part of it, cut off at its end.
    fn part(&self, offset: u64, size: u64) -> View<'a> {
        let size = size.min(self.size.saturating_sub(offset));
        View { buffer: self.buffer, offset: self.offset + offset, size }
    }
}

impl GpuWeights {
    /// Records `y[n] = weights · x[k]`.
    ///
    /// Both buffers hold f32 and need the usage `STORAGE`; `x` has at least `k` elements and `y` at
    /// least `n`, both counts rounded up to a multiple of 4. They start where the device lets a
    /// storage binding start. The rounding elements of `x` may be anything but are read; those of
    /// `y` may be overwritten.
    ///
    /// # Errors
    /// Where a buffer is too small or has not the usage; nothing is recorded then.
    pub fn record_matvec<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
    ) -> Result<()> {
        self.record_product(encoder, Kind::Matvec, x.into(), y.into(), 1)
    }

    /// Records `y[m, n] = x[m, k] · weightsᵀ`, all row-major. The buffers are as for
    /// [`GpuWeights::record_matvec`], with `m · k` and `m · n` elements.
    ///
    /// # Errors
    /// Where `m` is 0 or either buffer is too small, has not the usage, or is larger than a binding
    /// may be; nothing is recorded then.
    pub fn record_matmul<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        m: u32,
    ) -> Result<()> {
        self.record_product(encoder, Kind::Matmul, x.into(), y.into(), m)
    }

    /// Records decoding into `y[n, k]`, row-major, of f32 or f16. `y` needs the usage `STORAGE`
    /// and `n · k` elements, rounded up to a multiple of 4; it may be larger than a binding.
    ///
    /// # Errors
    /// Where the buffer is too small or has not the usage; nothing is recorded then.
    pub fn record_dequant<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        y: impl Into<View<'a>>,
        element: Element,
    ) -> Result<()> {
        let y =
            self.checked("output", y.into(), u128::from(self.n) * u128::from(self.k), element)?;
        let mut launches = Vec::new();
        for part in &self.parts {
            for piece in self.pieces(part, element, u64::MAX)? {
                let offset = (part.rows.start * self.k
                    + piece.start * u64::from(self.format.weights))
                    * element.bytes();
                if !offset.is_multiple_of(self.gpu.limits.alignment) {
                    return Err(self.argument(
                        "output",
                        format!(
                            "the tensor is split after row {}, whose output cannot be bound: it \
                             begins at byte {offset}, which is not a multiple of {}; fetch the \
                             result with dequantize instead",
                            part.rows.start, self.gpu.limits.alignment
                        ),
                    ));
                }
                launches.push((part, piece, offset));
            }
        }
        for (part, piece, offset) in launches {
            self.record_piece(encoder, part, &piece, y.part(offset, u64::MAX), element)?;
        }
        Ok(())
    }

    /// Blocks of a part that are decoded at once, into at most `room` bytes.
    pub(super) fn pieces(
        &self,
        part: &Part,
        element: Element,
        room: u64,
    ) -> Result<Vec<Range<u64>>> {
        let blocks = (part.rows.end - part.rows.start) * (self.k / u64::from(self.format.weights));
        plan::pieces(blocks, &self.format, element.bytes(), room, &self.gpu.limits)
            .map_err(|problem| Error::Tensor { tensor: self.name.to_string(), problem })
    }

    /// Records decoding some blocks of a part to the beginning of `y`.
    pub(super) fn record_piece(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        part: &Part,
        blocks: &Range<u64>,
        y: View<'_>,
        element: Element,
    ) -> Result<()> {
        let pipeline = self.gpu.pipeline(kernel(&self.format, Kind::Dequant, element)?)?;
        let count = blocks.end - blocks.start;
        let decoded = count * u64::from(self.format.weights);
        let y = y.part(0, plan::rounded(decoded) * element.bytes());
        let sizes = self.dims.sizes;
        // All numbers are below 2^31: `plan::parts`.
        let (weights, shape): (Vec<View>, Shape) = match self.format.is_plain() {
            // A piece may begin and end within rows: to the kernel it is one row.
            true => {
                let cut = part.streams.iter().zip(self.format.streams.iter());
                let cut = cut.map(|(buffer, stream)| {
                    let bytes = u64::from(stream.bytes);
                    View::from(buffer)
                        .part(blocks.start * bytes, plan::padded(count * bytes, self.padding))
                });
                let stride = decoded.div_ceil(plan::unit(pipeline.grid(), &self.format)) as u32;
                let k = decoded as u32;
                (cut.collect(), Shape { n: 1, k, m: 1, first: 0, stride, sizes, zero: 0 })
            }
            false => {
                let rows = part.rows.end - part.rows.start;
                let (first, stride) = (blocks.start as u32, count as u32);
                let (n, k) = (rows as u32, self.k as u32);
                let whole = part.streams.iter().map(View::from).collect();
                (whole, Shape { n, k, m: 1, first, stride, sizes, zero: 0 })
            }
        };
        let tables = self.tables.as_ref().map(View::from);
        let covered = [1, decoded, 1];
        let launch = Launch { weights: &weights, tables, x: None, y, shape, covered };
        let mut pass = encoder.begin_compute_pass(&Default::default());
        self.gpu.launch(&mut pass, &pipeline, &launch)
    }

    fn record_product(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        kind: Kind,
        x: View<'_>,
        y: View<'_>,
        m: u32,
    ) -> Result<()> {
        if m == 0 {
            return Err(self.argument("activations", "0 rows; m must be at least 1".to_owned()));
        }
        let x = self.bindable("activations", x, m, self.k)?;
        let y = self.bindable("output", y, m, self.n)?;
        let pipeline = self.gpu.pipeline(kernel(&self.format, kind, Element::F32)?)?;
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for part in &self.parts {
            let weights: Vec<View> = part.streams.iter().map(View::from).collect();
            // Rows, columns and products of them are below 2^31: `plan::parts` and `bindable`.
            let shape = Shape {
                n: (part.rows.end - part.rows.start) as u32,
                k: self.k as u32,
                m,
                first: part.rows.start as u32,
                stride: self.n as u32,
                sizes: self.dims.sizes,
                zero: 0,
            };
            let covered = [shape.n.into(), self.k, m.into()];
            let tables = self.tables.as_ref().map(View::from);
            let launch = Launch { weights: &weights, tables, x: Some(x), y, shape, covered };
            self.gpu.launch(&mut pass, &pipeline, &launch)?;
        }
        Ok(())
    }

    /// An argument of `[m, columns]` f32 that a single binding must hold.
    fn bindable<'a>(
        &self,
        what: &'static str,
        view: View<'a>,
        m: u32,
        columns: u64,
    ) -> Result<View<'a>> {
        let elements = u128::from(m) * u128::from(columns);
        let view = self.checked(what, view, elements, Element::F32)?;
        let limit = plan::bindable(&self.gpu.limits);
        if view.size > limit {
            return Err(self.argument(
                what,
                format!(
                    "[{m}, {columns}] f32 take {} bytes; a binding holds {limit}, so record fewer \
                     activation rows at a time",
                    view.size
                ),
            ));
        }
        Ok(view)
    }

    /// The part of a view that holds so many elements, where it does and may be bound.
    fn checked<'a>(
        &self,
        what: &'static str,
        view: View<'a>,
        elements: u128,
        element: Element,
    ) -> Result<View<'a>> {
        let needed = elements.next_multiple_of(4) * u128::from(element.bytes());
        let alignment = self.gpu.limits.alignment;
        let problem = if u128::from(view.size) < needed {
            format!(
                "a buffer of {} bytes; {elements} elements, rounded up to a multiple of 4, take \
                 {needed}",
                view.size
            )
        } else if !view.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
            format!("a buffer of usage {:?}; STORAGE is needed", view.buffer.usage())
        } else if !view.offset.is_multiple_of(alignment) {
            format!(
                "begins at byte {} of its buffer; it must begin at a multiple of {alignment}",
                view.offset
            )
        } else {
            return Ok(view.part(0, needed as u64));
        };
        Err(self.argument(what, problem))
    }

    fn argument(&self, what: &'static str, problem: String) -> Error {
        Error::Argument { what, tensor: self.name.to_string(), problem }
    }
}
