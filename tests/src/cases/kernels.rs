//! The CPU's kernels: every format in both storages and both arithmetics, with each level of
//! instructions that this machine has, against an f64 product of the interpreter's weights.

use crate::engine::skip;
use crate::seed::{rng, with_seed};
use crate::subject::{Subject, dims, interpreted, subjects};
use crate::{Failed, test};
use libtest_mimic::{Completion, Trial};
use quantloom::cpu::{self, Cpu, CpuWeights};
use quantloom::verify::compare::{Exact, LIMIT, worst};
use quantloom::verify::rounded::{Rounded, has_codebook};
use quantloom::{Device, Error, Tensor, Weights, f16};

/// Levels of instructions; `REQUIRE` may name them.
pub const LEVELS: [&str; 6] = ["portable", "avx2", "avx512", "neon", "dotprod", "i8mm"];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test("kernels/environment", environment),
        test("kernels/arguments", arguments),
        test("kernels/activations", special_activations),
        test("kernels/infinite_scales", infinite_scales),
    ];
    for level in LEVELS.into_iter().filter(|&level| belongs(level)) {
        for subject in subjects() {
            let name = format!("kernels/{}/{level}", subject.name);
            trials.push(Trial::ignorable_test(name.clone(), move || {
                if !cpu::instructions().iter().any(|known| known == level) {
                    return skip(level, "this processor has not those instructions");
                }
                with_seed(every_kernel(&name, subject, level)).map(|()| Completion::Completed)
            }));
        }
    }
    trials
}

/// Whether a level is one of the processors that this program is compiled for.
fn belongs(level: &str) -> bool {
    let architecture = match level {
        "portable" => return true,
        "avx2" | "avx512" => "x86_64",
        _ => "aarch64",
    };
    std::env::consts::ARCH == architecture
}

/// Weight rows, weights per row (about), activation rows. Rows are one, fewer and more than the 16 of
/// a group and than the groups of a task; k is one block, and longer than the steps of a panel;
/// activation rows are those of every tile, and cut into several.
const SHAPES: [(usize, usize, &[usize]); 5] = [
    (1, 1, &[1, 2, 17]),
    (3, 64, &[1, 3, 12]),
    (17, 1, &[4, 5, 13]),
    (33, 1400, &[1, 2, 6, 8, 25]),
    (129, 300, &[1, 7, 31]),
];

fn every_kernel(name: &str, subject: &Subject, level: &str) -> Result<(), Failed> {
    let mut rng = rng(name);
    for (n, about, ms) in SHAPES {
        let block = subject.format.weights as usize;
        let k = about.div_ceil(block) * block;
        let dims = dims(&subject.format, n, k, &[]);
        let streams = rng.finite_bytes(&subject.format, &dims)?;
        let weights = interpreted(&subject.format, &dims, &streams)?;
        let tensor = subject.tensor(&dims, streams)?;
        let codebook = has_codebook(tensor.format())?;
        for cpu in variants(level)? {
            let uploaded = tensor.upload(&cpu.into())?;
            let on_cpu = on_cpu(&uploaded)?;
            for &m in ms {
                let x = rng.activations(m * k);
                let expected = Expected::new(&weights, &x, k, codebook);
                let context = || format!("{cpu:?}, {}: [{n}, {k}] x {m}", on_cpu.kernel(m));
                product(on_cpu, &x, &expected)
                    .map_err(|error| format!("{}: {error}", context()))?;
            }
            rows(on_cpu, &weights)?;
        }
    }
    Ok(())
}

/// Both storages in both arithmetics.
fn variants(level: &str) -> Result<[Cpu; 4], Error> {
    let native = Cpu::new().with_instructions(level)?;
    Ok([native, native.int8(), native.interleaved(), native.interleaved().int8()])
}

fn on_cpu(weights: &Weights) -> Result<&CpuWeights, Failed> {
    weights.on_cpu().ok_or_else(|| "weights of a CPU are not on it".into())
}

/// What `m` activation rows must give.
struct Expected {
    m: usize,
    outputs: Vec<Rounded>,
}

impl Expected {
    fn new(weights: &[f32], x: &[f32], k: usize, codebook: bool) -> Expected {
        Expected { m: x.len() / k, outputs: Rounded::product(weights, x, k, codebook) }
    }

    /// Whether outputs are as near as the arithmetic promises.
    fn check(&self, kernel: &str, y: &[f32], outputs: &[Rounded]) -> Result<(), String> {
        if kernel.contains("int8") {
            let fault = Rounded::fault(y, outputs);
            return fault.map_or(Ok(()), |fault| Err(format!("{fault:?}")));
        }
        let exact: Vec<Exact> = outputs.iter().map(|output| output.exact).collect();
        let worst = worst(y, &exact);
        if worst <= LIMIT { Ok(()) } else { Err(format!("error {worst:e} of Σ|w·x|")) }
    }
}

