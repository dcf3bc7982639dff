//! What the GPU device does after mistakes, and how its async calls wait.

use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use quantloom::gpu::Gpu;
use quantloom::{Device, Error, Format, Tensor, Weights, wgpu};

use crate::gpu::gpu;
use crate::toy;

/// Far more than any call here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of a product that another thread computes; it shall not hang.
fn elsewhere(weights: &Weights) -> Result<Vec<f32>, Error> {
    let (weights, (sender, receiver)) = (weights.clone(), mpsc::channel());
    thread::spawn(move || {
        let _ = sender.send(weights.matvec(&[1.0; 8]));
    });
    receiver.recv_timeout(PATIENCE).expect("the call hangs")
}

#[test]
fn mistakes_of_the_program_are_told_once_and_nothing_hangs() {
    let Some(gpu) = gpu() else { return };
    let buffer = |gpu: &Gpu, label, size| {
        gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    };
    type Mistake<'a> = (&'a dyn Fn(&Gpu), &'a str);
    let mistakes: [Mistake; 3] = [
        (&|gpu| drop(buffer(gpu, "kv cache", 1 << 62)), "kv cache"),
        (
            &|gpu| gpu.queue().write_buffer(&buffer(gpu, "mine", 96), 0, &[1; 112]),
            "Queue::write_buffer",
        ),
        (
            &|gpu| {
                let mut encoder = gpu.device().create_command_encoder(&Default::default());
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.dispatch_workgroups(1, 1, 1);
                drop(pass);
                gpu.queue().submit([encoder.finish()]);
            },
            "dispatch",
        ),
    ];
    let (tensor, _) = toy::tensor(&toy::blocked(), 5, 8);
    let weights = tensor.upload(&Device::from(gpu.clone())).unwrap();
    let right = weights.matvec(&[1.0; 8]).unwrap();
    for (mistake, operation) in mistakes {
        mistake(&gpu);
        let error = elsewhere(&weights).unwrap_err();
        assert!(matches!(error, Error::Device { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("by the program itself") && error.contains(operation), "{error}");
        assert_eq!(elsewhere(&weights).unwrap(), right, "after {operation}");
        // The same in one thread, and other calls.
        mistake(&gpu);
        let error = tensor.upload(&Device::from(gpu.clone())).unwrap_err().to_string();
        assert!(error.contains(operation), "{error}");
        mistake(&gpu);
        let error = weights.dequantize().unwrap_err().to_string();
        assert!(error.contains(operation), "{error}");
        assert_eq!(weights.matvec(&[1.0; 8]).unwrap(), right, "after {operation}");
    }
}

#[test]
fn async_calls_do_not_block() {
    let Some(gpu) = gpu() else { return };
    // More than the queue may hold at once: the upload waits in between.
    let (n, k) = (8192, 18432);
    let format = Format::from(toy::blocked());
    let tensor = Tensor::new("large", format, n, k, [[3, 0b01].repeat(n * k / 4)]).unwrap();
    let large = pollster::block_on(gpu.upload_async(&tensor)).unwrap();
    // So much work is not done at once.
    let x = vec![1.0; k];
    let mut slow = pin!(large.matvec_async(&x));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(slow.as_mut().poll(&mut context), Poll::Pending), "it blocked");
    // Others wait behind it, and nobody is forgotten.
    let (tensor, weights) = toy::tensor(&toy::blocked(), 5, 8);
    let small = gpu.upload(&tensor).unwrap();
    let quick = pollster::block_on(small.matvec_async(&[1.0; 8])).unwrap();
    toy::assert_close(&quick, &toy::product(&weights, &[1.0; 8], 8), "matvec");
    let slow = pollster::block_on(slow).unwrap();
    assert!(slow.len() == n && slow.iter().all(|&y| y == (3 * k / 4) as f32));
}
