//! Activations in 8 bits, number by number: what the quantizers of WGSL and HIP make against integers
//! and f64.

use crate::engine::{ENGINES, trial};
use crate::seed::rng;
use crate::{Failed, gpu};
use libtest_mimic::Trial;
use quantloom::artifact::{Backend, CHUNK, CHUNK_BYTES, Kernel, Shape};
use quantloom::gpu::Gpu;
use quantloom::hip_host::{Argument, HostKernel};
use quantloom::verify::random::Rng;

/// Words of a chunk; the last means nothing.
const WORDS: usize = CHUNK_BYTES as usize / 4;
/// What chunks are counted as zeros below.
const SMALLEST: f32 = 7.888_609e-31; // 2^-100

type Quantize = fn(&Kernel, &[f32], Shape) -> Result<Vec<u32>, Failed>;

pub fn trials() -> Vec<Trial> {
    // WGSL lets a division be a little off.
    let backends: [(&str, Backend, Quantize, u32); 2] =
        [("wgsl", Backend::Wgsl, on_gpu, 3), ("hip", Backend::Hip, on_host, 0)];
    let engines = ENGINES.iter().flat_map(|engine| {
        backends.into_iter().filter(|own| own.0 == engine.name).map(move |own| (engine, own))
    });
    let one = |(engine, (name, backend, quantize, ulp)): (_, (&str, Backend, Quantize, u32))| {
        trial(format!("quantize/{name}"), engine, move |_| every_shape(backend, quantize, ulp))
    };
    engines.map(one).collect()
}

fn every_shape(backend: Backend, quantize: Quantize, ulp: u32) -> Result<(), Failed> {
    let of_backend = |kernel: &&Kernel| kernel.backend == backend;
    let kernel = quantloom::quantizers().iter().find(of_backend).ok_or("no quantizer")?;
    let mut rng = rng("quantize");
    for (m, k) in [(1, 1), (1, 4), (3, 31), (2, 32), (17, 33), (5, 100), (2, 4099), (300, 64)] {
        let x = activations(m * k, &mut rng);
        let shape = Shape { k: k as u32, m: m as u32, ..Shape::default() };
        let words = quantize(kernel, &x, shape)?;
        compare(&words, &x, k, ulp).map_err(|error| format!("[{m}, {k}]: {error}"))?;
    }
    Ok(())
}

/// Ordinary numbers, chunks of zeros, tiny, huge and not finite ones, and codes halfway between two.
fn activations(count: usize, rng: &mut Rng) -> Vec<f32> {
    let mut x = rng.activations(count);
    for (number, chunk) in x.chunks_mut(CHUNK as usize).enumerate() {
        match number % 11 {
            1 => chunk.fill(-0.0),
            3 => chunk.iter_mut().for_each(|x| *x *= 2f32.powi(-104)),
            4 => chunk.iter_mut().for_each(|x| *x *= 2f32.powi(120)),
            5 => chunk[chunk.len() / 2] = f32::NAN,
            6 => chunk[chunk.len() - 1] = f32::NEG_INFINITY,
            7 => {
                (0..).zip(chunk).for_each(|(i, x)| *x = if i == 0 { 127.0 } else { i as f32 - 8.5 })
            }
            _ => {}
        }
    }
    x
}

/// Rows of `k` activations in 8 bits, as [`Activations`](quantloom::artifact::Activations) says.
pub fn reference(x: &[f32], k: usize) -> Vec<u32> {
    x.chunks(k).flat_map(|row| row.chunks(CHUNK as usize).flat_map(reference_of_chunk)).collect()
}

fn reference_of_chunk(x: &[f32]) -> [u32; WORDS] {
    let largest = x.iter().fold(0.0, |largest: f32, x| match largest.is_nan() || x.is_nan() {
        true => f32::NAN,
        false => largest.max(x.abs()),
    });
    // Of two f32, f64 gives what f32 rounds correctly.
    let inverse = (127.0 / f64::from(largest)) as f32;
    let code = |x: &f32| match largest.is_finite() && largest >= SMALLEST {
        true => (*x * inverse).round_ties_even() as i8,
        false => 0,
    };
    let mut codes = [0; CHUNK as usize];
    codes.iter_mut().zip(x).for_each(|(to, x)| *to = code(x));
    let scale = match largest {
        _ if !largest.is_finite() => f32::NAN,
        _ if largest < SMALLEST => 0.0,
        _ => (f64::from(largest) / 127.0) as f32,
    };
    let sum = |half: &[i8]| half.iter().map(|&code| i32::from(code)).sum::<i32>() as u32;
    let mut words = [0; WORDS];
    let (quads, _) = codes.as_chunks::<4>();
    words.iter_mut().zip(quads).for_each(|(word, quad)| {
        *word = u32::from_le_bytes(quad.map(|code| code as u8));
    });
    let (low, high) = codes.split_at(16);
    words[8..11].copy_from_slice(&[scale.to_bits(), sum(low), sum(high)]);
    words
}

