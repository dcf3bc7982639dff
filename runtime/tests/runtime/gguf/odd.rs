//! Tensors that cannot be: the file opens and lists them, and asking for one is the error.

use quantloom::Gguf;

use super::file::{Entry, File};
use crate::toy;

/// The sample with something changed in its last tensor, of 12 bytes at offset 64.
fn with(change: impl Fn(&mut Entry)) -> File {
    let mut file = File::sample();
    change(&mut file.tensors[2]);
    file
}

#[test]
fn one_odd_tensor_does_not_spoil_a_file() {
    for (file, wanted) in [
        (with(|tensor| tensor.dims = vec![6, 2]), "a row must be a multiple of 4"),
        (with(|tensor| tensor.dims = vec![4, 2, 3, 1, 1]), "5 dimensions; 1 to 4 are allowed"),
        (with(|tensor| tensor.dims = vec![]), "0 dimensions; 1 to 4 are allowed"),
        (with(|tensor| tensor.dims = vec![4, 0]), "dimensions [4, 0] hold no weight"),
        (with(|tensor| tensor.dims = vec![0]), "dimensions [0] hold no weight"),
        (with(|tensor| tensor.dims = vec![1 << 62, 1 << 62]), "more bytes than can be counted"),
        (with(|tensor| tensor.dims = vec![4, 1 << 63]), "more bytes than can be counted"),
        (with(|tensor| tensor.kind = 77), "has type number 77, which no known format has"),
        (with(|tensor| tensor.offset = 65), "multiples of the file's alignment, 32"),
        (with(|tensor| tensor.offset = 0), "begins at offset 0, where that of `first` begins"),
        (with(|tensor| tensor.dims = vec![8, 4]), "are 16 bytes; 12 are stored"),
    ] {
        let message = file.refused("last");
        assert!(message.contains("tensor `last`") && message.contains(wanted), "{message}");
        let gguf = file.open().unwrap();
        let info = &gguf.tensors()[2];
        assert_eq!((&info.dims, info.type_number), (&file.tensors[2].dims, file.tensors[2].kind));
        let stored = gguf.bytes("last").unwrap();
        assert!(info.dims.contains(&0) == stored.is_empty(), "{} bytes", stored.len());
        if file.tensors[2].offset != 0 {
            assert_eq!(*gguf.tensor("first").unwrap().streams()[0], (0..12).collect::<Vec<u8>>());
        }
    }
}

#[test]
fn raw_bytes_reach_to_the_next_tensor_or_the_end() {
    let gguf = File::sample().open().unwrap();
    let bytes = |name| gguf.bytes(name).unwrap().to_vec();
    assert_eq!(bytes("first"), (0..32).collect::<Vec<u8>>());
    assert_eq!(bytes("strange"), (32..64).collect::<Vec<u8>>());
    assert_eq!(bytes("last"), (64..76).collect::<Vec<u8>>());
    assert!(gguf.bytes("none").is_err());
}

#[test]
fn a_type_number_that_means_something_else_elsewhere_is_told_by_the_bytes() {
    // 3 rows of 2 blocks are 12 bytes; so many lie there.
    let file = |stored: usize| {
        let next = Entry::new("next", &[4], 1000, stored as u64);
        let tensors = vec![Entry::new("blocks", &[8, 3], 1000, 0), next];
        File::of(tensors, vec![1; stored + 2])
    };
    file(32).open().unwrap().tensor("blocks").unwrap();
    // A gap may be padding, but not one that pads to nothing there is.
    file(4096).open().unwrap().tensor("blocks").unwrap();
    let large = file(1 << 20);
    let message = large.refused("blocks");
    assert!(message.contains("are 12 bytes; 1048576 are stored from byte 128"), "{message}");
    assert!(message.contains("type number 1000 is not `blocked` where it was made"), "{message}");
    let gguf = large.open().unwrap();
    assert_eq!(gguf.bytes("blocks").unwrap().len(), 1 << 20);
    assert_eq!(gguf.tensor_as("blocks", toy::blocked()).unwrap().bytes(), 12);

    let mut short = file(32);
    short.tensors[0].dims = vec![8, 9];
    let message = short.refused("blocks");
    assert!(message.contains("are 36 bytes; 32 are stored from byte 128 to the next"), "{message}");
    assert_eq!(short.open().unwrap().tensor("next").unwrap().bytes(), 2);
}

