//! Kernels written by hand, on the shim's vocabulary.
#![allow(unsafe_code)]

use super::{Argument, HostKernel};
use crate::artifact::{Activations, Artifact, Backend, Element, Grid, Kernel, Kind, Pieces};
use crate::{Device, Format, Tensor};

fn kernel(name: &str, threads: u32, source: &str) -> Kernel {
    Kernel {
        name: name.to_owned().into(),
        backend: Backend::Hip,
        kind: Kind::Matvec,
        output: Element::F32,
        activations: Activations::F32,
        subgroups: false,
        matrix: 0,
        workgroup: [threads, 1, 1],
        bindings: Vec::new().into(),
        grid: Grid::Rows { per_workgroup: 1 },
        padding: 0,
        pieces: Pieces::whole(source),
    }
}

fn compiled(kernel: &Kernel) -> Result<HostKernel, String> {
    // SAFETY: the texts below hold functions and constants only.
    unsafe { HostKernel::compile(kernel) }.map_err(|error| error.to_string())
}

/// Runs a kernel with parameters `(float* y)` or `(float* y, ql_u32 n)` over `[x, y]` workgroups.
fn run(kernel: &Kernel, grid: [u32; 2], y: &mut [u128], n: Option<u32>) -> Result<(), String> {
    let n = n.map(u32::to_ne_bytes);
    let mut arguments = vec![Argument::Write(bytemuck::cast_slice_mut(y))];
    arguments.extend(n.as_ref().map(|n| Argument::Value(n)));
    let kernel = compiled(kernel)?;
    // SAFETY: the kernels below write only the elements of `y` that their tests allocate.
    unsafe { kernel.launch([grid[0], grid[1], 1], arguments) }.map_err(|error| error.to_string())
}

#[test]
fn barriers_and_shuffles_exchange_values() {
    // Every workgroup sums the numbers of its 96 threads, and adds 1000 times its own number.
    let text = "
        QL_KERNEL(96) sums(float* __restrict__ y, const ql_u32 n) {
          QL_SHARED float parts[3];
          const ql_u64 id = (ql_u64)ql_group_y() * ql_groups_x(96) + ql_group_x();
          if (id >= n) return;
          float sum = ql_thread();
          sum += ql_shuffle_xor<16>(sum);
          sum += ql_shuffle_xor<8>(sum);
          sum += ql_shuffle_xor<4>(sum);
          sum += ql_shuffle_xor<2>(sum);
          sum += ql_shuffle_xor<1>(sum);
          if (ql_thread() % 32 == 5) parts[ql_thread() / 32] = sum;
          ql_barrier();
          if (ql_thread() == 70) y[id] = parts[0] + parts[1] + parts[2] + 1000.0f * id;
        }";
    let mut y = vec![0u128; 256];
    run(&kernel("sums", 96, text), [37, 27], &mut y, Some(990)).unwrap();
    let y: &[f32] = bytemuck::cast_slice(&y);
    for (id, y) in y.iter().enumerate() {
        let expected = if id < 990 { 4560.0 + 1000.0 * id as f32 } else { 0.0 };
        assert_eq!(*y, expected, "workgroup {id}");
    }
}

#[test]
fn a_missing_barrier_changes_results() {
    let text = "
        QL_KERNEL(2) missing(float* y) {
          QL_SHARED float number[2];
          number[ql_thread()] = 10.0f * ql_group_x() + ql_thread();
          y[2 * ql_group_x() + ql_thread()] = number[1 - ql_thread()];
        }";
    let mut y = vec![0u128; 1];
    run(&kernel("missing", 2, text), [2, 1], &mut y, None).unwrap();
    let y: &[f32] = bytemuck::cast_slice(&y);
    assert_ne!(y, [1.0, 0.0, 11.0, 10.0]);
}

#[test]
fn divergence_is_an_error_that_names_the_places() {
    let returned =
        "QL_KERNEL(64) returned(float* y) {\n  if (ql_thread() == 40) return;\n  ql_barrier();\n}";
    let error = run(&kernel("returned", 64, returned), [1, 1], &mut [0], None).unwrap_err();
    assert!(error.contains("`returned`"), "{error}");
    assert!(
        error.contains("thread 32 waits at the barrier in line 3, but thread 40 has returned"),
        "{error}"
    );

    let barriers = "QL_KERNEL(64) barriers(float* y) {\n  if (ql_thread() < 32)\n    ql_barrier();\n  else\n    ql_barrier();\n}";
    let error = run(&kernel("barriers", 64, barriers), [1, 1], &mut [0], None).unwrap_err();
    assert!(
        error.contains(
            "thread 0 waits at the barrier in line 3, but thread 32 waits at the barrier in line 5"
        ),
        "{error}"
    );

    let shuffles = "QL_KERNEL(64) shuffles(float* y) {\n  if (ql_thread() % 2)\n    ql_shuffle_xor<1>(1);\n  ql_barrier();\n}";
    let error = run(&kernel("shuffles", 64, shuffles), [3, 1], &mut [0], None).unwrap_err();
    assert!(
        error.contains(
            "thread 0 waits at the barrier in line 4, but thread 1 waits at the shuffle in line 3"
        ),
        "{error}"
    );
}

