//! Every device against a product in f64.

use quantloom::{Device, Error, Format, Tensor};

use crate::toy;

fn devices() -> Vec<Device> {
    let mut devices = Vec::new();
    #[cfg(feature = "cpu")]
    devices.push(Device::cpu());
    #[cfg(feature = "wgpu")]
    devices.extend(crate::gpu::gpu().map(Device::from));
    devices
}

#[test]
fn dequantize_and_multiply() {
    for device in devices() {
        for artifact in [toy::blocked(), toy::planar()] {
            for n in [1, 3, 129, 257, 4097] {
                for k in [4, 12, 1032] {
                    let (tensor, weights) = toy::tensor(&artifact, n, k);
                    let context = format!("{}: {tensor:?}", device.name());
                    let resident = tensor.upload(&device).unwrap();
                    assert_eq!(resident.dequantize().unwrap(), weights, "{context}");
                    let halves = resident.dequantize_f16().unwrap();
                    let halves: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
                    assert_eq!(halves, weights, "{context}");
                    let x = toy::activations(1, k);
                    let wanted = toy::product(&weights, &x, k);
                    toy::assert_close(&resident.matvec(&x).unwrap(), &wanted, &context);
                    let ms: &[usize] = if n * k > 300_000 { &[3] } else { &[1, 2, 3, 17] };
                    for &m in ms {
                        let x = toy::activations(m, k);
                        let wanted = toy::product(&weights, &x, k);
                        toy::assert_close(&resident.matmul(&x, m).unwrap(), &wanted, &context);
                    }
                }
            }
        }
    }
}

#[test]
fn long_rows_stay_precise_on_the_cpu() {
    let (tensor, weights) = toy::tensor(&toy::blocked(), 5, 14336);
    for device in devices().into_iter().take(1) {
        let x = toy::activations(2, 14336);
        let wanted = toy::product(&weights, &x, 14336);
        let y = tensor.upload(&device).unwrap().matmul(&x, 2).unwrap();
        toy::assert_close(&y, &wanted, &device.name());
    }
}

#[test]
fn wrong_activations_are_refused() {
    let (tensor, _) = toy::tensor(&toy::blocked(), 3, 8);
    for device in devices() {
        let weights = tensor.upload(&device).unwrap();
        for (length, m) in [(0, 1), (7, 1), (9, 1), (8, 2), (0, 0), (8, usize::MAX)] {
            let error = weights.matmul(&vec![0.0; length], m).unwrap_err();
            assert!(matches!(error, Error::Argument { what: "activations", .. }), "{error}");
        }
        let message = weights.matvec(&[0.0; 7]).unwrap_err().to_string();
        assert!(message.contains("7 values; [m, k] = [1, 8] are 8"), "{message}");
    }
}

#[test]
fn a_format_without_decoder_or_kernel_is_refused() {
    let mut bare = toy::blocked();
    bare.cpu = None;
    bare.kernels = vec![].into();
    let tensor = Tensor::new("w", Format::from(bare), 1, 4, [vec![1, 2]]).unwrap();
    for device in devices() {
        let result = tensor.upload(&device).and_then(|weights| weights.dequantize());
        assert!(matches!(result, Err(Error::Missing { .. })));
    }
}
