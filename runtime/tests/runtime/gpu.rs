//! What only the GPU device has: splitting, two-dimensional grids, encoders of the caller's.

use quantloom::artifact::{Artifact, Dims, Element, Kind};
use quantloom::gpu::Gpu;
use quantloom::{Device, Epilogue, Error, Format, Tensor, wgpu};

use crate::toy;

/// The GPU, or a line that says why there is none.
pub fn gpu() -> Option<Gpu> {
    let required = std::env::var("REQUIRE").is_ok_and(|list| list.split(',').any(|e| e == "wgsl"));
    match Gpu::new() {
        Ok(gpu) => Some(gpu),
        Err(error) if required => panic!("REQUIRE has wgsl, but: {error}"),
        Err(error) => {
            eprintln!("skipped: GPU: {error}");
            None
        }
    }
}

#[test]
fn splits_by_rows_and_gives_the_same() {
    let Some(gpu) = gpu() else { return };
    for artifact in [toy::blocked(), toy::planar()] {
        for (n, k, limit, parts) in [(1000, 48, 8192, 3), (999, 48, 8192, 3), (37, 44, 96, 10)] {
            let (tensor, weights) = toy::tensor(&artifact, n, k);
            let whole = gpu.upload(&tensor).unwrap();
            assert_eq!(whole.parts(), 1);
            let small = gpu.clone().with_binding_limit(limit);
            let split = small.upload(&tensor).unwrap();
            if artifact.name == "blocked" {
                assert!(split.parts() >= parts, "{} parts", split.parts());
            }
            let x = toy::activations(3, k);
            let device = Device::from(small.with_binding_limit(u64::MAX));
            let split = tensor.upload(&device).unwrap();
            if limit >= 8192 {
                assert_eq!(split.dequantize().unwrap(), weights);
                assert_eq!(split.dequantize_f16().unwrap().len(), weights.len());
            }
            let y = split.matvec(&x[..k]);
            if limit >= 8192 {
                toy::assert_close(&y.unwrap(), &toy::product(&weights, &x[..k], k), "matvec");
                let y = split.matmul(&x, 3).unwrap();
                toy::assert_close(&y, &toy::product(&weights, &x, k), "matmul");
            } else {
                assert!(matches!(y, Err(Error::Argument { .. })), "44 activations exceed 96 bytes");
            }
        }
    }
}

#[test]
fn one_row_over_the_limit_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let (tensor, _) = toy::tensor(&toy::blocked(), 3, 1024);
    let error = gpu.with_binding_limit(256).upload(&tensor).err().unwrap().to_string();
    assert!(error.contains("one row of 1024 weights has 512 bytes"), "{error}");
    assert!(error.contains("a binding holds 256"), "{error}");
}

