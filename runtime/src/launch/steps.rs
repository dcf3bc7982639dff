//! Calls with slices of the host's memory, in steps that a device does at once.

use bytemuck::{Pod, cast_slice_mut};

use super::plan::rounded_bytes;
use super::{Call, Planner};
use crate::artifact::Element;
use crate::epilogue::OnHost;
use crate::experts::Chosen;
use crate::memory::elements;
use crate::{Epilogue, Experts, Result};

/// Bytes of decoded weights that are fetched at a time.
const PIECE: u64 = 64 << 20;

/// A call of the device, what of the host's memory it reads, and where its output belongs.
pub(crate) struct Step<'a> {
    pub call: Call,
    pub x: &'a [f32],
    pub indices: &'a [u32],
    pub epilogue: OnHost<'a>,
    pub y: &'a mut [u8],
}

impl Step<'_> {
    /// Bytes that the device needs for the output: elements come in fours, buffers in 16 bytes.
    pub fn bytes(&self) -> u64 {
        (self.y.len() as u64).next_multiple_of(16)
    }
}

impl Planner {
    /// `y[m, n] = x[m, k] · weightsᵀ`, as many activation rows at a time as bindings hold.
    pub fn products<'a>(
        &self,
        x: &'a [f32],
        m: usize,
        y: &'a mut [f32],
        epilogue: OnHost<'a>,
    ) -> impl Iterator<Item = Step<'a>> + use<'a> {
        let (n, k) = (self.n as usize, self.k as usize);
        let rows = self.at_once(self.n.max(self.k), m);
        x.chunks(rows * k).zip(y.chunks_mut(rows * n)).map(move |(x, y)| {
            let call = Call::Product { m: (x.len() / k) as u32 };
            Step { call, x, indices: &[], epilogue, y: cast_slice_mut(y) }
        })
    }

    /// `y[m, used, n]` of matrices that are chosen, as many activation rows at a time as bindings hold.
    pub fn mixtures<'a>(
        &self,
        chosen: Chosen<'a>,
        y: &'a mut [f32],
        epilogue: OnHost<'a>,
    ) -> Result<impl Iterator<Item = Step<'a>> + use<'a>> {
        let Chosen { x, experts: indices, m, used, n, .. } = chosen;
        let told = chosen.told(&self.tensor)?;
        let k = self.k as usize;
        let outputs = elements(used, n, "an output")?;
        let rows = self.at_once(outputs.max(k) as u64, m);
        let indices = indices.chunks(rows * used);
        let pieces = x.chunks(rows * k).zip(indices).zip(y.chunks_mut(rows * outputs));
        Ok(pieces.map(move |((x, indices), y)| {
            let call = Call::Experts(Experts { m: (x.len() / k) as u32, ..told });
            Step { call, x, indices, epilogue, y: cast_slice_mut(y) }
        }))
    }

    /// `y[rows, k]`, some rows decoded.
    pub fn rows<'a, T: Pod>(
        &self,
        rows: &'a [u32],
        y: &'a mut [T],
        element: Element,
    ) -> impl Iterator<Item = Step<'a>> + use<'a, T> {
        let k = self.k as usize;
        let room = PIECE.min(self.choice.limits.bindable()) / element.bytes();
        let most = (room / self.k.next_multiple_of(4)).max(1) as usize;
        rows.chunks(most).zip(y.chunks_mut(most.saturating_mul(k))).map(move |(indices, y)| {
            let call = Call::Gather { rows: indices.len() as u32, element };
            let epilogue = Epilogue::default();
            Step { call, x: &[], indices, epilogue, y: cast_slice_mut(y) }
        })
    }

    /// `y[n, k]`, all weights decoded.
    pub fn weights<'a, T: Pod>(&self, y: &'a mut [T], element: Element) -> Result<Vec<Step<'a>>> {
        let (mut steps, mut rest) = (Vec::new(), y);
        for (part, rows) in self.parts.iter().enumerate() {
            for blocks in self.pieces(rows, element, PIECE)? {
                let count = (self.decoded(&blocks) as usize).min(rest.len());
                let (y, after) = rest.split_at_mut(count);
                rest = after;
                let call = Call::Piece { part, blocks, element };
                let (y, epilogue) = (cast_slice_mut(y), Epilogue::default());
                steps.push(Step { call, x: &[], indices: &[], epilogue, y });
            }
        }
        Ok(steps)
    }

    /// How many of `m` activation rows, or of outputs of `widest` values, bindings hold.
    fn at_once(&self, widest: u64, m: usize) -> usize {
        let rounded = rounded_bytes(1, self.k);
        let row = widest.next_multiple_of(4).saturating_mul(4).max(rounded).max(1);
        let rows = self.choice.limits.bindable() / row;
        usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, m.max(1))
    }
}
