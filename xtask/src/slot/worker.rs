//! A device's process: opens it once, and does what it is told until nobody tells it any more.

use super::check;
use super::job::Job;
use super::line::{Named, Outcome};
use super::process::Answer;
use crate::bench::Result;
use crate::bench::gpu::bench::Bench;
use crate::bench::gpu::ceiling::Ceiling;
use crate::bench::gpu::hip::{self, HipMachine};
use crate::bench::gpu::machine::Machine;
use crate::bench::gpu::options::{Api, Kind, Precision};
use crate::bench::gpu::target::Targets;
use crate::bench::gpu::wgpu::{self, WgpuMachine};
use crate::bench::timing::{Call, Plan, measure};
use crate::failure::{Failure, Outcome as Done};
use crate::print;
use crate::tune;
use clap::ValueEnum;
use quantloom::artifact::Backend;
use quantloom::gpu::Gpu;
use quantloom::hip::{Compiler, Hip};
use quantloom::{Device, Format, wgpu as graphics};
use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Serves jobs of standard input.
pub fn run(api: Api) -> Done {
    let (sender, jobs) = channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
        // Who asked is gone, and a kernel that runs may never end.
        std::process::exit(0);
    });
    let served = match api {
        Api::Cuda => hip_machine(&jobs, api, Hip::cuda(0), Compiler::cuda()),
        Api::Amd => hip_machine(&jobs, api, Hip::amd(0), Compiler::amd()),
        Api::Wgpu => graphics_machine(&jobs),
    };
    served.map_err(Failure::input)
}

fn hip_machine(
    jobs: &Receiver<String>,
    api: Api,
    hip: quantloom::Result<Hip>,
    compiler: quantloom::Result<Compiler>,
) -> Result<()> {
    let found = match &compiler {
        Ok(compiler) => format!("compiler: {}", compiler.version()),
        Err(error) => format!("no compiler: {error}"),
    };
    let open = || -> Result<_> {
        let hip = hip?;
        let devices = hip::ways(&hip).into_iter().map(|(own, hip)| (own, Device::from(hip)));
        let devices: Vec<(Precision, Device)> = devices.collect();
        let facts = vec![format!("target {}", hip.target()), found.clone()];
        let grids = Device::from(hip.clone().with_workgroup_limit(GRID));
        Ok((HipMachine::new(hip)?, devices, grids, facts))
    };
    match open() {
        Ok((machine, devices, grids, facts)) => {
            Served { api, backend: Backend::Hip, machine: &machine, devices, grids, facts }
                .serve(jobs)
        }
        Err(error) => missing(jobs, &[error.to_string(), found]),
    }
}

fn graphics_machine(jobs: &Receiver<String>) -> Result<()> {
    let instance = graphics::Instance::default();
    let adapters = pollster::block_on(instance.enumerate_adapters(graphics::Backends::all()));
    let mut facts: Vec<String> = adapters.iter().map(adapter_facts).collect();
    let gpu = match Gpu::new() {
        Ok(gpu) => gpu,
        Err(error) => {
            facts.insert(0, error.to_string());
            return missing(jobs, &facts);
        }
    };
    let features = gpu.device().features();
    facts.push(format!("features {features}"));
    let devices = wgpu::ways(&gpu).into_iter().map(|(own, gpu)| (own, Device::from(gpu)));
    let devices = devices.collect();
    let grids = Device::from(gpu.clone().with_workgroup_limit(GRID));
    let machine = WgpuMachine::new(gpu);
    let (api, backend) = (Api::Wgpu, Backend::Wgsl);
    Served { api, backend, machine: &machine, devices, grids, facts }.serve(jobs)
}

fn adapter_facts(adapter: &graphics::Adapter) -> String {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    format!(
        "adapter {} ({:?}, {:?}), driver {} {}, subgroups {} to {}, bindings of {} MiB, workgroup memory \
         {} KiB, {} shapes of cooperative matrices",
        info.name,
        info.backend,
        info.device_type,
        info.driver,
        info.driver_info,
        info.subgroup_min_size,
        info.subgroup_max_size,
        limits.max_storage_buffer_binding_size >> 20,
        limits.max_compute_workgroup_storage_size >> 10,
        adapter.cooperative_matrix_properties().len(),
    )
}

/// Workgroups of a grid in one dimension, for what would have several dimensions otherwise with large
/// tensors only.
const GRID: u32 = 3;

