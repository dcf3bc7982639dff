//! Shapes and lengths are checked, and the message says what would be right.

use quantloom::artifact::{Artifact, Dims, Grid};
use quantloom::{Bytes, Device, Format, Gguf, Tensor, Weights};

use crate::toy;

/// The message that these shapes and stream lengths are refused with.
fn refusal(artifact: &Artifact, n: usize, k: usize, lengths: &[usize]) -> String {
    let streams = lengths.iter().map(|&length| vec![0; length]);
    Tensor::new("w", Format::from(artifact.clone()), n, k, streams).unwrap_err().to_string()
}

#[test]
fn takes_exact_lengths() {
    let (tensor, _) = toy::tensor(&toy::blocked(), 3, 8);
    assert_eq!((tensor.n(), tensor.k(), tensor.bytes()), (3, 8, 12));
    assert_eq!(tensor.dims(), [8, 3]);
    let (tensor, _) = toy::tensor(&toy::planar(), 3, 8);
    assert_eq!((tensor.streams().len(), tensor.bytes()), (2, 12));
}

#[test]
fn names_the_stream_and_its_right_length() {
    for length in [0, 11, 13] {
        let message = refusal(&toy::blocked(), 3, 8, &[length]);
        assert!(message.contains("tensor `w`: stream `blocks`"), "{message}");
        assert!(message.contains(&format!("{length} bytes")), "{message}");
        assert!(message.contains("12 in all"), "{message}");
    }
    let message = refusal(&toy::planar(), 3, 8, &[6, 5]);
    assert!(message.contains("stream `scales` has 5 bytes"), "{message}");
}

#[test]
fn names_the_streams_that_are_wanted() {
    let message = refusal(&toy::planar(), 3, 8, &[6]);
    assert!(message.contains("1 streams") && message.contains("2: codes, scales"), "{message}");
}

#[test]
fn refuses_empty_and_ragged_and_endless_shapes() {
    for (n, k) in [(0, 8), (3, 0)] {
        let message = refusal(&toy::blocked(), n, k, &[0]);
        assert!(message.contains("at least 1"), "{message}");
    }
    let message = refusal(&toy::blocked(), 3, 10, &[15]);
    assert!(message.contains("multiple of 4"), "{message}");
    for (n, k) in [(usize::MAX, 4), (2, usize::MAX - 3), (usize::MAX / 4, 4)] {
        refusal(&toy::blocked(), n, k, &[16]);
    }
}

#[test]
fn refuses_formats_that_store_nothing() {
    let message = refusal(&Artifact { weights: 0, ..toy::blocked() }, 1, 4, &[2]);
    assert!(message.contains("format `blocked`"), "{message}");
    refusal(&Artifact { streams: vec![].into(), ..toy::blocked() }, 1, 4, &[]);
    let mut silent = toy::planar();
    silent.streams.to_mut()[1].bytes = 0;
    refusal(&silent, 1, 4, &[1, 0]);
    let mut idle = toy::blocked();
    idle.kernels.to_mut()[0].grid = Grid::Rows { per_workgroup: 0 };
    let message = refusal(&idle, 1, 4, &[2]);
    assert!(message.contains("kernel `blocked_dequant_f32`"), "{message}");
}

/// Act-order's group numbers: a u32 per column in a stream of their own.
#[test]
fn refuses_numbers_of_groups_that_there_are_not() {
    let mut checked = 0;
    for artifact in quantloom::formats().iter().filter(|artifact| !artifact.indices.is_empty()) {
        let block = artifact.weights as usize;
        let format = Format::from(artifact).with_size(&artifact.sizes[0].name, 2 * block as u32);
        let (n, k) = (64, 5 * block);
        let dims = Dims { n: 64, blocks: 5, sizes: [2, 0] };
        let lengths = artifact.streams.iter().map(|stream| stream.len(&dims).unwrap());
        let streams: Vec<Vec<u8>> = lengths.map(|length| vec![0; length as usize]).collect();
        let numbers = artifact.indices[0].planes[0].stream as usize;
        assert_eq!(streams[numbers].len(), 4 * k, "a number per column");
        let format = format.unwrap();
        let with = |column: usize, number: u32| {
            let mut streams = streams.clone();
            streams[numbers][4 * column..][..4].copy_from_slice(&number.to_le_bytes());
            Tensor::new("w", &format, n, k, streams)
        };
        for column in [0, 1, block, k - 1] {
            // 5 blocks in groups of 2 are 3 groups.
            with(column, 2).unwrap();
            for number in [3, 8, u32::MAX] {
                let message = with(column, number).unwrap_err().to_string();
                let name = &artifact.streams[numbers].name;
                let wanted = format!("stream `{name}` says {number} for row 0, column {column}; ");
                assert!(message.contains(&wanted), "{message}");
                assert!(
                    message.contains("has 3 units along k, so numbers are 0 to 2"),
                    "{message}"
                );
            }
        }
        checked += 1;
    }
    assert!(checked > 0, "no format with numbers of groups");
}

#[test]
fn slices_stay_inside() {
    let bytes = Bytes::from(b"0123456789");
    let inner = bytes.slice(2..8).unwrap();
    assert_eq!(&*inner, b"234567");
    assert_eq!(&*inner.slice(1..3).unwrap(), b"34");
    assert!(inner.slice(1..7).is_none());
    let backwards = std::ops::Range { start: 3, end: 2 };
    assert!(inner.slice(backwards).is_none());
    assert!(inner.slice(6..6).unwrap().is_empty());
}

#[test]
fn everything_may_change_threads() {
    fn check<T: Send + Sync>() {}
    check::<(Bytes, Device, Format, Gguf, Tensor, Weights)>();
}
