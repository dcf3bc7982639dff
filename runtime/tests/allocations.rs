//! What computes into memory of the caller's allocates nothing, once its threads have their buffers;
//! and what a GGUF file's header says is not copied, nor believed where it asks for memory.

#[path = "runtime/gguf/file.rs"]
#[allow(dead_code)]
mod file;
#[path = "runtime/toy.rs"]
#[allow(dead_code)]
mod toy;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted.
struct Counted;

thread_local! {
    /// Allocations of this thread, and the bytes of the largest.
    static COUNT: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn count(size: usize) {
    // A thread that ends may allocate when this is gone already.
    let _ = COUNT.try_with(|count| {
        let (number, largest) = count.get();
        count.set((number + 1, largest.max(size)));
    });
}

/// How often this thread allocates, and how many bytes at most at once.
fn allocated(call: impl FnOnce()) -> (usize, usize) {
    COUNT.set((0, 0));
    call();
    COUNT.get()
}

// SAFETY: every call is the system allocator's.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that are asked for here.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

mod headers {
    use super::allocated;
    use super::file::{Entry, File, array, open, string, value};
    use quantloom::Gguf;
    use quantloom::gguf::Array;

    /// A file with a vocabulary, and one tensor.
    fn vocabulary(tokens: usize) -> File {
        let strings = (0..tokens).flat_map(|token| string(format!("token {token}").as_bytes()));
        let strings: Vec<u8> = strings.collect();
        let mut file = File::of(vec![Entry::new("t", &[8], 1000, 0)], vec![0; 4]);
        let tokens = tokens as u64;
        file.entries = vec![
            ("tokens".into(), value(9, &array(8, tokens, &strings))),
            ("scores".into(), value(9, &array(6, tokens, &vec![0; 4 * tokens as usize]))),
        ];
        file
    }

    #[test]
    fn a_vocabulary_costs_nothing_until_it_is_asked_for() {
        let tokens = 150_000;
        let bytes = vocabulary(tokens).bytes();
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, &bytes).unwrap();
        type Open<'a> = (&'a str, &'a dyn Fn() -> Gguf);
        let opens: [Open; 2] =
            [("opened", &|| Gguf::open(&path).unwrap()), ("read", &|| Gguf::read(&path).unwrap())];
        for (name, opens) in opens {
            let mut opened = None;
            let (number, largest) = allocated(|| opened = Some(opens()));
            assert!(number < 100, "{name}: {number} allocations");
            // What is read at once is the header.
            assert!(largest < 2 * bytes.len(), "{name}: {largest} bytes at once");
            let gguf = opened.unwrap();
            let (number, _) = allocated(|| {
                let array = gguf.get::<Array>("tokens").unwrap();
                assert_eq!(array.iter().filter_map(|token| token.as_str()).count(), tokens);
                assert_eq!(gguf.get::<Array>("scores").unwrap().iter().count(), tokens);
            });
            assert_eq!(number, 0, "{name}: going through the vocabulary");
        }
    }

    /// Numbers of a header that are damaged at random make no panic and nothing large: at most a few
    /// times what the file itself has.
    #[test]
    fn damaged_headers_ask_for_no_memory() {
        let bytes = vocabulary(100).bytes();
        let sample = File::sample().bytes();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let (mut opened, mut refused) = (0, 0);
        for seed in 0..20_000 {
            let mut bytes = if seed % 2 == 0 { bytes.clone() } else { sample.clone() };
            for _ in 0..1 + random(3) {
                let width = [1, 2, 4, 8][random(4)];
                let (at, huge) = (random(bytes.len() - width), random(2) == 0);
                for byte in &mut bytes[at..at + width] {
                    *byte = if huge { 0xff } else { random(256) as u8 };
                }
            }
            let limit = 8 * bytes.len() + 4096;
            let (_, largest) = allocated(|| match open(bytes) {
                Ok(gguf) => {
                    opened += 1;
                    for info in gguf.tensors() {
                        let _ = gguf.tensor(&info.name);
                        let _ = gguf.bytes(&info.name).unwrap();
                    }
                    assert!(gguf.metadata().count() <= 100);
                }
                Err(_) => refused += 1,
            });
            assert!(largest < limit, "seed {seed}: {largest} bytes at once");
        }
        assert!(opened > 100 && refused > 100, "{opened} opened, {refused} refused");
    }
}

#[cfg(feature = "cpu")]
mod products {
    use super::allocated;
    use quantloom::artifact::Dims;
    use quantloom::cpu::Cpu;
    use quantloom::{Format, Tensor, f16, formats};

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
                let (number, _) = allocated(all);
                assert_eq!(number, 0, "{format:?}, {cpu:?}, {m} rows");
            }
        }
    }
}
