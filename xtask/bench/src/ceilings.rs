//! What the machine can do: read, write, multiply in f32.

use crate::Result;
use crate::contender::Call;
use crate::options::Shape;
use crate::report::Ceiling;
use crate::timing::{Plan, measure};
use gemm::Parallelism;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads that stay on a processor of their own each, where the system lets them.
pub fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).start_handler(stay).build()?)
}

#[cfg(target_os = "linux")]
fn stay(thread: usize) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let Ok(permitted) = sched_getaffinity(None) else { return };
    let mut permitted = (0..CpuSet::MAX_CPU).filter(|&cpu| permitted.is_set(cpu));
    if let Some(cpu) = permitted.nth(thread) {
        let mut only = CpuSet::new();
        only.set(cpu);
        // Where that is refused, figures are those of threads that move.
        let _ = sched_setaffinity(None, &only);
    }
}

#[cfg(not(target_os = "linux"))]
fn stay(_: usize) {}

/// Bytes that are read and written, at least: far more than any cache.
const BUFFER: usize = 256 << 20;

/// GB/s of reading, of writing, and of writing past the caches.
pub fn bandwidth(plan: &Plan, cache: usize, threads: usize) -> Result<Vec<Ceiling>> {
    let words = BUFFER.max(8 * cache).next_multiple_of(64 * threads) / size_of::<u32>();
    let mut memory = vec![1; words];
    let mut ceilings = Vec::new();
    for kind in [Stream::Read, Stream::Write, Stream::WritePast] {
        let per_thread = words / threads;
        let call = Box::new(Bandwidth { kind, memory: &mut memory, per_thread, sum: 0 });
        let samples = measure(&mut [call], plan)?.concat();
        let bytes = size_of_val(&*memory) as f64;
        let rates = samples.iter().map(|seconds| bytes / seconds / 1e9).collect();
        ceilings.push(Ceiling { name: kind.name().to_owned(), shape: None, m: 0, rates });
    }
    Ok(ceilings)
}

/// GFLOPS of an f32 product as large as those of the weights, which lie in the order that the crate
/// multiplies fastest: `[k, n]`.
pub fn matmul(plan: &Plan, shape: Shape, m: usize, threads: usize) -> Result<Ceiling> {
    let Shape { n, k } = shape;
    let ramp = |count: usize| (0..count).map(|i| (i % 251) as f32 / 251.0 - 0.5).collect();
    let call = Box::new(F32Product {
        w: ramp(n * k),
        x: ramp(m * k),
        y: vec![0.0; m * n],
        m,
        shape,
        threads,
    });
    let samples = measure(&mut [call], &Plan { copies: 1, ..*plan })?.concat();
    let operations = 2.0 * (m * n * k) as f64;
    let rates = samples.iter().map(|seconds| operations / seconds / 1e9).collect();
    Ok(Ceiling { name: MATMUL.to_owned(), shape: Some(shape), m, rates })
}

/// Name of the f32 product's ceiling.
pub const MATMUL: &str = "f32 matmul";
/// Name of the ceiling of reading.
pub const READ: &str = "read";

#[derive(Clone, Copy)]
enum Stream {
    Read,
    Write,
    WritePast,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Read => READ,
            Stream::Write => "write",
            Stream::WritePast => "write past the caches",
        }
    }
}

struct Bandwidth<'a> {
    kind: Stream,
    memory: &'a mut [u32],
    per_thread: usize,
    sum: u32,
}

impl Call for Bandwidth<'_> {
    fn run(&mut self, _: usize) -> Result<()> {
        let parts = self.memory.par_chunks_mut(self.per_thread);
        match self.kind {
            Stream::Read => self.sum = parts.map(|part| read(part)).reduce(|| 0, u32::wrapping_add),
            Stream::Write => parts.for_each(write),
            Stream::WritePast => parts.for_each(write_past),
        }
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(vec![self.sum as f32])
    }
}

/// Sums all words: a loop that compiles to loads and additions of whole vectors.
fn read(memory: &[u32]) -> u32 {
    memory.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

fn write(memory: &mut [u32]) {
    memory.fill(2);
}

#[cfg(target_arch = "x86_64")]
fn write_past(memory: &mut [u32]) {
    use std::arch::x86_64::{__m128i, _mm_set1_epi32, _mm_sfence, _mm_stream_si128};
    // SAFETY: a vector is four words of any bits.
    let (before, vectors, after) = unsafe { memory.align_to_mut::<__m128i>() };
    before.fill(3);
    after.fill(3);
    // SAFETY: vectors are aligned, and every x86-64 has these instructions.
    unsafe {
        let value = _mm_set1_epi32(3);
        for vector in vectors {
            _mm_stream_si128(vector, value);
        }
        _mm_sfence();
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn write_past(memory: &mut [u32]) {
    write(memory);
}

struct F32Product {
    w: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    m: usize,
    shape: Shape,
    threads: usize,
}

impl Call for F32Product {
    fn run(&mut self, _: usize) -> Result<()> {
        let Shape { n, k } = self.shape;
        let threads = match self.threads {
            1 => Parallelism::None,
            threads => Parallelism::Rayon(threads),
        };
        let (y, x, w) = (self.y.as_mut_ptr(), self.x.as_ptr(), self.w.as_ptr());
        // SAFETY: y, x and w are [m, n], [m, k] and [k, n], row-major: read by columns, y is w times x.
        unsafe {
            let (rows, inner) = (n as isize, k as isize);
            gemm::gemm(
                n, self.m, k, y, rows, 1, false, w, rows, 1, x, inner, 1, 0.0, 1.0, false, false,
                false, threads,
            );
        }
        Ok(())
    }

    fn output(&self) -> Result<Vec<f32>> {
        Ok(self.y.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_and_written_in_full() {
        let mut memory = vec![1; 1333];
        assert_eq!(read(&memory), 1333);
        write(&mut memory[1..]);
        assert_eq!(read(&memory), 1 + 2 * 1332);
        write_past(&mut memory[1..]);
        let expected = if cfg!(target_arch = "x86_64") { 3 } else { 2 };
        assert_eq!(read(&memory), 1 + expected * 1332);
    }

    #[test]
    fn the_f32_product_is_one() -> Result<()> {
        let shape = Shape { n: 2, k: 3 };
        let (w, x) = (vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0], vec![1.0, 0.0, -1.0, 2.0, 2.0, 2.0]);
        let mut product = F32Product { w, x, y: vec![0.0; 4], m: 2, shape, threads: 1 };
        product.run(0)?;
        assert_eq!(product.output()?, [-2.0, -2.0, 12.0, 30.0]);
        Ok(())
    }
}
