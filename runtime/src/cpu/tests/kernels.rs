//! Planes and products against numbers in f64.

use super::Random;
use super::toy::{Sample, TOYS};
use crate::Tensor;
use crate::cpu::isa::Isa;
use crate::cpu::planes::{pack, stored_bits, unpack};
use crate::cpu::quantize::QUADS;
use crate::cpu::simd::{Kernel, Line, Simd};
use crate::cpu::{Activations, Cpu, CpuWeights, Storage, instructions};

#[test]
fn planes_give_back_what_they_were_given() {
    let random = &mut Random(1);
    for &bits in BITS {
        let stored = stored_bits(bits);
        assert!((bits as usize..=8).contains(&stored));
        let mut codes = Vec::new();
        let mut lines = vec![Line([0xa5; 64]); CHUNKS * stored];
        for lines in lines.chunks_mut(stored) {
            let chunk =
                [(); QUADS].map(|()| [(); 64].map(|()| (random.bits() as u8) >> (8 - bits)));
            pack(&chunk.map(Line), stored, lines);
            codes.extend(chunk);
        }
        let table: [u8; 16] = [(); 16].map(|()| random.bits() as u8);
        let tables = [None, Some(&table)].into_iter().take(if bits <= 4 { 2 } else { 1 });
        for isa in Isa::all() {
            for table in tables.clone() {
                let mut to = vec![Line([0xa5; 64]); CHUNKS * QUADS];
                isa.run(Unpack { bits: stored, table, from: &lines, to: &mut to });
                for (got, codes) in to.iter().zip(&codes) {
                    let byte = |code| table.map_or(code, |table| table[usize::from(code)]);
                    assert_eq!(got.0, codes.map(byte), "{isa}: {bits} bits, table {table:?}");
                }
            }
        }
    }
}

struct Unpack<'a> {
    bits: usize,
    table: Option<&'a [u8; 16]>,
    from: &'a [Line],
    to: &'a mut [Line],
}

impl Kernel for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        unpack(simd, self.bits, self.table, self.from, self.to);
    }
}

#[test]
fn products_agree_with_f64() {
    let random = &mut Random(2);
    for toy in TOYS.iter().step_by(STEP) {
        for &(n, about, ms) in SHAPES {
            let sample = toy.sample(n, about, random);
            for &m in ms {
                let x = random.activations(m, sample.tensor.k());
                let expected = sample.product(&x);
                for cpu in devices() {
                    multiply(cpu, &sample.tensor, &x, m, &expected);
                }
            }
        }
    }
}

/// Weight rows, weights per row (about), activation rows: a row and more than two groups of 16, a
/// block and more than the steps of a panel, every tile and several of them. Little enough for Miri.
const SHAPES: &[(usize, usize, &[usize])] = if cfg!(miri) {
    &[(17, 1, &[2])]
} else {
    &[(1, 1, &[1, 5]), (35, 40, &[1, 2, 3, 4, 6, 7, 12, 13]), (17, 1100, &[1, 2, 5])]
};
/// Each plane, alone and with another.
const BITS: &[u32] = if cfg!(miri) { &[3, 5, 8] } else { &[1, 2, 3, 4, 5, 6, 7, 8] };
/// From one format to the next.
const STEP: usize = if cfg!(miri) { 11 } else { 1 };
const CHUNKS: usize = if cfg!(miri) { 1 } else { 3 };

/// Every storage, arithmetic and level of instructions; the last level alone where every instruction
/// is interpreted.
pub fn devices() -> Vec<Cpu> {
    let mut devices = Vec::new();
    let levels = instructions();
    for isa in &levels[if cfg!(miri) { levels.len() - 1 } else { 0 }..] {
        for storage in [Storage::Native, Storage::Interleaved] {
            for activations in [Activations::F32, Activations::Int8] {
                let cpu = Cpu::new().with_instructions(isa).unwrap();
                devices.push(Cpu { storage, activations, ..cpu });
            }
        }
    }
    devices
}

/// An output, and the sum of the magnitudes that it is made of.
#[derive(Clone, Copy, Default)]
struct Output {
    sum: f64,
    magnitude: f64,
}

impl Sample {
    /// `[m, n]`.
    fn product(&self, x: &[f32]) -> Vec<Output> {
        let k = self.tensor.k();
        let mut outputs = Vec::new();
        for x in x.chunks(k) {
            for weights in self.weights.chunks(k) {
                let mut output = Output::default();
                for ((scaled, offset), x) in weights.iter().zip(x) {
                    for term in [scaled * f64::from(*x), offset * f64::from(*x)] {
                        output.sum += term;
                        output.magnitude += term.abs();
                    }
                }
                outputs.push(output);
            }
        }
        outputs
    }
}

fn multiply(cpu: Cpu, tensor: &Tensor, x: &[f32], m: usize, expected: &[Output]) {
    let weights = CpuWeights::new(cpu, tensor).unwrap();
    let kernel = weights.kernel(m);
    assert_eq!(kernel.contains("int8"), cpu.activations == Activations::Int8, "{kernel}");
    let mut y = vec![f32::NAN; expected.len()];
    weights.matmul_into(x, m, &mut y).unwrap();
    for (at, (y, Output { sum, magnitude })) in y.iter().zip(expected).enumerate() {
        let error = (f64::from(*y) - sum).abs();
        let what = || format!("{tensor:?}, {m} rows, {kernel}: y[{at}] = {y}, not {sum}");
        assert!(error <= 1e-6 * magnitude, "{}", what());
    }
}
