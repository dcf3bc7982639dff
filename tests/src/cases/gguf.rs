//! Damaged copies of the sample file: an error or a loaded file, never a panic.

use crate::seed::{rng, with_seed};
use crate::subject::repository;
use crate::{Failed, test};
use libtest_mimic::Trial;
use quantloom::{Bytes, Device, Gguf};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub fn trials() -> Vec<Trial> {
    vec![
        test("gguf/truncated_at_every_header_byte", truncated),
        test("gguf/every_header_byte_changed", changed),
        test("gguf/many_bytes_changed", || with_seed(scrambled())),
        test("gguf/empty_and_missing_files", empty_and_missing),
    ]
}

/// The sample file, and how many bytes of it stand before its tensors.
fn sample() -> Result<(Vec<u8>, usize), Failed> {
    let bytes = std::fs::read(repository("tests/data/sample.gguf"))?;
    let gguf = Gguf::from_bytes(bytes.clone())?;
    let starts = gguf.tensors().iter().map(|info| info.range.start);
    let header = starts.min().ok_or("the sample has no tensor")?;
    Ok((bytes, header))
}

/// Opens the file and, where that works, decodes what can be taken from it; says what came of it.
fn open(
    bytes: impl Into<Bytes>,
    decode: bool,
    what: &str,
) -> Result<Result<Gguf, quantloom::Error>, Failed> {
    let bytes = bytes.into();
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let gguf = Gguf::from_bytes(bytes)?;
        for info in gguf.tensors() {
            if let Ok(tensor) = gguf.tensor(&info.name)
                && decode
            {
                tensor.upload(&Device::cpu())?.dequantize()?;
            }
        }
        Ok(gguf)
    }));
    opened.map_err(|_| format!("{what}: panic").into())
}

fn truncated() -> Result<(), Failed> {
    let (bytes, header) = sample()?;
    let whole = Bytes::from(bytes);
    for end in 0..=header {
        let part = whole.slice(0..end).ok_or("no such part")?;
        let what = format!("truncated to {end} of {header} bytes");
        match open(part, false, &what)? {
            // The tensors are missing even where the header is whole.
            Ok(_) => return Err(format!("{what}: accepted").into()),
            Err(error) if error.to_string().len() < 40 => {
                return Err(format!("{what}: says only `{error}`").into());
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn changed() -> Result<(), Failed> {
    let (mut bytes, header) = sample()?;
    let mut errors = 0;
    for at in 0..header {
        let kept = bytes[at];
        for change in [0x00, 0xff, kept ^ 0x01, kept ^ 0x80, kept.wrapping_add(1)] {
            bytes[at] = change;
            errors += usize::from(
                open(bytes.clone(), false, &format!("byte {at} = {change:#04x}"))?.is_err(),
            );
        }
        bytes[at] = kept;
    }
    match errors {
        0 => Err("no change was refused".into()),
        _ => Ok(()),
    }
}

fn scrambled() -> Result<(), Failed> {
    let (bytes, header) = sample()?;
    let mut rng = rng("gguf");
    for round in 0..300 {
        let mut bytes = bytes.clone();
        let mut edits = Vec::new();
        for _ in 0..1 + rng.below(8) {
            let (at, change) = (rng.below(header), rng.bits() as u8);
            bytes[at] = change;
            edits.push((at, change));
        }
        let decode = round % 10 == 0;
        let _ = open(bytes, decode, &format!("bytes changed: {edits:?}"))?;
    }
    Ok(())
}

fn empty_and_missing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let empty = folder.path().join("empty.gguf");
    std::fs::write(&empty, [])?;
    for path in [empty.as_path(), folder.path(), &folder.path().join("missing.gguf")] {
        let name = path.display().to_string();
        match Gguf::open(path) {
            Ok(_) => return Err(format!("{name}: accepted").into()),
            Err(error) if error.to_string().contains(&name) => {}
            Err(error) => return Err(format!("`{error}` does not name {name}").into()),
        }
    }
    Ok(())
}
