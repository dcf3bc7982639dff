//! Products with 8-bit activations on GPUs, with every kernel that a device may pick, against an f64
//! product of the interpreter's weights.

use crate::engine::{HIP_HOST, skip};
use crate::seed::{rng, with_seed};
use crate::subject::{Subject, subjects};
use crate::{Failed, passed};
use libtest_mimic::{Completion, Trial};
use quantloom::artifact::Activations;
use quantloom::gpu::Gpu;
use quantloom::hip::Hip;
use quantloom::{Device, wgpu};
use quantloom_codegen::lower;
use std::sync::LazyLock;

/// A device whose products round activations.
struct Variant {
    name: &'static str,
    /// The engine that it belongs to.
    engine: &'static str,
    device: LazyLock<Result<Device, String>>,
}

static VARIANTS: [Variant; 5] = [
    Variant {
        name: "subgroups",
        engine: "wgsl",
        device: LazyLock::new(|| {
            let gpu = Gpu::new().map_err(|error| error.to_string())?.int8();
            match gpu.device().features().contains(wgpu::Features::SUBGROUP) {
                true => Ok(gpu.into()),
                false => Err(format!("{gpu:?} has no subgroup operations")),
            }
        }),
    },
    Variant {
        name: "workgroup",
        engine: "wgsl",
        device: LazyLock::new(|| opened(Gpu::new().map(|gpu| gpu.int8().without_subgroups()))),
    },
    Variant {
        name: "host",
        engine: "hip",
        device: LazyLock::new(|| HIP_HOST.clone().map(|host| host.int8().into())),
    },
    Variant {
        name: "device",
        engine: "amd",
        device: LazyLock::new(|| opened(Hip::amd(0).map(Hip::int8))),
    },
    Variant {
        name: "device",
        engine: "cuda",
        device: LazyLock::new(|| opened(Hip::cuda(0).map(Hip::int8))),
    },
];

/// Bytes that a binding of [`SMALL`] has.
const BINDING: u64 = 40 << 10;

static SMALL: Variant = Variant {
    name: "small_bindings",
    engine: "wgsl",
    device: LazyLock::new(|| opened(Gpu::new().map(|gpu| gpu.int8().with_binding_limit(BINDING)))),
};

fn opened(device: quantloom::Result<impl Into<Device>>) -> Result<Device, String> {
    device.map(Into::into).map_err(|error| error.to_string())
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for variant in &VARIANTS {
        for subject in subjects() {
            trials.push(variant.trial(&subject.name, move |device| every_shape(subject, device)));
        }
        trials.push(variant.trial("activations", special_activations));
    }
    trials.push(SMALL.trial("parts", tensors_in_parts));
    trials
}

impl Variant {
    fn trial(
        &'static self,
        what: &str,
        test: impl FnOnce(&Device) -> Result<(), Failed> + Send + 'static,
    ) -> Trial {
        let name = format!("int8/{what}/{}/{}", self.engine, self.name);
        Trial::ignorable_test(name, move || match &*self.device {
            Ok(device) => with_seed(test(device)).map(|()| Completion::Completed),
            Err(reason) => skip(self.engine, reason),
        })
    }
}

/// Weight rows, weights per row (at least so many), activation rows: rows beside, on and past those of a
/// workgroup, tiles that are full, half full and nearly empty, k of one block and of several, and such
/// that invocations have one strip or more.
const SHAPES: [(usize, usize, usize); 7] =
    [(257, 300, 3), (65, 200, 67), (1, 1, 2), (129, 1, 16), (3, 1100, 17), (2, 1, 64), (7, 1, 129)];

