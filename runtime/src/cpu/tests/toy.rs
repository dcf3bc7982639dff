//! Formats made up here, with codes of every width and kind. A block is the scales of its runs, a
//! byte each, their offsets likewise where there are any, and a byte per code. A weight is
//! scale · value(code) + offset.

use std::borrow::Cow;

use super::Random;
use crate::artifact::{Artifact, Coded, Cpu, Extent, Header, ROWS, Stream, Units, Versions};
use crate::{Format, Tensor};

/// Integers, the middle one 0; with offsets.
pub const INTEGER: u8 = 0;
/// Bytes of two's complement; with offsets.
pub const SIGNED: u8 = 1;
/// Integers far apart.
pub const TABLE: u8 = 2;
/// Multiples of 5/16, the largest 127 of them, so that 8 bits hold them without rounding.
pub const FLOAT: u8 = 3;

/// A format, and how to take its tensors apart.
pub struct Toy {
    name: &'static str,
    bits: usize,
    weights: usize,
    run: usize,
    offset: bool,
    values: &'static [f32; 256],
    cpu: Cpu,
}

/// A tensor of random bytes with what its weights are: `scale · value`, and offset.
pub struct Sample {
    pub tensor: Tensor,
    pub weights: Vec<(f64, f64)>,
}

impl Toy {
    /// `n` rows of at least so many weights.
    pub fn sample(&self, n: usize, about: usize, random: &mut Random) -> Sample {
        let Toy { name, bits, weights, run, offset, .. } = *self;
        let blocks = about.div_ceil(weights);
        let runs = weights / run;
        let header = if offset { 2 * runs } else { runs };
        let mut bytes = Vec::new();
        let mut terms = Vec::new();
        for _ in 0..n * blocks {
            let scales: Vec<u8> = (0..header).map(|_| random.bits() as u8).collect();
            let codes = (0..weights).map(|_| (random.bits() as u8) >> (8 - bits));
            let codes: Vec<u8> = codes.collect();
            for (at, code) in codes.iter().enumerate() {
                let scale = f64::from(scale(scales[at / run]));
                let offset = if offset { number(scales[runs + at / run]) } else { 0.0 };
                terms.push((scale * f64::from(self.values[usize::from(*code)]), offset.into()));
            }
            bytes.extend(scales.into_iter().chain(codes));
        }
        let streams = [Stream {
            name: "blocks".into(),
            bytes: (header + weights) as u32,
            units: Units::BLOCKS,
        }];
        let format = Format::from(Artifact {
            name: name.into(),
            weights: weights as u32,
            streams: streams.to_vec().into(),
            cpu: Some(self.cpu),
            ..Artifact::default()
        });
        let tensor = Tensor::new(name, format, n, blocks * weights, [bytes]).unwrap();
        Sample { tensor, weights: terms }
    }
}

/// A list of formats: bits and kind of codes, weights of a block and of a run, and whether scales of
/// many rows are computed at once.
macro_rules! toys {
    ($($bits:literal $kind:ident $weights:literal $run:literal $header:literal,)+) => {
        [$({
            type Of = Functions<$bits, $kind, $weights, $run, $header>;
            Toy {
                name: concat!(stringify!($bits $kind $weights $run $header)),
                bits: $bits,
                weights: $weights,
                run: $run,
                offset: Of::OFFSET,
                values: &Of::VALUES,
                // SAFETY: the toys' functions are safe ones.
                cpu: unsafe { Cpu::new(only(Of::decode), Some(Of::CODED)) },
            }
        }),+]
    };
}

/// All formats made up here: every number of bits, runs of 8, 16 and 32, and of more; blocks smaller
/// than 32 weights and larger.
pub static TOYS: [Toy; 18] = toys![
    1 INTEGER 32 32 true,
    2 INTEGER 32 16 true,
    3 INTEGER 128 16 true,
    4 INTEGER 32 32 true,
    5 INTEGER 32 8 false,
    6 INTEGER 64 16 true,
    7 INTEGER 64 64 true,
    8 INTEGER 32 16 false,
    8 SIGNED 32 32 true,
    4 SIGNED 8 8 false,
    2 TABLE 16 16 false,
    3 TABLE 32 8 true,
    4 TABLE 64 32 true,
    1 FLOAT 32 16 true,
    2 FLOAT 8 8 false,
    3 FLOAT 96 32 true,
    4 FLOAT 64 64 true,
    4 FLOAT 24 8 false,
];

