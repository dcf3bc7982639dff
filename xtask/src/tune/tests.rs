//! The whole command on software Vulkan and on a device that is made up, and devices that read its table.

use super::plan::{Kernels, Plan};
use super::search::{self, Search};
use super::{Args, Kind};
use crate::bench::Result;
use crate::bench::gpu::machine::{Clock, Launch, Machine, What};
use crate::bench::gpu::options::{Api, Precision};
use crate::bench::options::Shape;
use quantloom::artifact::{self, Backend, Grid};
use quantloom::gpu::Gpu;
use quantloom::tuning::Precision::{Exact, F16, Int8};
use quantloom::tuning::{Columns, Entry, Numbers, Rows, Schedules, Table, Tuning};
use quantloom::{Device, Format, Tensor};
use std::cell::RefCell;

/// Formats of several precisions and lengths of strips.
fn names() -> Vec<String> {
    let formats = quantloom::formats().iter().filter(|format| format.gguf.is_some());
    formats.step_by(12).map(|format| format.name.to_string()).collect()
}

/// A format with 8-bit codes.
fn coded() -> Result<Format> {
    let of = |format: &&artifact::Artifact| {
        format.weights == 32
            && format.gguf.is_some()
            && format.int8_kernel(Backend::Hip, artifact::Kind::Matvec, false).is_some()
    };
    Ok(quantloom::formats().iter().find(of).map(Format::from).ok_or("no such format")?)
}

fn args(kind: &[Kind], precision: &[Precision], seconds: f64) -> Result<Args> {
    Ok(Args {
        device: vec![Api::Wgpu],
        format: vec![coded()?.name.to_string()],
        shape: vec![Shape { n: 64, k: 512 }],
        kind: kind.to_vec(),
        precision: precision.to_vec(),
        m: 17,
        seconds: Some(seconds),
        rotate: Some(1),
        quick: true,
        file: None,
    })
}

