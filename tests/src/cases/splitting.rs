//! Tensors over a binding's limit, grids over a dimension's, workgroups over a device's: small limits, and the
//! real one.

use crate::engine::{ENGINES, Engine, trial};
use crate::passed;
use crate::seed::rng;
use crate::subject::{Subject, dims, subjects};
use libtest_mimic::Trial;
use quantloom::gpu::Gpu;
use quantloom::{Device, wgpu};
use quantloom_codegen::Format;
use quantloom_codegen::artifact::{Backend, Element, Grid, Kind, Order};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for engine in &ENGINES {
        for subject in subjects() {
            if engine.name == "wgsl" {
                trials.push(small_limits(subject, engine));
            }
            // Grids are cut alike for all formats that are addressed alike.
            let short = |subject: &&Subject| subject.format.weights <= 32;
            let alike = |other: &&Subject| other.format.is_plain() == subject.format.is_plain();
            let first = subjects().iter().filter(short).find(alike);
            let own = first.is_some_and(|first| first.name == subject.name);
            if ["wgsl", "hip", "amd", "cuda"].contains(&engine.name) && own {
                trials.push(large_grid(subject, engine));
            }
            if engine.name == "wgsl" && own {
                trials.push(few_invocations(subject, engine));
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
        let least = if subject.format.is_plain() { 8 << 10 } else { 32 << 10 };
        let limit = (steps.max().unwrap_or(1) * block * 4).next_power_of_two().max(least);
        let one = dims(&subject.format, 64, (blocks * block) as usize, &[]);
        let row = streams.iter().map(|s| s.artifact().len(&one).unwrap_or(0) as u32 / 64);
        let n = (3 * limit / row.max().unwrap_or(1).max(1)).max(307) as usize;
        let m = 3;
        let grid = (2 * n).isqrt() as u32 + 1; // two dimensions hold every kernel's launch, one does not

        let case = subject.case(n, (blocks * block) as usize, m, &mut rng(&name))?;
        if subject.format.streams.iter().any(|stream| stream.units.order == Order::Columns) {
            // What belongs to one row lies everywhere: such a tensor is not split.
            let small = Device::from(gpu.with_binding_limit(limit.into()));
            return match case.tensor().upload(&small) {
                Err(error) if error.to_string().contains("cannot be split") => Ok(()),
                Err(error) => Err(error.into()),
                Ok(_) => Err("columns were split by rows".into()),
            };
        }
        for (bytes, workgroups) in [(limit, grid), (limit, 65_535), (1 << 30, grid)] {
            let gpu = gpu.clone().with_binding_limit(bytes.into()).with_workgroup_limit(workgroups);
            let device = Device::from(gpu);
            let name = format!("{name}, {bytes} bytes, {workgroups} workgroups");
            let weights = case.tensor().upload(&device)?;
            let parts = weights.on_gpu().map_or(0, |weights| weights.parts());
            if (parts > 1) != (bytes == limit) {
                return Err(format!("{name}: {parts} parts").into());
            }
            passed(case.check(&device))?;
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
        let k = subject.format.weights as usize;
        passed(subject.case(n, k, 1, &mut rng(&name))?.check(device))
    })
}

/// A device that grants no workgroup of more than 64 invocations, as tiles have: other kernels make up for
/// them.
fn few_invocations(subject: &'static Subject, engine: &'static Engine) -> Trial {
    let name = format!("splitting/{}/{}/few_invocations", subject.name, engine.name);
    trial(name.clone(), engine, move |_| {
        let adapter = wgpu::Instance::default().request_adapter(&Default::default());
        let adapter = pollster::block_on(adapter)?;
        let limits = wgpu::Limits {
            max_compute_invocations_per_workgroup: 64,
            max_compute_workgroup_size_x: 64,
            ..Default::default()
        };
        let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
        let gpu = Gpu::from_parts(device, queue);
        let k = 128usize.next_multiple_of(subject.format.weights as usize);
        let case = subject.case(129, k, 19, &mut rng(&name))?;
        for (gpu, wanted) in [(gpu.clone(), "matvec_experts_f32"), (gpu.int8(), "batch_i8")] {
            let weights = gpu.upload(case.tensor())?;
            let kernel = weights.kernel(19)?;
            // Formats without 8-bit codes are multiplied as they are.
            if !kernel.contains(wanted) && !kernel.contains("matvec_experts_f32") {
                return Err(format!("19 rows go to {kernel}").into());
            }
            passed(case.check_products(&Device::from(gpu)))?;
        }
        Ok(())
    })
}
