//! Computes on a device and brings the result back.

use bytemuck::{Pod, cast_slice, cast_slice_mut};

use super::{HipWeights, Stream, View};
use crate::artifact::{Activations, Element};
use crate::device::Resident;
use crate::memory::{elements, zeros};
use crate::{Error, Result, f16, plan};

/// Decoded bytes fetched at a time.
const PIECE: u64 = 64 << 20;

impl Resident for HipWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        self.decode(Element::F32)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        self.decode(Element::F16)
    }

    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>> {
        self.product(x, 1, |stream, x, y| self.launch_matvec(stream, x, y))
    }

    fn matmul(&self, x: &[f32], m: usize) -> Result<Vec<f32>> {
        let rows = u32::try_from(m).map_err(|_| Error::Argument {
            what: "activations",
            tensor: self.name.to_string(),
            problem: format!("{m} rows; kernels count them in 32 bits"),
        })?;
        self.product(x, m, |stream, x, y| self.launch_matmul(stream, x, y, rows))
    }

    fn activations(&self) -> Activations {
        self.hip.choice.activations(&self.format)
    }

    fn on_hip(&self) -> Option<&HipWeights> {
        Some(self)
    }
}

impl HipWeights {
    /// Runs one product of `m` activation rows.
    fn product(
        &self,
        x: &[f32],
        m: usize,
        launch: impl FnOnce(&Stream, View<'_>, View<'_>) -> Result<()>,
    ) -> Result<Vec<f32>> {
        let stream = self.hip.stream()?;
        let mut output = zeros(elements(m, self.n as usize, "an output")?, "the output")?;
        let values = self.hip.buffer(plan::rounded(x.len() as u64) * Element::F32.bytes())?;
        values.write(&stream, cast_slice(x))?;
        let y = self.hip.buffer(plan::rounded(output.len() as u64) * Element::F32.bytes())?;
        launch(&stream, View::from(&values), View::from(&y))?;
        y.read(&stream, cast_slice_mut(&mut output))?;
        Ok(output)
    }

    fn decode<T: Pod + Default>(&self, element: Element) -> Result<Vec<T>> {
        let stream = self.hip.stream()?;
        let mut weights = zeros((self.n * self.k) as usize, "decoded weights")?;
        let mut rest = weights.as_mut_slice();
        let mut buffer = None;
        for part in &self.parts {
            for blocks in self.pieces(part, element, PIECE)? {
                let count = (blocks.end - blocks.start) * u64::from(self.format.weights);
                let size = plan::rounded(count) * element.bytes();
                let y = match &mut buffer {
                    Some(buffer) => buffer,
                    // No later piece is larger than the first one of a tensor's first part.
                    none => none.insert(self.hip.buffer(size)?),
                };
                self.launch_piece(&stream, part, &blocks, y.address(), element)?;
                let (decoded, after) = rest.split_at_mut((count as usize).min(rest.len()));
                y.read(&stream, cast_slice_mut(decoded))?;
                rest = after;
            }
        }
        Ok(weights)
    }
}