/// Functions of a format.
struct Functions<
    const BITS: usize,
    const KIND: u8,
    const WEIGHTS: usize,
    const RUN: usize,
    const HEADER: bool,
>;

const PLACES: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

const fn only<F>(portable: F) -> Versions<F> {
    Versions { portable, avx2: None, avx512: None }
}

fn scale(byte: u8) -> f32 {
    number(byte) / 32.0
}

fn number(byte: u8) -> f32 {
    f32::from(byte as i8)
}

impl<const BITS: usize, const KIND: u8, const WEIGHTS: usize, const RUN: usize, const HEADER: bool>
    Functions<BITS, KIND, WEIGHTS, RUN, HEADER>
{
    const OFFSET: bool = KIND <= SIGNED;
    const RUNS: usize = WEIGHTS / RUN;
    /// Bytes before the codes.
    const FIRST: usize = if Self::OFFSET { 2 * Self::RUNS } else { Self::RUNS };
    const CODED: &Coded = &Coded {
        run: RUN as u32,
        spans: Cow::Borrowed(&[Extent::Blocks(1)]),
        values: Cow::Borrowed(&Self::VALUES),
        offset: Self::OFFSET,
        halved: false,
        codes: only(Self::codes),
        scales: only(Self::scales),
        header: if HEADER {
            let bytes = Cow::Borrowed(PLACES.split_at(Self::FIRST).0);
            Some(Header { bytes, scales: only(Self::row_scales) })
        } else {
            None
        },
    };
    const VALUES: [f32; 256] = {
        let mut values = [f32::NAN; 256];
        let mut code = 0;
        while code < 1 << BITS {
            let integer = code as i32;
            values[code] = match KIND {
                INTEGER => (integer - (1 << BITS) / 2) as f32,
                SIGNED => code as u8 as i8 as f32,
                TABLE => (integer * integer - 30) as f32,
                _ => (integer * 16 - 127) as f32 * 0.3125,
            };
            code += 1;
        }
        values
    };

    fn decode(streams: &[&[u8]], _: &[u32; 4], first: usize, weights: &mut [f32]) {
        let blocks = streams[0].chunks(Self::FIRST + WEIGHTS).skip(first);
        for (block, weights) in blocks.zip(weights.chunks_mut(WEIGHTS)) {
            let (scales, codes) = block.split_at(Self::FIRST);
            for (at, (weight, code)) in weights.iter_mut().zip(codes).enumerate() {
                let offset = scales.get(Self::RUNS + at / RUN).map_or(0.0, |&byte| number(byte));
                *weight = scale(scales[at / RUN]) * Self::VALUES[usize::from(*code)] + offset;
            }
        }
    }

    fn codes(streams: &[&[u8]], _: &[u32; 4], first: usize, codes: &mut [u8]) {
        let blocks = streams[0].chunks(Self::FIRST + WEIGHTS).skip(first);
        for (block, codes) in blocks.zip(codes.chunks_mut(WEIGHTS)) {
            codes.copy_from_slice(&block[Self::FIRST..]);
        }
    }

    fn scales(
        streams: &[&[u8]],
        _: &[u32; 4],
        first: usize,
        scales: &mut [f32],
        offsets: &mut [f32],
    ) {
        let blocks = streams[0].chunks(Self::FIRST + WEIGHTS).skip(first);
        let runs = scales.chunks_mut(Self::RUNS).zip(offsets.chunks_mut(Self::RUNS));
        for (block, (scales, offsets)) in blocks.zip(runs) {
            for run in 0..Self::RUNS {
                scales[run] = scale(block[run]);
                offsets[run] = if Self::OFFSET { number(block[Self::RUNS + run]) } else { 0.0 };
            }
        }
    }

    fn row_scales(header: &[[u8; ROWS]], scales: &mut [[f32; ROWS]], offsets: &mut [[f32; ROWS]]) {
        let runs = scales.chunks_mut(Self::RUNS).zip(offsets.chunks_mut(Self::RUNS));
        for (block, (scales, offsets)) in header.chunks(Self::FIRST).zip(runs) {
            for run in 0..Self::RUNS {
                scales[run] = block[run].map(scale);
                let offset = block.get(Self::RUNS + run);
                offsets[run] = offset.map_or([0.0; ROWS], |row| row.map(number));
            }
        }
    }
}
