//! A tensor on the CPU: everything that can be computed with it, into buffers of the caller's.

use std::cell::Cell;

use rayon::prelude::*;

use super::arithmetic::{Codes, Int8, Weights};
use super::coded::{Coded, Reader};
use super::decoded::Decoded;
use super::interleave::Interleaved;
use super::isa::Isa;
use super::panel::Source;
use super::product::{Product, Rows};
use super::rows::RowProduct;
use super::stream;
use super::{Activations, Cpu, Storage};
use crate::arguments::{check_activations, check_rows};
use crate::experts::Chosen;
use crate::memory::elements;
use crate::{Error, Result, Tensor, artifact, f16};

/// Weights `[n, k]` on the CPU.
///
/// Calls that end in `_into` write into memory of the caller's and, after the first of their kind on
/// a thread, allocate nothing.
#[derive(Debug)]
pub struct CpuWeights {
    isa: Isa,
    activations: Activations,
    pub(super) tensor: Tensor,
    functions: artifact::Cpu,
    coded: Option<Coded>,
    interleaved: Option<Interleaved>,
}

/// Most streams that a tensor may have here.
const STREAMS: usize = 16;
/// Weights per task of a dequantization.
const TASK: usize = 16 * 1024;
/// Activation rows from which on decoded weights are interleaved.
pub(super) const MANY: usize = 8;

thread_local! {
    /// Rows of the output, sorted by their matrix.
    static ORDER: Cell<Vec<u32>> = Cell::default();
}

impl CpuWeights {
    pub(super) fn new(cpu: Cpu, tensor: &Tensor) -> Result<CpuWeights> {
        let isa = cpu.isa()?;
        let missing = |what: &str, hint: &str| Error::Missing {
            format: tensor.format().name.to_string(),
            what: what.to_owned(),
            hint: hint.to_owned(),
        };
        let functions = tensor.format().cpu.ok_or_else(|| {
            let hint = "; a format compiled at run time decodes on the reference engine or a GPU";
            missing("CPU decoder", hint)
        })?;
        if tensor.streams().len() > STREAMS {
            return Err(missing(&format!("CPU decoder of more than {STREAMS} streams"), ""));
        }
        let coded = Coded::new(tensor);
        let wanted = cpu.storage == Storage::Interleaved;
        // Exact products of weights that are rounded to f16 need the decoder.
        let exact = cpu.activations == Activations::F32;
        let useful = |coded: &&Coded| wanted && !(exact && coded.functions.halved);
        let interleaved = coded.as_ref().filter(useful);
        let interleaved = interleaved.map(|coded| Interleaved::new(tensor, coded, isa));
        let interleaved = interleaved.transpose()?;
        let Cpu { activations, .. } = cpu;
        Ok(CpuWeights { isa, activations, tensor: tensor.clone(), functions, coded, interleaved })
    }

    /// `y[m, n] = x[m, k] · weightsᵀ`.
    ///
    /// # Errors
    /// Where `m` is 0, or `x` or `y` have not `m · k` and `m · n` values.
    pub fn matmul_into(&self, x: &[f32], m: usize, y: &mut [f32]) -> Result<()> {
        let (n, k) = (self.tensor.n(), self.tensor.k());
        check_activations(self.tensor.name(), x, m, k)?;
        self.check(y, elements(m, n, "the output")?, "[m, n]")?;
        self.product(x, Rows::First(m), 0..n, y);
        Ok(())
    }

