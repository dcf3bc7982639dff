//! Formats of one's own on every device, against what their descriptors mean; and that a wrong
//! decoder or kernel is found.

mod devices;

use devices::devices;
use quantloom::artifact::{Artifact, Backend, Cpu, Element, Kernel, Kind, List, Versions};
use quantloom::verify::{
    Case, Difference, Fault, Operation, Origin, Output, Vectors, random_cases, verify_vectors,
    verify_with_seed,
};
use quantloom::{Device, Error, Format, Tensor, verify};
use quantloom_outside::{Columns, GroupedB3, Lattice, Rounded, Split, Super4, Super6, ThreeBits};

/// Devices for a format that has a CPU decoder.
const ALL: &[&str] = &["cpu", "reference", "wgsl", "hip"];
/// Devices for a format that was compiled at run time.
const AT_RUN_TIME: &[&str] = &["reference", "wgsl", "hip"];

#[test]
fn a_format_of_the_macro() {
    let report = verify(&ThreeBits::ARTIFACT.into(), &devices(ALL)).unwrap();
    assert_eq!(report.format, "three_bits");
    for device in report.devices {
        assert!(device.tensors > 10 && device.weights > 100_000 && device.outputs > 1000);
    }
}

#[test]
fn a_format_of_two_streams() {
    verify(&Split::ARTIFACT.into(), &devices(ALL)).unwrap();
}

/// Loads at the end of the first unit do not reach into the second.
#[test]
fn a_format_of_two_units_in_a_block() {
    verify(&Columns::ARTIFACT.into(), &devices(ALL)).unwrap();
}

/// No product leaves roundings out that a formula is made for.
#[test]
fn a_format_that_rounds_on_purpose() {
    let int8 = quantloom::cpu::Cpu::new().int8();
    let ways = [int8, int8.interleaved(), quantloom::cpu::Cpu::new().interleaved()];
    let devices: Vec<Device> = ways.into_iter().map(Device::from).chain(devices(ALL)).collect();
    verify(&Rounded::ARTIFACT.into(), &devices).unwrap();
}

#[test]
fn a_format_with_sizes_and_a_parameter() {
    let format = Format::from(GroupedB3::ARTIFACT).with_size("g", 96).unwrap();
    verify(&format, &devices(ALL)).unwrap();
}

#[test]
fn a_format_of_vectors_and_small_floats() {
    verify(&Lattice::ARTIFACT.into(), &devices(ALL)).unwrap();
}

#[test]
fn formats_read_at_run_time() {
    let read = |name: &str, params: &[(&str, u32)]| {
        let path = format!("{}/formats/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        Format::compile_with(&text, &path, params).unwrap()
    };
    for (name, params) in
        [("three_bits", [].as_slice()), ("split", &[]), ("lattice", &[]), ("grouped", &[("b", 4)])]
    {
        verify_with_seed(&read(name, params), &devices(AT_RUN_TIME), 7).unwrap();
    }
}

/// Codes 0 to 15 less 2, a quarter each; the second row is twice the first.
fn split_vectors() -> Vectors {
    let codes = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe];
    let groups = [0.25f32, 2.0, 0.5, 2.0].map(f32::to_le_bytes).concat();
    let row: Vec<f32> = (0..8).chain(-8..0).map(|code| (code as f32 - 2.0) * 0.25).collect();
    Vectors {
        name: "by hand".into(),
        n: 2,
        k: 16,
        streams: vec![[codes, codes].concat(), groups],
        weights: [row.clone(), row.iter().map(|weight| 2.0 * weight).collect()].concat(),
        ..Vectors::default()
    }
}

/// Vectors of a file: NumPy decoded the structs that the descriptors describe.
fn golden(file: &[u8]) -> Vec<Vectors> {
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    let names = tensors.names();
    let sets = names.iter().filter_map(|name| name.strip_suffix(".weights"));
    let vectors = sets.map(|set| {
        let bytes = |part: &str| tensors.tensor(&format!("{set}.{part}")).unwrap().data().to_vec();
        let words = bytes("weights");
        let weights: Vec<f32> =
            words.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        Vectors {
            name: set.to_owned(),
            n: 1,
            k: weights.len(),
            streams: vec![bytes("blocks")],
            weights,
            ..Vectors::default()
        }
    });
    vectors.collect()
}

#[test]
fn super_blocks_with_gaps() {
    for (artifact, file) in [
        (Super4::ARTIFACT, &include_bytes!("../golden/super4.safetensors")[..]),
        (Super6::ARTIFACT, include_bytes!("../golden/super6.safetensors")),
    ] {
        let format = Format::from(artifact);
        verify(&format, &devices(ALL)).unwrap();
        let vectors = golden(file);
        assert!(!vectors.is_empty());
        verify_vectors(&format, &vectors, &devices(ALL)).unwrap();
    }
}