/// The product with all weights; and with the matrices that rows pick, which are some of its columns.
fn product(weights: &CpuWeights, x: &[f32], expected: &Expected) -> Result<(), String> {
    let (n, m) = (weights.n(), expected.m);
    let kernel = weights.kernel(m);
    let mut y = vec![f32::NAN; m * n];
    weights.matmul_into(x, m, &mut y).map_err(|error| error.to_string())?;
    expected.check(&kernel, &y, &expected.outputs)?;
    for matrices in [1, 3].into_iter().filter(|&matrices| n.is_multiple_of(matrices)) {
        let used = matrices.min(2);
        let picked: Vec<u32> = (0..m * used).map(|output| (output * 7 % matrices) as u32).collect();
        let own = n / matrices;
        let mut y = vec![f32::NAN; picked.len() * own];
        let computed = weights.matmul_experts_into(x, &picked, matrices, &mut y);
        computed.map_err(|error| error.to_string())?;
        let columns = |(row, &expert): (usize, &u32)| row / used * n + expert as usize * own;
        let rows = picked.iter().enumerate().map(columns);
        let outputs = rows.flat_map(|at| &expected.outputs[at..at + own]).copied();
        let outputs: Vec<Rounded> = outputs.collect();
        let checked = expected.check(&kernel, &y, &outputs);
        checked.map_err(|error| format!("{matrices} matrices: {error}"))?;
    }
    Ok(())
}

/// Rows that are looked up, and all rows, to the bit.
fn rows(weights: &CpuWeights, expected: &[f32]) -> Result<(), Failed> {
    let n = weights.n();
    let k = weights.k();
    let wanted: Vec<u32> = [0, n / 2, n - 1, 0].map(|row| row as u32).to_vec();
    let mut found = vec![f32::NAN; wanted.len() * k];
    weights.gather_into(&wanted, &mut found)?;
    let rows = wanted.iter().flat_map(|&row| &expected[row as usize * k..][..k]);
    let same = |(found, expected): (&f32, &f32)| found.to_bits() == expected.to_bits();
    if !found.iter().zip(rows).all(same) {
        return Err("rows that were looked up differ".into());
    }
    let mut found = vec![f32::NAN; n * k];
    weights.dequantize_into(&mut found)?;
    if !found.iter().zip(expected).all(same) {
        return Err("decoded weights differ".into());
    }
    let mut found = vec![f16::NAN; n * k];
    weights.dequantize_f16_into(&mut found)?;
    let same = |(found, expected): (&f16, &f32)| *found == f16::from_f32(*expected);
    match found.iter().zip(expected).all(same) {
        true => Ok(()),
        false => Err("weights decoded to f16 differ".into()),
    }
}

/// A tensor of the first format that has scales of its own, and what it decodes to.
fn some_tensor(n: usize, blocks: usize) -> Result<(Tensor, Vec<f32>), Failed> {
    let integer = |subject: &&Subject| {
        let format = quantloom::Format::named(&subject.name).ok();
        format.and_then(|format| format.cpu.as_ref()?.coded()).is_some_and(|coded| coded.run == 32)
    };
    let subject = subjects().iter().find(integer).ok_or("no format has runs of 32")?;
    let dims = dims(&subject.format, n, blocks * subject.format.weights as usize, &[]);
    let streams = rng("some_tensor").finite_bytes(&subject.format, &dims)?;
    let weights = interpreted(&subject.format, &dims, &streams)?;
    Ok((subject.tensor(&dims, streams)?, weights))
}

/// Zeros, subnormals, infinities and NaN as the documentation has them.
fn special_activations() -> Result<(), Failed> {
    let (tensor, weights) = some_tensor(18, 64)?;
    let (n, k) = (tensor.n(), tensor.k());
    for level in cpu::instructions() {
        for cpu in variants(&level)? {
            let uploaded = tensor.upload(&cpu.into())?;
            let on_cpu = on_cpu(&uploaded)?;
            for m in [1, 2, 9] {
                let product = |x: &[f32]| -> Result<Vec<f32>, Failed> {
                    let mut y = vec![f32::NAN; m * n];
                    on_cpu.matmul_into(x, m, &mut y)?;
                    Ok(y)
                };
                let zeros = product(&vec![0.0; m * k])?;
                if zeros.iter().any(|y| *y != 0.0) {
                    return Err(format!("{cpu:?}: zeros give {zeros:?}").into());
                }
                let tiny = product(&vec![f32::from_bits(3); m * k])?;
                if tiny.iter().any(|y| y.abs() > 1e-30) {
                    return Err(format!("{cpu:?}: subnormals give {tiny:?}").into());
                }
                for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut x = rng("special").activations(m * k);
                    let ordinary = product(&x)?;
                    x[(m - 1) * k + k / 2] = special;
                    let y = product(&x)?;
                    let (others, own) = y.split_at((m - 1) * n);
                    if others != &ordinary[..others.len()] {
                        return Err(format!("{cpu:?}: {special} reached other rows").into());
                    }
                    let column = weights.iter().skip(k / 2).step_by(k);
                    if own.iter().zip(column).any(|(y, w)| y.is_finite() && *w != 0.0) {
                        return Err(format!("{cpu:?}: {special} gives {own:?}").into());
                    }
                }
            }
        }
    }
    Ok(())
}

