//! Quads of a strip that are multiplied together: they share scale, offset and chunk of activations.

use crate::artifact::CHUNK;
use crate::format::gcd;
use crate::ir::{Decoder, Lanes, Quad, Value, Verified, by_strip};

/// The quads of a strip, run by run; all runs have as many.
pub(super) struct Runs {
    /// Quads in the order of runs, by number.
    pub order: Vec<usize>,
    /// Quads per run.
    pub quads: usize,
    /// Neighbouring quads whose activations are loaded together: 4 or 1.
    pub word: usize,
    pub sum: Sum,
}

/// Where the sum of a run's activations comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    /// The run is a whole chunk.
    Chunk,
    /// The run is one half of a chunk.
    Half,
    /// It is computed.
    Words,
}

/// Quads that may be one run.
struct Run {
    /// What they share: scale, offset, and the chunk of activations in every strip.
    key: (Value, Value, Vec<u32>),
    quads: Vec<usize>,
}

impl Runs {
    pub fn of(decoder: &Verified<Decoder>) -> Runs {
        let fixed = by_strip(decoder);
        let starts = |quad: &Quad| -> Vec<u32> {
            fixed.iter().map(|values| values[quad.start.0 as usize]).collect()
        };
        let starts: Vec<Vec<u32>> = decoder.quads.iter().map(starts).collect();
        // Blocks begin at multiples of this many activations of a chunk.
        let segment = gcd(decoder.weights, CHUNK);
        let mut runs: Vec<Run> = Vec::new();
        for (number, quad) in decoder.quads.iter().enumerate() {
            let Some((_, scale, offset)) = dot(quad) else { continue };
            let place = starts[number].iter().map(|start| start / segment).collect();
            let key = (scale, offset, place);
            match runs.iter_mut().find(|run| run.key == key) {
                Some(run) => run.quads.push(number),
                None => runs.push(Run { key, quads: vec![number] }),
            }
        }
        let quads = runs.iter().fold(0, |quads, run| gcd(quads, run.quads.len() as u32)) as usize;
        for run in &mut runs {
            run.quads.sort_by_key(|&quad| &starts[quad]);
        }
        let order: Vec<usize> = runs.into_iter().flat_map(|run| run.quads).collect();
        let together = |four: &[usize]| {
            (0..starts[four[0]].len()).all(|strip| {
                let first = starts[four[0]][strip];
                let follows =
                    |(i, &quad): (usize, &usize)| starts[quad][strip] == first + 4 * i as u32;
                first.is_multiple_of(16) && four.iter().enumerate().all(follows)
            })
        };
        let wide = quads.is_multiple_of(4)
            && decoder.weights.is_multiple_of(16)
            && order.chunks(4).all(together);
        let sum = match quads {
            8 if segment == CHUNK => Sum::Chunk,
            4 if wide => Sum::Half,
            _ => Sum::Words,
        };
        Runs { order, quads, word: if wide { 4 } else { 1 }, sum }
    }
}

/// Codes, scale and offset of a quad.
pub(super) fn dot(quad: &Quad) -> Option<(Value, Value, Value)> {
    match quad.lanes {
        Lanes::Dot { codes, scale, offset } => Some((codes, scale, offset)),
        _ => None,
    }
}