/// The GPU; none where there is none, which is told.
fn gpu(test: &str) -> Option<Gpu> {
    let opened = Gpu::new();
    if let Err(reason) = &opened {
        let required = std::env::var("REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "wgsl"), "{reason}");
        eprintln!("SKIPPED {test}: {reason}");
    }
    opened.ok()
}

fn failed(failure: crate::failure::Failure) -> String {
    failure.text(false).unwrap_or_default()
}

#[test]
fn a_search_that_ended_goes_on() -> Result<()> {
    let Some(gpu) = gpu("a_search_that_ended_goes_on") else { return Ok(()) };
    let args = |seconds| args(&[Kind::Dequant], &[], seconds);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("made/when/needed.yaml");
    let mut tried = 0;
    for seconds in [0.3, 120.0] {
        let found = search::run(&args(seconds)?, &path).map_err(failed)?;
        assert_eq!(found.wrong, Vec::<String>::new());
        assert_eq!(found.devices, [gpu.name()]);
        let table = Table::read(&path)?;
        assert_eq!(table, found.table);
        let in_all: usize = table.schedules.iter().map(|entry| entry.tried).sum();
        assert!(in_all > tried, "nothing was tried: {table:?}");
        tried = in_all;
    }
    assert_eq!(tried, Kind::Dequant.choices(Exact, Backend::Wgsl).len());
    // All is tried: the table stays as it is.
    let before = std::fs::read_to_string(&path)?;
    search::run(&args(60.0)?, &path).map_err(failed)?;
    assert_eq!(std::fs::read_to_string(&path)?, before);
    std::fs::write(&path, &before[..before.len() / 2])?;
    let refused = search::run(&args(60.0)?, &path).err().map(failed).unwrap_or_default();
    assert!(refused.contains("needed.yaml") && refused.contains("edit or delete"), "{refused}");
    Ok(())
}

/// Kernels of other precisions are searched in the same way: the first choices of them.
#[test]
fn every_precision_of_a_device_is_searched() -> Result<()> {
    let Some(gpu) = gpu("every_precision_of_a_device_is_searched") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tuning.yaml");
    for own in Kernels::all().filter(|own| own.precision != Exact) {
        if own.precision == F16 && !gpu.has_matrices() {
            eprintln!("SKIPPED {} of {}: no cooperative matrices", own.name(), gpu.name());
            continue;
        }
        let found = search::run(&args(&[own.kind], &[own.way()], 0.1)?, &path).map_err(failed)?;
        assert_eq!(found.wrong, Vec::<String>::new());
        let (kind, table) = (own.kind.kernel().word(), Table::read(&path)?);
        let of = |entry: &&Entry| entry.kind == kind && entry.precision == own.precision;
        assert!(table.schedules.iter().find(of).is_some_and(|entry| entry.tried > 0), "{table:?}");
    }
    Ok(())
}

#[test]
fn kernels_that_there_are_not_are_refused() -> Result<()> {
    for (kind, precision) in [(Kind::Batch, Precision::Exact), (Kind::Dequant, Precision::F16)] {
        let plan = Plan::new(&args(&[kind], &[precision], 1.0)?);
        assert!(plan.err().is_some_and(|error| error.to_string().contains("no kernels")));
    }
    for precision in [Precision::Int8, Precision::F16] {
        let few = Args { m: 16, ..args(&[Kind::Matmul], &[precision], 1.0)? };
        assert!(Plan::new(&few).is_err(), "tiles that round take more rows");
    }
    let device = Search::new(
        Plan::new(&args(&[], &[Precision::F16], 1.0)?)?,
        "unused".as_ref(),
        Table::default(),
    )
    .device(Backend::Hip, &MadeUp);
    assert!(device.is_err_and(|error| error.to_string().contains("made up has no kernels")));
    Ok(())
}

/// A device that computes on the CPU. Its products take the less time the more weight rows its HIP
/// kernels with 8-bit activations have in a workgroup, and those of two rows are wrong.
struct MadeUp;

struct Held {
    weights: quantloom::Weights,
    rows: u32,
}

impl Machine for MadeUp {
    type Weights = Held;
    type Memory = RefCell<Vec<u8>>;

    fn name(&self) -> String {
        "made up".to_owned()
    }

    fn clock(&self) -> Clock {
        Clock::Device
    }

    fn precisions(&self) -> Vec<Precision> {
        vec![Precision::Exact, Precision::Int8]
    }

    fn upload(&self, tensor: &Tensor, _: Precision) -> Result<Held> {
        let kernel = tensor.format().int8_kernel(Backend::Hip, artifact::Kind::Matvec, false);
        let rows = match kernel.ok_or("it has no such kernel")?.grid {
            Grid::Tiles { n, .. } => n,
            _ => return Err("another grid".into()),
        };
        Ok(Held { weights: tensor.upload(&Device::cpu())?, rows })
    }

    fn memory(&self, bytes: u64, begin: &[u8]) -> Result<RefCell<Vec<u8>>> {
        let mut memory = begin.to_vec();
        memory.resize(bytes as usize, 0);
        Ok(RefCell::new(memory))
    }

    fn read(&self, memory: &RefCell<Vec<u8>>, bytes: usize) -> Result<Vec<u8>> {
        Ok(memory.borrow()[..bytes].to_vec())
    }

    fn time(&self, launches: &[Launch<'_, MadeUp>]) -> Result<f64> {
        if let [Launch { what: What::Matvec, weights, x, y }] = launches {
            let x = x.borrow();
            let x = x.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four));
            let x: Vec<f32> = x.take(weights.weights.k()).collect();
            let error = if weights.rows == 2 { 1e3 } else { 0.0 };
            let own = weights.weights.matvec(&x)?;
            let bytes: Vec<u8> = own.iter().flat_map(|y| (y + error).to_le_bytes()).collect();
            y.borrow_mut()[..bytes.len()].copy_from_slice(&bytes);
        }
        Ok(launches.iter().map(|launch| 1e-3 / f64::from(launch.weights.rows)).sum())
    }

    fn record(&self, _: &[Launch<'_, MadeUp>]) -> Result<f64> {
        Err("nobody asks".into())
    }
}

#[test]
fn the_fastest_is_found_and_what_is_wrong_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tuning.yaml");
    let plan = Plan::new(&args(&[Kind::Matvec], &[Precision::Int8], 600.0)?)?;
    let told = RefCell::new(vec![]);
    let tell = |wrong: &str| {
        told.borrow_mut().push(wrong.to_owned());
        Ok(())
    };
    let mut search = Search::new(plan, &path, Table::default());
    search.told = &tell;
    search.device(Backend::Hip, &MadeUp)?;
    let entry = match search.found.table.schedules.as_slice() {
        [entry] => entry.clone(),
        other => return Err(format!("{other:?}").into()),
    };
    // Four rows are the compiler's own.
    assert_eq!((entry.numbers.rows, entry.gain), (Some(8), 2.0));
    assert_eq!((entry.kind.as_str(), entry.precision), ("matvec", Int8));
    assert_eq!(entry.tried, entry.choices);
    let all = Kind::Matvec.choices(entry.precision, Backend::Hip);
    let wrong = all.iter().filter(|numbers| numbers.rows == Some(2)).count();
    assert_eq!(search.found.wrong.len(), wrong);
    assert_eq!(*told.borrow(), search.found.wrong);
    let says = "int8 matvec with workgroup 32, rows 2, quads 4, ";
    assert!(search.found.wrong[0].starts_with(says), "{}", search.found.wrong[0]);
    let text = super::report::text(&search.found);
    let line =
        "hip int8 matvec, few rows, short columns: 2.00 times as fast with workgroup 32, rows 8";
    assert!(text.contains(line), "{text}");
    Ok(())
}

