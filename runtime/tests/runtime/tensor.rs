//! Shapes and lengths are checked, and the message says what would be right.

use quantloom::artifact::{Artifact, Grid};
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