/// A scale that is no finite number makes the outputs of its row so, and no others.
fn infinite_scales() -> Result<(), Failed> {
    let (n, mut formats) = (18, 0);
    for subject in subjects().iter().filter(|subject| subject.leads_family()) {
        let k = 4 * subject.format.weights as usize;
        let dims = dims(&subject.format, n, k, &[]);
        let mut streams = rng("infinite_scales").finite_bytes(&subject.format, &dims)?;
        // Many blocks begin with their scale.
        streams[0][..2].copy_from_slice(&f16::INFINITY.to_le_bytes());
        let weights = interpreted(&subject.format, &dims, &streams)?;
        let (first, others) = weights.split_at(subject.format.weights as usize);
        if first.iter().any(|w| w.is_finite()) || !others.iter().all(|w| w.is_finite()) {
            continue;
        }
        formats += 1;
        let tensor = subject.tensor(&dims, streams)?;
        for level in cpu::instructions() {
            for cpu in variants(&level)? {
                let uploaded = tensor.upload(&cpu.into())?;
                for m in [1, 2, 9] {
                    let x = rng("infinite_scales").activations(m * k);
                    let mut y = vec![0.0; m * n];
                    on_cpu(&uploaded)?.matmul_into(&x, m, &mut y)?;
                    let right = |(at, y): (usize, &f32)| y.is_finite() != (at % n == 0);
                    if !y.iter().enumerate().all(right) {
                        return Err(format!("{}, {cpu:?}: {y:?}", subject.name).into());
                    }
                }
            }
        }
    }
    match formats > 5 {
        true => Ok(()),
        false => Err(format!("only {formats} formats begin with a scale").into()),
    }
}

/// Every argument that is wrong is told of by name.
fn arguments() -> Result<(), Failed> {
    let (tensor, _) = some_tensor(6, 2)?;
    let (n, k) = (tensor.n(), tensor.k());
    let uploaded = tensor.upload(&Device::cpu())?;
    let weights = on_cpu(&uploaded)?;
    let x = vec![1.0; 2 * k];
    let mut y = vec![0.0; 2 * n];
    let experts = |x: &[f32], experts: &[u32], matrices, y: &mut [f32]| {
        weights.matmul_experts_into(x, experts, matrices, y)
    };
    let calls = [
        (weights.matmul_into(&x, 3, &mut y), "activations"),
        (weights.matmul_into(&x, 0, &mut []), "m must be at least 1"),
        (weights.matmul_into(&x, 2, &mut y[1..]), "[m, n] are 12"),
        (weights.dequantize_into(&mut y), "[n, k] are"),
        (weights.gather_into(&[0, 6], &mut vec![0.0; 2 * k]), "row 6 of 6"),
        (weights.gather_into(&[0], &mut y), "[rows, k] are"),
        (experts(&x, &[0, 2], 2, &mut y[..6]), "matrix 2 of 2"),
        (experts(&x, &[0, 1], 4, &mut y), "multiple of their number"),
        (experts(&x, &[0, 1], 0, &mut y), "0 matrices"),
        (experts(&x, &[0, 1], 2, &mut y), "[m, used, n / matrices] are 6"),
        (experts(&x, &[0, 1, 1], 2, &mut y), "3 numbers; 2 activation rows need as many"),
        (experts(&x, &[], 2, &mut []), "0 numbers; 2 activation rows need as many"),
        (experts(&[], &[], 2, &mut []), "m must be at least 1"),
    ];
    for (result, wanted) in calls {
        match result {
            Err(error) if error.to_string().contains(wanted) => {}
            other => return Err(format!("{other:?} does not say `{wanted}`").into()),
        }
    }
    Ok(())
}

/// What a name of instructions that are not there comes to.
fn environment() -> Result<(), Failed> {
    match Cpu::new().with_instructions("mmx") {
        Err(error @ Error::Instructions { .. }) if error.to_string().contains("portable") => Ok(()),
        other => Err(format!("instructions `mmx`: {other:?}").into()),
    }
}
