//! Every format that is built in, on every way through the CPU, with random bytes in memory of
//! exactly the size that it needs: reads and writes past it are what an address sanitizer looks for.

use super::Random;
use super::kernels::devices;
use crate::artifact::Artifact;
use crate::cpu::decoded::Decoded;
use crate::cpu::isa::Isa;
use crate::cpu::{Activations, Cpu, CpuWeights, stream};
use crate::{Format, Tensor, f16, formats};

#[test]
#[cfg_attr(miri, ignore = "all of them take Miri hours")]
fn formats_multiply_as_they_decode() {
    for artifact in formats() {
        let random = &mut Random(3);
        let mut compared = 0;
        for (n, blocks) in [(1, 1), (3, 2), (17, 1)] {
            let tensor = tensor(artifact, n, blocks, random);
            let weights = decoded(&tensor);
            for m in [1, 2, 9] {
                let x = random.activations(m, tensor.k());
                for cpu in devices() {
                    compared += multiply(cpu, &tensor, &weights, &x, m);
                }
            }
        }
        assert!(compared > 100, "{}: {compared} outputs could be compared", artifact.name);
    }
}

fn tensor(artifact: &'static Artifact, n: usize, blocks: usize, random: &mut Random) -> Tensor {
    let format = Format::from(artifact);
    let k = blocks * artifact.weights as usize;
    let dims = format.dims(n, k).unwrap();
    let streams = artifact.streams.iter().map(|stream| {
        let bytes = 0..stream.len(&dims).unwrap();
        bytes.map(|_| random.bits() as u8).collect::<Vec<u8>>()
    });
    let mut streams: Vec<_> = streams.collect();
    // Numbers of units must be those of units that there are; so few blocks have one.
    for plane in artifact.indices.iter().flat_map(|index| index.planes.iter()) {
        streams[plane.stream as usize].fill(0);
    }
    Tensor::new(&*artifact.name, format, n, k, streams).unwrap()
}

/// The weights, on which all levels of instructions agree, as floats, as halves and by rows.
fn decoded(tensor: &Tensor) -> Vec<f32> {
    let (n, k) = (tensor.n(), tensor.k());
    let mut all: Option<Vec<f32>> = None;
    for isa in crate::cpu::instructions() {
        let cpu = Cpu::new().with_instructions(&isa).unwrap();
        let weights = CpuWeights::new(cpu, tensor).unwrap();
        let mut floats = vec![0.0; n * k];
        weights.dequantize_into(&mut floats).unwrap();
        let mut halves = vec![f16::ZERO; n * k];
        weights.dequantize_f16_into(&mut halves).unwrap();
        let rows: Vec<u32> = (0..n as u32).rev().collect();
        let mut gathered = vec![0.0; n * k];
        weights.gather_into(&rows, &mut gathered).unwrap();
        let isa = Isa::named(&isa).unwrap();
        let (streamed, rounded) = (streamed::<f32>(tensor, isa), streamed::<f16>(tensor, isa));
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        let first = all.get_or_insert_with(|| floats.clone());
        for (at, &weight) in first.iter().enumerate() {
            let (row, column) = (at / k, at % k);
            let name = format!("{tensor:?} on {isa}, weight {at}: {weight}");
            assert!(same(weight, floats[at]), "{name}, {}", floats[at]);
            assert!(same(weight, streamed[at]), "{name}: streamed");
            assert!(same(weight, gathered[(n - 1 - row) * k + column]), "{name}: gathered");
            let half = f16::from_f32(weight);
            assert!(same(half.to_f32(), rounded[at].to_f32()), "{name}: streamed, {}", rounded[at]);
            assert!(same(half.to_f32(), halves[at].to_f32()), "{name}, {}", halves[at]);
        }
    }
    all.unwrap_or_default()
}

/// The weights, written past the caches to memory that is not aligned.
fn streamed<T: stream::Output>(tensor: &Tensor, isa: Isa) -> Vec<T> {
    let decoded = Decoded {
        streams: &tensor.stream_bytes(),
        dims: tensor.layout().words(),
        isa,
        functions: tensor.format().cpu.as_ref().unwrap(),
        n: tensor.n(),
        k: tensor.k(),
        block: tensor.format().weights as usize,
    };
    let mut weights = vec![T::zeroed(); tensor.n() * tensor.k() + 1];
    stream::blocks(&decoded, 0, &mut weights[1..], true);
    weights.split_off(1)
}

/// Compares outputs where weights are no larger than f32 can multiply and sum; how many.
fn multiply(cpu: Cpu, tensor: &Tensor, weights: &[f32], x: &[f32], m: usize) -> usize {
    let (n, k) = (tensor.n(), tensor.k());
    let on_cpu = CpuWeights::new(cpu, tensor).unwrap();
    let mut y = vec![f32::NAN; m * n];
    on_cpu.matmul_into(x, m, &mut y).unwrap();
    // Every row a matrix: row `i` of the activations picks matrix `i mod n`.
    let experts: Vec<u32> = (0..m as u32).map(|row| row % n as u32).collect();
    let mut picked = vec![f32::NAN; m];
    on_cpu.matmul_experts_into(x, &experts, n, &mut picked).unwrap();
    let mut compared = 0;
    for (row, x) in x.chunks(k).enumerate() {
        for (column, weights) in weights.chunks(k).enumerate() {
            let largest = weights.iter().fold(0.0, |largest: f64, weight| {
                // A NaN is as good as an infinity.
                largest.max(if weight.is_nan() { f64::INFINITY } else { weight.abs().into() })
            });
            if largest > 1e30 {
                continue;
            }
            let terms = || weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
            let sum: f64 = terms().sum();
            let x_sum: f64 = x.iter().map(|x| f64::from(x.abs())).sum();
            // Tables of floats are rounded to 8 bits.
            let limit = if cpu.activations == Activations::Int8 { 1e-2 } else { 1e-5 };
            let own = [y[row * n + column], picked[row]];
            let own = &own[..if experts[row] as usize == column { 2 } else { 1 }];
            for &y in own {
                let error = (f64::from(y) - sum).abs();
                assert!(
                    error <= limit * largest * x_sum,
                    "{tensor:?}, {m} rows, {}: y[{row}, {column}] = {y}, not {sum}",
                    on_cpu.kernel(m),
                );
                compared += 1;
            }
        }
    }
    compared
}
