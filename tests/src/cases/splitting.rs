//! Tensors over a binding's limit and grids over a dimension's: small limits, and the real one.

use crate::Failed;
use crate::check::{Product, same_halves, same_weights};
use crate::engine::{ENGINES, Engine, trial};
use crate::random::{Rng, with_seed};
use crate::subject::{Subject, interpreted, subjects};
use libtest_mimic::Trial;
use quantloom::gpu::Gpu;
use quantloom::{Device, Weights};
use quantloom_codegen::Format;
use quantloom_codegen::artifact::{Backend, Element, Grid, Kind};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in &ENGINES {
        for subject in subjects() {
            if engine.name == "wgsl" {
                trials.push(small_limits(subject, engine));
            }
            if ["wgsl", "hip"].contains(&engine.name) && subject.format.weights <= 32 {
                trials.push(large_grid(subject, engine));
            }
        }
    }
    trials
}

/// Bindings of a few KiB, few workgroups to a dimension: everything comes in pieces.
fn small_limits(subject: &'static Subject, engine: &'static Engine) -> Trial {
    let name = format!("splitting/{}/{}/small_limits", subject.name, engine.name);
    trial(name.clone(), engine, move |_| {
        let gpu = Gpu::new()?;
        let Format { weights: block, streams, .. } = &subject.format;
        let blocks = 64u32.div_ceil(*block);
        // The least pieces that start where the device can bind them, and many of them.
        let alignment = gpu.device().limits().min_storage_buffer_offset_alignment;
        let steps = streams.iter().map(|stream| alignment >> stream.bytes.trailing_zeros().min(31));
        let limit = (steps.max().unwrap_or(1) * block * 4).next_power_of_two().max(8 << 10);
        let row = streams.iter().map(|stream| stream.bytes * blocks).max().unwrap_or(1);
        let n = (3 * limit / row).max(307) as usize;
        let m = 3;
        let grid = n.isqrt() as u32 + 1; // two dimensions hold every kernel's launch, one does not

        let mut rng = Rng::new(&name);
        let streams = rng.finite_blocks(&subject.format, n * blocks as usize);
        let x = rng.activations(m * (blocks * block) as usize);
        let tensor = subject.tensor(n, &streams)?;
        for (bytes, workgroups) in [(limit, grid), (limit, 65_535), (1 << 30, grid)] {
            let gpu = gpu.clone().with_binding_limit(bytes.into()).with_workgroup_limit(workgroups);
            let weights = tensor.upload(&Device::from(gpu))?;
            let name = format!("{name}, {bytes} bytes, {workgroups} workgroups");
            with_seed(check(&name, subject, &weights, &streams, &x, m))?;
        }
        Ok(())
    })
}

/// More rows than a one-dimensional grid of the matvec takes.
fn large_grid(subject: &'static Subject, engine: &'static Engine) -> Trial {
    let name = format!("splitting/{}/{}/large_grid", subject.name, engine.name);
    trial(name.clone(), engine, move |device| {
        let format = subject.built_in()?;
        let matvec = format.kernel(Backend::Wgsl, Kind::Matvec, Element::F32).ok_or("no matvec")?;
        let Grid::Rows { per_workgroup } = matvec.grid else {
            return Err("no grid of rows".into());
        };
        let n = 65_535 * per_workgroup as usize + 77;
        let mut rng = Rng::new(&name);
        let streams = rng.finite_blocks(&subject.format, n);
        let x = rng.activations(subject.format.weights as usize);
        let weights = subject.tensor(n, &streams)?.upload(device)?;
        with_seed(check(&name, subject, &weights, &streams, &x, 1))
    })
}

fn check(
    name: &str,
    subject: &Subject,
    weights: &Weights,
    streams: &[Vec<u8>],
    x: &[f32],
    m: usize,
) -> Result<(), Failed> {
    let k = weights.k();
    let expected = interpreted(&subject.format, streams)?;
    same_weights(name, &weights.dequantize()?, &expected)?;
    same_halves(name, &weights.dequantize_f16()?, &expected)?;
    let product = Product::new(&expected, x, k);
    product.check(&format!("{name}, matvec"), &weights.matvec(&x[..k])?, 1)?;
    product.check(&format!("{name}, matmul"), &weights.matmul(x, m)?, m)
}
