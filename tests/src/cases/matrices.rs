//! Products that round to f16 for matrix units, against an f64 product of the interpreter's weights.

use crate::engine::{HIP_HOST, skip};
use crate::seed::{rng, with_seed};
use crate::subject::{Subject, subjects};
use crate::{Failed, passed, test};
use libtest_mimic::{Completion, Trial};
use quantloom::Device;
use quantloom::artifact::{Activations, Backend};
use quantloom::gpu::Gpu;
use quantloom::hip::Hip;
use std::sync::LazyLock;

/// A device whose products round to f16.
struct Engine {
    name: &'static str,
    /// What `REQUIRE` calls it: matrix units are more than a device.
    requires: &'static str,
    device: LazyLock<Result<Device, String>>,
}

static ENGINES: [Engine; 4] = [
    Engine {
        name: "wgsl",
        requires: "matrices",
        device: LazyLock::new(|| {
            let gpu = Gpu::new().map_err(|error| error.to_string())?.f16();
            match gpu.has_matrices() {
                true => Ok(gpu.into()),
                false => Err(format!("{gpu:?} has no cooperative matrices of f16 that fit")),
            }
        }),
    },
    Engine {
        name: "hip",
        requires: "hip",
        device: LazyLock::new(|| HIP_HOST.clone().map(|host| host.f16().into())),
    },
    Engine { name: "amd", requires: "amd", device: LazyLock::new(|| with_units(Hip::amd(0))) },
    Engine { name: "cuda", requires: "cuda", device: LazyLock::new(|| with_units(Hip::cuda(0))) },
];

fn with_units(hip: quantloom::Result<Hip>) -> Result<Device, String> {
    let hip = hip.map_err(|error| error.to_string())?.f16();
    match hip.has_matrices() {
        true => Ok(hip.into()),
        false => Err(format!("{} has no matrix units of f16", hip.target())),
    }
}

/// Weight rows, weights per row (about, at least a block), activation rows: beside and on the edges of
/// matrices and tiles; the last are few enough to stay exact.
const SMALL: [(usize, usize, usize); 4] = [(3, 40, 33), (257, 1, 33), (1, 1, 17), (33, 64, 16)];

/// Likewise; several tiles, many steps, and rows that end within a step.
const LARGE: [(usize, usize, usize); 3] = [(129, 256, 130), (128, 1000, 128), (260, 96, 257)];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![test("matrices/every_format", every_format)];
    for engine in &ENGINES {
        for (number, subject) in subjects().iter().enumerate() {
            // Of formats that share a descriptor one sees all shapes. Where the CPU computes, a large one
            // takes seconds: there formats take turns.
            let (small, large) = match (subject.leads_family(), engine.name) {
                (false, _) => (&SMALL[..2], &[][..]),
                (true, "hip" | "wgsl") => (&SMALL[..], &LARGE[number % LARGE.len()..][..1]),
                (true, _) => (&SMALL[..], &LARGE[..]),
            };
            for &(n, about, m) in small.iter().chain(large) {
                let k = about.next_multiple_of(subject.format.weights as usize);
                let name = format!("matrices/{}/{}/{n}x{k}x{m}", subject.name, engine.name);
                trials.push(Trial::ignorable_test(name.clone(), move || match &*engine.device {
                    Ok(device) => with_seed(product(&name, subject, device, [n, k, m]))
                        .map(|()| Completion::Completed),
                    Err(reason) => skip(engine.requires, reason),
                }));
            }
        }
    }
    trials.push(Trial::ignorable_test("matrices/split", split));
    trials
}

/// A tensor in several parts, whose outputs are columns of longer rows: beginning anywhere, and all at
/// multiples of 16 bytes.
fn split() -> Result<Completion, Failed> {
    let gpu = Gpu::new()?.f16().with_binding_limit(64 << 10);
    if !gpu.has_matrices() {
        return skip("matrices", &format!("{gpu:?} has no cooperative matrices of f16 that fit"));
    }
    let plain = subjects().iter().find(|s| s.format.is_plain() && s.format.weights == 32);
    let subject = plain.ok_or("no plain format")?;
    for n in [331, 1024] {
        let case = subject.case(n, 512, 32, &mut rng(&format!("matrices/split/{n}")))?;
        let device = Device::from(gpu.clone());
        let weights = case.tensor().upload(&device)?;
        if weights.on_gpu().is_none_or(|weights| weights.parts() < 2) {
            return Err("it is not split".into());
        }
        passed(case.check_products(&device))?;
    }
    Ok(Completion::Completed)
}

/// Strips of all built-in formats fit the tiles.
fn every_format() -> Result<(), Failed> {
    for subject in subjects() {
        let format = subject.built_in()?;
        for (backend, matrix) in [(Backend::Wgsl, 16), (Backend::Wgsl, 8), (Backend::Hip, 16)] {
            let missing = || format!("{} has none for {backend:?}, {matrix}", format.name);
            format.f16_kernel(backend, matrix).ok_or_else(missing)?;
        }
    }
    Ok(())
}

fn product(
    name: &str,
    subject: &Subject,
    device: &Device,
    [n, k, m]: [usize; 3],
) -> Result<(), Failed> {
    let case = subject.case(n, k, m, &mut rng(name))?;
    let weights = case.tensor().upload(device)?;
    let read = weights.activations();
    if read != Activations::F16 {
        return Err(format!("activations are read as {read:?}").into());
    }
    if let Some(weights) = weights.on_gpu() {
        let [few, many] = [weights.kernel(16)?, weights.kernel(17)?];
        if few.contains("f16_matrix") || !many.contains("f16_matrix") {
            return Err(format!("16 rows go to {few}, 17 to {many}").into());
        }
    }
    passed(case.check_products(device))?;
    passed(case.check_epilogues(device))
}
