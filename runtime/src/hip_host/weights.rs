//! A tensor whose HIP kernels run on the CPU.

use super::kernel::{Argument, HostKernel};
use super::memory::Buffer;
use super::{DEVICE, Kernels};
use crate::artifact::{
    self, Activations, Dims, Element, Grid, Kernel, Kind, MOST_UNITS, Role, Shape,
};
use crate::choice::{self, Choice};
use crate::device::Resident;
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Error, Experts, Result, Tensor, f16};

/// A tensor, its padded bytes, its format's tables and kernels.
pub(super) struct HostWeights {
    pub tensor: Tensor,
    pub streams: Vec<Buffer>,
    pub tables: Buffer,
    pub kernels: Kernels,
    pub choice: Choice,
}

/// Decoded weights per launch, about: they go through a buffer of this size.
const RUN: usize = 1 << 24;
/// Weight rows per launch are a multiple of this, and so the bytes before them a multiple of 16.
const ROWS: usize = 16;
/// Workgroups in one dimension of a grid; as few as devices allow, so that large grids are tested.
const GRID: u32 = 65_535;

impl Resident for HostWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        self.decode(Element::F32)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        self.decode(Element::F16)
    }

    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()> {
        let [n, k, m] = [self.tensor.n(), self.tensor.k(), m].map(size_u32);
        let (n, k, m) = (n?, k?, m?);
        let kernel = self.choice.product(self.tensor.format(), m)?;
        let mut x = Buffer::copied(bytemuck::cast_slice(x), 0, "activations")?;
        if kernel.activations == Activations::Int8 {
            x = self.quantize(x, k, m)?;
        }
        let shape = Shape { n, k, m, stride: n, ..Shape::default() };
        self.store(kernel, [n, k, m], shape, Read { x, ..Read::default() }, y, epilogue)
    }

    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        let experts = chosen.told(self.tensor.name())?;
        let [n, k, stride] = [self.tensor.n(), self.tensor.k(), chosen.n].map(size_u32);
        let (n, k, stride) = (n?, k?, stride?);
        let kernel = self.choice.exact(self.tensor.format(), experts.kind(), Element::F32)?;
        let Experts { m, used, matrices } = experts;
        let shape = Shape { n, k, m, stride, used, matrices, ..Shape::default() };
        let covered = [stride, k, size_u32(experts.covered(kernel.kind) as usize)?];
        let x = Buffer::copied(bytemuck::cast_slice(chosen.x), 0, "activations")?;
        let indices = Buffer::copied(bytemuck::cast_slice(chosen.experts), 0, "indices")?;
        self.store(kernel, covered, shape, Read { x, indices, ..Read::default() }, y, epilogue)
    }

    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        self.rows(rows, Element::F32)
    }

    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        self.rows(rows, Element::F16)
    }

    fn activations(&self) -> Activations {
        self.choice.activations(self.tensor.format())
    }
}

impl HostWeights {
    fn decode<T: bytemuck::Pod + Default>(&self, element: Element) -> Result<Vec<T>> {
        let (n, k) = (self.tensor.n(), self.tensor.k());
        let mut weights = zeros(elements(n, k, "decoded weights")?, "decoded weights")?;
        let rows = (RUN / k / ROWS).max(1) * ROWS;
        let size = rows.min(n).saturating_mul(k).saturating_mul(size_of::<T>());
        let mut y = Buffer::new(size, "decoded weights")?;
        for (run, weights) in weights.chunks_mut(rows.saturating_mul(k)).enumerate() {
            let first = run * rows * self.tensor.layout().blocks as usize;
            self.launch_dequant(element, first, weights.len(), &mut y)?;
            weights.copy_from_slice(y.values(weights.len()));
        }
        Ok(weights)
    }

