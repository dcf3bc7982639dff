//! Computes on a GPU and brings the result back.

use std::sync::Arc;

use bytemuck::Pod;

use super::experts::Mixture;
use super::gather::Gather;
use super::groups::Groups;
use super::record::Product;
use super::waiter::{Done, Waiting};
use super::{Gpu, GpuWeights, View, plan};
use crate::arguments::{check_activations, check_rows};
use crate::artifact::Element;
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Epilogue, Experts, Result, choice, f16};

/// Decoded bytes fetched at a time.
const PIECE: u64 = 64 << 20;

const OUTPUT: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC);

impl GpuWeights {
    /// All weights decoded, `[n, k]` row-major.
    ///
    /// # Errors
    /// Where memory is exhausted or the device fails.
    pub async fn dequantize_async(&self) -> Result<Vec<f32>> {
        self.decode(Element::F32, Waiting::Woken).await
    }

    /// All weights decoded, `[n, k]` row-major, rounded to nearest even.
    ///
    /// # Errors
    /// Where memory is exhausted or the device fails.
    pub async fn dequantize_f16_async(&self) -> Result<Vec<f16>> {
        self.decode(Element::F16, Waiting::Woken).await
    }

    /// `y[n] = weights · x[k]`.
    ///
    /// # Errors
    /// Where `x` has not `k` values, memory is exhausted or the device fails.
    pub async fn matvec_async(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.matmul_async(x, 1).await
    }

    /// `y[m, n] = x[m, k] · weightsᵀ`, all row-major.
    ///
    /// # Errors
    /// Where `m` is 0 or `x` has not `m · k` values, memory is exhausted or the device fails.
    pub async fn matmul_async(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let (n, k) = (self.n as usize, self.k as usize);
        check_activations(&self.name, x, m, k)?;
        let mut y = zeros(elements(m, n, "an output")?, "the output")?;
        self.products(x, m, &mut y, Epilogue::default(), Waiting::Woken).await?;
        Ok(y)
    }

    /// Some rows decoded, `[rows, k]`.
    ///
    /// # Errors
    /// Where there is no such row, memory is exhausted or the device fails.
    pub async fn gather_async(&self, rows: &[u32]) -> Result<Vec<f32>> {
        self.rows(rows, Element::F32, Waiting::Woken).await
    }

    /// Some rows decoded, `[rows, k]`, rounded to nearest even.
    ///
    /// # Errors
    /// Where there is no such row, memory is exhausted or the device fails.
    pub async fn gather_f16_async(&self, rows: &[u32]) -> Result<Vec<f16>> {
        self.rows(rows, Element::F16, Waiting::Woken).await
    }

    /// `y[m, used, n / matrices]`: each row of `x[m, k]` times the matrices that `experts[m, used]` names
    /// for it; see [`Weights::matmul_experts`](crate::Weights::matmul_experts).
    ///
    /// # Errors
    /// As for [`Weights::matmul_experts`](crate::Weights::matmul_experts).
    pub async fn matmul_experts_async(
        &self,
        x: &[f32],
        experts: &[u32],
        matrices: usize,
    ) -> Result<Vec<f32>> {
        let sizes = [self.n as usize, self.k as usize];
        let chosen = Chosen::new(&self.name, sizes, x, experts, matrices)?;
        let mut y = zeros(elements(experts.len(), chosen.n, "an output")?, "the output")?;
        self.chosen(chosen, &mut y, Epilogue::default(), Waiting::Woken).await?;
        Ok(y)
    }

