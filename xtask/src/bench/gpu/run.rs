//! The run: every device, format, shape and kind.

use super::bench::Bench;
use super::hip::HipMachine;
use super::machine::Machine;
use super::options::{Api, Gpu, Kind, Precision};
use super::report::{Device, Failed, Missing, Report};
use super::target::Targets;
use super::wgpu::WgpuMachine;
use crate::bench::Result;
use crate::bench::options::Shape;
use crate::progress::Progress;
use clap::ValueEnum;
use quantloom::Format;
use quantloom::hip::Hip;
use serde::Deserialize;
use std::time::Duration;

/// What is asked for, defaults filled in.
pub struct Asked {
    devices: Vec<Api>,
    formats: Vec<Format>,
    shapes: Vec<Shape>,
    m: Vec<u32>,
    kinds: Vec<Kind>,
    precisions: Vec<Precision>,
    tuned: bool,
    budget: Duration,
    rotate: u64,
}

impl Asked {
    /// Refuses what cannot be measured anywhere.
    pub fn new(options: &Gpu) -> Result<Asked> {
        fn or<T: Clone>(given: &[T], full: &[T], quick: Option<&[T]>) -> Vec<T> {
            if given.is_empty() { quick.unwrap_or(full).to_vec() } else { given.to_vec() }
        }
        let quick = options.quick;
        let shapes = [Shape { n: 16384, k: 14336 }, Shape { n: 4096, k: 14336 }];
        let small = [Shape { n: 1024, k: 2048 }];
        let asked = Asked {
            devices: options.device.clone(),
            formats: formats(&options.format)?,
            shapes: or(&options.shape, &shapes, quick.then_some(&small)),
            m: or(&options.m, &[1, 8, 512], quick.then_some(&[1, 8, 64])),
            kinds: or(&options.kind, Kind::value_variants(), None),
            precisions: or(&options.precision, Precision::value_variants(), None),
            tuned: options.tuned,
            budget: Duration::try_from_secs_f64(options.seconds.unwrap_or(if quick {
                0.1
            } else {
                0.5
            }))?,
            rotate: u64::from(options.rotate.unwrap_or(if quick { 64 } else { 512 })) << 20,
        };
        match asked.m.contains(&0) {
            true => Err("--m 0: products of 0 activation rows; 1 is a matvec".into()),
            false => Ok(asked),
        }
    }

    /// Kinds with their activation rows, for the shape of this number.
    fn calls(&self, shape: usize) -> Vec<(Kind, u32)> {
        let of_kind = |&kind: &Kind| {
            let rows = |&m: &u32| match kind {
                Kind::Matvec => m == 1,
                _ => m > 1,
            };
            match kind {
                Kind::Matvec | Kind::Matmul => {
                    self.m.iter().copied().filter(rows).map(|m| (kind, m)).collect()
                }
                // The same for every shape.
                Kind::Launch if shape > 0 => vec![],
                Kind::Launch | Kind::Dequantize | Kind::DequantizeF16 => vec![(kind, 0)],
            }
        };
        self.kinds.iter().flat_map(of_kind).collect()
    }
}

/// The formats of these names; without any, those that `bench cpu` measures too.
pub fn formats(names: &[String]) -> Result<Vec<Format>> {
    #[derive(Deserialize)]
    struct Listed {
        name: String,
    }
    let listed: Vec<Listed> = serde_yaml::from_str(include_str!("../../../bench/formats.yaml"))?;
    let listed: Vec<String> = listed.into_iter().map(|listed| listed.name).collect();
    let names = if names.is_empty() { &listed } else { names };
    Ok(names.iter().map(|name| Format::named(name)).collect::<quantloom::Result<_>>()?)
}

/// Measures on every device that is asked for and there.
///
/// # Errors
/// Where a device that is asked for by name is missing, or there is none at all.
pub fn run(asked: &Asked) -> Result<Report> {
    let mut report =
        Report { version: env!("CARGO_PKG_VERSION").into(), devices: vec![], missing: vec![] };
    let wanted = if asked.devices.is_empty() { Api::value_variants() } else { &asked.devices };
    for &api in wanted {
        let device = match api {
            Api::Wgpu => quantloom::gpu::Gpu::new().map(|gpu| {
                let gpu = if asked.tuned { gpu.tuned()? } else { gpu };
                device(asked, api, &WgpuMachine::new(gpu))
            }),
            Api::Amd => Hip::amd(0).map(|hip| hip_device(asked, api, hip)),
            Api::Cuda => Hip::cuda(0).map(|hip| hip_device(asked, api, hip)),
        };
        match device {
            Ok(device) => report.devices.push(device?),
            Err(error) if asked.devices.is_empty() => {
                report.missing.push(Missing { api, reason: error.to_string() });
            }
            Err(error) => return Err(format!("{} is missing: {error}", api.name()).into()),
        }
    }
    if report.devices.is_empty() {
        let reasons = report.missing.iter().map(|missing| missing.reason.as_str());
        return Err(format!("no GPU: {}", reasons.collect::<Vec<_>>().join("; ")).into());
    }
    Ok(report)
}

fn hip_device(asked: &Asked, api: Api, hip: Hip) -> Result<Device> {
    let hip = if asked.tuned { hip.tuned()? } else { hip };
    device(asked, api, &HipMachine::new(hip)?)
}

/// Measures on one device.
pub fn device<M: Machine>(asked: &Asked, api: Api, machine: &M) -> Result<Device> {
    let targets = Targets::of(api, &machine.name())?;
    let mut device = Device {
        api,
        name: machine.name(),
        clock: machine.clock(),
        rotated_bytes: asked.rotate,
        rows: vec![],
        failures: vec![],
    };
    let calls: usize = (0..asked.shapes.len()).map(|shape| asked.calls(shape).len()).sum();
    let progress = Progress::new((calls * asked.formats.len()) as u64);
    let mut bench = Bench::new(machine, &asked.precisions, asked.budget, asked.rotate);
    for (number, &shape) in asked.shapes.iter().enumerate() {
        for format in &asked.formats {
            progress.at(&format!("{} {} {shape}", api.name(), format.name));
            for (kind, m) in asked.calls(number) {
                match bench.row(format, shape, kind, m) {
                    Ok(mut row) => {
                        targets.judge(&mut row);
                        device.rows.push(row);
                    }
                    Err(error) => {
                        let (format, reason) = (format.name.to_string(), error.to_string());
                        device.failures.push(Failed { format, shape, reason });
                        break;
                    }
                }
                progress.advance(1);
            }
            bench.clear();
        }
    }
    device.clock = machine.clock();
    Ok(device)
}
