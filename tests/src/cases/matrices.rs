//! Matmuls that round to f16 for matrix units, against an f64 product of the interpreter's weights.

use crate::Failed;
use crate::engine::skip;
use crate::seed::{rng, with_seed};
use crate::subject::{Subject, dims, interpreted, subjects};
use crate::test;
use libtest_mimic::{Completion, Trial};
use quantloom::artifact::{Activations, Backend};
use quantloom::gpu::{Gpu, GpuWeights};
use std::sync::LazyLock;

/// Largest error of an output, of Σ|w·x|: a weight and an activation lose a 2048th each where they are
/// rounded to nearest, twice that where a device cuts off.
const ROUNDED: f64 = 2e-3;
/// f16 below 2^-14 are so far apart.
const LEAST: f64 = 1.0 / (1 << 24) as f64;

/// Weight rows, weights per row (about, at least a block), activation rows: beside, on and past the
/// edges of matrices and tiles, and rows that end within a step.
const SHAPES: [(usize, usize, usize); 6] =
    [(1, 1, 17), (3, 40, 33), (129, 256, 130), (257, 1, 33), (128, 1000, 128), (260, 96, 257)];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![test("matrices/every_format", every_format)];
    for subject in subjects() {
        let shapes = if subject.leads_family() { &SHAPES[..] } else { &SHAPES[1..3] };
        for &(n, about, m) in shapes {
            let k = about.next_multiple_of(subject.format.weights as usize);
            let name = format!("matrices/{}/wgsl/{n}x{k}x{m}", subject.name);
            trials.push(Trial::ignorable_test(name.clone(), move || match &*GPU {
                Ok(gpu) => with_seed(product(&name, subject, gpu, [n, k, m]))
                    .map(|()| Completion::Completed),
                Err(reason) => skip("matrices", reason),
            }));
        }
    }
    trials
}

/// A device with cooperative matrices.
static GPU: LazyLock<Result<Gpu, String>> = LazyLock::new(|| {
    let gpu = Gpu::new().map_err(|error| error.to_string())?.f16();
    match gpu.has_matrices() {
        true => Ok(gpu),
        false => Err(format!("{} has no cooperative matrices of f16 that fit", gpu.name())),
    }
});

/// Strips of all built-in formats fit the tiles.
fn every_format() -> Result<(), Failed> {
    for subject in subjects() {
        let format = subject.built_in()?;
        for (backend, matrix) in [(Backend::Wgsl, 16), (Backend::Wgsl, 8)] {
            let kernel = format.f16_kernel(backend, matrix).ok_or_else(|| format.name.to_string())?;
            if (kernel.backend, kernel.activations) != (backend, Activations::F16) {
                return Err(format!("{} is another kernel", kernel.name).into());
            }
        }
    }
    Ok(())
}

fn product(name: &str, subject: &Subject, gpu: &Gpu, [n, k, m]: [usize; 3]) -> Result<(), Failed> {
    let mut rng = rng(name);
    let dims = dims(&subject.format, n, k, &[]);
    let streams = rng.finite_bytes(&subject.format, &dims)?;
    let weights = interpreted(&subject.format, &dims, &streams)?;
    let x = rng.activations(m * k);
    let uploaded = subject.tensor(&dims, streams)?.upload(&gpu.clone().into())?;
    uploaded.on_gpu().ok_or("not on a GPU").map_err(Failed::from).and_then(takes_matrices)?;
    let y = uploaded.matmul(&x, m)?;
    if y.len() != m * n {
        return Err(format!("{} outputs", y.len()).into());
    }
    for (row, (x, y)) in x.chunks_exact(k).zip(y.chunks_exact(n)).enumerate() {
        for (column, (w, &y)) in weights.chunks_exact(k).zip(y).enumerate() {
            let terms = w.iter().zip(x).map(|(&w, &x)| (f64::from(w), f64::from(x)));
            let sum: f64 = terms.clone().map(|(w, x)| w * x).sum();
            let slack = |(w, x): (f64, f64)| ROUNDED * (w * x).abs() + LEAST * (w.abs() + x.abs());
            let off = (f64::from(y) - sum).abs();
            if off.is_nan() || off > terms.map(slack).sum() {
                return Err(format!("output [{row}, {column}] is {y}, not {sum}").into());
            }
        }
    }
    Ok(())
}

/// Many activation rows go to the matrices, few do not.
fn takes_matrices(weights: &GpuWeights) -> Result<(), Failed> {
    let [few, many] = [weights.kernel(16)?, weights.kernel(17)?];
    match !few.contains("matmul_f16") && many.contains("matmul_f16") {
        true => Ok(()),
        false => Err(format!("16 rows go to {few}, 17 to {many}").into()),
    }
}
