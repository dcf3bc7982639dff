//! Adds kernels to a stream of the caller's.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ops::Range;
use std::ptr;

use super::context::Function;
use super::memory::ALIGNMENT;
use super::weights::Part;
use super::{HipWeights, Stream, View};
use crate::artifact::{Activations, Element, Kind, Role, Shape};
use crate::{Epilogue, Error, Result, plan};

/// Most arguments of a kernel.
const ARGUMENTS: usize = 16;

/// What one launch works on.
pub(super) struct Launch<'a> {
    /// The weights, where it reads some.
    pub part: Option<&'a Part>,
    /// Block of the part at which streams of blocks begin for the kernel.
    pub block: u64,
    pub x: Option<u64>,
    /// Where the epilogue has one.
    pub bias: Option<u64>,
    pub indices: Option<u64>,
    pub y: u64,
    pub shape: Shape,
    /// Weights `[n, k]` and activation rows `m` that the grid covers.
    pub covered: [u64; 3],
}

/// A product of `m` activation rows.
struct Product<'a> {
    x: View<'a>,
    y: View<'a>,
    m: u32,
    epilogue: Epilogue<View<'a>>,
}

impl HipWeights {
    /// Launches `y[n] = weights · x[k]`.
    ///
    /// Both views hold f32; `x` has at least `k` elements and `y` at least `n`, both counts rounded up
    /// to a multiple of 4, and they do not overlap. They begin at multiples of 16 bytes. The rounding
    /// elements of `x` may be anything but may be read; those of `y` may be overwritten.
    ///
    /// Nothing is allocated or waited for, but what [`HipWeights::prepare`] does at the first call, and for
    /// activations in 8 bits memory of the stream at the first call of as many.
    ///
    /// # Errors
    /// Where a view is too small or not aligned, or stream or view are of another device: nothing is
    /// launched then. [`Error::Device`] where the driver refuses the launch, or the kernel cannot be
    /// compiled.
    pub fn launch_matvec<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
    ) -> Result<()> {
        self.launch_matvec_with(stream, x, y, Epilogue::default())
    }

    /// [`HipWeights::launch_matvec`] with an epilogue, whose bias has `n` f32 and does not overlap `y`.
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matvec`]; also [`Error::Missing`] where the format's kernels have no
    /// such epilogue.
    pub fn launch_matvec_with<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        epilogue: Epilogue<View<'a>>,
    ) -> Result<()> {
        let (x, y) = (x.into(), y.into());
        self.launch_product(stream, Product { x, y, m: 1, epilogue })
    }

    /// Launches `y[m, n] = x[m, k] · weightsᵀ`, all row-major. The views are as for
    /// [`HipWeights::launch_matvec`], with `m · k` and `m · n` elements.
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matvec`], and where `m` is 0.
    pub fn launch_matmul<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        m: u32,
    ) -> Result<()> {
        self.launch_matmul_with(stream, x, y, m, Epilogue::default())
    }

    /// [`HipWeights::launch_matmul`] with an epilogue, as for [`HipWeights::launch_matvec_with`].
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matmul`] and [`HipWeights::launch_matvec_with`].
    pub fn launch_matmul_with<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        y: impl Into<View<'a>>,
        m: u32,
        epilogue: Epilogue<View<'a>>,
    ) -> Result<()> {
        let (x, y) = (x.into(), y.into());
        self.launch_product(stream, Product { x, y, m, epilogue })
    }

    /// Launches decoding into `y[n, k]`, row-major, of f32 or f16. `y` is as for
    /// [`HipWeights::launch_matvec`], with `n · k` elements.
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matvec`]; also where the tensor is split so that a part's output would
    /// not be aligned, of which earlier parts may be launched.
    pub fn launch_dequant<'a>(
        &self,
        stream: &Stream,
        y: impl Into<View<'a>>,
        element: Element,
    ) -> Result<()> {
        let y = self.checked("output", stream, y.into(), [self.n, self.k], element)?;
        for part in &self.parts {
            for blocks in self.pieces(part, element, u64::MAX)? {
                let first =
                    part.rows.start * self.k + blocks.start * u64::from(self.format.weights);
                let offset = first * element.bytes();
                if !offset.is_multiple_of(ALIGNMENT) {
                    return Err(self.argument("output", format!(
                        "the tensor is split after row {}, whose output begins at byte {offset}, which is not a \
                         multiple of {ALIGNMENT}; fetch the result with dequantize instead",
                        part.rows.start
                    )));
                }
                self.launch_piece(stream, part, &blocks, y + offset, element)?;
            }
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
        plan::pieces(blocks, &self.format, element.bytes(), room, &self.hip.limits)
            .map_err(|problem| Error::Tensor { tensor: self.name.to_string(), problem })
    }

    /// Launches decoding some blocks of a part to `y`, which has room for them.
    pub(super) fn launch_piece(
        &self,
        stream: &Stream,
        part: &Part,
        blocks: &Range<u64>,
        y: u64,
        element: Element,
    ) -> Result<()> {
        let kernel = self.hip.choice.exact(&self.format, Kind::Dequant, element)?;
        let function = self.function(kernel)?;
        let count = blocks.end - blocks.start;
        let decoded = count * u64::from(self.format.weights);
        // All numbers are below 2^31: `plan::parts`.
        let (block, [n, k, first, stride]) = match self.format.is_plain() {
            // A piece may begin and end within rows: to the kernel it is one row.
            true => {
                let units = decoded.div_ceil(plan::unit(function.facts.grid, &self.format));
                (blocks.start, [1, decoded, 0, units])
            }
            false => (0, [part.rows.end - part.rows.start, self.k, blocks.start, count]),
        };
        let [n, k, first, stride] = [n, k, first, stride].map(|number| number as u32);
        let sizes = self.dims.sizes;
        let shape = Shape { n, k, m: 1, first, stride, sizes, ..Shape::default() };
        let (part, x, bias, indices) = (Some(part), None, None, None);
        let covered = [1, decoded, 1];
        let launch = Launch { part, block, x, bias, indices, y, shape, covered };
        self.launch(stream, function, &launch)
    }

    fn launch_product(&self, stream: &Stream, product: Product<'_>) -> Result<()> {
        let Product { x, y, m, epilogue } = product;
        if m == 0 {
            return Err(self.argument("activations", "0 rows; m must be at least 1".to_owned()));
        }
        let x = self.checked("activations", stream, x, [m.into(), self.k], Element::F32)?;
        let y = self.checked("output", stream, y, [m.into(), self.n], Element::F32)?;
        let epilogue = epilogue.try_map(|bias| self.words("bias", stream, bias, self.n))?;
        let kernel = self.hip.choice.product(&self.format, m)?;
        epilogue.check(kernel, &self.format)?;
        let function = self.function(kernel)?;
        let quantized = match kernel.activations {
            Activations::F32 | Activations::F16 => None,
            Activations::Int8 => Some(self.quantize(stream, x, m)?),
        };
        let x = quantized.as_ref().map_or(x, |quantized| quantized.address);
        for part in &self.parts {
            let Range { start, end } = part.rows;
            // Rows and columns are below 2^31: `plan::parts`; `Tensor` counts all rows in 32 bits.
            let shape = epilogue.tell(Shape {
                n: (end - start) as u32,
                k: self.k as u32,
                m,
                first: start as u32,
                stride: self.n as u32,
                sizes: self.dims.sizes,
                ..Shape::default()
            });
            let covered = [end - start, self.k, m.into()];
            let (part, x, bias, indices) = (Some(part), Some(x), epilogue.bias, None);
            let launch = Launch { part, block: 0, x, bias, indices, y, shape, covered };
            self.launch(stream, function, &launch)?;
        }
        Ok(())
    }

    pub(super) fn launch(
        &self,
        stream: &Stream,
        function: &Function,
        launch: &Launch<'_>,
    ) -> Result<()> {
        let facts = &function.facts;
        let during = || format!("launching `{}`", facts.name);
        let fail = |problem: String| Error::Device {
            device: self.hip.name().to_owned(),
            during: during(),
            problem,
        };
        let [n, k, m] = launch.covered;
        let grid = facts.grid.launch(n, k, m, self.hip.limits.workgroups).ok_or_else(|| {
            fail(format!("a grid for [{n}, {k}] weights and {m} activation rows is too large"))
        })?;
        let mut shape = launch.shape.words();
        let mut addresses = [0u64; ARGUMENTS];
        let mut arguments = [ptr::null_mut::<c_void>(); ARGUMENTS];
        let slots = addresses.iter_mut().zip(&mut arguments);
        let count = facts.bindings.len();
        for (binding, (address, argument)) in facts.bindings.iter().zip(slots) {
            let bound = match binding.role {
                Role::Weights(stream) => self.stream_address(launch, stream as usize),
                Role::Tables => self.tables.as_ref().map(|tables| tables.address()),
                Role::Activations => launch.x,
                Role::Output => Some(launch.y),
                Role::Shape => Some(0),
                // Without a bias nothing is read there.
                Role::Bias => launch.bias.or(launch.x),
                Role::Indices => launch.indices,
            };
            *address = bound.ok_or_else(|| {
                fail(format!("it binds `{}`, which the format has not", binding.name))
            })?;
            *argument = match binding.role {
                Role::Shape => (&raw mut shape).cast(),
                _ => ptr::from_mut(address).cast(),
            };
        }
        let arguments = arguments.get_mut(..count).ok_or_else(|| {
            fail(format!("it takes {count} arguments; at most {ARGUMENTS} are known"))
        })?;
        // SAFETY: the arguments are those that the facts of the kernel list, addresses and one shape.
        // `upload` saw that the format is proven or vouched for: the text's loads lie in the blocks and the
        // padding after them, which the streams hold; `x` and `y` hold what the shape says, as `checked` saw,
        // and who owns them keeps them: buffers wait for the device, views are vouched for.
        self.hip.context.call(during, |driver| unsafe {
            driver.launch(function.handle, grid, facts.workgroup, arguments, stream.handle())
        })
    }

    /// Where a stream of bytes begins for a launch.
    fn stream_address(&self, launch: &Launch<'_>, stream: usize) -> Option<u64> {
        let bytes = u64::from(self.format.streams.get(stream)?.bytes);
        Some(launch.part?.streams.get(stream)?.address() + launch.block * bytes)
    }
}
