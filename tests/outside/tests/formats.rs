//! What the macro makes of descriptors, seen from another crate.

use quantloom::artifact::{Backend, Cpu, Element, Grid, Kind, Proven, Role};
use quantloom::{Error, Format};
use quantloom_outside::{GroupedB3, Lattice, Split, ThreeBits};

/// The functions alone, as a constant.
const CPU: Cpu = quantloom_macros::cpu!("formats/three_bits.yaml");
/// The same of a descriptor with a parameter.
const CPU_GROUPED: Cpu = quantloom_macros::cpu!("formats/grouped.yaml", b = 4);

const ALL: [&Proven; 4] =
    [ThreeBits::ARTIFACT, Split::ARTIFACT, GroupedB3::ARTIFACT, Lattice::ARTIFACT];

/// A block whose weight `i` has code `codes[i]` (0 to 7), whose scales are 0 to 7 times 4 and whose
/// scale of all is 0.5, assembled value by value from what the descriptor says in prose.
fn three_bits_block(codes: &[u8; 128]) -> Vec<u8> {
    let mut block = vec![0; 55];
    block[..2].copy_from_slice(&0x3800u16.to_le_bytes());
    for group in 0..8 {
        for bit in 0..5 {
            let place = group * 5 + bit;
            block[2 + place / 8] |= ((group * 4) as u8 >> bit & 1) << (place % 8);
        }
    }
    for (i, code) in codes.iter().enumerate() {
        block[7 + i / 8] |= (code >> 2) << (i % 8);
        block[23 + i % 32] |= (code & 3) << (i / 32 * 2);
    }
    block
}

fn three_bits_weight(i: usize, code: u8) -> f32 {
    0.5 * (i / 16 * 4) as f32 * (f32::from(code) - 4.0)
}

#[test]
fn decodes_as_computed_by_hand() {
    let codes: [u8; 128] = std::array::from_fn(|i| (i * 5 % 8) as u8);
    let mut blocks = three_bits_block(&codes);
    blocks.extend(three_bits_block(&[7; 128]));
    let weights = codes.iter().enumerate().map(|(i, &code)| three_bits_weight(i, code));
    let expected: Vec<f32> = weights.chain((0..128).map(|i| three_bits_weight(i, 7))).collect();

    let mut weights = vec![0.0; 2 * ThreeBits::WEIGHTS];
    ThreeBits::decode(&[&blocks], &mut weights);
    assert_eq!(weights, expected);

    let mut weights = vec![0.0; ThreeBits::WEIGHTS];
    // SAFETY: the portable version needs no instructions beyond the target's.
    unsafe { (CPU.decode().portable)(&[&blocks], &[2, 1, 0, 0], 1, &mut weights) };
    assert_eq!(weights, expected[128..]);
}

#[test]
fn decodes_streams() {
    let codes = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]; // 0 to 7, then -8 to -1
    let groups: Vec<u8> = [0.25f32, 2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut weights = [0.0; Split::WEIGHTS];
    Split::decode(&[&codes, &groups], &mut weights);
    let expected = (0..8).chain(-8..0).map(|code| (code as f32 - 2.0) * 0.25);
    assert!(weights.into_iter().eq(expected), "{weights:?}");
}

#[test]
fn decodes_groups_that_run_over_rows() {
    // 3 rows of 2 blocks, 3 blocks to a group: two groups, and one word of every block a row apart.
    let (n, blocks, size) = (3, 2, 3);
    let word = |word: u32| (word * 0x1111_1111).to_le_bytes();
    let codes: Vec<u8> =
        (0..blocks).flat_map(|block| [block; 12]).flat_map(|block| word(block + 5)).collect();
    let zeros = 0x0000_0321u32.to_le_bytes(); // 1, 2, 3 for rows 0, 1, 2
    let scales: Vec<u8> = [0x3c00u16, 0x4000].iter().flat_map(|half| half.to_le_bytes()).collect();
    let mut weights = [0.0; 6 * 32];
    // SAFETY: the portable version needs no instructions beyond the target's.
    unsafe {
        (CPU_GROUPED.decode().portable)(
            &[&codes, &zeros, &scales],
            &[n, blocks, size, 0],
            0,
            &mut weights,
        )
    };
    for (number, block) in weights.chunks(32).enumerate() {
        let (row, column) = (number / 2, number % 2);
        let scale = if number < 3 { 1.0 } else { 2.0 };
        let expected = scale * ((5 + column) as f32 - (1 + row) as f32);
        assert_eq!(block, [expected; 32], "block {number}");
    }
}

#[test]
fn decodes_vectors_and_small_floats() {
    // 2^-9, the smallest 8-bit float; entries 11 (2000), 15 (1111) and 0; every second weight minus.
    let block = [0x01, 0xfb, 0x00, 0x00, 0x00, 0xaa, 0xaa, 0xaa, 0xaa];
    let mut weights = [0.0; Lattice::WEIGHTS];
    Lattice::decode(&[&block], &mut weights);
    let levels = [5.0, -1.0, 1.0, -1.0, 3.0, -3.0, 3.0, -3.0, 1.0, -1.0];
    assert_eq!(weights[..10], levels.map(|level| level * 2f32.powi(-9)));
}