/// Whether words are the reference's: scales to so many units in the last place, and where those are
/// allowed a code may be the other one of two that are as near.
pub fn compare(words: &[u32], x: &[f32], k: usize, ulp: u32) -> Result<(), String> {
    let expected = reference(x, k);
    if words.len() != expected.len() {
        return Err(format!("{} words; expected are {}", words.len(), expected.len()));
    }
    let chunks = x.chunks(k).flat_map(|row| row.chunks(CHUNK as usize));
    let both = words.chunks(WORDS).zip(expected.chunks(WORDS)).zip(chunks);
    for (number, ((got, expected), x)) in both.enumerate() {
        let wrong =
            |what: &str| Err(format!("chunk {number}: {what}: {got:x?}, not {expected:x?}"));
        let [got_scale, scale] = [got[8], expected[8]].map(f32::from_bits);
        let near = got_scale.to_bits().abs_diff(scale.to_bits()) <= ulp;
        if !(near || got_scale.is_nan() && scale.is_nan()) {
            return wrong("its scale");
        }
        let bytes =
            |words: &[u32]| words[..8].iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>();
        let (codes, wanted) = (bytes(got), bytes(expected));
        for (place, (&code, &wanted)) in codes.iter().zip(&wanted).enumerate() {
            let (code, wanted) = (code as i8, wanted as i8);
            let exact = f64::from(x.get(place).copied().unwrap_or(0.0)) / f64::from(scale);
            let tie = ulp > 0 && (exact.fract().abs() - 0.5).abs() < 1e-4;
            if code != wanted && !(tie && code.abs_diff(wanted) == 1) {
                return wrong("its codes");
            }
        }
        let sums =
            codes.chunks(16).map(|half| half.iter().map(|&c| i32::from(c as i8)).sum::<i32>());
        if !sums.eq([got[9] as i32, got[10] as i32]) {
            return wrong("its sums");
        }
    }
    Ok(())
}

fn words_of(shape: &Shape) -> usize {
    shape.m as usize * shape.k.div_ceil(CHUNK) as usize * WORDS
}

fn grid(kernel: &Kernel, shape: &Shape) -> Result<[u32; 3], Failed> {
    // So few that the larger ones have two dimensions.
    Ok(kernel.grid.launch(1, shape.k.into(), shape.m.into(), 20).ok_or("the grid is too large")?)
}

fn on_gpu(kernel: &Kernel, x: &[f32], shape: Shape) -> Result<Vec<u32>, Failed> {
    let words: Vec<u32> = x.iter().map(|x| x.to_bits()).collect();
    gpu::run(&Gpu::new()?, kernel, &words, &shape, words_of(&shape), grid(kernel, &shape)?)
}

#[allow(unsafe_code)]
fn on_host(kernel: &Kernel, x: &[f32], shape: Shape) -> Result<Vec<u32>, Failed> {
    // SAFETY: the compiler made the text.
    let compiled = unsafe { HostKernel::compile(kernel) }?;
    let (words, count) = (shape.words(), words_of(&shape));
    let memory = |values: usize| vec![0u128; values.div_ceil(4)];
    let (mut input, mut output) = (memory(x.len()), memory(count));
    bytemuck::cast_slice_mut(&mut input)[..x.len()].copy_from_slice(x);
    let arguments = vec![
        Argument::Read(bytemuck::cast_slice(&input)),
        Argument::Write(bytemuck::cast_slice_mut(&mut output)),
        Argument::Value(bytemuck::cast_slice(&words)),
    ];
    // SAFETY: the compiler made the text; both memories hold what the shape says.
    unsafe { compiled.launch(grid(kernel, &shape)?, arguments) }?;
    Ok(bytemuck::cast_slice(&output)[..count].to_vec())
}