#[test]
fn vectors_of_ones_own() {
    let format = Format::from(Split::ARTIFACT);
    let report = verify_vectors(&format, &[split_vectors()], &devices(ALL)).unwrap();
    // Every weight as f32 and f16, and more in rows that are looked up.
    assert!(report.devices.iter().all(|checks| checks.weights > 4 * 32));
    // Products by hand too.
    let Vectors { n, k, streams, weights, .. } = split_vectors();
    let tensor = Tensor::new("split", format, n, k, streams).unwrap();
    let expected = [0, 1].map(|row| weights[row * k..][..k].iter().sum::<f32>());
    for device in devices(ALL) {
        let y = tensor.upload(&device).unwrap().matvec(&[1.0; 16]).unwrap();
        assert_eq!(y, expected, "{device:?}");
    }
}

#[test]
fn vectors_that_the_descriptor_does_not_give() {
    let mut vectors = split_vectors();
    vectors.weights[17] = 1.0;
    let result = verify_vectors(&Split::ARTIFACT.into(), &[vectors], &[Device::cpu()]);
    let Difference { call, fault } = difference(result);
    assert_eq!(call.device, "the descriptor's meaning");
    assert_eq!(call.origin, Origin::Vectors("by hand".into()));
    let (got, expected) = ((-0.5f32).to_bits(), 1f32.to_bits());
    assert_eq!(fault, Fault::Weights { different: 1, index: 17, got, expected });
}

