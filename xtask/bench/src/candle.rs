//! The peer candle.

use crate::Result;
use crate::contender::{Activations, Call, Contender, Engine, Held, Label};
use crate::weights::Weights;
use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::{GgmlType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use rayon::prelude::*;
use std::io::Cursor;
use std::sync::Arc;

/// Copies of a tensor in candle's hands. Its threads are those of the process: `CANDLE_NUM_THREADS`.
pub struct Candle<'a> {
    weights: &'a Weights,
    copies: Vec<Arc<QTensor>>,
    matrices: Vec<QMatMul>,
    decoder: Option<Decoder>,
    threads: usize,
}

/// Decodes blocks one after another.
type Decoder = fn(&[u8], &mut [f32]) -> Result<()>;

impl<'a> Candle<'a> {
    /// `block` is candle's type of a block.
    ///
    /// # Errors
    /// Where candle does not know the format.
    pub fn prepare(
        weights: &'a Weights,
        copies: usize,
        block: Option<&str>,
        threads: usize,
    ) -> Result<Candle<'a>> {
        let number = weights.format.gguf.ok_or("GGUF files have no number for the format")?;
        let file = gguf(weights, number)?;
        let copies = (0..copies).map(|_| {
            let mut reader = Cursor::new(&file);
            let content = Content::read(&mut reader)?;
            Ok(Arc::new(content.tensor(&mut reader, NAME, &Device::Cpu)?))
        });
        let copies: Vec<Arc<QTensor>> = copies.collect::<Result<_>>()?;
        let matrices = copies.iter().map(|tensor| Ok(QMatMul::from_arc(tensor.clone())?));
        let candle = Candle {
            weights,
            matrices: matrices.collect::<Result<_>>()?,
            copies,
            decoder: block.and_then(decoder),
            threads,
        };
        // Repacked forms are made with the first product, some with the first of several rows.
        let x = Tensor::zeros((2, weights.shape.k), DType::F32, &Device::Cpu)?;
        candle.matrices.iter().try_for_each(|matrix| matrix.forward(&x).map(drop))?;
        Ok(candle)
    }

    fn label(&self, storage: &str, activations: Activations) -> Label {
        Label {
            engine: Engine::Candle,
            storage: storage.to_owned(),
            activations,
            kernel: String::new(),
            threads: self.threads,
        }
    }
}

const NAME: &str = "weights";

/// A GGUF file with these weights as its only tensor.
fn gguf(weights: &Weights, number: u32) -> Result<Vec<u8>> {
    let [bytes] = weights.streams.as_slice() else {
        return Err("stored in several tensors".into());
    };
    let mut file = Vec::with_capacity(bytes.len() + 256);
    file.extend(b"GGUF");
    file.extend(3u32.to_le_bytes());
    for number in [1, 0, NAME.len() as u64] {
        file.extend(number.to_le_bytes()); // tensors, entries of metadata, length of the name
    }
    file.extend(NAME.as_bytes());
    file.extend(2u32.to_le_bytes());
    file.extend((weights.shape.k as u64).to_le_bytes());
    file.extend((weights.shape.n as u64).to_le_bytes());
    file.extend(number.to_le_bytes());
    file.extend(0u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(bytes);
    Ok(file)
}

/// The decoder of a type of block in the list of formats.
fn decoder(block: &str) -> Option<Decoder> {
    include!(concat!(env!("OUT_DIR"), "/candle.rs"))
}

fn decode<T: GgmlType>(blocks: &[u8], weights: &mut [f32]) -> Result<()> {
    // SAFETY: candle's blocks are plain integers and f16, valid for all bytes; `align_to` keeps to the
    // slice and to the type's alignment.
    let (before, blocks, after) = unsafe { blocks.align_to::<T>() };
    if !before.is_empty() || !after.is_empty() {
        return Err("blocks do not begin where candle's type may".into());
    }
    T::to_float(blocks, weights);
    Ok(())
}

impl Held for Candle<'_> {
    fn dequantize(&self, half: bool) -> Result<Vec<Contender<'_>>> {
        let label = |storage| self.label(storage, Activations::None);
        if half {
            let call = Box::new(Halves { candle: self, out: None });
            return Ok(vec![Contender { label: label("plain, allocates"), call }]);
        }
        let Some(decoder) = self.decoder else { return Ok(Vec::new()) };
        let out = vec![0.0; self.weights.shape.n * self.weights.shape.k];
        let call = Box::new(Floats { candle: self, decoder, out });
        Ok(vec![Contender { label: label("plain"), call }])
    }

    fn product<'a>(&'a self, x: &'a [f32], m: usize) -> Result<Vec<Contender<'a>>> {
        let x = Tensor::from_slice(x, (m, self.weights.shape.k), &Device::Cpu)?;
        let call = Box::new(Product { candle: self, x, out: None });
        Ok(vec![Contender { label: self.label("its choice", Activations::Int8), call }])
    }
}

/// candle's decoder writes into a buffer that is there; rows are shared out among threads for it.
struct Floats<'a> {
    candle: &'a Candle<'a>,
    decoder: Decoder,
    out: Vec<f32>,
}

impl Call for Floats<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        let bytes = self.candle.copies[copy].data()?;
        let rows = self.candle.weights.shape.n.div_ceil(self.candle.threads);
        let bytes = bytes.par_chunks(bytes.len() / self.candle.weights.shape.n * rows);
        let out = self.out.par_chunks_mut(rows * self.candle.weights.shape.k);
        bytes.zip(out).try_for_each(|(bytes, out)| (self.decoder)(bytes, out))
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.out.clone())
    }
}

struct Halves<'a> {
    candle: &'a Candle<'a>,
    out: Option<Tensor>,
}

impl Call for Halves<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        self.out = Some(self.candle.copies[copy].dequantize_f16(&Device::Cpu)?);
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        output(&self.out)
    }
}

struct Product<'a> {
    candle: &'a Candle<'a>,
    x: Tensor,
    out: Option<Tensor>,
}

impl Call for Product<'_> {
    fn run(&mut self, copy: usize) -> Result<()> {
        self.out = Some(self.candle.matrices[copy].forward(&self.x)?);
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        output(&self.out)
    }
}

fn output(out: &Option<Tensor>) -> Result<Vec<f32>> {
    let out = out.as_ref().ok_or("nothing has run")?;
    Ok(out.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
}