#[test]
fn short_input_leaves_the_rest_alone() {
    let blocks = three_bits_block(&[7; 128]);
    let mut weights = [9.0; 2 * ThreeBits::WEIGHTS];
    ThreeBits::decode(&[&blocks], &mut weights);
    assert_eq!(weights[127], 42.0);
    assert_eq!(weights[128..], [9.0; 128]);
    ThreeBits::decode(&[], &mut weights);
    ThreeBits::decode(&[&blocks[..54]], &mut weights[..127]);
    assert_eq!(weights[126..129], [42.0, 42.0, 9.0]);
}

#[test]
fn states_its_facts() {
    assert_eq!(ThreeBits::NAME, "three_bits");
    assert_eq!((ThreeBits::WEIGHTS, ThreeBits::BYTES, ThreeBits::GROUP), (128, 55, 16));
    assert_eq!(ThreeBits::BITS_PER_WEIGHT, 3.4375);
    assert_eq!(ThreeBits::ARTIFACT.bits_per_weight(), 3.4375);
    assert_eq!(ThreeBits::DESCRIPTOR, include_str!("../formats/three_bits.yaml"));
    assert_eq!(Split::STREAM_BYTES, [8, 8]);
    assert_eq!(GroupedB3::NAME, "grouped_b3");
    // Codes, zero points of 8 rows over 64 weights, scales over 64 weights.
    assert_eq!(GroupedB3::BITS_PER_WEIGHT, 3.0 + 24.0 / 8.0 / 64.0 + 16.0 / 64.0);
    assert_eq!(Lattice::BITS_PER_WEIGHT, 2.25);
    let format = Format::from(ThreeBits::ARTIFACT);
    assert_eq!(format.weights, 128);
    assert!(format.cpu.is_some() && format.is_proven());
}

#[test]
fn holds_every_kernel() {
    for artifact in ALL {
        for backend in [Backend::Wgsl, Backend::Hip] {
            for (kind, output) in [
                (Kind::Dequant, Element::F32),
                (Kind::Dequant, Element::F16),
                (Kind::Matvec, Element::F32),
                (Kind::Matmul, Element::F32),
                (Kind::Gather, Element::F32),
                (Kind::Gather, Element::F16),
                (Kind::MatvecExperts, Element::F32),
                (Kind::MatmulExperts, Element::F32),
            ] {
                let kernel = artifact.kernel(backend, kind, output);
                let kernel = kernel.unwrap_or_else(|| panic!("{backend:?} {kind:?} {output:?}"));
                let source = kernel.source();
                assert!(source.contains(&*kernel.name), "{}", kernel.name);
                for binding in kernel.bindings.iter().filter(|own| own.role != Role::Shape) {
                    assert!(source.contains(&*binding.name), "{}", kernel.name);
                }
                let streams = kernel.bindings.iter().filter_map(|binding| match binding.role {
                    Role::Weights(stream) => Some(stream),
                    _ => None,
                });
                assert!(streams.eq(0..artifact.streams.len() as u32), "{}", kernel.name);
                let decodes = matches!(kind, Kind::Dequant | Kind::Gather);
                assert_eq!(matches!(kernel.grid, Grid::Strips { .. }), decodes);
            }
        }
    }
    let kernel = ThreeBits::ARTIFACT.kernel(Backend::Wgsl, Kind::Matvec, Element::F32);
    assert_eq!(kernel.map(|kernel| &*kernel.name), Some("three_bits_matvec_f32"));
    let names = Split::ARTIFACT.streams.iter().map(|stream| &*stream.name);
    assert!(names.eq(["codes", "groups"]));
}

#[test]
fn the_constant_is_what_a_run_makes_of_the_descriptor() {
    for artifact in ALL {
        let params: Vec<(&str, u32)> =
            artifact.params.iter().map(|param| (&*param.name, param.value)).collect();
        let format = Format::compile_with(&artifact.descriptor, "file", &params).unwrap();
        assert_eq!(artifact.name, format.name);
        assert_eq!(artifact.title, format.title);
        assert_eq!(artifact.gguf, format.gguf);
        assert_eq!(artifact.streams, format.streams);
        assert_eq!(artifact.sizes, format.sizes);
        assert_eq!(artifact.tables, format.tables);
        assert_eq!(artifact.kernels, format.kernels);
        assert!(format.cpu.is_none());
    }
}

#[test]
fn a_broken_descriptor_is_refused_with_every_mistake() {
    let text = include_str!("../broken/three_bits.yaml");
    match Format::compile(text, "broken.yaml") {
        Err(Error::Compile(error)) => {
            let text = error.to_string();
            assert!(text.contains("broken.yaml:12:") && text.contains("broken.yaml:13:"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}