#[test]
fn empty_tensors_take_no_room() {
    let weight = |offset| Entry::new("weight", &[8, 2], 1000, offset);
    let marker = |dims: &[u64], offset| Entry::new("marker", dims, 0, offset);
    for tensors in [
        // Where another begins, before and behind it in the list; inside another; at the end.
        vec![marker(&[4, 0], 0), weight(0)],
        vec![weight(0), marker(&[0], 0)],
        vec![weight(0), marker(&[0], 4)],
        vec![weight(0), marker(&[0], 8)],
        vec![weight(0), marker(&[], 32)],
        vec![weight(0), marker(&[0, 5, 5, 5, 5], 1 << 40)],
    ] {
        let gguf = File::of(tensors, (1..=8).collect()).open().unwrap();
        let weight = gguf.tensor("weight").unwrap();
        assert_eq!(*weight.streams()[0], (1..=8).collect::<Vec<u8>>());
        assert!(gguf.tensor("marker").is_err());
        assert!(gguf.bytes("marker").unwrap().is_empty());
    }
}

#[test]
fn sizes_that_wrap_are_refused() {
    let wraps = |dims: &[u64]| {
        let tensors = vec![Entry::new("a", &[8], 1000, 0), Entry::new("b", dims, 1000, 32)];
        File::of(tensors, vec![0; 64])
    };
    for dims in [
        &[4, 0x3fff_ffff, 0x4000_0001, 4][..],
        &[1 << 32, 1 << 32],
        &[1 << 34, 1 << 30, 1 << 2],
        &[u64::MAX - 3],
        &[4, u64::MAX],
    ] {
        let file = wraps(dims);
        file.open().unwrap().tensor("a").unwrap();
        let message = file.refused("b");
        assert!(message.contains("tensor `b`"), "{message}");
        assert!(message.contains("be counted") || message.contains("32 are stored"), "{message}");
    }
}

#[test]
fn files_without_padding_at_their_end_are_right() {
    let tensors = vec![Entry::new("a", &[4, 3, 1, 1], 1000, 0), Entry::new("b", &[8], 1000, 32)];
    let gguf = File::of(tensors, (0..36).collect()).open().unwrap();
    assert_eq!(gguf.tensor("a").unwrap().bytes(), 6);
    assert_eq!(*gguf.tensor("b").unwrap().streams()[0], [32, 33, 34, 35]);
    // A header that ends where its padding would begin.
    let boundary = File::of(vec![Entry::new("xxxxxxxx", &[4], 1000, 0)], vec![7, 8]);
    assert_eq!(boundary.bytes().len(), 64 + 2);
    assert_eq!(*boundary.open().unwrap().tensor("xxxxxxxx").unwrap().streams()[0], [7, 8]);
}

#[test]
fn built_in_formats_are_found_by_their_numbers() {
    let numbered = quantloom::formats().iter().filter_map(|format| Some((format, format.gguf?)));
    for (format, number) in numbered {
        let size: u32 = format.streams.iter().map(|stream| stream.bytes).sum();
        let tensor = Entry::new("t", &[format.weights.into(), 2], number, 0);
        let gguf = Gguf::from_bytes(File::of(vec![tensor], vec![0; 2 * size as usize]).bytes());
        let tensor = gguf.unwrap().tensor("t").unwrap();
        assert_eq!((tensor.n(), &*tensor.format().name), (2, &*format.name));
    }
}
