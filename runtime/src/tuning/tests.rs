use super::*;
use crate::artifact::{Activations, Grid, Kernel, Kind};

fn entry(kind: Kind, precision: Precision, numbers: Numbers) -> Entry {
    Entry {
        device: "Made Up".to_owned(),
        backend: Backend::Wgsl.word().to_owned(),
        kind: kind.word().to_owned(),
        precision,
        rows: Rows::Few,
        columns: Columns::Short,
        numbers,
        gain: 2.0,
        tried: 1,
        choices: 1,
    }
}

fn tuning(kernels: &[(Kind, Precision, Numbers)]) -> Tuning {
    let schedules =
        kernels.iter().map(|&(kind, precision, numbers)| entry(kind, precision, numbers));
    Tuning::new(Table { schedules: schedules.collect() })
}

/// The format that a tensor of `n` rows gets: its strips hold several quads, and it has all kernels.
fn format(tuning: &Tuning, device: &str, backend: Backend, n: usize) -> Option<Format> {
    let all = |format: &&crate::artifact::Artifact| {
        (format.weights, format.streams.len()) == (32, 1)
            && format.int8_kernel(backend, Kind::Matvec, false).is_some()
    };
    let format = Format::from(crate::formats().iter().find(all)?);
    let stream = format.streams.first()?.bytes as usize;
    let tensor = Tensor::new("w", &format, n, 32, [vec![0; n * stream]]).ok()?;
    let format = tuning.format(device, backend, &tensor).ok()?;
    assert!(format.is_proven());
    Some(format)
}

fn kernel(format: &Format, backend: Backend, kind: Kind, precision: Precision) -> Option<&Kernel> {
    let wanted = (backend, kind, precision.activations());
    format.kernels.iter().find(|own| (own.backend, own.kind, own.activations) == wanted)
}

/// Rows per workgroup of the exact matvec that a tensor gets.
fn rows(tuning: &Tuning, device: &str, backend: Backend, n: usize) -> Option<u32> {
    let format = format(tuning, device, backend, n)?;
    match kernel(&format, backend, Kind::Matvec, Precision::Exact)?.grid {
        Grid::Rows { per_workgroup } => Some(per_workgroup),
        _ => None,
    }
}

#[test]
fn kernels_are_those_of_the_table() {
    let numbers = Numbers { rows: Some(8), ..Numbers::NONE };
    let tuning = tuning(&[(Kind::Matvec, Precision::Exact, numbers)]);
    let own = rows(&Tuning::default(), "Made Up", Backend::Wgsl, 5);
    assert!(own.is_some_and(|own| own != 8));
    for _ in 0..2 {
        assert_eq!(rows(&tuning, "Made Up", Backend::Wgsl, 5), Some(8));
    }
    assert_eq!(tuning.compiled.lock().unwrap().len(), 1);
    assert_eq!(rows(&tuning, "Made Up", Backend::Wgsl, 2048), own);
    assert_eq!(rows(&tuning, "Another", Backend::Wgsl, 5), own);
    assert_eq!(
        rows(&tuning, "Made Up", Backend::Hip, 5),
        rows(&Tuning::default(), "", Backend::Hip, 5)
    );
}

/// Every kind and precision has its own numbers, and the others stay as they are.
#[test]
fn kernels_of_every_precision_are_those_of_the_table() {
    let some = [
        (
            Kind::Dequant,
            Precision::Exact,
            Numbers { workgroup: Some(32), quads: Some(1), ..Numbers::NONE },
        ),
        (
            Kind::Matvec,
            Precision::Int8,
            Numbers { workgroup: Some(128), rows: Some(2), ..Numbers::NONE },
        ),
        (
            Kind::Batch,
            Precision::Int8,
            Numbers { columns: Some(4), quads: Some(2), ..Numbers::NONE },
        ),
        (Kind::Matmul, Precision::F16, Numbers { subgroups_n: Some(1), ..Numbers::NONE }),
    ];
    let backend = Backend::Wgsl;
    let own = format(&Tuning::default(), "Made Up", backend, 5).unwrap();
    let tuned = format(&tuning(&some), "Made Up", backend, 5).unwrap();
    for kernel in own.kernels.iter() {
        let same = tuned.kernels.contains(kernel);
        let chosen = some.iter().any(|&(kind, precision, _)| {
            (kind, precision.activations()) == (kernel.kind, kernel.activations)
        });
        assert_eq!(same, !(chosen && kernel.backend == backend), "{}", kernel.name);
    }
    let facts = |kind, precision| {
        let kernel = kernel(&tuned, backend, kind, precision).unwrap();
        (kernel.workgroup[0], kernel.grid)
    };
    let (workgroup, grid) = facts(Kind::Dequant, Precision::Exact);
    assert_eq!((workgroup, grid), (32, Grid::Strips { weights: 32, strips: 8, per_workgroup: 32 }));
    assert_eq!(facts(Kind::Matvec, Precision::Int8), (128, Grid::Tiles { n: 2, m: 1 }));
    assert_eq!(facts(Kind::Batch, Precision::Int8).1, Grid::Tiles { n: 2, m: 4 });
    assert_eq!(facts(Kind::Matmul, Precision::F16), (128, Grid::Tiles { n: 64, m: 128 }));
}

#[test]
fn subgroups_may_be_left_alone() {
    let without = Numbers { subgroups: Some(false), ..Numbers::NONE };
    let tuning = tuning(&[(Kind::Matvec, Precision::Int8, without)]);
    let tuned = format(&tuning, "Made Up", Backend::Wgsl, 5).unwrap();
    let subgroups = |kind| tuned.int8_kernel(Backend::Wgsl, kind, true).map(|own| own.subgroups);
    assert_eq!((subgroups(Kind::Matvec), subgroups(Kind::Batch)), (Some(false), Some(true)));
}

#[test]
fn numbers_that_kernels_cannot_have_are_for_others() {
    let own = format(&Tuning::default(), "Made Up", Backend::Wgsl, 5).unwrap();
    let numbers = |rows| Numbers { rows: Some(rows), ..Numbers::NONE };
    let tuning = tuning(&[
        (Kind::Matvec, Precision::Exact, numbers(1000)),
        (Kind::Matvec, Precision::Int8, numbers(2)),
        (Kind::Matmul, Precision::F16, numbers(2)),
    ]);
    let tuned = format(&tuning, "Made Up", Backend::Wgsl, 5).unwrap();
    let differ = own.kernels.iter().filter(|kernel| !tuned.kernels.contains(kernel));
    let differ: Vec<_> = differ.map(|kernel| (kernel.kind, kernel.activations)).collect();
    assert_eq!(differ, [(Kind::Matvec, Activations::Int8); 2]);
}
