//! Computes on a device and brings the result back.

use bytemuck::{Pod, cast_slice, cast_slice_mut};

use super::{Buffer, HipWeights, Stream, View};
use crate::artifact::{Activations, Element};
use crate::device::Resident;
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::{elements, zeros};
use crate::{Epilogue, Result, f16, plan};

/// Decoded bytes fetched at a time.
const PIECE: u64 = 64 << 20;

impl Resident for HipWeights {
    fn dequantize(&self) -> Result<Vec<f32>> {
        self.decode(Element::F32)
    }

    fn dequantize_f16(&self) -> Result<Vec<f16>> {
        self.decode(Element::F16)
    }

    fn multiply(&self, x: &[f32], m: usize, y: &mut [f32], epilogue: OnHost<'_>) -> Result<()> {
        let m = self.count("activations", m)?;
        let stream = self.hip.stream()?;
        self.product(&stream, x, y, epilogue, |x, y, epilogue| {
            self.launch_matmul_with(&stream, x, y, m, epilogue)
        })
    }

    fn multiply_chosen(
        &self,
        chosen: Chosen<'_>,
        y: &mut [f32],
        epilogue: OnHost<'_>,
    ) -> Result<()> {
        let experts = chosen.told(&self.name)?;
        let stream = self.hip.stream()?;
        let indices = self.written(&stream, cast_slice(chosen.experts))?;
        self.product(&stream, chosen.x, y, epilogue, |x, y, epilogue| {
            self.launch_matmul_experts_with(&stream, x, &indices, y, experts, epilogue)
        })
    }

    fn gather(&self, rows: &[u32]) -> Result<Vec<f32>> {
        self.rows(rows, Element::F32)
    }

    fn gather_f16(&self, rows: &[u32]) -> Result<Vec<f16>> {
        self.rows(rows, Element::F16)
    }

    fn activations(&self) -> Activations {
        self.hip.choice.activations(&self.format)
    }

    fn on_hip(&self) -> Option<&HipWeights> {
        Some(self)
    }
}

impl HipWeights {
    /// Brings what a product reads to the device, launches it, and waits for its output.
    fn product(
        &self,
        stream: &Stream,
        x: &[f32],
        output: &mut [f32],
        epilogue: OnHost<'_>,
        launch: impl FnOnce(View<'_>, View<'_>, Epilogue<View<'_>>) -> Result<()>,
    ) -> Result<()> {
        let values = self.hip.buffer(plan::rounded(x.len() as u64) * Element::F32.bytes())?;
        values.write(stream, cast_slice(x))?;
        let bias = epilogue.bias.map(|bias| self.written(stream, cast_slice(bias))).transpose()?;
        let y = self.hip.buffer(plan::rounded(output.len() as u64) * Element::F32.bytes())?;
        if epilogue.add {
            y.write(stream, cast_slice(output))?;
        }
        let epilogue = epilogue.with_bias(bias.as_ref().map(View::from));
        launch(View::from(&values), View::from(&y), epilogue)?;
        y.read(stream, cast_slice_mut(output))
    }

    fn rows<T: Pod + Default>(&self, rows: &[u32], element: Element) -> Result<Vec<T>> {
        let mut output = zeros(elements(rows.len(), self.k as usize, "rows")?, "rows")?;
        if rows.is_empty() {
            return Ok(output);
        }
        let count = self.count("rows", rows.len())?;
        let stream = self.hip.stream()?;
        let indices = self.written(&stream, cast_slice(rows))?;
        let y = self.hip.buffer(plan::rounded(output.len() as u64) * element.bytes())?;
        self.launch_gather(&stream, &indices, &y, count, element)?;
        y.read(&stream, cast_slice_mut(&mut output))?;
        Ok(output)
    }

    fn written(&self, stream: &Stream, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.hip.buffer(bytes.len() as u64)?;
        buffer.write(stream, bytes)?;
        Ok(buffer)
    }

    fn count(&self, what: &'static str, count: usize) -> Result<u32> {
        u32::try_from(count).map_err(|_| {
            self.argument(what, format!("{count} rows; kernels count them in 32 bits"))
        })
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
