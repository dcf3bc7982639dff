//! The functions generated for CPUs, called one by one in the versions that this machine can run:
//! weights against the meaning of a format, codes, scales and offsets against the interpreter of
//! their programs, and the two together against the weights.

use crate::affine::is_affine;
use crate::engine::skip;
use crate::seed::{rng, with_seed};
use crate::subject::{Subject, dims, dims_of, subjects};
use crate::{Failed, test};
use libtest_mimic::{Completion, Trial};
use quantloom::artifact::{AVX2, AVX512, Coded, Cpu, Dims, Header, ROWS, Versions};
use quantloom::verify::compare::Decoded;
use quantloom::verify::meaning;
use quantloom::verify::random::sizes;
use quantloom_codegen::ir::{interpret_codes, interpret_scales};
use quantloom_codegen::lower;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![test("cpu/versions_exist", versions_exist)];
    for subject in subjects() {
        for level in LEVELS {
            let name = format!("cpu/{}/{}", subject.name, level.name);
            trials.push(Trial::ignorable_test(name.clone(), move || {
                match missing(level.features) {
                    Some(feature) => skip("cpu", &format!("this machine has no {feature}")),
                    None => with_seed(every_tensor(&name, subject, level))
                        .map(|()| Completion::Completed),
                }
            }));
        }
    }
    trials
}

/// A level of instructions: its name, and the target features it needs.
#[derive(Clone, Copy)]
struct Level {
    name: &'static str,
    features: &'static str,
}

const LEVELS: [Level; 3] = [
    Level { name: "portable", features: "" },
    Level { name: "avx2", features: AVX2 },
    Level { name: "avx512", features: AVX512 },
];

/// The first of some target features that this machine does not have.
fn missing(features: &'static str) -> Option<&'static str> {
    features.split(',').find(|feature| !feature.is_empty() && !has(feature))
}

#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    macro_rules! any {
        ($($name:tt)*) => { match feature { $($name => is_x86_feature_detected!($name),)* _ => false } };
    }
    any!("avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "popcnt" "avx512f" "avx512bw" "avx512cd" "avx512dq"
        "avx512vl" "avx512vbmi" "avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn has(_: &str) -> bool {
    false
}

impl Level {
    /// The version of this level.
    fn of<F: Copy>(self, versions: &Versions<F>) -> Result<F, Failed> {
        let version = match self.name {
            "portable" => Some(versions.portable),
            "avx2" => versions.avx2,
            _ => versions.avx512,
        };
        version.ok_or_else(|| format!("there is no version for {}", self.name).into())
    }
}

/// Every format has functions, and on x86-64 each in all versions.
fn versions_exist() -> Result<(), Failed> {
    for subject in subjects() {
        let Some(cpu) = subject.built_in()?.cpu else {
            return Err(format!("{} has no functions for CPUs", subject.name).into());
        };
        let all = |avx2: bool, avx512: bool| [avx2, avx512] == [cfg!(target_arch = "x86_64"); 2];
        let every = |coded: &Coded| {
            all(coded.codes.avx2.is_some(), coded.codes.avx512.is_some())
                && all(coded.scales.avx2.is_some(), coded.scales.avx512.is_some())
                && coded.header.as_ref().is_none_or(|header| {
                    all(header.scales.avx2.is_some(), header.scales.avx512.is_some())
                })
        };
        if !all(cpu.decode().avx2.is_some(), cpu.decode().avx512.is_some())
            || !cpu.coded().is_none_or(every)
        {
            return Err(format!("{} lacks a version", subject.name).into());
        }
        let header = cpu.coded().is_some_and(|coded| coded.header.is_some());
        let blocks = subject.format.is_plain() && subject.format.streams.len() == 1;
        if header != (blocks && cpu.coded().is_some()) {
            return Err(format!("{}: scales of many rows: {header}", subject.name).into());
        }
    }
    Ok(())
}

/// A tensor, what it means, and the functions under test.
struct Tensor<'a> {
    subject: &'a Subject,
    level: Level,
    dims: Dims,
    streams: Vec<&'a [u8]>,
    weights: Vec<f32>,
    /// Whether its floats are finite, so that weights can be compared with their affine form.
    finite: bool,
}

/// Golden vectors and random bytes of all sizes.
fn every_tensor(name: &str, subject: &Subject, level: Level) -> Result<(), Failed> {
    let cpu = subject.built_in()?.cpu.ok_or("it has no functions for CPUs")?;
    let format = &subject.format;
    let check = |what: &str, dims: Dims, streams: &[Vec<u8>], finite: bool| {
        let weights = meaning::weights(format, &dims, streams)?;
        let streams = streams.iter().map(Vec::as_slice).collect();
        let tensor = Tensor { subject, level, dims, streams, weights, finite };
        let checked = tensor.check(&cpu);
        checked.map_err(|error| {
            Failed::from(format!("{what}: {}", error.message().unwrap_or_default()))
        })
    };
    for vectors in &subject.vectors {
        check(&vectors.name, dims_of(format, vectors), &vectors.streams, true)?;
    }
    let mut rng = rng(name);
    for sizes in sizes(&format.sizes, format.weights) {
        for (n, blocks) in [(1, 24), (9, 5), (ROWS, 3)] {
            let dims = dims(format, n, blocks * format.weights as usize, &sizes);
            check("any bytes", dims, &rng.any_bytes(format, &dims), false)?;
            check("finite bytes", dims, &rng.finite_bytes(format, &dims)?, true)?;
        }
    }
    Ok(())
}