fn difference<T: std::fmt::Debug>(result: quantloom::Result<T>) -> Difference {
    match result {
        Err(Error::Differs(difference)) => *difference,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_engine_of_ones_own() {
    for case in random_cases(&ThreeBits::ARTIFACT.into(), 3).unwrap() {
        let tensor = case.tensor();
        let mut weights = vec![0.0; tensor.n() * tensor.k()];
        ThreeBits::decode(&[&tensor.streams()[0]], &mut weights);
        case.compare("my engine", Output::Weights(&weights)).unwrap();
        weights[0] = -1234.5;
        let found = difference(case.compare("my engine", Output::Weights(&weights)));
        assert_eq!(found.call.device, "my engine");
    }
}

#[test]
fn a_device_may_take_subnormals_for_zero() {
    let (scale, zero) = (1e-40f32, -1e5f32);
    let groups = [scale, zero].map(f32::to_le_bytes).concat();
    let case = |weight: f32| {
        let streams = [vec![0; 8], groups.clone()];
        let tensor = Tensor::new("small", Split::ARTIFACT, 1, 16, streams).unwrap();
        Case::new(tensor, vec![weight; 16], Origin::Vectors("small".into()))
    };
    // The weight is no subnormal, but its scale is.
    let weight = (0.0 - zero) * scale;
    assert!(weight.is_normal());
    let checks = case(weight).compare("flushing", Output::Weights(&[0.0; 16])).unwrap();
    assert_eq!(checks.flushed[0].weights, 16);
    let exact = case(weight).compare("exact", Output::Weights(&[weight; 16])).unwrap();
    assert_eq!(exact.flushed, []);
    // Neither is any small weight right, nor does it excuse weights that the format does not mean.
    difference(case(weight).compare("wrong", Output::Weights(&[weight / 2.0; 16])));
    difference(case(1.0).compare("wrong", Output::Weights(&[0.0; 16])));
}

/// Decodes as it should, but for one bit of the last weight of five blocks or more.
fn off_by_a_bit(streams: &[&[u8]], dims: &[u32; 4], first: usize, weights: &mut [f32]) {
    ThreeBits::decode_from(streams, dims, first, weights);
    if weights.len() > 4 * ThreeBits::WEIGHTS
        && let Some(last) = weights.last_mut()
    {
        *last = f32::from_bits(last.to_bits() ^ 1);
    }
}

#[test]
fn a_wrong_cpu_decoder_is_found() {
    // SAFETY: the function is a safe one.
    let cpu = unsafe { Cpu::new(Versions::only(off_by_a_bit), None) };
    let wrong = Artifact { cpu: Some(cpu), ..Artifact::clone(ThreeBits::ARTIFACT) };
    let error = verify_with_seed(&wrong.into(), &[Device::cpu()], 5).unwrap_err();
    let message = error.to_string();
    let Difference { call, fault } = difference(Err::<(), _>(error));
    assert_eq!((call.operation, call.n, call.k), (Operation::Dequantize, 5, 7 * 128));
    assert_eq!((call.format.as_str(), call.origin), ("three_bits", Origin::Seed(5)));
    assert_eq!(call.device, Device::cpu().name());
    let Fault::Weights { different: 1, index, got, expected } = fault else { panic!("{fault:?}") };
    assert_eq!((index, got), (5 * 7 * 128 - 1, expected ^ 1));
    for part in
        ["`three_bits`", "`CPU", "dequantize to f32", "[5, 896]", "seed 5", "[4, 895]", "bits 0x"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
}

/// The artifact with one kernel's text from a descriptor that differs in one number.
fn tampered(backend: Backend, kind: Kind, output: Element) -> Format {
    let text = ThreeBits::DESCRIPTOR.replace("bias: 4", "bias: 3");
    let other = Format::compile(&text, "other.yaml").unwrap();
    let mut kernels: Vec<Kernel> = ThreeBits::ARTIFACT.kernels.to_vec();
    let same = |own: &&mut Kernel| (own.backend, own.kind, own.output) == (backend, kind, output);
    let own = kernels.iter_mut().find(same).unwrap();
    own.pieces = other.kernel(backend, kind, output).unwrap().pieces.clone();
    let artifact =
        Artifact { kernels: List::from(kernels), ..Artifact::clone(ThreeBits::ARTIFACT) };
    let format = Format::from(artifact);
    assert!(!format.is_proven());
    // SAFETY: the compiler made the other text, too, for blocks of the same size.
    unsafe { format.trusted() }
}

#[test]
fn a_wrong_kernel_is_found() {
    for (name, backend) in [("wgsl", Backend::Wgsl), ("hip", Backend::Hip)] {
        for (kind, output, operation, n) in [
            (Kind::Dequant, Element::F32, Operation::Dequantize, 1),
            (Kind::Dequant, Element::F16, Operation::DequantizeF16, 1),
            (Kind::Matvec, Element::F32, Operation::Matvec, 1),
            // Of one activation row even a matmul is a matvec.
            (Kind::Matmul, Element::F32, Operation::Matmul { m: 17 }, 5),
            (Kind::Gather, Element::F32, Operation::Gather { rows: 4 }, 1),
            (Kind::Gather, Element::F16, Operation::GatherF16 { rows: 1 }, 1),
        ] {
            for device in devices(&[name]) {
                let format = tampered(backend, kind, output);
                let found = difference(verify(&format, std::slice::from_ref(&device)));
                assert_eq!((found.call.operation, found.call.n), (operation, n));
                assert_eq!(found.call.device, device.name());
                let decodes = matches!(kind, Kind::Dequant | Kind::Gather);
                assert_eq!(matches!(found.fault, Fault::Weights { .. }), decodes);
            }
        }
    }
}

#[test]
fn an_artifact_of_another_descriptor_is_found() {
    // The kernels and facts of one, the descriptor of the other.
    let with = |from: &str, to: &str| {
        let text = ThreeBits::DESCRIPTOR.replace(from, to);
        let wrong = Artifact { descriptor: text.into(), ..Artifact::clone(ThreeBits::ARTIFACT) };
        verify(&wrong.into(), &[Device::cpu()])
    };
    assert!(matches!(difference(with("bias: 4", "bias: 3")).fault, Fault::Weights { .. }));
    for (from, to, says) in [
        ("d: f16", "d: f32", "describes other blocks"),
        ("weights: 128", "weights: [", "does not compile"),
    ] {
        let error = with(from, to).unwrap_err().to_string();
        assert!(error.contains("three_bits") && error.contains(says), "{error}");
    }
}

#[test]
fn nothing_passes_by_checking_nothing() {
    let format = Format::from(ThreeBits::ARTIFACT);
    let error = verify(&format, &[]).unwrap_err().to_string();
    assert!(error.contains("no device"), "{error}");
    let error = verify_vectors(&format, &[], &[Device::cpu()]).unwrap_err().to_string();
    assert!(error.contains("no vectors"), "{error}");
    let compiled = Format::compile(ThreeBits::DESCRIPTOR, "three_bits.yaml").unwrap();
    assert!(matches!(verify(&compiled, &[Device::cpu()]), Err(Error::Missing { .. })));
    let few = Vectors { weights: Vec::new(), ..split_vectors() };
    let error = verify_vectors(&Split::ARTIFACT.into(), &[few], &[Device::cpu()]).unwrap_err();
    assert!(matches!(&error, Error::Tensor { .. }), "{error}");
    assert!(error.to_string().contains("`by hand`: 0 weights"), "{error}");
}
