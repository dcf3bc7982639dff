//! HIP kernels on the CPU: their texts, compiled by the host's C++ compiler and run with one fiber
//! per GPU thread. A device for tests, which shows that the texts compute what they should where
//! there is no AMD hardware; it also finds barriers that not every thread reaches.

mod compiler;
mod kernel;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use kernel::{Argument, HostKernel};

use crate::artifact::{self, Activations, Dims, Element, Grid, Kernel, Kind, Role, Shape};
use crate::choice::{self, Choice};
use crate::device::{Backend, Resident};
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Device, Epilogue, Error, Experts, Result, Tensor, f16, quantizers};

/// How errors call this device.
const DEVICE: &str = "HIP kernels on the CPU";

impl Device {
    /// The CPU, running the HIP kernels as a GPU would: slow, and for tests. It runs the kernels of
    /// a format as native code, so use it for formats that the compiler made.
    ///
    /// # Errors
    /// [`Error::Device`] where no C++ compiler is found; it says what to install.
    pub fn hip_host() -> Result<Device> {
        Ok(HipHost::new()?.into())
    }
}

/// The CPU, running the HIP kernels; cheap to clone.
#[derive(Clone)]
pub struct HipHost {
    compiler: Arc<str>,
    /// Kernels of formats, by their texts.
    compiled: Arc<Mutex<HashMap<Vec<artifact::Text>, Kernels>>>,
    choice: Choice,
}

impl HipHost {
    /// See [`Device::hip_host`].
    ///
    /// # Errors
    /// Those of [`Device::hip_host`].
    pub fn new() -> Result<HipHost> {
        let compiler = compiler::Compiler::find()?.version.into();
        let choice = Choice { matrix: 16, ..Choice::new(artifact::Backend::Hip) };
        Ok(HipHost { compiler, compiled: Arc::default(), choice })
    }

    /// The same device, whose products round activations to [`Activations::Int8`] first, but for formats
    /// without 8-bit codes.
    #[must_use]
    pub fn int8(mut self) -> HipHost {
        self.choice.activations = Activations::Int8;
        self
    }

    /// The same device, whose products of more than 16 activation rows round to f16
    /// ([`Activations::F16`]).
    #[must_use]
    pub fn f16(mut self) -> HipHost {
        self.choice.activations = Activations::F16;
        self
    }
}

impl From<HipHost> for Device {
    fn from(host: HipHost) -> Device {
        Device::new(host)
    }
}

impl fmt::Debug for HipHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HipHost({})", self.compiler)
    }
}

/// All HIP kernels of one format.
type Kernels = Arc<[HostKernel]>;

impl Backend for HipHost {
    fn name(&self) -> String {
        format!("{DEVICE}, {} threads, {}", kernel::system_threads(), self.compiler)
    }

    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>> {
        let kernels = self.kernels(tensor.format())?;
        let padding = kernels.iter().map(|kernel| kernel.facts().padding).max().unwrap_or_default();
        let streams = tensor.streams().iter();
        let streams = streams.map(|bytes| Buffer::copied(bytes, padding as usize, "weights"));
        let streams = streams.collect::<Result<_>>()?;
        let words: Vec<u8> = tensor.format().tables.iter().flat_map(|w| w.to_le_bytes()).collect();
        let tables = Buffer::copied(&words, 0, "tables")?;
        let (tensor, choice) = (tensor.clone(), self.choice);
        Ok(Arc::new(HostWeights { tensor, streams, tables, kernels, choice }))
    }
}

impl HipHost {
    /// Compiles a format's kernels and the one that rounds activations, once, into one library.
    fn kernels(&self, format: &artifact::Artifact) -> Result<Kernels> {
        let of_format =
            || format.kernels.iter().chain(quantizers()).filter(|kernel| is_hip(kernel));
        let texts: Vec<_> = of_format().map(|kernel| kernel.source.clone()).collect();
        let compiled = || self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernels) = compiled().get(&texts) {
            return Ok(kernels.clone());
        }
        // The lock is free meanwhile, so that several formats compile at a time.
        let kernels: Kernels = HostKernel::compile_all(&of_format().collect::<Vec<_>>())?.into();
        compiled().insert(texts, kernels.clone());
        Ok(kernels)
    }
}

fn is_hip(kernel: &Kernel) -> bool {
    kernel.backend == artifact::Backend::Hip
}