#[test]
fn wrong_use_is_an_error() {
    let broken = kernel("broken", 64, "QL_KERNEL(64) broken(float* y) {\n  y[0] = nonsense;\n}");
    let error = compiled(&broken).map(drop).unwrap_err();
    assert!(error.contains("broken.hip:2") && error.contains("nonsense"), "{error}");

    let name = compiled(&kernel("a b", 64, "")).map(drop).unwrap_err();
    assert!(name.contains("a b") && name.contains("letters, digits and underscores"), "{name}");

    let fine = kernel("fine", 64, "QL_KERNEL(64) fine(float* y) {}");
    let error = run(&fine, [1, 1], &mut [0], Some(1)).unwrap_err();
    assert!(error.contains("2 arguments; the kernel takes 1"), "{error}");

    let number = kernel("number", 64, "QL_KERNEL(64) number(float* y, ql_u64 n) {}");
    let error = run(&number, [1, 1], &mut [0], Some(1)).unwrap_err();
    assert!(error.contains("argument 1 has 4 bytes; the kernel takes 8"), "{error}");

    let error = run(&kernel("fine", 0, &fine.source()), [1, 1], &mut [0], None).unwrap_err();
    assert!(error.contains("1 to 1024"), "{error}");
}

#[test]
fn f16_conversions_agree_with_the_reference() {
    // Every f16 and back, and its neighbours in f32 on both sides of the rounding boundaries.
    let text = "
        QL_KERNEL(64) convert(ql_u32* __restrict__ y) {
          const ql_u32 bits = ql_group_x() * 64 + ql_thread();
          const float value = f16_to_f32(bits);
          const ql_u32 word = __builtin_bit_cast(ql_u32, value);
          y[4 * bits] = word;
          y[4 * bits + 1] = f32_to_f16(__builtin_bit_cast(float, word + 0x0FFFu));
          y[4 * bits + 2] = f32_to_f16(__builtin_bit_cast(float, word + 0x1000u));
          y[4 * bits + 3] = f32_to_f16(__builtin_bit_cast(float, word + 0x1001u));
        }";
    let mut y = vec![0u128; 1 << 16];
    run(&kernel("convert", 64, text), [1 << 10, 1], &mut y, None).unwrap();
    let y: &[u32] = bytemuck::cast_slice(&y);
    for (bits, y) in y.chunks_exact(4).enumerate() {
        let value = half::f16::from_bits(bits as u16);
        if value.is_nan() {
            assert!(f32::from_bits(y[0]).is_nan(), "{bits:#06x}");
            continue;
        }
        assert_eq!(y[0], value.to_f32_const().to_bits(), "{bits:#06x}");
        for (part, offset) in [0x0FFF, 0x1000, 0x1001].into_iter().enumerate() {
            let near = half::f16::from_f32_const(f32::from_bits(y[0] + offset));
            let got = half::f16::from_bits(y[part + 1] as u16);
            assert!(
                got == near && got.is_sign_negative() == near.is_sign_negative()
                    || near.is_nan() && got.is_nan(),
                "{bits:#06x} + {offset:#x}"
            );
        }
    }
}

#[test]
fn texts_that_nobody_vouches_for_do_not_run() {
    let device = match Device::hip_host() {
        Ok(device) => device,
        Err(error) => return eprintln!("skipped: HIP on the CPU: {error}"),
    };
    let plain = |artifact: &&Artifact| artifact.is_plain() && artifact.streams.len() == 1;
    let mut changed = crate::formats().iter().find(plain).unwrap().clone();
    let evil = "extern \"C\" void abort();\nstatic int loaded = (abort(), 1);\n";
    for kernel in changed.kernels.to_mut() {
        kernel.set_source(&format!("{evil}{}", kernel.source()));
    }
    let (k, bytes) = (changed.weights as usize, vec![0; changed.streams[0].bytes as usize]);
    let tensor = Tensor::new("changed", Format::from(changed), 1, k, [bytes]).unwrap();
    let error = tensor.upload(&device).unwrap_err().to_string();
    assert!(error.contains("vouch for it with `Format::trusted`"), "{error}");
}