    /// `y[m, used, n / matrices]`: row `i` of `x[m, k]` times each of the matrices that
    /// `experts[m, used]` names for it, where the weights are `matrices` matrices of equal size, one
    /// after another, as in mixtures of experts. How many each row uses follows from the lengths;
    /// [`Experts::NONE`](crate::Experts::NONE) names no matrix and gives zeros.
    ///
    /// # Errors
    /// Where `x` has not some rows of `k` values, `experts` not as many numbers for each, or one that no
    /// matrix has, `n` is no multiple of `matrices`, or `y` has not as many values as its shape says.
    pub fn matmul_experts_into(
        &self,
        x: &[f32],
        experts: &[u32],
        matrices: usize,
        y: &mut [f32],
    ) -> Result<()> {
        let (n, k) = (self.tensor.n(), self.tensor.k());
        let chosen = Chosen::new(self.tensor.name(), [n, k], x, experts, matrices)?;
        let (used, n, outputs) = (chosen.used, chosen.n, experts.len());
        self.check(y, elements(outputs, n, "the output")?, "[m, used, n / matrices]")?;
        // Outputs with the same matrix stand together.
        let mut order = ORDER.take();
        order.clear();
        order.extend(0..outputs as u32);
        order.sort_unstable_by_key(|&row| (experts.get(row as usize), row));
        for rows in order.chunk_by(|&a, &b| experts.get(a as usize) == experts.get(b as usize)) {
            let first = rows.first().and_then(|&row| chosen.first(row as usize));
            match first {
                Some(first) => self.product(x, Rows::These { rows, used }, first..first + n, y),
                None => rows.iter().for_each(|&row| {
                    let own = y.chunks_mut(n).nth(row as usize);
                    own.unwrap_or_default().fill(0.0);
                }),
            }
        }
        ORDER.set(order);
        Ok(())
    }

    /// All weights decoded, `[n, k]`.
    ///
    /// # Errors
    /// Where `y` has not `n · k` values.
    pub fn dequantize_into(&self, y: &mut [f32]) -> Result<()> {
        self.check(y, self.tensor.n() * self.tensor.k(), "[n, k]")?;
        let per_task = self.run(TASK);
        self.with_decoded(|decoded| {
            let large = size_of_val(y) >= stream::LARGE;
            let tasks = y.par_chunks_mut(per_task * decoded.block).enumerate();
            tasks.for_each(|(task, weights)| match large {
                true => stream::blocks(&decoded, task * per_task, weights, large),
                false => decoded.blocks(task * per_task, weights),
            });
        });
        Ok(())
    }

    /// All weights decoded, `[n, k]`, rounded to nearest even.
    ///
    /// # Errors
    /// Where `y` has not `n · k` values.
    pub fn dequantize_f16_into(&self, y: &mut [f16]) -> Result<()> {
        self.check(y, self.tensor.n() * self.tensor.k(), "[n, k]")?;
        let per_task = self.run(TASK);
        self.with_decoded(|decoded| {
            let large = size_of_val(y) >= stream::LARGE;
            let tasks = y.par_chunks_mut(per_task * decoded.block).enumerate();
            tasks.for_each(|(task, weights)| {
                stream::blocks(&decoded, task * per_task, weights, large);
            });
        });
        Ok(())
    }

    /// Some rows decoded, `[rows, k]`: the look-up of embeddings.
    ///
    /// # Errors
    /// Where there is no such row, or `y` has not `rows · k` values.
    pub fn gather_into(&self, rows: &[u32], y: &mut [f32]) -> Result<()> {
        let (n, k) = (self.tensor.n(), self.tensor.k());
        self.check(y, elements(rows.len(), k, "the output")?, "[rows, k]")?;
        check_rows(self.tensor.name(), rows, n)?;
        self.with_decoded(|decoded| {
            let per_row = k / decoded.block;
            let decode = |(y, &row): (&mut [f32], &u32)| decoded.blocks(row as usize * per_row, y);
            match y.len() > TASK {
                true => y.par_chunks_mut(k).zip(rows).for_each(decode),
                false => y.chunks_mut(k).zip(rows).for_each(decode),
            }
        });
        Ok(())
    }

    /// [`CpuWeights::gather_into`], rounded to nearest even.
    ///
    /// # Errors
    /// As for [`CpuWeights::gather_into`].
    pub fn gather_f16_into(&self, rows: &[u32], y: &mut [f16]) -> Result<()> {
        let (n, k) = (self.tensor.n(), self.tensor.k());
        self.check(y, elements(rows.len(), k, "the output")?, "[rows, k]")?;
        check_rows(self.tensor.name(), rows, n)?;
        self.with_decoded(|decoded| {
            let per_row = k / decoded.block;
            let tasks = y.par_chunks_mut(k).zip(rows);
            tasks.for_each(|(y, &row)| stream::blocks(&decoded, row as usize * per_row, y, false));
        });
        Ok(())
    }