    /// Launches a product, whose bias is not read yet, and stores its output.
    fn store(
        &self,
        kernel: &Kernel,
        covered: [u32; 3],
        shape: Shape,
        read: Read,
        output: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        epilogue.check(kernel, self.tensor.format())?;
        let bias = Buffer::copied(bytemuck::cast_slice(epilogue.bias.unwrap_or(&[])), 0, "a bias")?;
        let mut y = Buffer::copied(bytemuck::cast_slice(output), 0, "the output")?;
        let shape = epilogue.tell(Shape { sizes: self.tensor.layout().sizes, ..shape });
        self.launch(self.kernel(kernel)?, 0, covered, &shape, &Read { bias, ..read }, &mut y)?;
        let count = output.len();
        output.copy_from_slice(y.values(count));
        Ok(())
    }

    fn rows<T: bytemuck::Pod + Default>(&self, rows: &[u32], element: Element) -> Result<Vec<T>> {
        let [n, k, m] = [self.tensor.n(), self.tensor.k(), rows.len()].map(size_u32);
        let (n, k, m) = (n?, k?, m?);
        let mut output = zeros(elements(rows.len(), self.tensor.k(), "rows")?, "rows")?;
        let mut y = Buffer::new(size_of_val(output.as_slice()), "rows")?;
        let indices = Buffer::copied(bytemuck::cast_slice(rows), 0, "indices")?;
        let sizes = self.tensor.layout().sizes;
        let shape = Shape { n, k, m, stride: n, sizes, ..Shape::default() };
        let kernel =
            self.kernel(self.choice.exact(self.tensor.format(), Kind::Gather, element)?)?;
        let read = Read { indices, ..Read::default() };
        self.launch(kernel, 0, [m, k, 1], &shape, &read, &mut y)?;
        output.copy_from_slice(y.values(elements(rows.len(), self.tensor.k(), "rows")?));
        Ok(output)
    }

    /// `m` rows of `k` activations in 8 bits.
    fn quantize(&self, x: Buffer, k: u32, m: u32) -> Result<Buffer> {
        let bytes = choice::quantized_bytes(m.into(), k.into());
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut y = Buffer::new(bytes, "activations in 8 bits")?;
        let kernel = self.kernel(choice::quantizer(artifact::Backend::Hip)?)?;
        let shape = Shape { k, m, ..Shape::default() };
        self.launch(kernel, 0, [1, k, m], &shape, &Read { x, ..Read::default() }, &mut y)?;
        Ok(y)
    }

    /// Decodes `weights` weights from a block on.
    fn launch_dequant(
        &self,
        element: Element,
        block: usize,
        weights: usize,
        y: &mut Buffer,
    ) -> Result<()> {
        let format = self.tensor.format();
        let kernel = self.kernel(self.choice.exact(format, Kind::Dequant, element)?)?;
        let unit = match kernel.facts().grid {
            Grid::Strips { weights, .. } => weights as usize,
            _ => format.weights as usize,
        };
        // Blocks can be cut out of a plain tensor: they are one row.
        let Dims { n, sizes, .. } = *self.tensor.layout();
        let (start, n, k, first) = match format.is_plain() {
            true => (block, 1, weights, 0),
            false => (0, n, self.tensor.k(), block),
        };
        let (k, first) = (size_u32(k)?, size_u32(first)?);
        let stride = size_u32(weights.div_ceil(unit))?;
        let shape = Shape { n, k, m: 1, first, stride, sizes, ..Shape::default() };
        self.launch(kernel, start, [1, size_u32(weights)?, 1], &shape, &Read::default(), y)
    }

