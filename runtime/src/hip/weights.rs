//! Brings quantized bytes to a device as they are.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::context::Function;
use super::{Buffer, Hip};
use crate::artifact::{Activations, Backend, Dims, Element, Kernel, Kind};
use crate::{Error, Format, Result, Tensor, choice, plan};

/// Weights `[n, k]` on a device, quantized; one allocation per stream of bytes, or several where
/// kernels cannot count so far.
pub struct HipWeights {
    pub(super) hip: Hip,
    pub(super) name: Arc<str>,
    pub(super) format: Format,
    pub(super) n: u64,
    pub(super) k: u64,
    pub(super) dims: Dims,
    pub(super) parts: Vec<Part>,
    /// The format's tables, where it has some.
    pub(super) tables: Option<Buffer>,
    /// One for each of the format's kernels, once it is needed.
    functions: Vec<OnceLock<Arc<Function>>>,
    /// The kernel that rounds activations, once it is needed.
    quantizer: OnceLock<Arc<Function>>,
}

/// Some rows of a tensor.
pub(super) struct Part {
    pub rows: Range<u64>,
    /// One per stream of the format.
    pub streams: Vec<Buffer>,
}

impl Hip {
    /// Brings a tensor to this device, and waits for it.
    ///
    /// # Errors
    /// Where a row is longer than kernels can count, the device has no room, or nobody vouches for the
    /// format's kernels ([`Format::trusted`]).
    pub fn upload(&self, tensor: &Tensor) -> Result<HipWeights> {
        let format = &self.format(tensor)?;
        format.vouched(self.name())?;
        let kernels = format.kernels.iter().filter(|kernel| kernel.backend == Backend::Hip);
        let padding = kernels.map(|kernel| kernel.padding).max().unwrap_or(0);
        let (n, k, dims) = (tensor.n() as u64, tensor.k() as u64, *tensor.layout());
        let rows = plan::parts(&dims, k, format, padding, &self.limits)
            .map_err(|problem| Error::Tensor { tensor: tensor.name().to_owned(), problem })?;
        let part = |rows: Range<u64>| -> Result<Part> {
            let streams = tensor.streams().iter().zip(format.streams.iter());
            let streams = streams.map(|(bytes, stream)| {
                let range = plan::range(stream, &dims, &rows);
                let bytes = bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
                self.filled(bytes, padding)
            });
            Ok(Part { streams: streams.collect::<Result<_>>()?, rows })
        };
        let tables: Vec<u8> = format.tables.iter().flat_map(|word| word.to_le_bytes()).collect();
        Ok(HipWeights {
            hip: self.clone(),
            name: tensor.name().into(),
            format: format.clone(),
            n,
            k,
            dims,
            parts: rows.into_iter().map(part).collect::<Result<_>>()?,
            tables: (!tables.is_empty()).then(|| self.filled(&tables, 0)).transpose()?,
            functions: format.kernels.iter().map(|_| OnceLock::new()).collect(),
            quantizer: OnceLock::new(),
        })
    }

    /// Memory that begins with these bytes, and zeros after them.
    fn filled(&self, bytes: &[u8], padding: u32) -> Result<Buffer> {
        let buffer = self.buffer(plan::padded(bytes.len() as u64, padding))?;
        buffer.fill(bytes)?;
        Ok(buffer)
    }
}

impl HipWeights {
    /// Weight rows.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Weights per row.
    pub fn k(&self) -> u64 {
        self.k
    }

    /// Launches that a matvec takes: 1, or more where the tensor is split.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Bytes on the device, with padding.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().flat_map(|part| &part.streams).map(Buffer::bytes).sum()
    }

    /// Compiles the kernels of decoding to `element`, of products of one activation row
    /// ([`Kind::Matvec`]) or of more ([`Kind::Matmul`]), and brings them to the device, which their first
    /// launch would do else: before a stream is captured, or time is taken.
    ///
    /// # Errors
    /// [`Error::Missing`] where the format has no such kernel, [`Error::Device`] where it cannot be
    /// compiled or loaded.
    pub fn prepare(&self, kind: Kind, element: Element) -> Result<()> {
        let (choice, format) = (self.hip.choice, &self.format);
        let kernels = match kind {
            Kind::Dequant | Kind::Gather | Kind::MatvecExperts | Kind::MatmulExperts => {
                vec![choice.exact(format, kind, element)?]
            }
            Kind::Matvec => vec![choice.product(format, 1)?],
            Kind::Batch | Kind::Matmul => {
                vec![choice.product(format, 2)?, choice.product(format, u32::MAX)?]
            }
            Kind::Quantize => return self.quantizer().map(drop),
        };
        if kernels.iter().any(|kernel| kernel.activations == Activations::Int8) {
            self.quantizer()?;
        }
        kernels.into_iter().try_for_each(|kernel| self.function(kernel).map(drop))
    }

    /// A kernel of the format on the device.
    pub(super) fn function(&self, kernel: &Kernel) -> Result<&Function> {
        let mut kernels = self.format.kernels.iter().zip(&self.functions);
        let found = kernels.find(|(own, _)| std::ptr::eq(*own, kernel));
        let (_, slot) = found.ok_or_else(|| Error::Missing {
            format: self.format.name.to_string(),
            what: format!("kernel `{}`", kernel.name),
            hint: String::new(),
        })?;
        self.compiled(slot, kernel)
    }

    /// The kernel that rounds activations on the device.
    pub(super) fn quantizer(&self) -> Result<&Function> {
        self.compiled(&self.quantizer, choice::quantizer(Backend::Hip)?)
    }

    fn compiled<'f>(
        &self,
        slot: &'f OnceLock<Arc<Function>>,
        kernel: &Kernel,
    ) -> Result<&'f Function> {
        match slot.get() {
            Some(function) => Ok(function),
            None => {
                let function = self.hip.context.function(kernel)?;
                Ok(slot.get_or_init(|| function))
            }
        }
    }
}
