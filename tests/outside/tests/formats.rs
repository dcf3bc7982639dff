//! What the macro makes of a descriptor, seen from another crate.

use quantloom::Format;
use quantloom::artifact::{Backend, DecodeFn, Element, Grid, Kind, Role};
use quantloom_outside::{Split, ThreeBits};

/// The decoder alone, as a constant.
const DECODE: DecodeFn = quantloom_macros::decoder!("formats/three_bits.yaml");

/// A block whose weight `i` has code `codes[i]` (0 to 7) and whose scale is 0.5, assembled weight by
/// weight from what the descriptor says in prose.
fn three_bits_block(codes: &[u8; 32]) -> Vec<u8> {
    let mut block = vec![0; 14];
    for (i, code) in codes.iter().enumerate() {
        block[i / 8] |= (code >> 2) << (i % 8);
        block[4 + i % 8] |= (code & 3) << (i / 8 * 2);
    }
    block[12..].copy_from_slice(&0x3800u16.to_le_bytes());
    block
}

#[test]
fn decodes_as_computed_by_hand() {
    let codes: [u8; 32] = std::array::from_fn(|i| (i * 5 % 8) as u8);
    let mut blocks = three_bits_block(&codes);
    blocks.extend(three_bits_block(&[7; 32]));
    let mut expected: Vec<f32> = codes.iter().map(|&code| (f32::from(code) - 4.0) * 0.5).collect();
    expected.extend([1.5; 32]);

    let mut weights = vec![0.0; 2 * ThreeBits::WEIGHTS];
    ThreeBits::decode(&[&blocks], &mut weights);
    assert_eq!(weights, expected);

    let mut weights = vec![0.0; 2 * ThreeBits::WEIGHTS];
    DECODE(&[&blocks], &[1; 4], 0, &mut weights);
    assert_eq!(weights, expected);
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
fn short_input_leaves_the_rest_alone() {
    let blocks = three_bits_block(&[7; 32]);
    let mut weights = [9.0; 2 * ThreeBits::WEIGHTS];
    ThreeBits::decode(&[&blocks], &mut weights);
    assert_eq!(weights[..32], [1.5; 32]);
    assert_eq!(weights[32..], [9.0; 32]);
    ThreeBits::decode(&[], &mut weights);
    ThreeBits::decode(&[&blocks[..13]], &mut weights[..31]);
    assert_eq!(weights[..32], [1.5; 32]);
}

#[test]
fn states_its_facts() {
    assert_eq!(ThreeBits::NAME, "three_bits");
    assert_eq!((ThreeBits::WEIGHTS, ThreeBits::BYTES, ThreeBits::GROUP), (32, 14, 32));
    assert_eq!(ThreeBits::BITS_PER_WEIGHT, 3.5);
    assert_eq!(ThreeBits::ARTIFACT.bits_per_weight(), 3.5);
    assert_eq!(ThreeBits::DESCRIPTOR, include_str!("../formats/three_bits.yaml"));
    assert_eq!(Split::STREAM_BYTES, [8, 8]);
    let format = Format::from(ThreeBits::ARTIFACT);
    assert_eq!(format.weights, 32);
    assert!(format.decode.is_some());
}

#[test]
fn holds_every_kernel() {
    for artifact in [ThreeBits::ARTIFACT, Split::ARTIFACT] {
        for backend in [Backend::Wgsl, Backend::Hip] {
            for (kind, output) in [
                (Kind::Dequant, Element::F32),
                (Kind::Dequant, Element::F16),
                (Kind::Matvec, Element::F32),
                (Kind::Matmul, Element::F32),
            ] {
                let kernel = artifact.kernel(backend, kind, output);
                let kernel = kernel.unwrap_or_else(|| panic!("{backend:?} {kind:?} {output:?}"));
                assert!(kernel.source.contains(&*kernel.name), "{}", kernel.name);
                for binding in kernel.bindings.iter().filter(|own| own.role != Role::Shape) {
                    assert!(kernel.source.contains(&*binding.name), "{}", kernel.name);
                }
                let streams = kernel.bindings.iter().filter_map(|binding| match binding.role {
                    Role::Weights(stream) => Some(stream),
                    _ => None,
                });
                assert!(streams.eq(0..artifact.streams.len() as u32), "{}", kernel.name);
                assert_eq!(matches!(kernel.grid, Grid::Strips { .. }), kind == Kind::Dequant);
            }
        }
    }
    let kernel = ThreeBits::ARTIFACT.kernel(Backend::Wgsl, Kind::Matvec, Element::F32);
    assert_eq!(kernel.map(|kernel| &*kernel.name), Some("three_bits_matvec_f32"));
    let names = Split::ARTIFACT.streams.iter().map(|stream| &*stream.name);
    assert!(names.eq(["codes", "groups"]));
}

#[test]
fn the_constant_is_what_the_compiler_hands_out() {
    for artifact in [ThreeBits::ARTIFACT, Split::ARTIFACT] {
        let compiled = quantloom_codegen::compile(&artifact.descriptor, "file").unwrap();
        assert_eq!(artifact.name, compiled.artifact.name);
        assert_eq!(artifact.title, compiled.artifact.title);
        assert_eq!(artifact.gguf, compiled.artifact.gguf);
        assert_eq!(artifact.streams, compiled.artifact.streams);
        assert_eq!(artifact.kernels, compiled.artifact.kernels);
    }
}