    /// Weight rows.
    pub fn n(&self) -> usize {
        self.tensor.n()
    }

    /// Weights per row.
    pub fn k(&self) -> usize {
        self.tensor.k()
    }

    /// What computes products of `m` activation rows, for people.
    pub fn kernel(&self, m: usize) -> String {
        let isa = self.isa;
        let storage = if self.interleaved.is_some() { "interleaved" } else { "native" };
        match (self.int8(), &self.interleaved) {
            (Some(coded), _) => {
                let bits = coded.codebook.bits;
                format!("{isa} int8 tile, {storage} {bits}-bit codes, runs of {}", coded.run)
            }
            (None, Some(_)) if m <= super::exact::FEW => {
                format!("{isa} f32 tile of {storage} codes")
            }
            (None, Some(_)) => format!("{isa} f32 tile, {storage} codes decoded"),
            (None, None) if m < MANY => format!("{isa} f32 rows, decoded"),
            (None, None) => format!("{isa} f32 tile, rows decoded"),
        }
    }

    /// Bytes of the copy made for speed; 0 where there is none.
    pub fn copied_bytes(&self) -> usize {
        self.interleaved.as_ref().map_or(0, Interleaved::bytes)
    }

    /// The codes, where products are computed with 8-bit activations.
    pub(super) fn int8(&self) -> Option<&Coded> {
        let wanted = self.activations == Activations::Int8;
        self.coded.as_ref().filter(|_| wanted)
    }

    /// Rows `weights` times `rows` of `x`; everything is checked.
    fn product(&self, x: &[f32], rows: Rows, weights: std::ops::Range<usize>, y: &mut [f32]) {
        self.with_decoded(|decoded| {
            let interleaved = self.interleaved.as_ref();
            let reader = Reader { streams: decoded.streams, dims: decoded.dims, isa: decoded.isa };
            let source = |coded| Source { coded, reader, interleaved };
            let Decoded { k, isa, .. } = decoded;
            let (first, n) = (weights.start, weights.len());
            macro_rules! compute {
                ($arithmetic:expr) => {
                    Product { arithmetic: $arithmetic, isa, k, first, n, x, rows }.compute(y)
                };
            }
            match (self.int8(), &self.coded, interleaved) {
                (Some(coded), ..) => compute!(Int8(source(coded))),
                (None, Some(coded), Some(_)) => compute!(Codes(source(coded))),
                _ if rows.len() >= MANY => compute!(Weights(decoded)),
                _ => RowProduct { decoded, first, n, x, rows }.compute(y),
            }
        });
    }

    fn with_decoded<R>(&self, f: impl FnOnce(Decoded) -> R) -> R {
        let mut streams = [&[][..]; STREAMS];
        let used = self.tensor.streams().len().min(STREAMS);
        for (stream, bytes) in streams.iter_mut().zip(self.tensor.streams()) {
            *stream = bytes;
        }
        f(Decoded {
            streams: streams.get(..used).unwrap_or_default(),
            dims: self.tensor.layout().words(),
            isa: self.isa,
            functions: &self.functions,
            n: self.tensor.n(),
            k: self.tensor.k(),
            block: self.tensor.format().weights as usize,
        })
    }

    /// Blocks in about so many weights, at least 1 and at most all there are.
    fn run(&self, weights: usize) -> usize {
        (weights / self.tensor.format().weights as usize).clamp(1, self.tensor.blocks())
    }

    fn check<T>(&self, y: &[T], wanted: usize, shape: &str) -> Result<()> {
        match y.len() == wanted {
            true => Ok(()),
            false => {
                Err(self
                    .argument("the output", format!("{} values; {shape} are {wanted}", y.len())))
            }
        }
    }

    fn argument(&self, what: &'static str, problem: String) -> Error {
        Error::Argument { what, tensor: self.tensor.name().to_owned(), problem }
    }
}