/// No choice is there in vain.
#[test]
fn every_choice_is_one_that_kernels_can_have() -> Result<()> {
    let both = [Backend::Wgsl, Backend::Hip];
    let all = || both.into_iter().flat_map(|backend| Kernels::all().map(move |own| (backend, own)));
    let most = all().map(|(backend, own)| own.choices(backend).len()).max().unwrap_or(0);
    for number in 0..most {
        let schedules = all().fold(Schedules::default(), |schedules, (backend, own)| {
            let choices = own.choices(backend);
            let numbers = choices[number % choices.len()];
            let (kind, activations) = (own.kind.kernel(), own.precision.activations());
            assert_ne!(numbers, Numbers::NONE);
            schedules.with(backend, kind, activations, numbers)
        });
        coded()?.scheduled(&schedules)?;
    }
    Ok(())
}

#[test]
fn every_choice_computes_what_formats_mean() -> Result<()> {
    let Some(gpu) = gpu("every_choice_computes_what_formats_mean") else { return Ok(()) };
    // Every number occurs; other combinations are checked by the command itself.
    const PARTS: usize = 5;
    for part in 0..PARTS {
        let entry = |own: Kernels| {
            let choices = own.choices(Backend::Wgsl);
            Entry {
                device: gpu.name().to_owned(),
                backend: Backend::Wgsl.word().to_owned(),
                kind: own.kind.kernel().word().to_owned(),
                precision: own.precision,
                rows: Rows::Few,
                columns: Columns::Short,
                // The first one of the first part, the last one of the last.
                numbers: choices[part * (choices.len() - 1) / (PARTS - 1)],
                gain: 1.1,
                tried: 0,
                choices: 0,
            }
        };
        let schedules = Kernels::all().map(entry).collect();
        let tuned = gpu.clone().with_tuning(Tuning::new(Table { schedules }));
        let mut devices = vec![tuned.clone().into(), tuned.clone().int8().into()];
        if gpu.has_matrices() {
            devices.push(tuned.f16().into());
        }
        for name in names() {
            quantloom::verify(&Format::named(&name)?, &devices)?;
        }
    }
    if !gpu.has_matrices() {
        eprintln!(
            "SKIPPED f16 of every_choice_computes_what_formats_mean: no cooperative matrices"
        );
    }
    Ok(())
}
