//! Decoding on every engine: golden vectors, every pattern of plain floats, random bytes, a file.

use crate::Failed;
use crate::check::{same_halves, same_weights};
use crate::engine::{ENGINES, Engine, trial};
use crate::random::{Rng, with_seed};
use crate::subject::{Subject, all_sizes, dims, interpreted, repository, subjects};
use crate::test;
use libtest_mimic::Trial;
use quantloom::{Device, Gguf, Tensor};
use quantloom_codegen::artifact::Dims;
use quantloom_codegen::format::{Formula, Scalar};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![test("decode/every_format_has_vectors", every_format_has_vectors)];
    let pairs = || subjects().iter().flat_map(|s| ENGINES.iter().map(move |engine| (s, engine)));
    for (subject, engine) in pairs() {
        trials.extend(golden(subject, engine));
        trials.extend(patterns(subject, engine));
        trials.push(random(subject, engine));
    }
    trials.extend(sample());
    trials
}

/// Both dequantizations of a tensor.
fn check(test: &str, tensor: &Tensor, device: &Device, expected: &[f32]) -> Result<(), Failed> {
    let weights = tensor.upload(device)?;
    same_weights(test, &weights.dequantize()?, expected)?;
    same_halves(test, &weights.dequantize_f16()?, expected)
}

/// The tensor as it is; blocks also one to a row, and all in one row.
fn golden(subject: &'static Subject, engine: &'static Engine) -> Vec<Trial> {
    let one = |vector: &'static crate::subject::Vector| {
        let name = format!("decode/{}/{}/{}", subject.name, engine.name, vector.set);
        trial(name.clone(), engine, move |device| {
            let Dims { n, blocks, sizes } = vector.dims;
            let other = Dims { n: 1, blocks: n * blocks, sizes };
            for dims in [vector.dims, other] {
                if dims == vector.dims || subject.format.is_plain() {
                    let tensor = subject.tensor(&dims, &vector.streams)?;
                    check(&name, &tensor, device, &vector.weights)?;
                }
            }
            Ok(())
        })
    };
    subject.vectors.iter().map(one).collect()
}

/// What a format of plain floats must decode to, by another implementation.
fn plain(subject: &Subject) -> Option<fn(u32) -> f32> {
    let format = &subject.format;
    let plain = format.weights == 1 && matches!(format.value, Formula::Field(_));
    plain.then_some(match format.fields.first()?.scalar {
        Scalar::F16 => |bits| half::f16::from_bits(bits as u16).to_f32(),
        Scalar::Bf16 => |bits| half::bf16::from_bits(bits as u16).to_f32(),
        Scalar::F32 => f32::from_bits,
        Scalar::Signed | Scalar::Unsigned | Scalar::Small(_) => return None,
    })
}

/// Plain floats: all patterns of 16 bits; of 32 bits, all upper halves with a few lower ones.
fn patterns(subject: &'static Subject, engine: &'static Engine) -> Option<Trial> {
    let convert = plain(subject)?;
    let name = format!("decode/{}/{}/every_pattern", subject.name, engine.name);
    Some(trial(name.clone(), engine, move |device| {
        let upper = 0..=u32::from(u16::MAX);
        let (patterns, bytes): (Vec<u32>, usize) = match subject.format.streams[0].bytes {
            2 => (upper.collect(), 2),
            _ => (
                upper
                    .flat_map(|high| {
                        [0, 1, 0x0fff, 0x1000, 0x1001, 0xffff].map(|low| high << 16 | low)
                    })
                    .collect(),
                4,
            ),
        };
        let stream =
            patterns.iter().flat_map(|bits| bits.to_le_bytes()[..bytes].to_vec()).collect();
        let expected: Vec<f32> = patterns.iter().map(|&bits| convert(bits)).collect();
        let dims = dims(&subject.format, 1, patterns.len(), &[]);
        check(&name, &subject.tensor(&dims, &[stream])?, device, &expected)
    }))
}

/// Random bytes, infinite and NaN scales among them, decode as the interpreter decodes them.
fn random(subject: &'static Subject, engine: &'static Engine) -> Trial {
    let name = format!("decode/{}/{}/any_bytes", subject.name, engine.name);
    trial(name.clone(), engine, move |device| {
        let mut rng = Rng::new(&subject.name);
        let format = &subject.format;
        let mut one = |n: usize, blocks: usize, sizes: &[(String, u32)]| {
            let dims = dims(format, n, blocks * format.weights as usize, sizes);
            let streams = rng.any_bytes(format, &dims);
            let expected = interpreted(format, &dims, &streams)?;
            check(&name, &subject.tensor(&dims, &streams)?, device, &expected)
        };
        let shapes = [(1, 1), (1, 2), (3, 1), (5, 7), (129, 3), (257, 1)];
        let all = all_sizes(format);
        let mut each = |(n, blocks)| all.iter().try_for_each(|sizes| one(n, blocks, sizes));
        with_seed(shapes.into_iter().try_for_each(&mut each))
    })
}

/// Nothing passes by having nothing to compare with.
fn every_format_has_vectors() -> Result<(), Failed> {
    let none = |s: &&Subject| s.vectors.is_empty() && plain(s).is_none();
    let missing: Vec<&str> = subjects().iter().filter(none).map(|s| s.name.as_str()).collect();
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(format!("no golden vectors for {}", missing.join(", ")).into()),
    }
}

/// Every tensor of the sample file, as its bytes lie there.
fn sample() -> Vec<Trial> {
    let path = repository("tests/data/sample.gguf");
    let gguf = match Gguf::open(&path) {
        Ok(gguf) => gguf,
        Err(error) => return vec![test("sample", move || Err(error.into()))],
    };
    let mut trials = Vec::new();
    for info in gguf.tensors() {
        for engine in &ENGINES {
            let name = format!("sample/{}/{}", info.name, engine.name);
            let (gguf, tensor) = (gguf.clone(), info.name.clone());
            trials.push(trial(name.clone(), engine, move |device| {
                let tensor = gguf.tensor(&tensor)?;
                let subject = subjects().iter().find(|s| s.name == *tensor.format().name);
                let subject = subject.ok_or("its format is not in formats/")?;
                let streams: Vec<Vec<u8>> = tensor.streams().iter().map(|s| s.to_vec()).collect();
                let dims = dims(&subject.format, tensor.n(), tensor.k(), &[]);
                let expected = interpreted(&subject.format, &dims, &streams)?;
                check(&name, &tensor, device, &expected)
            }));
        }
    }
    trials
}
