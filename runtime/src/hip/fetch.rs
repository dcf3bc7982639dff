//! Computes on the host's memory: brings what a step reads to the device, and the result back.

use bytemuck::cast_slice;

use super::{Buffer, Hip, HipWeights, Stream, View};
use crate::Result;
use crate::launch::{Operands, Planner, Runs, Step, grown};

/// A stream and buffers of a call, which later ones use again.
#[derive(Default)]
pub(super) struct Staging {
    stream: Option<Stream>,
    x: Option<Buffer>,
    indices: Option<Buffer>,
    bias: Option<Buffer>,
    y: Option<Buffer>,
}

impl Runs for HipWeights {
    fn planner(&self) -> &Planner {
        &self.planner
    }

    fn run(&self, step: Step<'_>) -> Result<()> {
        self.hip.kept.with(|staging| self.compute(step, staging))
    }

    fn on_hip(&self) -> Option<&HipWeights> {
        Some(self)
    }
}

impl HipWeights {
    /// Runs a step and waits for its output.
    fn compute(&self, step: Step<'_>, staging: &mut Staging) -> Result<()> {
        let bytes = step.bytes();
        let Step { call, x, indices, epilogue, y } = step;
        let stream = match &mut staging.stream {
            Some(stream) => stream,
            none => none.insert(self.hip.stream()?),
        };
        let x = self.hip.written(&mut staging.x, stream, cast_slice(x))?;
        let indices = self.hip.written(&mut staging.indices, stream, cast_slice(indices))?;
        let bias = cast_slice(epilogue.bias.unwrap_or_default());
        let bias = self.hip.written(&mut staging.bias, stream, bias)?;
        let output = self.hip.sized(&mut staging.y, bytes)?;
        if epilogue.add {
            output.write(stream, y)?;
        }
        let operands =
            Operands { x, indices, y: Some(output.into()), epilogue: epilogue.with_bias(bias) };
        self.enqueue(stream, &call, operands)?;
        output.read(stream, y)
    }
}

impl Hip {
    /// These bytes in the buffer of a slot; none where there are none.
    fn written<'b>(
        &self,
        slot: &'b mut Option<Buffer>,
        stream: &Stream,
        bytes: &[u8],
    ) -> Result<Option<View<'b>>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        // Activations are read in fours.
        let buffer = self.sized(slot, (bytes.len() as u64).next_multiple_of(16))?;
        buffer.write(stream, bytes)?;
        Ok(Some(buffer.into()))
    }

    /// The buffer of a slot, or a larger one that stays there.
    pub(super) fn sized<'b>(&self, slot: &'b mut Option<Buffer>, bytes: u64) -> Result<&'b Buffer> {
        if slot.as_ref().is_some_and(|buffer| buffer.bytes() < bytes) {
            *slot = None;
        }
        match slot {
            Some(buffer) => Ok(buffer),
            none => Ok(none.insert(self.buffer(grown(bytes, u64::MAX))?)),
        }
    }
}
