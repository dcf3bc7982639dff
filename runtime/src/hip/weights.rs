//! Brings quantized bytes to a device as they are.

use std::sync::{Arc, OnceLock};

use super::context::Function;
use super::{Buffer, Hip};
use crate::artifact::{Element, Kernel, Kind};
use crate::launch::Planner;
#[cfg(doc)]
use crate::{Error, Format};
use crate::{Result, Tensor};

/// Weights `[n, k]` on a device, quantized; one allocation per stream of bytes, or several where
/// kernels cannot count so far.
pub struct HipWeights {
    pub(super) hip: Hip,
    pub(super) planner: Planner,
    /// A buffer for each stream of each part.
    pub(super) parts: Vec<Vec<Buffer>>,
    /// The format's tables, where it has some.
    pub(super) tables: Option<Buffer>,
    /// One for each of the format's kernels, once it is needed.
    functions: Vec<OnceLock<Arc<Function>>>,
    /// The kernel that rounds activations, once it is needed.
    quantizer: OnceLock<Arc<Function>>,
}

impl Hip {
    /// Brings a tensor to this device, and waits for it.
    ///
    /// # Errors
    /// Where a row is longer than kernels can count, the device grants less than the format's kernels need or
    /// has no room, or nobody vouches for them ([`Format::trusted`]).
    pub fn upload(&self, tensor: &Tensor) -> Result<HipWeights> {
        let format = self.format(tensor)?;
        format.vouched(self.name())?;
        let planner = Planner::new(self.name(), &self.choice, tensor, format)?;
        let tables = planner.tables();
        let tables = (!tables.is_empty()).then(|| self.filled(&tables, tables.len() as u64));
        Ok(HipWeights {
            hip: self.clone(),
            parts: planner.bring(tensor, |bytes, size| self.filled(bytes, size))?,
            tables: tables.transpose()?,
            functions: planner.format.kernels.iter().map(|_| OnceLock::new()).collect(),
            quantizer: OnceLock::new(),
            planner,
        })
    }

    /// Memory of `size` bytes that begins with these, and zeros after them.
    fn filled(&self, bytes: &[u8], size: u64) -> Result<Buffer> {
        let buffer = self.buffer(size)?;
        buffer.fill(bytes)?;
        Ok(buffer)
    }
}

impl HipWeights {
    /// Bytes on the device, with padding.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().flatten().map(Buffer::bytes).sum()
    }

    /// Compiles the kernels of decoding to `element`, of products of one activation row
    /// ([`Kind::Matvec`]) or of more ([`Kind::Matmul`]), and brings them to the device, which their first
    /// launch would do else: before a stream is captured, or time is taken.
    ///
    /// # Errors
    /// [`Error::Missing`] where the format has no such kernel, [`Error::Device`] where it cannot be
    /// compiled or loaded.
    pub fn prepare(&self, kind: Kind, element: Element) -> Result<()> {
        let kernels = self.planner.kernels(kind, element)?;
        kernels.into_iter().try_for_each(|kernel| self.function(kernel).map(drop))
    }

    /// A kernel of the format, or the one that rounds activations, on the device.
    pub(super) fn function(&self, kernel: &Kernel) -> Result<&Function> {
        let mut kernels = self.planner.format.kernels.iter().zip(&self.functions);
        let found = kernels.find(|(own, _)| std::ptr::eq(*own, kernel));
        let slot = found.map_or(&self.quantizer, |(_, slot)| slot);
        match slot.get() {
            Some(function) => Ok(function),
            None => {
                let function = self.hip.context.function(kernel)?;
                Ok(slot.get_or_init(|| function))
            }
        }
    }
}
