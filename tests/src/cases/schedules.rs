//! Kernels with other schedules than the compiler's: small ones and large ones, with numbers that divide
//! nothing.

use crate::amdgpu::Clang;
use crate::engine::{HIP_HOST, skip};
use crate::nvptx;
use crate::seed::{SEED, rng, with_seed};
use crate::subject::{Subject, dims, interpreted, subjects};
use crate::{Failed, passed, test};
use libtest_mimic::{Completion, Trial};
use quantloom::artifact::{Activations, Backend, Kind};
use quantloom::gpu::Gpu;
use quantloom::verify::{Case, Origin};
use quantloom::{Device, Format, Tensor};
use quantloom_codegen::{Numbers, Schedules};
use std::sync::LazyLock;

/// A device that multiplies in one of its ways.
struct Way {
    name: &'static str,
    /// What `REQUIRE` calls it.
    requires: &'static str,
    device: LazyLock<Result<Device, String>>,
}

static WAYS: [Way; 7] = [
    Way { name: "wgsl/exact", requires: "wgsl", device: LazyLock::new(|| gpu(Ok)) },
    Way {
        name: "wgsl/int8",
        requires: "wgsl",
        device: LazyLock::new(|| gpu(|gpu| Ok(gpu.int8()))),
    },
    Way {
        name: "wgsl/int8/workgroup",
        requires: "wgsl",
        device: LazyLock::new(|| gpu(|gpu| Ok(gpu.int8().without_subgroups()))),
    },
    Way {
        name: "wgsl/f16",
        requires: "matrices",
        device: LazyLock::new(|| {
            gpu(|gpu| match gpu.has_matrices() {
                true => Ok(gpu.f16()),
                false => Err(format!("{gpu:?} has no cooperative matrices of f16 that fit")),
            })
        }),
    },
    Way {
        name: "hip/exact",
        requires: "hip",
        device: LazyLock::new(|| HIP_HOST.clone().map(Device::from)),
    },
    Way {
        name: "hip/int8",
        requires: "hip",
        device: LazyLock::new(|| HIP_HOST.clone().map(|host| host.int8().into())),
    },
    Way {
        name: "hip/f16",
        requires: "hip",
        device: LazyLock::new(|| HIP_HOST.clone().map(|host| host.f16().into())),
    },
];

fn gpu(way: impl FnOnce(Gpu) -> Result<Gpu, String>) -> Result<Device, String> {
    way(Gpu::new().map_err(|error| error.to_string())?).map(Device::from)
}

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        test("schedules/refused", refused),
        test("schedules/strips_are_as_wide_as_asked", strips_are_as_wide_as_asked),
    ];
    for (size, numbers) in SIZES {
        trials.push(Trial::ignorable_test(format!("schedules/{size}/amdgpu"), move || {
            match Clang::find() {
                Ok(clang) => compiles(&clang, numbers).map(|()| Completion::Completed),
                Err(reason) => skip("amdgpu", &reason),
            }
        }));
    }
    // A host compiler takes a while for all kernels of a format.
    let families = || subjects().iter().filter(|subject| subject.leads_family());
    let (some, few) = (families().step_by(5), families().step_by(12));
    for (backend, subject) in some.map(|s| ("wgsl", s)).chain(few.map(|s| ("hip", s))) {
        for (size, numbers) in SIZES {
            for way in WAYS.iter().filter(|way| way.name.starts_with(backend)) {
                let name = format!("schedules/{}/{size}/{}", subject.name, way.name);
                trials.push(Trial::ignorable_test(name.clone(), move || match &*way.device {
                    Ok(device) => {
                        let exact = way.name.ends_with("exact");
                        with_seed(scheduled(&name, subject, numbers, device, exact))
                            .map(|()| Completion::Completed)
                    }
                    Err(reason) => skip(way.requires, reason),
                }));
            }
        }
    }
    trials
}

type Chosen = [(Kind, Activations, Numbers); 9];

const NONE: Numbers = Numbers::NONE;

const fn by_rows(workgroup: u32, quads: u32) -> Numbers {
    Numbers { workgroup: Some(workgroup), quads: Some(quads), ..NONE }
}

const fn tiles([threads_n, threads_m]: [u32; 2], [each_n, each_m]: [u32; 2], step: u32) -> Numbers {
    Numbers {
        threads_n: Some(threads_n),
        threads_m: Some(threads_m),
        each_n: Some(each_n),
        each_m: Some(each_m),
        step: Some(step),
        ..NONE
    }
}

