//! What computes into memory of the caller's allocates nothing, once its threads have their buffers.
#![cfg(feature = "cpu")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use quantloom::artifact::Dims;
use quantloom::cpu::Cpu;
use quantloom::{Format, Tensor, f16, formats};

/// The system's allocator, counted.
struct Counted;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that are asked for here.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

#[test]
fn nothing_is_allocated_after_the_first_call() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| formats().iter().for_each(|artifact| check(&Format::from(artifact))));
}

fn check(format: &Format) {
    let (n, k) = (34, 2 * format.weights.next_multiple_of(32) as usize);
    let block = format.weights;
    let mut sizes = [0; 2];
    for (blocks, size) in sizes.iter_mut().zip(format.sizes.iter()) {
        *blocks = size.default / block;
    }
    let dims = Dims { n: n as u32, blocks: k as u32 / block, sizes };
    let streams =
        format.streams.iter().map(|stream| vec![0u8; stream.len(&dims).unwrap() as usize]);
    let tensor = Tensor::new("t", format.clone(), n, k, streams).unwrap();
    let native = Cpu::new();
    for cpu in [native, native.int8(), native.interleaved(), native.interleaved().int8()] {
        let weights = tensor.upload(&cpu.into()).unwrap();
        let weights = weights.on_cpu().unwrap();
        for m in [1, 2, 9, 25] {
            let x = vec![1.0; m * k];
            let experts: Vec<u32> = (0..m as u32).map(|row| row % 2).collect();
            let mut y = vec![0.0; m * n];
            let mut decoded = vec![0.0; n * k];
            let mut halves = vec![f16::ZERO; n * k];
            let mut all = || {
                weights.matmul_into(&x, m, &mut y).unwrap();
                weights.matmul_experts_into(&x, &experts, 2, &mut y[..m * n / 2]).unwrap();
                weights.gather_into(&[3, 0], &mut decoded[..2 * k]).unwrap();
                weights.dequantize_into(&mut decoded).unwrap();
                weights.dequantize_f16_into(&mut halves).unwrap();
            };
            all();
            let before = COUNT.load(Ordering::Relaxed);
            all();
            let allocated = COUNT.load(Ordering::Relaxed) - before;
            assert_eq!(allocated, 0, "{format:?}, {cpu:?}, {m} rows");
        }
    }
}