/// Says why there is no device.
fn missing(jobs: &Receiver<String>, reasons: &[String]) -> Result<()> {
    for _ in jobs {
        answer(Named::default(), Outcome::Skipped { reason: reasons.join("; ") }, false)?;
    }
    Ok(())
}

fn answer(named: Named, result: Outcome, more: bool) -> Result<()> {
    let text = serde_json::to_string(&Answer { named, result, more })?;
    Ok(print::out(format!("{text}\n"))
        .map_err(|failure| failure.text(false).unwrap_or_default())?)
}

/// A device at work.
struct Served<'a, M: Machine> {
    api: Api,
    backend: Backend,
    machine: &'a M,
    /// For each precision.
    devices: Vec<(Precision, Device)>,
    /// With grids of two dimensions.
    grids: Device,
    facts: Vec<String>,
}

/// Bytes of copies of a tensor: several times the largest caches.
fn rotate(small: bool) -> u64 {
    (if small { 16 } else { 512 }) << 20
}

/// Bytes that are read to find out how fast that is.
const PROBE: u64 = 16 << 20;

impl<M: Machine> Served<'_, M> {
    fn serve(self, jobs: &Receiver<String>) -> Result<()> {
        let precisions = Precision::value_variants();
        let bench = |small: bool| {
            let seconds = Duration::from_secs_f64(if small { 0.1 } else { 0.4 });
            Bench::new(self.machine, precisions, seconds, rotate(small))
        };
        let (mut benches, mut checked) = ([bench(false), bench(true)], check::Last::default());
        let targets = Targets::of(self.api, &self.machine.name())?;
        for line in jobs {
            let job: Job = serde_json::from_str(&line)?;
            let result = match job {
                Job::Open => Ok(Outcome::Found { facts: self.facts.clone() }),
                Job::Verify { format, check, small } => {
                    let devices =
                        check::Devices { by_precision: &self.devices, grids: &self.grids };
                    check::check(&devices, &format, check, small, &mut checked)
                }
                Job::Probe => self.probe(),
                Job::Bench { format, shape, kind, m, small } => Format::named(&format)
                    .map_err(Into::into)
                    .and_then(|format| benches[usize::from(small)].row(&format, shape, kind, m))
                    .map(|mut row| {
                        targets.judge(&mut row);
                        let (clock, rotated_bytes) = (self.machine.clock(), rotate(small));
                        Outcome::Measured { clock, rotated_bytes, row: Box::new(row) }
                    }),
                Job::Tune { seconds, file, small } => {
                    benches.iter_mut().for_each(Bench::clear);
                    let told = |wrong: &str| {
                        answer(self.named(), Outcome::Wrong { reason: wrong.to_owned() }, true)
                    };
                    tune::search(self.machine, self.backend, seconds, &file, small, &told)
                        .map(|()| Outcome::Tuned)
                }
            };
            let result = result.unwrap_or_else(|error| {
                let reason = error.to_string();
                match self.works() {
                    Ok(()) => Outcome::Failed { reason },
                    Err(after) => Outcome::Fault { reason: format!("{reason}; after it: {after}") },
                }
            });
            answer(self.named(), result, false)?;
        }
        Ok(())
    }

    fn named(&self) -> Named {
        Named { name: Some(self.machine.name()), driver: self.machine.driver() }
    }

    /// Whether the device still does the simplest there is.
    fn works(&self) -> Result<()> {
        let bytes = *b"sixteen bytes it";
        let memory = self.machine.memory(16, &bytes)?;
        match self.machine.read(&memory, 16)? == bytes {
            true => Ok(()),
            false => Err("it reads other bytes than were written".into()),
        }
    }

    fn probe(&self) -> Result<Outcome> {
        let ceiling = Ceiling::new(self.machine, Kind::Matvec, PROBE, 2 * PROBE)?;
        let ceiling = ceiling.ok_or("there is no read ceiling")?;
        let mut calls: [Box<dyn Call + '_>; 1] = [Box::new(ceiling.call(self.machine))];
        let (budget, warm) = (Duration::ZERO, Duration::ZERO);
        let plan = Plan { budget, warm, copies: ceiling.turns(), behind: f64::INFINITY };
        let samples = measure(&mut calls, &plan)?;
        let seconds = samples.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        Ok(Outcome::Reads { bytes_per_second: ceiling.bytes as f64 / seconds })
    }
}