const fn matrices([subgroups_n, subgroups_m]: [u32; 2], [n, m]: [u32; 2], step: u32) -> Numbers {
    Numbers {
        subgroups_n: Some(subgroups_n),
        subgroups_m: Some(subgroups_m),
        matrices_n: Some(n),
        matrices_m: Some(m),
        step: Some(step),
        ..NONE
    }
}

const SMALL: Chosen = [
    (Kind::Dequant, Activations::F32, by_rows(32, 1)),
    (Kind::Matvec, Activations::F32, Numbers { rows: Some(1), ..by_rows(32, 2) }),
    (Kind::Matmul, Activations::F32, tiles([4, 8], [3, 1], 4)),
    (Kind::MatvecExperts, Activations::F32, Numbers { rows: Some(3), ..by_rows(32, 4) }),
    (Kind::MatmulExperts, Activations::F32, tiles([8, 4], [1, 3], 16)),
    (Kind::Matvec, Activations::Int8, Numbers { rows: Some(2), ..by_rows(32, 2) }),
    (Kind::Batch, Activations::Int8, Numbers { rows: Some(2), columns: Some(5), ..by_rows(32, 1) }),
    (Kind::Matmul, Activations::Int8, tiles([4, 8], [3, 1], 16)),
    (Kind::Matmul, Activations::F16, matrices([1, 2], [1, 1], 16)),
];

const LARGE: Chosen = [
    (Kind::Dequant, Activations::F32, by_rows(256, 64)),
    (Kind::Matvec, Activations::F32, Numbers { rows: Some(5), ..by_rows(256, 64) }),
    (Kind::Matmul, Activations::F32, tiles([16, 16], [1, 2], 64)),
    (Kind::MatvecExperts, Activations::F32, Numbers { rows: Some(7), ..by_rows(128, 16) }),
    (Kind::MatmulExperts, Activations::F32, tiles([32, 8], [1, 1], 64)),
    (Kind::Matvec, Activations::Int8, Numbers { rows: Some(3), ..by_rows(256, 64) }),
    (
        Kind::Batch,
        Activations::Int8,
        Numbers { rows: Some(3), columns: Some(7), ..by_rows(64, 64) },
    ),
    (Kind::Matmul, Activations::Int8, tiles([16, 16], [1, 2], 64)),
    (Kind::Matmul, Activations::F16, matrices([4, 2], [1, 2], 64)),
];

const SIZES: [(&str, Chosen); 2] = [("small", SMALL), ("large", LARGE)];

fn schedules(chosen: Chosen) -> Schedules {
    let both = [Backend::Wgsl, Backend::Hip];
    let all = both.into_iter().flat_map(|backend| chosen.map(|own| (backend, own)));
    all.fold(Schedules::default(), |schedules, (backend, (kind, activations, numbers))| {
        schedules.with(backend, kind, activations, numbers)
    })
}

/// Weight rows, weights per row (at least so many), activation rows.
const SHAPES: [(usize, usize, usize); 3] = [(37, 300, 17), (130, 1, 33), (37, 1, 13)];

/// `exact`: with decoding, and products with chosen matrices, which never round.
fn scheduled(
    name: &str,
    subject: &Subject,
    chosen: Chosen,
    device: &Device,
    exact: bool,
) -> Result<(), Failed> {
    let format = subject.built_in()?.scheduled(&schedules(chosen))?;
    for (n, k, m) in SHAPES {
        let k = k.next_multiple_of(subject.format.weights as usize);
        let case = case(name, subject, &format, [n, k, m])?;
        match exact {
            true => passed(case.check(device))?,
            false => {
                passed(case.check_products(device))?;
                passed(case.check_epilogues(device))?;
            }
        }
    }
    Ok(())
}

fn case(
    name: &str,
    subject: &Subject,
    format: &Format,
    [n, k, m]: [usize; 3],
) -> Result<Case, Failed> {
    let rng = &mut rng(&format!("{name}/{n}x{k}x{m}"));
    let dims = dims(&subject.format, n, k, &[]);
    let streams = rng.finite_bytes(&subject.format, &dims)?;
    let weights = interpreted(&subject.format, &dims, &streams)?;
    let tensor = Tensor::new("weights", format, n, k, streams)?;
    Ok(Case::new(tensor, weights, Origin::Seed(*SEED)).with_activations(m, rng))
}