impl Tensor<'_> {
    fn check(&self, cpu: &Cpu) -> Result<(), Failed> {
        self.weights(cpu)?;
        let coded = lower::coded(&self.subject.format, 4).transpose()?;
        match (cpu.coded(), coded) {
            (Some(built_in), Some(coded)) => self.coded(built_in, &coded),
            (None, None) => Ok(()),
            (built_in, _) => {
                Err(format!("codes are built in: {}, wrongly", built_in.is_some()).into())
            }
        }
    }

    /// Blocks of the tensor, and a few from which decoding may start.
    fn starts(&self) -> (usize, [usize; 3]) {
        let blocks = (self.dims.n * self.dims.blocks) as usize;
        (blocks, [0, blocks / 3, blocks - 1])
    }

    fn weights(&self, cpu: &Cpu) -> Result<(), Failed> {
        let decode = self.level.of(cpu.decode())?;
        let (block, (_, starts)) = (self.subject.format.weights as usize, self.starts());
        for first in starts {
            let expected = &self.weights[first * block..];
            let mut weights = vec![f32::from_bits(0x7fc0_dead); expected.len()];
            // SAFETY: the test runs where the processor has the level's instructions.
            unsafe { decode(&self.streams, &self.dims.words(), first, &mut weights) };
            let found = Decoded::compare(&weights, expected);
            if found != Decoded::default() {
                return Err(format!("weights from block {first}: {found:?}").into());
            }
        }
        Ok(())
    }

    fn coded(&self, built_in: &Coded, coded: &lower::Coded) -> Result<(), Failed> {
        let coding = &coded.coding;
        let same = |a: &f32, b: &f32| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        let values = built_in.values.iter().zip(&coding.values).all(|(a, b)| same(a, b));
        if built_in.run != coding.run || *built_in.spans != *coding.spans || !values {
            return Err(format!("{built_in:?} is built in, not {coding:?}").into());
        }
        let (block, (blocks, starts)) = (self.subject.format.weights as usize, self.starts());
        let runs_per_block = block / built_in.run as usize;
        let dims = self.dims.words();
        for first in starts {
            let mut expected = vec![0; (blocks - first) * block];
            interpret_codes(&coded.codes, &self.streams, &self.dims, first, &mut expected);
            let mut codes = vec![0xa5; expected.len()];
            let decode = self.level.of(&built_in.codes)?;
            // SAFETY: the test runs where the processor has the level's instructions.
            unsafe { decode(&self.streams, &dims, first, &mut codes) };
            if codes != expected {
                return Err(format!("codes from block {first} differ").into());
            }
            let mut runs = vec![(0.0, 0.0); (blocks - first) * runs_per_block];
            interpret_scales(&coded.scales, &self.streams, &self.dims, first, &mut runs);
            let (expected_scales, expected_offsets): (Vec<f32>, Vec<f32>) =
                runs.iter().copied().unzip();
            let mut scales = vec![f32::from_bits(0x7fc0_dead); runs.len()];
            let mut offsets = scales.clone();
            let decode = self.level.of(&built_in.scales)?;
            // SAFETY: as above.
            unsafe { decode(&self.streams, &dims, first, &mut scales, &mut offsets) };
            for (what, found, expected) in
                [("scales", &scales, &expected_scales), ("offsets", &offsets, &expected_offsets)]
            {
                let found = Decoded::compare(found, expected);
                if found != Decoded::default() {
                    return Err(format!("{what} from block {first}: {found:?}").into());
                }
            }
            if !built_in.offset && offsets.iter().any(|offset| *offset != 0.0) {
                return Err("there are offsets, which the facts deny".into());
            }
            if first == 0
                && self.dims.n as usize == ROWS
                && let Some(header) = &built_in.header
            {
                self.rows(header, runs_per_block, &scales, &offsets)?;
            }
            if self.finite {
                let weights = &self.weights[first * block..];
                is_affine(&self.subject.format, coding, weights, &codes, &runs)?;
            }
        }
        Ok(())
    }

    /// Scales and offsets of all rows and blocks at once.
    fn rows(
        &self,
        header: &Header,
        runs: usize,
        scales: &[f32],
        offsets: &[f32],
    ) -> Result<(), Failed> {
        let (bytes, per_row) = (self.subject.format.streams[0].bytes, self.dims.blocks as usize);
        let decode = self.level.of(&header.scales)?;
        let byte = |block: usize, place: u32, row: usize| {
            self.streams[0][(row * per_row + block) * bytes as usize + place as usize]
        };
        let list: Vec<[u8; ROWS]> = (0..per_row)
            .flat_map(|block| header.bytes.iter().map(move |&place| (block, place)))
            .map(|(block, place)| std::array::from_fn(|row| byte(block, place, row)))
            .collect();
        let mut of_rows = vec![[f32::from_bits(0x7fc0_dead); ROWS]; per_row * runs];
        let mut moved = of_rows.clone();
        // SAFETY: the test runs where the processor has the level's instructions.
        unsafe { decode(&list, &mut of_rows, &mut moved) };
        for (what, found, one_by_one) in
            [("scales", &of_rows, scales), ("offsets", &moved, offsets)]
        {
            let expected = (0..per_row * runs)
                .flat_map(|run| (0..ROWS).map(move |row| one_by_one[row * per_row * runs + run]));
            let expected: Vec<f32> = expected.collect();
            let found = Decoded::compare(found.as_flattened(), &expected);
            if found != Decoded::default() {
                return Err(format!("{what} of all rows: {found:?}").into());
            }
        }
        Ok(())
    }
}
