//! Decoding on every engine: golden vectors, every pattern of plain floats, random bytes, a file.

use crate::engine::{ENGINES, Engine, trial};
use crate::seed::SEED;
use crate::subject::{Subject, dims, interpreted, repository, subjects};
use crate::{Failed, all_passed, passed, test};
use libtest_mimic::Trial;
use quantloom::Gguf;
use quantloom::verify::{self, Case, Origin, Vectors, verify_vectors};
use quantloom_codegen::format::{Formula, Scalar};
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Golden vectors.
fn golden(subject: &'static Subject, engine: &'static Engine) -> Vec<Trial> {
    let one = |vectors: &'static Vectors| {
        let name = format!("decode/{}/{}/{}", subject.name, engine.name, vectors.name);
        trial(name, engine, move |device| {
            let (vectors, device) = (slice::from_ref(vectors), slice::from_ref(device));
            all_passed(verify_vectors(&subject.built_in()?, vectors, device))
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
    Some(trial(name, engine, move |device| {
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
        let vectors = Vectors {
            name: "every pattern".to_owned(),
            n: 1,
            k: patterns.len(),
            streams: vec![stream],
            weights: patterns.iter().map(|&bits| convert(bits)).collect(),
            ..Vectors::default()
        };
        all_passed(verify_vectors(&subject.built_in()?, &[vectors], slice::from_ref(device)))
    }))
}

/// Random bytes, as users of the library check a format.
fn random(subject: &'static Subject, engine: &'static Engine) -> Trial {
    trial(format!("verify/{}/{}", subject.name, engine.name), engine, move |device| {
        random_cases(subject)?.iter().try_for_each(|case| passed(case.check(device)))
    })
}

/// Those of the format that was asked for last are kept, for its other engines.
fn random_cases(subject: &'static Subject) -> Result<Arc<[Case]>, Failed> {
    type Last = Option<(&'static str, Arc<[Case]>)>;
    static LAST: Mutex<Last> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((name, cases)) if *name == subject.name => Ok(cases.clone()),
        _ => {
            let cases: Arc<[Case]> = verify::random_cases(&subject.built_in()?, *SEED)?.into();
            *last = Some((&subject.name, cases.clone()));
            Ok(cases)
        }
    }
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
            trials.push(trial(name, engine, move |device| {
                let tensor = gguf.tensor(&tensor)?;
                let subject = subjects().iter().find(|s| s.name == *tensor.format().name);
                let subject = subject.ok_or("its format is not in formats/")?;
                let streams: Vec<Vec<u8>> = tensor.streams().iter().map(|s| s.to_vec()).collect();
                let dims = dims(&subject.format, tensor.n(), tensor.k(), &[]);
                let expected = interpreted(&subject.format, &dims, &streams)?;
                let origin = Origin::Vectors(tensor.name().to_owned());
                passed(Case::new(tensor, expected, origin).check(device))
            }));
        }
    }
    trials
}