    /// Runs a product with chosen matrices, of any number of activation rows.
    pub(super) async fn chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
        waiting: Waiting,
    ) -> Result<()> {
        let Chosen { x, experts: ids, used, n, .. } = chosen;
        let (gpu, k) = (&self.gpu, self.k as usize);
        let told = chosen.told(&self.name)?;
        // As many activation rows at a time as bindings hold.
        let widest = elements(used, n, "an output")?.max(k).next_multiple_of(4) as u64;
        let rows = plan::bindable(&gpu.limits) / 4 / widest;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, chosen.m);
        let pieces =
            x.chunks(rows * k).zip(ids.chunks(rows * used)).zip(y.chunks_mut(rows * used * n));
        for ((x, ids), y) in pieces {
            let experts = Experts { m: (x.len() / k) as u32, ..told };
            self.compute(x, y, epilogue, waiting, |encoder, x, y, epilogue| {
                let ids = self.read("indices", ids)?;
                let indices = View::from(&ids);
                let mixture = Mixture { x, indices, y, experts, epilogue };
                self.record_mixture(encoder, &mixture, &Groups::default())
            })
            .await?;
        }
        Ok(())
    }

    /// Runs a product of any number of activation rows.
    pub(super) async fn products(
        &self,
        x: &[f32],
        m: usize,
        y: &mut [f32],
        epilogue: Epilogue<&[f32]>,
        waiting: Waiting,
    ) -> Result<()> {
        let (n, k) = (self.n as usize, self.k as usize);
        // As many activation rows at a time as bindings hold.
        let room = plan::bindable(&self.gpu.limits);
        let rounded = choice::quantized_bytes(1, self.k);
        let rows = room / (4 * self.n.max(self.k).next_multiple_of(4)).max(rounded);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, m);
        for (x, y) in x.chunks(rows * k).zip(y.chunks_mut(rows * n)) {
            let m = (x.len() / k) as u32;
            self.compute(x, y, epilogue, waiting, |encoder, x, y, epilogue| {
                self.record_product(encoder, &Product { x, y, m, epilogue }, &Groups::default())
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn rows<T: Pod + Default>(
        &self,
        rows: &[u32],
        element: Element,
        waiting: Waiting,
    ) -> Result<Vec<T>> {
        check_rows(&self.name, rows, self.n as usize)?;
        let k = self.k as usize;
        let mut y = zeros(elements(rows.len(), k, "rows")?, "rows")?;
        let room = PIECE.min(plan::bindable(&self.gpu.limits)) / element.bytes();
        let most = (room / self.k.next_multiple_of(4)).max(1) as usize;
        for (rows, y) in rows.chunks(most).zip(y.chunks_mut(most * k)) {
            let (gpu, count) = (&self.gpu, rows.len() as u32);
            let started = || {
                let indices = self.read("indices", rows)?;
                let size = plan::rounded(y.len() as u64) * element.bytes();
                let buffers = Fetch::new(gpu, size)?;
                let mut encoder = gpu.encoder()?;
                let (indices, out) = (View::from(&indices), View::from(&buffers.y));
                let gather = Gather { indices, y: out, rows: count, element };
                self.record_rows(&mut encoder, &gather, &Groups::default())?;
                buffers.start(gpu, encoder, size_of_val(y))
            };
            gpu.settle(started(), waiting).await?.copy(gpu, y, waiting).await?;
        }
        Ok(y)
    }

    pub(super) async fn decode<T: Pod + Default>(
        &self,
        element: Element,
        waiting: Waiting,
    ) -> Result<Vec<T>> {
        let gpu = &self.gpu;
        let mut weights = zeros((self.n * self.k) as usize, "decoded weights")?;
        let mut rest = weights.as_mut_slice();
        let mut kept: Option<Fetch> = None;
        for part in &self.parts {
            for piece in self.pieces(part, element, PIECE)? {
                let count = (piece.end - piece.start) * u64::from(self.format.weights);
                let size = plan::rounded(count) * element.bytes();
                let (decoded, after) = rest.split_at_mut((count as usize).min(rest.len()));
                let mut started = || {
                    let buffers = match kept.take() {
                        Some(buffers) if buffers.y.size() >= size => buffers,
                        _ => Fetch::new(gpu, size)?,
                    };
                    let mut encoder = gpu.encoder()?;
                    let y = View::from(&buffers.y);
                    self.record_piece(&mut encoder, part, &piece, y, element, &Groups::default())?;
                    buffers.start(gpu, encoder, size_of_val(decoded))
                };
                let started = gpu.settle(started(), waiting).await?;
                kept = Some(started.copy(gpu, decoded, waiting).await?);
                rest = after;
            }
        }
        Ok(weights)
    }

    /// Brings what a product reads to the GPU, records it, and waits for its output. Activations and
    /// output fit a binding; the buffers do not come again.
    async fn compute(
        &self,
        x: &[f32],
        y: &mut [f32],
        epilogue: OnHost<'_>,
        waiting: Waiting,
        record: impl FnOnce(
            &mut wgpu::CommandEncoder,
            View<'_>,
            View<'_>,
            Epilogue<View<'_>>,
        ) -> Result<()>,
    ) -> Result<()> {
        let gpu = &self.gpu;
        let started = || {
            let x = self.read("activations", x)?;
            let bias = epilogue.bias.map(|bias| self.read("bias", bias)).transpose()?;
            let buffers = match epilogue.add {
                true => Fetch::of(gpu, gpu.filled("output", bytemuck::cast_slice(y), OUTPUT)?)?,
                false => Fetch::new(gpu, plan::rounded(y.len() as u64) * 4)?,
            };
            let mut encoder = gpu.encoder()?;
            let epilogue = epilogue.with_bias(bias.as_ref().map(View::from));
            record(&mut encoder, View::from(&x), View::from(&buffers.y), epilogue)?;
            buffers.start(gpu, encoder, size_of_val(y))
        };
        gpu.settle(started(), waiting).await?.copy(gpu, y, waiting).await?;
        Ok(())
    }

    /// A buffer of these values.
    fn read<T: Pod>(&self, label: &str, values: &[T]) -> Result<wgpu::Buffer> {
        self.gpu.filled(label, bytemuck::cast_slice(values), wgpu::BufferUsages::STORAGE)
    }
}

/// An output on the GPU and the buffer that the host sees.
struct Fetch {
    y: wgpu::Buffer,
    host: wgpu::Buffer,
}

impl Fetch {
    fn new(gpu: &Gpu, size: u64) -> Result<Fetch> {
        Fetch::of(gpu, gpu.buffer("output", size, OUTPUT)?)
    }

    /// An output that holds something.
    fn of(gpu: &Gpu, y: wgpu::Buffer) -> Result<Fetch> {
        let host = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let host = gpu.buffer("output on the host", y.size(), host)?;
        Ok(Fetch { y, host })
    }

    /// Submits what is recorded, and asks for so many bytes of the beginning of `y`.
    fn start(self, gpu: &Gpu, mut encoder: wgpu::CommandEncoder, bytes: usize) -> Result<Started> {
        let size = (bytes as u64).next_multiple_of(4);
        let index = gpu.guarded(DURING, || {
            encoder.copy_buffer_to_buffer(&self.y, 0, &self.host, 0, size);
            gpu.queue().submit([encoder.finish()])
        })?;
        let done = Arc::<Done>::default();
        let told = done.clone();
        gpu.guarded(DURING, || {
            self.host.map_async(wgpu::MapMode::Read, ..size, move |result| {
                told.set(result.map_err(|error| error.to_string()));
            });
        })?;
        Ok(Started { buffers: self, index, done, size })
    }
}

const DURING: &str = "fetching a result";

/// A result on its way to the host.
struct Started {
    buffers: Fetch,
    index: wgpu::SubmissionIndex,
    done: Arc<Done>,
    size: u64,
}

impl Started {
    /// Waits for the result and copies it; gives the buffers back.
    async fn copy<T: Pod>(self, gpu: &Gpu, values: &mut [T], waiting: Waiting) -> Result<Fetch> {
        let Started { buffers, index, done, size } = self;
        gpu.reach(DURING, index, &done, waiting).await?;
        let view = buffers.host.get_mapped_range(..size);
        let view = view.map_err(|error| gpu.failed(DURING, error))?;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(values);
        for (to, from) in bytes.chunks_mut(1 << 20).zip(view.chunks(1 << 20)) {
            if let Some(from) = from.get(..to.len()) {
                to.copy_from_slice(from);
            }
        }
        drop(view);
        buffers.host.unmap();
        Ok(buffers)
    }
}

impl Gpu {
    fn encoder(&self) -> Result<wgpu::CommandEncoder> {
        self.guarded("creating an encoder", || {
            self.shared.device.create_command_encoder(&Default::default())
        })
    }
}
