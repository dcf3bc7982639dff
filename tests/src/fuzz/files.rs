//! GGUF files, some with tensors that cannot be, some damaged: a tensor or an error, and an odd tensor spoils
//! no other.

use super::{Trace, edit, told};
use crate::Failed;
use crate::seed::pick;
use quantloom::artifact::Artifact;
use quantloom::verify::random::Rng;
use quantloom::{Device, Gguf};
use std::sync::LazyLock;

/// A tensor as a file's directory has it.
struct Entry {
    name: String,
    dims: Vec<u64>,
    number: u32,
    bytes: Vec<u8>,
    /// Whether it is as it must be.
    whole: bool,
}

/// Formats that files have.
static FORMATS: LazyLock<Vec<&Artifact>> =
    LazyLock::new(|| quantloom::formats().iter().filter(|format| format.gguf.is_some()).collect());

pub fn run(rng: &mut Rng, trace: &mut Trace) -> Result<(), Failed> {
    let entries: Vec<Entry> = (0..1 + rng.below(4)).map(|number| entry(rng, number)).collect();
    if rng.below(8) == 0 {
        return split(rng, trace, &entries);
    }
    let (mut bytes, data) = file(rng, &entries, &[]);
    let damaged = rng.below(3) == 0;
    if damaged {
        // The header alone: what tensors hold is any bytes already.
        let mut header = bytes[..data].to_vec();
        edit::bytes(rng, &mut header);
        bytes.splice(..data, header);
    }
    let shown: String =
        bytes[..data.min(bytes.len())].iter().map(|byte| format!("{byte:02x}")).collect();
    trace.input(format!("{} bytes, which begin with {shown}", bytes.len()));
    let gguf = match Gguf::from_bytes(bytes) {
        Ok(gguf) => gguf,
        Err(error) if damaged => return told(&error),
        Err(error) => return Err(error.into()),
    };
    trace.reached(1);
    let device = Device::cpu();
    for info in gguf.tensors() {
        match gguf.tensor(&info.name) {
            Ok(tensor) => {
                trace.reached(2);
                if tensor.n() * tensor.k() < 1 << 20 {
                    let weights = tensor.upload(&device)?.dequantize()?;
                    if weights.len() != tensor.n() * tensor.k() {
                        return Err(format!("`{}` has {} weights", info.name, weights.len()).into());
                    }
                    trace.reached(3);
                }
            }
            Err(error) => told(&error)?,
        }
    }
    if damaged { Ok(()) } else { holds(&gguf, &entries) }
}

/// Every tensor that is whole can be taken, and no other.
fn holds(gguf: &Gguf, entries: &[Entry]) -> Result<(), Failed> {
    for entry in entries {
        let taken = gguf.tensor(&entry.name);
        if taken.is_ok() != entry.whole {
            let said = taken.map_or_else(|error| error.to_string(), |_| "a tensor".to_owned());
            return Err(format!("`{}` {:?}: {said}", entry.name, entry.dims).into());
        }
    }
    Ok(())
}

/// A model in two files, in any order: both hold all tensors; one alone, or one twice, is refused.
fn split(rng: &mut Rng, trace: &mut Trace, entries: &[Entry]) -> Result<(), Failed> {
    let (first, second) = entries.split_at(rng.below(entries.len() + 1));
    let mut part = |number: u32, own: &[Entry]| {
        let all = entries.len() as u32;
        file(rng, own, &[("split.no", number), ("split.count", 2), ("split.tensors.count", all)]).0
    };
    let parts = [part(0, first), part(1, second)];
    let chosen: &[usize] = pick(rng, &[&[0, 1], &[1, 0], &[0], &[1], &[0, 0], &[1, 1]]);
    let whole = chosen.contains(&0) && chosen.contains(&1);
    trace.input(format!("parts {chosen:?} of 2 with {} tensors", entries.len()));
    match Gguf::from_parts(chosen.iter().map(|&part| parts[part].clone()), &[]) {
        Ok(gguf) if whole => {
            trace.reached(2);
            holds(&gguf, entries)
        }
        Ok(_) => Err("opened, and parts are missing".into()),
        Err(error) if whole => Err(error.into()),
        Err(error) => {
            trace.reached(2);
            told(&error)
        }
    }
}

/// A tensor that is whole, or that cannot be.
fn entry(rng: &mut Rng, number: usize) -> Entry {
    let format = FORMATS[rng.below(FORMATS.len())];
    let (n, blocks) = (1 + rng.below(3), 1 + rng.below(2));
    let block: u32 = format.streams.iter().map(|stream| stream.bytes).sum();
    let bytes = (0..n * blocks * block as usize).map(|_| rng.bits() as u8).collect();
    let dims = vec![u64::from(format.weights) * blocks as u64, n as u64];
    let name = format!("tensor {number}");
    let number = format.gguf.unwrap_or_default();
    let whole = Entry { name, dims, number, bytes, whole: true };
    match rng.below(8) {
        0 => Entry { dims: vec![0, 1], whole: false, ..whole },
        1 => Entry { dims: vec![whole.dims[0], 0], whole: false, ..whole },
        2 => Entry { dims: vec![], whole: false, ..whole },
        3 => Entry { dims: vec![whole.dims[0], 1, 1, 1, 1], whole: false, ..whole },
        4 => Entry { number: 1000 + rng.below(1000) as u32, whole: false, ..whole },
        5 if format.weights > 1 => {
            let dims = vec![whole.dims[0] - 1, whole.dims[1]];
            Entry { dims, whole: false, ..whole }
        }
        _ => whole,
    }
}

const ALIGNMENT: usize = 32;

/// The bytes of a file with these numbers among its metadata, and where its data begin.
fn file(rng: &mut Rng, entries: &[Entry], numbers: &[(&str, u32)]) -> (Vec<u8>, usize) {
    let mut file = b"GGUF".to_vec();
    let pairs = rng.below(4);
    file.extend(pick(rng, &[2u32, 3]).to_le_bytes());
    file.extend((entries.len() as u64).to_le_bytes());
    file.extend(((pairs + numbers.len()) as u64).to_le_bytes());
    for (key, number) in numbers {
        text(&mut file, key);
        file.extend(4u32.to_le_bytes());
        file.extend(number.to_le_bytes());
    }
    for number in 0..pairs {
        text(&mut file, &format!("key.{number}"));
        match rng.below(3) {
            0 => {
                file.extend(4u32.to_le_bytes());
                file.extend((rng.bits() as u32).to_le_bytes());
            }
            1 => {
                file.extend(8u32.to_le_bytes());
                text(&mut file, "a text");
            }
            _ => {
                let words = ["one", "two", "three"];
                file.extend(9u32.to_le_bytes());
                file.extend(8u32.to_le_bytes());
                file.extend((words.len() as u64).to_le_bytes());
                words.iter().for_each(|word| text(&mut file, word));
            }
        }
    }
    let mut offset = 0;
    for entry in entries {
        text(&mut file, &entry.name);
        file.extend((entry.dims.len() as u32).to_le_bytes());
        entry.dims.iter().for_each(|dim| file.extend(dim.to_le_bytes()));
        file.extend(entry.number.to_le_bytes());
        file.extend((offset as u64).to_le_bytes());
        offset += entry.bytes.len().next_multiple_of(ALIGNMENT);
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    let data = file.len();
    for entry in entries {
        file.extend(&entry.bytes);
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    }
    (file, data)
}

fn text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}
