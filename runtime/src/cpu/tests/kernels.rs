//! Planes and products against numbers in f64.

use super::Random;
use super::toy::{Sample, TOYS};
use crate::cpu::isa::Isa;
use crate::cpu::planes::{pack, stored_bits, unpack};
use crate::cpu::quantize::QUADS;
use crate::cpu::simd::{Kernel, Line, Simd};
use crate::cpu::{Activations, Cpu, Storage, instructions};

/// Smaller where every instruction is interpreted.
const SMALL: bool = cfg!(miri);

#[test]
fn planes_give_back_what_they_were_given() {
    let random = &mut Random(1);
    for isa in Isa::all() {
        for bits in 1..=8 {
            let codes: [Vec<Line>; 3] = [(); 3].map(|()| {
                let code = |random: &mut Random| (random.bits() as u8) >> (8 - bits);
                (0..QUADS).map(|_| Line([(); 64].map(|()| code(random)))).collect()
            });
            let stored = stored_bits(bits);
            assert!((bits as usize..=8).contains(&stored));
            let mut lines = vec![Line([0xa5; 64]); 3 * stored];
            for (codes, lines) in codes.iter().zip(lines.chunks_mut(stored)) {
                pack(codes.first_chunk().unwrap(), stored, lines);
            }
            let table: [u8; 16] = [(); 16].map(|()| random.bits() as u8);
            for table in [None, Some(&table)].into_iter().take(if bits <= 4 { 2 } else { 1 }) {
                let mut to = vec![Line([0xa5; 64]); 3 * QUADS];
                isa.run(Unpack { bits: stored, table, from: &lines, to: &mut to });
                for (got, code) in to.iter().zip(codes.iter().flatten()) {
                    let expected = code.0.map(|code| match table {
                        Some(table) => table[usize::from(code)],
                        None => code,
                    });
                    assert_eq!(got.0, expected, "{isa}: {bits} bits, table {table:?}");
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
    for (number, toy) in TOYS.iter().enumerate() {
        let shapes: &[(usize, usize)] = match SMALL {
            true => &[(17, 1)],
            false => &[(1, 1), (16, 7), (35, 3), (17, 80)],
        };
        for &(n, blocks) in shapes {
            let sample = toy.sample(n, blocks, random);
            let ms: &[usize] = match (SMALL, number % 2) {
                (true, 0) => &[1, 3],
                (true, _) => &[2, 5],
                (false, _) => &[1, 2, 3, 4, 6, 7, 12, 13],
            };
            for &m in ms {
                let x = random.activations(m, sample.tensor.k());
                for cpu in devices() {
                    sample.multiply(cpu, &x, m, toy.name());
                }
            }
        }
    }
}

/// Every storage, arithmetic and level of instructions.
pub fn devices() -> Vec<Cpu> {
    let mut devices = Vec::new();
    for isa in instructions() {
        for storage in [Storage::Native, Storage::Interleaved] {
            for activations in [Activations::F32, Activations::Int8] {
                let cpu = Cpu::new().with_instructions(&isa).unwrap();
                devices.push(Cpu { storage, activations, ..cpu });
            }
        }
    }
    devices
}

impl Sample {
    /// Compares all products with those in f64.
    fn multiply(&self, cpu: Cpu, x: &[f32], m: usize, name: &str) {
        let (n, k) = (self.tensor.n(), self.tensor.k());
        let weights = self.tensor.upload(&cpu.into()).unwrap();
        let weights = weights.on_cpu().unwrap();
        let kernel = weights.kernel(m);
        if cpu.activations == Activations::Int8 {
            assert!(kernel.contains("int8"), "{name}: {kernel}");
        }
        let mut y = vec![f32::NAN; m * n];
        weights.matmul_into(x, m, &mut y).unwrap();
        for ((row, x), y) in x.chunks(k).enumerate().zip(y.chunks(n)) {
            for ((column, weights), y) in self.weights.chunks(k).enumerate().zip(y) {
                let terms = weights.iter().zip(x);
                let (sum, magnitude) = terms.fold((0.0, 0.0), |(sum, magnitude), (w, x)| {
                    let (scaled, moved) = (w.0 * f64::from(*x), w.1 * f64::from(*x));
                    (sum + scaled + moved, magnitude + scaled.abs() + moved.abs())
                });
                let error = (f64::from(*y) - sum).abs();
                assert!(
                    error <= 1e-6 * magnitude,
                    "{name} [{n}, {k}], {m} rows, {kernel}: y[{row}, {column}] = {y}, not {sum}",
                );
            }
        }
    }
}
