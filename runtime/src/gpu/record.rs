//! Records kernels into an encoder or a compute pass of the caller's.

use std::ops::Range;

use super::groups::Groups;
use super::pipeline::{Launch, Streams};
use super::upload::Part;
use super::{GpuWeights, plan};
use crate::artifact::{Activations, Element, Kind, Shape};
use crate::{Error, Result};

/// A range of a buffer, from a `&wgpu::Buffer` or a `wgpu::BufferSlice`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Where kernels are recorded: an encoder, in which they get a compute pass of their own, or a compute
/// pass that is open. Many kernels in one pass take the least of the host's time; they still see what
/// those before them wrote.
pub trait Recorder {
    /// Records into a compute pass.
    ///
    /// # Errors
    /// Those of `record`.
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()>;
}

impl Recorder for wgpu::CommandEncoder {
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()> {
        record(&mut self.begin_compute_pass(&Default::default()))
    }
}

impl Recorder for wgpu::ComputePass<'_> {
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()> {
        record(self)
    }
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
    /// A call with other buffers than before makes a bind group; with the same, or other slices of
    /// them, it makes nothing. Bind groups of the last 256 calls are kept, 64 at most, and with them
    /// their buffers; `wgpu::Buffer::destroy` frees the memory of one at once.
    ///
    /// # Errors
    /// Where a buffer is too small or has not the usage, or both are one; nothing is recorded then.
    pub fn record_matvec<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
    ) -> Result<()> {
        self.record_product(into, x.into(), y.into(), 1, &self.groups)
    }

    /// Records `y[m, n] = x[m, k] · weightsᵀ`, all row-major. The buffers are as for
    /// [`GpuWeights::record_matvec`], with `m · k` and `m · n` elements.
    ///
    /// # Errors
    /// Where `m` is 0 or either buffer is too small, has not the usage, or is larger than a binding
    /// may be; nothing is recorded then.
    pub fn record_matmul<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        m: u32,
    ) -> Result<()> {
        self.record_product(into, x.into(), y.into(), m, &self.groups)
    }

    /// Records decoding into `y[n, k]`, row-major, of f32 or f16. `y` needs the usage `STORAGE`
    /// and `n · k` elements, rounded up to a multiple of 4; it may be larger than a binding.
    ///
    /// # Errors
    /// Where the buffer is too small or has not the usage; nothing is recorded then.
    pub fn record_dequant<'a>(
        &self,
        into: &mut impl Recorder,
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
        into.compute(|pass| {
            launches.iter().try_for_each(|(part, piece, offset)| {
                let y = y.part(*offset, u64::MAX);
                self.record_piece(pass, part, piece, y, element, &self.groups)
            })
        })
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
        into: &mut impl Recorder,
        part: &Part,
        blocks: &Range<u64>,
        y: View<'_>,
        element: Element,
        groups: &Groups,
    ) -> Result<()> {
        let kernel = self.gpu.choice.exact(&self.format, Kind::Dequant, element)?;
        let pipeline = self.pipeline(kernel)?;
        let count = blocks.end - blocks.start;
        let decoded = count * u64::from(self.format.weights);
        let y = y.part(0, plan::rounded(decoded) * element.bytes());
        let sizes = self.dims.sizes;
        // All numbers are below 2^31: `plan::parts`.
        let (weights, shape) = match self.format.is_plain() {
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
                (
                    Streams::Cut(cut.collect()),
                    Shape { n: 1, k, m: 1, first: 0, stride, sizes, zero: 0 },
                )
            }
            false => {
                let rows = part.rows.end - part.rows.start;
                let (first, stride) = (blocks.start as u32, count as u32);
                let (n, k) = (rows as u32, self.k as u32);
                (Streams::Whole(&part.streams), Shape { n, k, m: 1, first, stride, sizes, zero: 0 })
            }
        };
        let tables = self.tables.as_ref().map(View::from);
        let covered = [1, decoded, 1];
        let launch = Launch { weights, tables, x: None, y, shape, covered, groups };
        into.compute(|pass| self.gpu.launch(pass, &pipeline, &launch))
    }

    /// Records a product of `m` activation rows; its bind groups are kept in `groups`.
    pub(super) fn record_product(
        &self,
        into: &mut impl Recorder,
        x: View<'_>,
        y: View<'_>,
        m: u32,
        groups: &Groups,
    ) -> Result<()> {
        if m == 0 {
            return Err(self.argument("activations", "0 rows; m must be at least 1".to_owned()));
        }
        let x = self.bindable("activations", x, m, self.k)?;
        let y = self.bindable("output", y, m, self.n)?;
        if x.buffer == y.buffer {
            return Err(self.argument(
                "output",
                "the buffer of the activations; WebGPU wants another one".to_owned(),
            ));
        }
        let kernel = self.product_kernel(m)?;
        let pipeline = self.pipeline(kernel)?;
        let quantized = match kernel.activations {
            Activations::F32 | Activations::F16 => None,
            Activations::Int8 => Some(self.quantized(m)?),
        };
        into.compute(|pass| {
            let x = match &quantized {
                // A row is below 2^31: `plan::parts`.
                Some(own) => own.record(&self.gpu, pass, x, [m, self.k as u32], groups)?,
                None => x,
            };
            self.parts.iter().try_for_each(|part| {
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
                let weights = Streams::Whole(&part.streams);
                let launch = Launch { weights, tables, x: Some(x), y, shape, covered, groups };
                self.gpu.launch(pass, &pipeline, &launch)
            })
        })
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

    pub(super) fn argument(&self, what: &'static str, problem: String) -> Error {
        Error::Argument { what, tensor: self.name.to_string(), problem }
    }
}