fn every_shape(subject: &Subject, device: &Device) -> Result<(), Failed> {
    let coded = lower::dots(&subject.format).is_some();
    let wanted = if coded { Activations::Int8 } else { Activations::F32 };
    // Of formats that share a descriptor one sees all shapes; without codes kernels are those of
    // exact products.
    let shapes = match (coded, subject.leads_family()) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => SHAPES.len(),
    };
    for &(n, k, m) in &SHAPES[..shapes] {
        let k = k.next_multiple_of(subject.format.weights as usize);
        let case =
            subject.case(n, k, m, &mut rng(&format!("int8/{}/{n}x{k}x{m}", subject.name)))?;
        let weights = case.tensor().upload(device)?;
        let read = weights.activations();
        if read != wanted {
            return Err(format!("activations are read as {read:?}, not {wanted:?}").into());
        }
        if let Some(weights) = weights.on_gpu().filter(|_| coded) {
            for (m, kind) in [(1, "matvec_i8"), (16, "batch_i8"), (17, "matmul_i8")] {
                let kernel = weights.kernel(m)?;
                if !kernel.contains(kind) {
                    return Err(format!("{m} rows go to {kernel}").into());
                }
            }
        }
        passed(case.check_products(device))?;
        passed(case.check_epilogues(device))?;
    }
    Ok(())
}

/// A format with offsets and one without, of those that are `wanted`.
fn various(wanted: impl Fn(&Subject) -> bool + Copy) -> impl Iterator<Item = &'static Subject> {
    let with = move |offset: bool| {
        let mut all = subjects().iter().filter(|subject| wanted(subject));
        all.find(move |subject| match lower::dots(&subject.format) {
            Some(Ok(dots)) => dots.offset == offset,
            _ => false,
        })
    };
    [with(false), with(true)].into_iter().flatten()
}

/// Zeros, subnormals, infinities and NaN as the documentation has them.
fn special_activations(device: &Device) -> Result<(), Failed> {
    for subject in various(|_| true) {
        let k = 300usize.next_multiple_of(subject.format.weights as usize);
        let case = subject.case(5, k, 17, &mut rng("special"))?;
        let (weights, n) = (case.tensor().upload(device)?, 5);
        let product = |x: &[f32]| match x.len() / k {
            1 => weights.matvec(x),
            m => weights.matmul(x, m),
        };
        for m in [1, 3, 17] {
            if product(&vec![0.0; m * k])?.iter().any(|y| *y != 0.0) {
                return Err("zeros give something".into());
            }
            let tiny = product(&vec![f32::from_bits(3); m * k])?;
            if tiny.iter().any(|y| *y != 0.0) {
                return Err(format!("subnormals give {tiny:?}").into());
            }
            for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = case.activations()[..m * k].to_vec();
                let ordinary = product(&x)?;
                x[(m - 1) * k + k / 2] = special;
                let y = product(&x)?;
                let (others, own) = y.split_at((m - 1) * n);
                if others != &ordinary[..others.len()] {
                    return Err(format!("{special} reached other rows").into());
                }
                if !own.iter().all(|y| y.is_nan()) {
                    return Err(format!("{special} gives {own:?}").into());
                }
            }
        }
    }
    Ok(())
}

/// Tensors over a binding's limit: each part has columns of its own in the output.
fn tensors_in_parts(device: &Device) -> Result<(), Failed> {
    let (k, m) = (512, 17);
    let block = |subject: &Subject| -> u32 {
        subject.format.streams.iter().map(|stream| stream.bytes).sum()
    };
    // Of fewer bits there would be more rows in three parts than outputs in a binding.
    let wanted = |subject: &Subject| {
        subject.format.is_plain() && 2 * block(subject) >= subject.format.weights
    };
    for subject in various(wanted) {
        let row = block(subject) * k as u32 / subject.format.weights;
        let n = (5 * BINDING / 2) as usize / row as usize;
        let case = subject.case(n, k, m, &mut rng("parts"))?;
        let parts = case.tensor().upload(device)?.on_gpu().map_or(0, |weights| weights.parts());
        if parts < 3 {
            return Err(format!("{}: {parts} parts", subject.name).into());
        }
        passed(case.check_products(device))?;
        passed(case.check_epilogues(device))?;
    }
    Ok(())
}
