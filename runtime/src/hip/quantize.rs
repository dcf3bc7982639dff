//! Activations in 8 bits, made on the device by every product that reads them.

use std::sync::{MutexGuard, PoisonError};

use super::launch::Launch;
use super::{Buffer, HipWeights, Stream, View};
use crate::artifact::{Element, Shape};
use crate::{Result, choice};

/// Rounded activations in a stream's memory. While this lives, nobody else rounds on that stream.
pub(super) struct Quantized<'s> {
    pub address: u64,
    _memory: MutexGuard<'s, Option<Buffer>>,
}

impl HipWeights {
    /// Launches what a product of `m` activation rows does first where it rounds them to 8 bits, and no
    /// more: to time it apart. `x` is as for [`HipWeights::launch_matmul`].
    ///
    /// # Errors
    /// As for [`HipWeights::launch_matmul`].
    pub fn launch_rounding<'a>(
        &self,
        stream: &Stream,
        x: impl Into<View<'a>>,
        m: u32,
    ) -> Result<()> {
        let x = self.checked("activations", stream, x.into(), [m.into(), self.k], Element::F32)?;
        self.quantize(stream, x, m).map(drop)
    }

    /// Launches rounding `m` activation rows from address `x` on.
    pub(super) fn quantize<'s>(&self, stream: &'s Stream, x: u64, m: u32) -> Result<Quantized<'s>> {
        let bytes = choice::quantized_bytes(m.into(), self.k);
        let mut memory = stream.quantized.lock().unwrap_or_else(PoisonError::into_inner);
        let address = match memory.as_ref().filter(|buffer| buffer.bytes() >= bytes) {
            Some(buffer) => buffer.address(),
            // What is larger by a little comes soon.
            None => {
                let size = bytes.checked_next_power_of_two().unwrap_or(bytes);
                memory.insert(self.hip.buffer(size)?).address()
            }
        };
        // A row is below 2^31: `plan::parts`.
        let shape = Shape { k: self.k as u32, m, ..Shape::default() };
        let covered = [1, self.k, m.into()];
        let (part, x, bias, indices) = (None, Some(x), None, None);
        let launch = Launch { part, block: 0, x, bias, indices, y: address, shape, covered };
        self.launch(stream, self.quantizer()?, &launch)?;
        Ok(Quantized { address, _memory: memory })
    }
}