/// A format that has 8-bit kernels and those by matrix units.
fn coded() -> Result<Format, Failed> {
    let all = quantloom::formats().iter();
    let mut coded = all.filter(|format| {
        format.weights == 32
            && format.int8_kernel(Backend::Wgsl, Kind::Batch, true).is_some()
            && format.f16_kernel(Backend::Hip, 16).is_some()
    });
    Ok(coded.next().ok_or("no such format")?.into())
}

/// HIP kernels become code for subgroups of 64 and of 32, and for NVIDIA's.
fn compiles(clang: &Clang, chosen: Chosen) -> Result<(), Failed> {
    let (own, format) = (coded()?, coded()?.scheduled(&schedules(chosen))?);
    let others = format.kernels.iter().filter(|kernel| !own.kernels.contains(kernel));
    let hip: Vec<_> = others.filter(|kernel| kernel.backend == Backend::Hip).collect();
    let texts: Vec<(&str, String)> = hip.iter().map(|own| (&*own.name, own.source())).collect();
    if texts.len() <= chosen.len() {
        return Err(format!("{} kernels have other schedules", texts.len()).into());
    }
    for (name, text) in texts {
        for target in ["gfx942", "gfx1100"] {
            let object = clang.compile(name, &text, target);
            object.map_err(|message| format!("{name} for {target}: {message}"))?;
        }
        nvptx::compile(clang, name, &text)?;
    }
    Ok(())
}

/// What needs more than devices have is told of, by the kernels it is for.
fn refused() -> Result<(), Failed> {
    let (format, wgsl) = (coded()?, Backend::Wgsl);
    let sums = Numbers { rows: Some(4), columns: Some(16), ..by_rows(128, 16) };
    let one = Numbers { rows: Some(1), ..NONE };
    for (backend, kind, activations, numbers, says) in [
        (wgsl, Kind::Batch, Activations::Int8, sums, "batch kernels with i8 activations"),
        (wgsl, Kind::Matvec, Activations::Int8, one, "in WGSL it must be 2 to 4"),
        (wgsl, Kind::Matmul, Activations::F16, one, "there is no `rows`; there are subgroups_n"),
        (Backend::Hip, Kind::Matmul, Activations::F16, matrices([8, 1], [1, 1], 32), "even"),
        (wgsl, Kind::Matmul, Activations::F32, tiles([16, 16], [8, 8], 32), "36864 bytes"),
        (wgsl, Kind::Quantize, Activations::F32, by_rows(64, 1), "no such kernels"),
    ] {
        let schedules = Schedules::default().with(backend, kind, activations, numbers);
        match format.scheduled(&schedules) {
            Err(error) if error.to_string().contains(says) => {}
            other => return Err(format!("{numbers:?}: {other:?}, not {says}").into()),
        }
    }
    Ok(())
}

/// Strips have no more quads than asked for, and fall back to a single quad.
fn strips_are_as_wide_as_asked() -> Result<(), Failed> {
    let format = coded()?;
    let strips = |quads| -> Result<u32, Failed> {
        let numbers = Numbers { quads: Some(quads), ..NONE };
        let own = (Backend::Wgsl, Kind::Dequant, Activations::F32, numbers);
        let schedules = Schedules::default().with(own.0, own.1, own.2, own.3);
        let format = format.scheduled(&schedules)?;
        let kernel = format.kernel(own.0, own.1, quantloom::artifact::Element::F32);
        match kernel.map(|kernel| kernel.grid) {
            Some(quantloom::artifact::Grid::Strips { strips, .. }) => Ok(strips),
            other => Err(format!("{other:?}").into()),
        }
    };
    let weights = format.weights;
    for quads in [1, 2, 3, 4, 7, 8, 64] {
        let count = strips(quads)?;
        let own = weights / 4 / count;
        if own > quads || weights != count * own * 4 {
            return Err(format!("{own} quads in a strip, at most {quads} were asked for").into());
        }
    }
    let (narrow, wide) = (strips(1)?, strips(64)?);
    match narrow == weights / 4 && wide < narrow {
        true => Ok(()),
        false => Err(format!("{narrow} strips of a quad, {wide} of many").into()),
    }
}
