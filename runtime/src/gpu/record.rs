//! Records kernels into an encoder or a compute pass of the caller's.

use std::ops::Range;

use super::experts::Mixture;
use super::groups::Groups;
use super::pipeline::{Launch, Pipeline, Streams};
use super::upload::Part;
use super::{GpuWeights, Recorder, View, plan};
use crate::artifact::{Activations, Element, Kind, Shape};
use crate::{Epilogue, Error, Experts, Result};

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
        self.record_matvec_with(into, x, y, Epilogue::default())
    }

    /// [`GpuWeights::record_matvec`] with an epilogue, whose bias has `n` f32 in a buffer of its own or
    /// that of `x`.
    ///
    /// # Errors
    /// As for [`GpuWeights::record_matvec`]; also [`Error::Missing`] where the format's kernels have no
    /// such epilogue.
    pub fn record_matvec_with<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        epilogue: Epilogue<View<'a>>,
    ) -> Result<()> {
        let (x, y) = (x.into(), y.into());
        let product = Product { x, y, m: 1, epilogue };
        self.record_product(into, &product, &self.groups)
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
        self.record_matmul_with(into, x, y, m, Epilogue::default())
    }

    /// [`GpuWeights::record_matmul`] with an epilogue, as for [`GpuWeights::record_matvec_with`].
    ///
    /// # Errors
    /// As for [`GpuWeights::record_matmul`] and [`GpuWeights::record_matvec_with`].
    pub fn record_matmul_with<'a>(
        &self,
        into: &mut impl Recorder,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        m: u32,
        epilogue: Epilogue<View<'a>>,
    ) -> Result<()> {
        let (x, y) = (x.into(), y.into());
        let product = Product { x, y, m, epilogue };
        self.record_product(into, &product, &self.groups)
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
                    Shape { n: 1, k, m: 1, stride, sizes, ..Shape::default() },
                )
            }
            false => {
                let rows = part.rows.end - part.rows.start;
                let (first, stride) = (blocks.start as u32, count as u32);
                let (n, k) = (rows as u32, self.k as u32);
                let shape = Shape { n, k, m: 1, first, stride, sizes, ..Shape::default() };
                (Streams::Whole(&part.streams), shape)
            }
        };
        let tables = self.tables.as_ref().map(View::from);
        let covered = [1, decoded, 1];
        let (x, bias, indices) = (None, None, None);
        let launch = Launch { weights, tables, x, bias, indices, y, shape, covered, groups };
        into.compute(|pass| self.gpu.launch(pass, &pipeline, &launch))
    }

    /// Records a product; its bind groups are kept in `groups`.
    pub(super) fn record_product(
        &self,
        into: &mut impl Recorder,
        product: &Product<'_>,
        groups: &Groups,
    ) -> Result<()> {
        let Product { m, epilogue, .. } = *product;
        if m == 0 {
            return Err(self.argument("activations", "0 rows; m must be at least 1".to_owned()));
        }
        let x = self.bindable("activations", product.x, [m.into(), self.k], Element::F32)?;
        let y = self.bindable("output", product.y, [m.into(), self.n], Element::F32)?;
        self.apart(&y, &x, "activations")?;
        let kernel = self.product_kernel(m)?;
        if kernel.kind == Kind::MatvecExperts {
            // The whole tensor is the one matrix that all rows choose.
            let zeros = self.gpu.zeros(m)?;
            let (indices, experts) = (View::from(&zeros), Experts { m, used: 1, matrices: 1 });
            let Product { x, y, epilogue, .. } = *product;
            return self.record_mixture(
                into,
                &Mixture { x, indices, y, experts, epilogue },
                groups,
            );
        }
        let pipeline = self.pipeline(kernel)?;
        let epilogue = self.epilogue(epilogue, &y, &pipeline)?;
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
                let shape = epilogue.tell(Shape {
                    n: (part.rows.end - part.rows.start) as u32,
                    k: self.k as u32,
                    m,
                    first: part.rows.start as u32,
                    stride: self.n as u32,
                    sizes: self.dims.sizes,
                    ..Shape::default()
                });
                let launch = Launch {
                    weights: Streams::Whole(&part.streams),
                    tables: self.tables.as_ref().map(View::from),
                    x: Some(x),
                    bias: epilogue.bias,
                    indices: None,
                    y,
                    shape,
                    covered: [shape.n.into(), self.k, m.into()],
                    groups,
                };
                self.gpu.launch(pass, &pipeline, &launch)
            })
        })
    }
}

impl GpuWeights {
    /// An epilogue that a kernel has, and whose bias may be bound beside `y`.
    pub(super) fn epilogue<'a>(
        &self,
        epilogue: Epilogue<View<'a>>,
        y: &View<'_>,
        pipeline: &Pipeline,
    ) -> Result<Epilogue<View<'a>>> {
        pipeline.check(&epilogue, &self.format)?;
        epilogue.try_map(|bias| {
            self.apart(y, &bias, "bias")?;
            self.words("bias", bias, self.n)
        })
    }
}

/// A product of `m` activation rows.
pub(super) struct Product<'a> {
    pub x: View<'a>,
    pub y: View<'a>,
    pub m: u32,
    pub epilogue: Epilogue<View<'a>>,
}
