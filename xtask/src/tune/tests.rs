//! The whole command on software Vulkan, and devices that read its table.

use super::{Args, Kind, search};
use crate::bench::Result;
use crate::bench::gpu::options::Api;
use crate::bench::options::Shape;
use quantloom::artifact::Backend;
use quantloom::gpu::Gpu;
use quantloom::tuning::{Columns, Entry, Numbers, Precision, Rows, Table, Tuning};

/// Formats of several precisions and lengths of strips.
fn names() -> Vec<String> {
    let formats = quantloom::formats().iter().filter(|format| format.gguf.is_some());
    formats.step_by(12).map(|format| format.name.to_string()).collect()
}

fn args(seconds: f64) -> Args {
    Args {
        device: vec![Api::Wgpu],
        format: names().into_iter().take(1).collect(),
        shape: vec![Shape { n: 64, k: 512 }],
        kind: vec![Kind::Matvec, Kind::Dequant],
        m: 3,
        seconds: Some(seconds),
        rotate: Some(1),
        quick: true,
        file: None,
    }
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

#[test]
fn a_search_that_ended_goes_on() -> Result<()> {
    let Some(gpu) = gpu("a_search_that_ended_goes_on") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("made/when/needed.yaml");
    let failed = |failure: crate::failure::Failure| failure.text(false).unwrap_or_default();
    let mut tried = 0;
    for seconds in [0.3, 60.0] {
        let found = search::run(&args(seconds), &path).map_err(failed)?;
        assert_eq!(found.wrong, Vec::<String>::new());
        assert_eq!(found.devices, [gpu.name()]);
        let table = Table::read(&path)?;
        assert_eq!(table, found.table);
        let of_both: usize = table.schedules.iter().map(|entry| entry.tried).sum();
        assert!(of_both > tried, "nothing was tried: {table:?}");
        tried = of_both;
    }
    assert_eq!(tried, Kind::Matvec.choices().len() + Kind::Dequant.choices().len());
    // All is tried: the table stays as it is.
    let before = std::fs::read_to_string(&path)?;
    search::run(&args(60.0), &path).map_err(failed)?;
    assert_eq!(std::fs::read_to_string(&path)?, before);
    std::fs::write(&path, &before[..before.len() / 2])?;
    let refused = search::run(&args(60.0), &path).err().map(failed).unwrap_or_default();
    assert!(refused.contains("needed.yaml") && refused.contains("edit or delete"), "{refused}");
    Ok(())
}

#[test]
fn every_choice_computes_what_formats_mean() -> Result<()> {
    let Some(gpu) = gpu("every_choice_computes_what_formats_mean") else { return Ok(()) };
    // Every number occurs; other combinations are checked by the command itself.
    for (number, tiles) in Kind::Matmul.choices().into_iter().enumerate().step_by(17) {
        let entry = |kind: Kind| {
            let choices = kind.choices();
            Entry {
                device: gpu.name().to_owned(),
                backend: Backend::Wgsl.word().to_owned(),
                kind: kind.kernel().word().to_owned(),
                precision: Precision::Exact,
                rows: Rows::Few,
                columns: Columns::Short,
                numbers: match kind {
                    Kind::Matmul => tiles,
                    _ => choices[number % choices.len()],
                },
                gain: 1.1,
                tried: 0,
                choices: 0,
            }
        };
        let schedules = [Kind::Dequant, Kind::Matvec, Kind::Matmul].map(entry).to_vec();
        assert!(schedules.iter().all(|entry| entry.numbers != Numbers::default()));
        let tuned = gpu.clone().with_tuning(Tuning::new(Table { schedules }));
        for name in names() {
            quantloom::verify(&quantloom::Format::named(&name)?, &[tuned.clone().into()])?;
        }
    }
    Ok(())
}