    /// Runs a kernel on a tensor from a block on, over the grid of `[n, k, m]`.
    fn launch(
        &self,
        kernel: &HostKernel,
        block: usize,
        [n, k, m]: [u32; 3],
        shape: &Shape,
        read: &Read,
        y: &mut Buffer,
    ) -> Result<()> {
        let facts = kernel.facts();
        counted(shape, self.tensor.format().weights)?;
        let grid =
            facts.grid.launch(n.into(), k.into(), m.into(), GRID).ok_or_else(|| Error::Device {
                device: DEVICE.to_owned(),
                during: format!("launching `{}`", facts.name),
                problem: format!(
                    "a grid for [{n}, {k}] weights and {m} activation rows is too large"
                ),
            })?;

        let words = shape.words();
        let mut output = Some(y.bytes_mut());
        let arguments = facts.bindings.iter().map(|binding| match binding.role {
            Role::Weights(stream) => self.stream(stream, block).map(Argument::Read),
            Role::Tables => Some(Argument::Read(self.tables.bytes())),
            Role::Activations => Some(Argument::Read(read.x.bytes())),
            Role::Bias => Some(Argument::Read(read.bias.bytes())),
            Role::Indices => Some(Argument::Read(read.indices.bytes())),
            Role::Output => output.take().map(Argument::Write),
            Role::Shape => Some(Argument::Value(bytemuck::cast_slice(&words))),
        });
        let arguments = arguments.collect::<Option<Vec<_>>>().ok_or_else(|| Error::Format {
            format: self.tensor.format().name.to_string(),
            problem: format!(
                "kernel `{}` binds a stream that the format has not, or two outputs",
                facts.name
            ),
        })?;
        // SAFETY: `upload` saw that the format is proven or vouched for: the text's loads lie in the blocks
        // and the padding after them. Streams hold all blocks of the tensor, as `Tensor` checked, and
        // the padding; `read` and `y` hold what `shape` says, rounded up to 16 bytes.
        #[allow(unsafe_code)]
        unsafe {
            kernel.launch(grid, arguments)
        }
    }

    /// A kernel of the format or the one that rounds activations, compiled.
    fn kernel(&self, wanted: &Kernel) -> Result<&HostKernel> {
        let kernel = self.kernels.iter().find(|kernel| kernel.facts().name == wanted.name);
        kernel.ok_or_else(|| Error::Missing {
            format: self.tensor.format().name.to_string(),
            what: format!("kernel `{}`", wanted.name),
            hint: String::new(),
        })
    }

    /// The bytes of a stream from a block on.
    fn stream(&self, stream: u32, block: usize) -> Option<&[u8]> {
        let bytes = self.tensor.format().streams.get(stream as usize)?.bytes as usize;
        self.streams.get(stream as usize)?.bytes().get(block * bytes..)
    }
}

/// What a kernel reads beside the weights; what it does not bind or is not to read is empty.
#[derive(Default)]
struct Read {
    x: Buffer,
    bias: Buffer,
    indices: Buffer,
}

/// Refuses more blocks than kernels number in 32 bits: devices have such tensors in parts, this one has not.
fn counted(shape: &Shape, weights: u32) -> Result<()> {
    let blocks = u64::from(shape.n) * u64::from(shape.k) / u64::from(weights.max(1));
    if blocks <= MOST_UNITS {
        return Ok(());
    }
    Err(Error::Device {
        device: DEVICE.to_owned(),
        during: "launching a kernel".to_owned(),
        problem: format!(
            "weights [{}, {}] are {blocks} blocks; it takes at most {MOST_UNITS} at a time",
            shape.n, shape.k
        ),
    })
}

fn size_u32(size: usize) -> Result<u32> {
    u32::try_from(size).map_err(|_| Error::Device {
        device: DEVICE.to_owned(),
        during: "launching a kernel".to_owned(),
        problem: format!("a size of {size}; kernels count in 32 bits"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_32_bits_do_not_number_are_refused() {
        let shape = |n, k| Shape { n, k, ..Shape::default() };
        for (n, k, weights) in [(1 << 31, 32, 32), (1 << 16, 1 << 15, 1), (0, u32::MAX, 1)] {
            assert!(counted(&shape(n, k), weights).is_ok(), "{n} {k}");
        }
        for (n, k, weights) in [(1 << 31, 64, 32), (1 << 16, 1 << 16, 1), (u32::MAX, 256, 32)] {
            let error = counted(&shape(n, k), weights).unwrap_err().to_string();
            assert!(error.contains("at most 2147483648 at a time"), "{error}");
        }
    }
}