#[test]
fn large_grids_become_two_dimensional() {
    let Some(gpu) = gpu() else { return };
    let (tensor, weights) = toy::tensor(&toy::blocked(), 259, 16);
    for limit in [33, 17, 65] {
        let device = Device::from(gpu.clone().with_workgroup_limit(limit));
        let resident = tensor.upload(&device).unwrap();
        let x = toy::activations(5, 16);
        assert_eq!(resident.dequantize().unwrap(), weights, "limit {limit}");
        let y = resident.matvec(&x[..16]).unwrap();
        toy::assert_close(&y, &toy::product(&weights, &x[..16], 16), "matvec");
        let y = resident.matmul(&x, 5).unwrap();
        toy::assert_close(&y, &toy::product(&weights, &x, 16), "matmul");
    }
    for (limit, says) in
        [(2, "more than 2 x 2 workgroups"), (0, "workgroups per dimension of a grid is 0")]
    {
        let device = Device::from(gpu.clone().with_workgroup_limit(limit));
        let error = tensor.upload(&device).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    // Rows of four fit a grid of 6 x 6; all their weights do not.
    let (tensor, weights) = toy::tensor(&toy::blocked(), 16, 4096);
    let resident = tensor.upload(&Device::from(gpu.with_workgroup_limit(6))).unwrap();
    assert_eq!(resident.dequantize().unwrap(), weights);
}

/// A device without the limits that compute shaders need, as browsers' older API has it.
#[test]
fn a_device_that_computes_nothing_says_so() {
    if gpu().is_none() {
        return;
    }
    let adapter = wgpu::Instance::default().request_adapter(&Default::default());
    let adapter = pollster::block_on(adapter).unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_limits: wgpu::Limits::downlevel_webgl2_defaults(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let (tensor, _) = toy::tensor(&toy::blocked(), 5, 8);
    let error = Gpu::from_parts(device, queue).upload(&tensor).err().unwrap().to_string();
    assert!(error.contains("is 0, so no kernel runs on it"), "{error}");
}

/// A buffer of f32 that the caller owns.
fn buffer(gpu: &Gpu, values: &[f32], size: u64) -> wgpu::Buffer {
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    gpu.queue().write_buffer(&buffer, 0, &bytes);
    buffer
}

/// Submits what the caller recorded and reads a buffer back.
fn finish(gpu: &Gpu, mut encoder: wgpu::CommandEncoder, buffer: &wgpu::Buffer) -> Vec<f32> {
    let host = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: buffer.size(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    encoder.copy_buffer_to_buffer(buffer, 0, &host, 0, buffer.size());
    gpu.queue().submit([encoder.finish()]);
    host.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let view = host.get_mapped_range(..).unwrap();
    view.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[test]
fn records_into_an_encoder_of_the_callers() {
    let Some(own) = gpu() else { return };
    let gpu = Gpu::from_parts(own.device().clone(), own.queue().clone()).with_binding_limit(4096);
    let (n, k, m) = (300, 48, 3);
    let (tensor, weights) = toy::tensor(&toy::blocked(), n, k);
    let resident = gpu.upload(&tensor).unwrap();
    assert!(resident.parts() > 1);
    let values = toy::activations(m, k);
    let x = buffer(&gpu, &values, 4096);
    let y = buffer(&gpu, &[], 4 * 304);
    let ym = buffer(&gpu, &[], 4 * 900);
    let decoded = buffer(&gpu, &[], (4 * n * k) as u64);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    // A chain in one encoder: three kernels, no submission between them.
    resident.record_matvec(&mut encoder, x.slice(..256), &y).unwrap();
    resident.record_matmul(&mut encoder, &x, &ym, m as u32).unwrap();
    resident.record_dequant(&mut encoder, &decoded, Element::F32).unwrap();
    let got = finish(&gpu, encoder, &decoded);
    assert_eq!(got, weights);
    let encoder = || gpu.device().create_command_encoder(&Default::default());
    let got = finish(&gpu, encoder(), &y);
    toy::assert_close(&got[..n], &toy::product(&weights, &values[..k], k), "matvec");
    let got = finish(&gpu, encoder(), &ym);
    toy::assert_close(&got, &toy::product(&weights, &values, k), "matmul");
}

/// A GPU, and what tells of its objects.
struct Counted {
    instance: wgpu::Instance,
    gpu: Gpu,
}

fn counted() -> Option<Counted> {
    gpu()?;
    let instance = wgpu::Instance::default();
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let opened = pollster::block_on(adapter.request_device(&Default::default())).unwrap();
    Some(Counted { instance, gpu: Gpu::from_parts(opened.0, opened.1) })
}

/// Buffers, bind groups, pipelines and modules that there are.
fn made(instance: &wgpu::Instance) -> [usize; 4] {
    let hub = instance.generate_report().unwrap();
    let hub = hub.hub_report();
    let all = [&hub.buffers, &hub.bind_groups, &hub.compute_pipelines, &hub.shader_modules];
    all.map(|kind| kind.num_allocated)
}

#[test]
fn the_same_launch_again_makes_nothing() {
    let Some(Counted { instance, gpu }) = counted() else { return };
    let (n, k) = (300, 48);
    let (tensor, weights) = toy::tensor(&toy::blocked(), n, k);
    let resident = gpu.upload(&tensor).unwrap();
    let values = toy::activations(3, k);
    // Activation rows lie 256 bytes apart, outputs 2048.
    let mut apart = vec![0.0; 3 * 64];
    for (row, values) in apart.chunks_mut(64).zip(values.chunks(k)) {
        row[..k].copy_from_slice(values);
    }
    let (x, y) = (buffer(&gpu, &apart, 768), buffer(&gpu, &[], 3 * 2048));
    let made = || made(&instance);
    let nothing = made();
    let record = |encoder: &mut wgpu::CommandEncoder, row: u64| {
        let y = y.slice(row * 2048..(row + 1) * 2048);
        resident.record_matvec(encoder, x.slice(row * 256..(row + 1) * 256), y).unwrap();
    };
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    record(&mut encoder, 0);
    let once = made();
    assert!(once[1] > nothing[1] && once[2] > nothing[2], "{nothing:?}, {once:?}");
    // The same buffers; other slices of them; into a compute pass of the caller's.
    record(&mut encoder, 0);
    record(&mut encoder, 1);
    let mut pass = encoder.begin_compute_pass(&Default::default());
    let last = (x.slice(512..768), y.slice(4096..6144));
    resident.record_matvec(&mut pass, last.0, last.1).unwrap();
    drop(pass);
    assert_eq!(made(), once);
    let got = finish(&gpu, encoder, &y);
    for (row, got) in got.chunks(512).enumerate() {
        let wanted = toy::product(&weights, &values[row * k..(row + 1) * k], k);
        toy::assert_close(&got[..n], &wanted, &format!("row {row}"));
    }
    // What was not recorded for long is dropped, and made again.
    let other = buffer(&gpu, &[], 2048);
    for _ in 0..300 {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        resident.record_matvec(&mut encoder, &x, &other).unwrap();
    }
    let others = made();
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    record(&mut encoder, 0);
    assert_eq!(made()[1], others[1] + 1, "a bind group");
    let got = finish(&gpu, encoder, &y);
    toy::assert_close(&got[..n], &toy::product(&weights, &values[..k], k), "made again");
}

#[test]
fn the_same_call_on_the_hosts_memory_again_makes_nothing() {
    let Some(Counted { instance, gpu }) = counted() else { return };
    let (n, k) = (300, 48);
    let (tensor, weights) = toy::tensor(&toy::blocked(), n, k);
    let resident = tensor.upload(&gpu.into()).unwrap();
    let values = toy::activations(3, k);
    let call = || {
        let y = resident.matmul(&values, 3).unwrap();
        toy::assert_close(&y, &toy::product(&weights, &values, k), "matmul");
        assert_eq!(resident.dequantize().unwrap(), weights);
    };
    // Buffers grow with the calls of a round.
    call();
    call();
    let twice = made(&instance);
    call();
    assert_eq!(made(&instance), twice);
}

#[test]
fn all_operands_may_lie_in_one_buffer() {
    let Some(gpu) = gpu() else { return };
    let (n, k, m) = (37, 48, 3);
    let (tensor, weights) = toy::tensor(&toy::blocked(), n, k);
    let resident = gpu.upload(&tensor).unwrap();
    let values = toy::activations(m, k);
    let mut all = vec![0.0; 512];
    all[64..][..m * k].copy_from_slice(&values);
    let all = buffer(&gpu, &all, 2048);
    let (x, y) = (all.slice(256..832), all.slice(1024..1472));
    let wanted = toy::product(&weights, &values, k);
    for pass in [false, true] {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        match pass {
            false => resident.record_matmul(&mut encoder, x, y, m as u32).unwrap(),
            true => {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                resident.record_matmul(&mut pass, x, y, m as u32).unwrap();
            }
        }
        let got = finish(&gpu, encoder, &all);
        assert_eq!(got[64..][..m * k], values, "activations stay as they are");
        toy::assert_close(&got[256..][..m * n], &wanted, "one buffer");
    }
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let over = resident.record_matmul(&mut encoder, x, all.slice(768..), m as u32).unwrap_err();
    assert!(over.to_string().contains("it shares bytes with the activations"), "{over}");
}

#[test]
fn a_missing_matmul_is_made_up_for() {
    let Some(gpu) = gpu() else { return };
    let mut artifact = toy::blocked();
    artifact.kernels.to_mut().retain(|kernel| kernel.kind != Kind::Matmul);
    let (tensor, weights) = toy::tensor(&artifact, 64, 64);
    let x = toy::activations(5, 64);
    let y = tensor.upload(&gpu.into()).unwrap().matmul(&x, 5).unwrap();
    toy::assert_close(&y, &toy::product(&weights, &x, 64), "row by row");
}

#[test]
fn kernels_are_compiled_ahead_and_kept() {
    let Some(Counted { instance, gpu }) = counted() else { return };
    let (tensor, weights) = toy::tensor(&toy::blocked(), 5, 8);
    let resident = gpu.upload(&tensor).unwrap();
    for kind in [Kind::Matvec, Kind::Matmul, Kind::Dequant] {
        resident.prepare(kind, Element::F32).unwrap();
    }
    let missing = resident.prepare(Kind::Gather, Element::F32).unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing}");
    let prepared = made(&instance)[2];
    assert_eq!(tensor.upload(&gpu.clone().into()).unwrap().dequantize().unwrap(), weights);
    assert_eq!(made(&instance)[2], prepared, "pipelines");
    assert!(gpu.compiled().is_none(), "without the feature there is nothing to hand out");

    let Some(gpu) = self::gpu() else { return };
    let prepared = |gpu: &Gpu| gpu.upload(&tensor).unwrap().prepare(Kind::Matvec, Element::F32);
    prepared(&gpu).unwrap();
    let Some(code) = gpu.compiled() else { return eprintln!("skipped: no PIPELINE_CACHE") };
    assert!(!code.is_empty());
    let later = Gpu::new().unwrap();
    for code in [&code[..], &[], &[7; 100]] {
        // SAFETY: it is what was handed out, or no such data at all, which wgpu sees.
        unsafe { later.load(code) }.unwrap();
        prepared(&later).unwrap();
        assert!(later.compiled().is_some_and(|code| !code.is_empty()));
    }
    let x = toy::activations(1, 8);
    let y = tensor.upload(&later.into()).unwrap().matvec(&x).unwrap();
    toy::assert_close(&y, &toy::product(&weights, &x, 8), "code from before");
}

#[test]
fn rows_and_epilogues_again_make_nothing() {
    let Some(Counted { instance, gpu }) = counted() else { return };
    let format = Format::from(&quantloom::formats()[0]);
    let (n, k) = (8, format.weights as usize);
    let dims = Dims { n: n as u32, blocks: 1, sizes: [1; 2] };
    let streams = format.streams.iter().map(|stream| vec![0; stream.len(&dims).unwrap() as usize]);
    let streams: Vec<_> = streams.collect();
    let tensor = Tensor::new("zeros", format, n, k, streams).unwrap();
    let resident = gpu.upload(&tensor).unwrap();
    let values = [1.0; 512];
    let (x, y) = (buffer(&gpu, &values, 2048), buffer(&gpu, &[], 2048));
    let made = || made(&instance);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let mut record = |slice: u64, scale: f32| {
        let bias = Some(x.slice(slice * 256..).into());
        let epilogue = Epilogue { scale, bias, add: true };
        resident.record_matvec_with(&mut encoder, x.slice(..1024), &y, epilogue).unwrap();
        let epilogue = Epilogue { add: true, ..Epilogue::default() };
        resident.record_matmul_with(&mut encoder, &x, &y, 1, epilogue).unwrap();
        resident.record_gather(&mut encoder, x.slice(slice * 256..), &y, 1, Element::F32).unwrap();
    };
    record(0, 0.5);
    let once = made();
    record(0, 0.5);
    record(1, 0.5);
    assert_eq!(made(), once);
    record(0, 0.25);
    assert_ne!(made(), once, "another scale is another shape");
}

#[test]
fn buffers_of_the_caller_are_checked() {
    let Some(gpu) = gpu() else { return };
    let (tensor, _) = toy::tensor(&toy::blocked(), 5, 8);
    let resident = gpu.upload(&tensor).unwrap();
    let x = buffer(&gpu, &[], 32);
    let y = buffer(&gpu, &[], 32);
    let short = buffer(&gpu, &[], 28);
    let foreign = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 32,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let mut refusal = |x: &wgpu::Buffer, y: &wgpu::Buffer, m| {
        resident.record_matmul(&mut encoder, x, y, m).unwrap_err().to_string()
    };
    assert!(refusal(&short, &y, 1).contains("8 elements, rounded up to a multiple of 4, take 32"));
    assert!(refusal(&x, &short, 1).contains("5 elements, rounded up to a multiple of 4, take 32"));
    assert!(refusal(&foreign, &y, 1).contains("STORAGE is needed"));
    assert!(refusal(&x, &y, 0).contains("at least 1"));
    assert!(refusal(&x, &x, 1).contains("it shares bytes with the activations"));
    assert!(refusal(&x, &y, u32::MAX).contains("a buffer of 32 bytes"));
    resident.record_matmul(&mut encoder, &x, &y, 1).unwrap();
    let message = resident.record_dequant(&mut encoder, &short, Element::F16).unwrap_err();
    assert!(message.to_string().contains("40 elements"), "{message}");
    // Kernels made by hand, without a bias and without a gather.
    let epilogue = Epilogue { scale: 2.0, ..Epilogue::default() };
    let message = resident.record_matvec_with(&mut encoder, &x, &y, epilogue).unwrap_err();
    assert!(message.to_string().contains("has no epilogue in kernel"), "{message}");
    let message = resident.record_gather(&mut encoder, &x, &y, 1, Element::F32).unwrap_err();
    assert!(message.to_string().contains("kernel for gather to f32"), "{message}");
}

#[test]
fn activations_beyond_a_binding_are_multiplied_in_pieces() {
    let Some(gpu) = gpu() else { return };
    let device = Device::from(gpu.with_binding_limit(1024));
    let (tensor, weights) = toy::tensor(&toy::blocked(), 20, 64);
    let resident = tensor.upload(&device).unwrap();
    let x = toy::activations(17, 64);
    let y = resident.matmul(&x, 17).unwrap();
    toy::assert_close(&y, &toy::product(&weights, &x, 64), "17 rows, 4 at a time");
}

/// The toy format with a text in place of one kernel's.
fn with_source(kind: Kind, change: impl Fn(&str) -> String) -> Format {
    let mut artifact: Artifact = toy::blocked();
    for kernel in artifact.kernels.to_mut() {
        if kernel.kind == kind {
            kernel.set_source(&change(&kernel.source()));
        }
    }
    Format::from(artifact)
}

#[test]
fn kernels_of_one_name_do_not_mix() {
    let Some(gpu) = gpu() else { return };
    let device = Device::from(gpu);
    let twice = with_source(Kind::Matvec, |text| text.replace("= sum", "= 2.0 * sum"));
    let upload = |format: Format| {
        Tensor::new("w", format, 1, 4, [vec![3, 0b01]]).unwrap().upload(&device).unwrap()
    };
    let (once, twice) = (upload(Format::from(toy::blocked())), upload(twice));
    for _ in 0..2 {
        assert_eq!(once.matvec(&[1.0, 0.0, 0.0, 0.0]).unwrap(), [3.0]);
        assert_eq!(twice.matvec(&[1.0, 0.0, 0.0, 0.0]).unwrap(), [6.0]);
    }
}

#[test]
fn a_broken_kernel_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let device = Device::from(gpu);
    for change in ["syntax error", "fn other() {}"] {
        let format = with_source(Kind::Matvec, |_| change.to_owned());
        let tensor = Tensor::new("w", format, 1, 4, [vec![3, 0b01]]).unwrap();
        let weights = tensor.upload(&device).unwrap();
        let error = weights.matvec(&[1.0; 4]).unwrap_err();
        assert!(error.to_string().contains("compiling kernel `blocked_matvec_f32`"), "{error}");
        assert_eq!(weights.dequantize().unwrap(), [3.0, 0.0, 0.0, 0.0], "the device still works");
    }
}

#[test]
fn a_lost_device_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let (tensor, _) = toy::tensor(&toy::blocked(), 5, 8);
    let weights = tensor.upload(&Device::from(gpu.clone())).unwrap();
    weights.matvec(&[1.0; 8]).unwrap();
    gpu.device().destroy();
    for error in [
        weights.matvec(&[1.0; 8]).unwrap_err(),
        weights.matmul(&[1.0; 16], 2).unwrap_err(),
        weights.dequantize().unwrap_err(),
        gpu.upload(&tensor).err().unwrap(),
    ] {
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    }
}

#[test]
fn a_lost_device_of_the_callers_is_an_error() {
    let Some(own) = gpu() else { return };
    let (device, queue) = (own.device().clone(), own.queue().clone());
    drop(own);
    let gpu = Gpu::from_parts(device, queue);
    let (tensor, _) = toy::tensor(&toy::blocked(), 5, 8);
    let weights = tensor.upload(&Device::from(gpu.clone())).unwrap();
    gpu.device().destroy();
    let error = weights.matvec(&[1.0; 8]).unwrap_err();
    assert!(matches!(error, Error::Device { .. }), "{error}");
}