/// A tensor, its padded bytes, its format's tables and kernels.
struct HostWeights {
    tensor: Tensor,
    streams: Vec<Buffer>,
    tables: Buffer,
    kernels: Kernels,
    choice: Choice,
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

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut y = zeros(self.tensor.n(), "the output")?;
        self.matvec_with(x, &mut y, Epilogue::default())?;
        Ok(y)
    }

    fn matmul(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let mut y = zeros(elements(m, self.tensor.n(), "the output")?, "the output")?;
        self.matmul_with(x, m, &mut y, Epilogue::default())?;
        Ok(y)
    }

    fn matvec_with(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue<&[f32]>) -> Result<()> {
        self.multiply(x, 1, y, epilogue)
    }

    fn matmul_with(
        &self,
        x: &[f32],
        m: usize,
        y: &mut [f32],
        epilogue: Epilogue<&[f32]>,
    ) -> Result<()> {
        self.multiply(x, m, y, epilogue)
    }

    fn matmul_experts(&self, chosen: Chosen<'_>) -> Result<Vec<f32>> {
        let experts = chosen.told(self.tensor.name())?;
        let len = elements(chosen.experts.len(), chosen.n, "the output")?;
        let x = Buffer::copied(bytemuck::cast_slice(chosen.x), 0, "activations")?;
        let indices = Buffer::copied(bytemuck::cast_slice(chosen.experts), 0, "indices")?;
        let mut y = Buffer::new(len.saturating_mul(size_of::<f32>()), "the output")?;
        let [n, k, stride] = [self.tensor.n(), self.tensor.k(), chosen.n].map(size_u32);
        let (n, k, stride) = (n?, k?, stride?);
        let (Experts { m, used, matrices }, sizes) = (experts, self.tensor.layout().sizes);
        let shape = Shape { n, k, m, stride, sizes, used, matrices, ..Shape::default() };
        let kernel =
            self.kernel(self.choice.exact(self.tensor.format(), experts.kind(), Element::F32)?)?;
        let covered = [stride, k, size_u32(experts.covered() as usize)?];
        let read = Read { x, indices, ..Read::default() };
        self.launch(kernel, 0, covered, &shape, &read, &mut y)?;
        let mut output = zeros(len, "the output")?;
        output.copy_from_slice(y.values(len));
        Ok(output)
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

    fn multiply(
        &self,
        x: &[f32],
        m: usize,
        output: &mut [f32],
        epilogue: Epilogue<&[f32]>,
    ) -> Result<()> {
        let mut x = Buffer::copied(bytemuck::cast_slice(x), 0, "activations")?;
        let bias = Buffer::copied(bytemuck::cast_slice(epilogue.bias.unwrap_or(&[])), 0, "a bias")?;
        let mut y = Buffer::copied(bytemuck::cast_slice(output), 0, "the output")?;
        let [n, k, m] = [self.tensor.n(), self.tensor.k(), m].map(size_u32);
        let (n, k, m) = (n?, k?, m?);
        let sizes = self.tensor.layout().sizes;
        let shape = epilogue.tell(Shape { n, k, m, stride: n, sizes, ..Shape::default() });
        let chosen = self.choice.product(self.tensor.format(), m)?;
        epilogue.check(chosen, self.tensor.format())?;
        if chosen.activations == Activations::Int8 {
            x = self.quantize(x, k, m)?;
        }
        let kernel = self.kernel(chosen)?;
        let read = Read { x, bias, ..Read::default() };
        self.launch(kernel, 0, [n, k, m], &shape, &read, &mut y)?;
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
        // SAFETY: the text comes from the compiler, which proved its loads to lie in the blocks and
        // the padding after them. Streams hold all blocks of the tensor, as `Tensor` checked, and
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

fn size_u32(size: usize) -> Result<u32> {
    u32::try_from(size).map_err(|_| Error::Device {
        device: DEVICE.to_owned(),
        during: "launching a kernel".to_owned(),
        problem: format!("a size of {size}; kernels count in 32 bits"),
    })
}

/// Zeroed memory, aligned and rounded up to 16 bytes.
#[derive(Default)]
struct Buffer(Vec<u128>);

impl Buffer {
    fn new(bytes: usize, what: &str) -> Result<Buffer> {
        Ok(Buffer(zeros(bytes.div_ceil(size_of::<u128>()), what)?))
    }

    /// A copy of these bytes, and zeros after them.
    fn copied(bytes: &[u8], padding: usize, what: &str) -> Result<Buffer> {
        let mut copy = Buffer::new(bytes.len().saturating_add(padding), what)?;
        if let Some(start) = copy.bytes_mut().get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
        Ok(copy)
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// The first `len` values, or none where there are fewer.
    fn values<T: bytemuck::Pod>(&self, len: usize) -> &[T] {
        bytemuck::cast_slice(&self.0).get(..len).unwrap_or_default()
    }
}
