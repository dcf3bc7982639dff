//! Which consecutive weights are computed alike: a program for single weights, over several blocks.

use crate::ir::{Decoder, Lanes, Op, Value, Verified, by_strip};

/// Several consecutive blocks, weight by weight. Units that blocks share are the same for all of them.
pub(super) struct Blocks<'a> {
    pub decoder: &'a Decoder,
    /// What the program hands out.
    pub result: Value,
    /// Which values depend on more than the weight's place in the block.
    pub unfixed: Vec<bool>,
    /// Which values lie in arrays, computed before.
    pub at_hand: Vec<bool>,
    /// For every weight of a block, the bits of every value that is not [`Blocks::unfixed`].
    weights: Vec<Vec<u32>>,
    times: u32,
}

/// How a value behaves in a segment: consecutive weights that are computed alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Known when the program is written.
    Fixed,
    /// The same for all weights.
    Shared,
    /// One for each weight.
    Own,
}

/// How long segments may be, best first.
const LENGTHS: [u32; 4] = [64, 32, 16, 8];

impl<'a> Blocks<'a> {
    /// `times` blocks; `None` where a program hands out something else than weights or codes, one by
    /// one, or where the place of a block decides how its bytes are read.
    pub fn new(decoder: &'a Verified<Decoder>, times: u32) -> Option<Blocks<'a>> {
        let [quad] = &*decoder.quads else { return None };
        let result = match &quad.lanes {
            Lanes::Weights(lanes) => *lanes.first()?,
            Lanes::Code(code) => *code,
            Lanes::Codes(_) | Lanes::Dot { .. } | Lanes::Scale { .. } => return None,
        };
        let unfixed = decoder.unfixed();
        let fixed = decoder.lets.iter().all(|stated| match stated.op {
            Op::Load { stream, offset, .. } => {
                !unfixed[offset.0 as usize] || !in_blocks(decoder, stream)
            }
            _ => true,
        });
        let at_hand = vec![false; unfixed.len()];
        let weights = by_strip(decoder);
        fixed.then_some(Blocks { decoder, result, unfixed, at_hand, weights, times })
    }

    /// Weights of all blocks.
    pub fn count(&self) -> u32 {
        self.decoder.weights * self.times
    }

    /// Weights of a segment, where there are such segments.
    pub fn length(&self) -> Option<u32> {
        let count = self.count();
        let fits = |&length: &u32| {
            count.is_multiple_of(length)
                && (0..count).step_by(length as usize).all(|at| self.classes(at, length).is_some())
        };
        LENGTHS.into_iter().find(fits)
    }

    /// The bits of every fixed value of a weight.
    pub fn fixed(&self, weight: u32) -> &[u32] {
        &self.weights[(weight % self.decoder.weights) as usize]
    }

    /// The first byte of a load from a stream of blocks, counted over all blocks; `None` for other
    /// values.
    pub fn address(&self, weight: u32, load: Value) -> Option<u32> {
        match self.decoder.get(load).op {
            Op::Load { stream, offset, .. } if in_blocks(self.decoder, stream) => {
                let before =
                    self.decoder.streams[stream as usize].bytes * (weight / self.decoder.weights);
                Some(before + self.fixed(weight)[offset.0 as usize])
            }
            _ => None,
        }
    }

    /// How every value that the result needs behaves in a segment; `None` where the segment's weights
    /// are not computed alike.
    pub fn classes(&self, first: u32, length: u32) -> Option<Vec<Class>> {
        let mut classes = vec![Class::Fixed; self.unfixed.len()];
        for value in self.needed(self.result) {
            let index = value.0 as usize;
            let fixed = self.fixed(first)[index];
            let follows = |step: u32| {
                let at = self.address(first, value)?;
                let as_told = |lane| self.address(first + lane, value) == Some(at + lane * step);
                (0..length).all(as_told).then_some(())
            };
            let own = |value: Value| classes[value.0 as usize] == Class::Own;
            classes[index] = match self.decoder.get(value).op {
                _ if self.at_hand[index] => Class::Own,
                _ if !self.unfixed[index] => {
                    let same = (0..length).all(|lane| self.fixed(first + lane)[index] == fixed);
                    same.then_some(Class::Fixed)?
                }
                Op::Load { bits, .. } if self.address(first, value).is_some() => {
                    match follows(0).is_some() {
                        true => Class::Shared,
                        false => follows(bits / 8).map(|()| Class::Own)?,
                    }
                }
                Op::Load { .. } if self.operands(value).any(own) => return None,
                _ if self.operands(value).any(own) => Class::Own,
                _ => Class::Shared,
            };
        }
        Some(classes)
    }

    /// What a value is computed from when bytes are at hand; ascending, itself last.
    pub fn needed(&self, value: Value) -> Vec<Value> {
        let mut needed = vec![false; self.unfixed.len()];
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            if !std::mem::replace(&mut needed[value.0 as usize], true) {
                open.extend(self.operands(value));
            }
        }
        (0..needed.len()).filter(|&index| needed[index]).map(|index| Value(index as u32)).collect()
    }

    /// The operands that a value is computed from. What blocks hold has none: it is read at a place
    /// that is known.
    pub fn operands(&self, value: Value) -> impl Iterator<Item = Value> + use<> {
        let index = value.0 as usize;
        let known = !self.unfixed[index] || self.at_hand[index] || self.address(0, value).is_some();
        let operands: Vec<Value> = match known {
            true => Vec::new(),
            false => self.decoder.get(value).op.operands().collect(),
        };
        operands.into_iter()
    }
}

/// Whether a stream is made of blocks, one after another.
fn in_blocks(decoder: &Decoder, stream: u32) -> bool {
    decoder.streams[stream as usize].units.are_blocks()
}
