//! What else than a plain file may have a path, and files that change.

use std::path::Path;
use std::time::{Duration, Instant};

use quantloom::{Bytes, Error, Format, Gguf};

use super::file::{Entry, File, array, string, value};
use crate::toy;

fn formats() -> [Format; 1] {
    [Format::from(toy::blocked())]
}

#[test]
fn a_missing_file_is_named() {
    for error in [Gguf::open("/no/such/file.gguf"), Gguf::read("/no/such/file.gguf")] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("cannot read `/no/such/file.gguf`"), "{error}");
    }
}

#[test]
fn opens_and_reads_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, File::sample().bytes()).unwrap();
    for gguf in [Gguf::open_with(&path, &formats()), Gguf::read_with(&path, &formats())] {
        let gguf = gguf.unwrap();
        assert_eq!(gguf.get::<&str>("string").unwrap(), "grün");
        let (tensor, strange) = (gguf.tensor("first").unwrap(), gguf.bytes("strange").unwrap());
        drop(gguf);
        assert_eq!(*tensor.streams()[0], (0..12).collect::<Vec<u8>>());
        assert_eq!(*strange, (32..64).collect::<Vec<u8>>());
    }
    std::fs::write(&path, []).unwrap();
    for empty in [Gguf::open(&path), Gguf::read(&path)] {
        let empty = empty.unwrap_err().to_string();
        assert!(empty.contains("the file ends after 0 bytes"), "{empty}");
    }
}

/// A header longer than what is read of a file at first.
#[test]
fn long_headers_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let strings: Vec<u8> =
        (0..40_000).flat_map(|n| string(format!("token {n}").as_bytes())).collect();
    let mut file = File::sample();
    file.entries.push(("tokens".into(), value(9, &array(8, 40_000, &strings))));
    let bytes = file.bytes();
    std::fs::write(&path, &bytes).unwrap();
    let gguf = Gguf::read_with(&path, &formats()).unwrap();
    assert_eq!(gguf.get::<Vec<&str>>("tokens").unwrap()[39_999], "token 39999");
    assert_eq!(*gguf.tensor("last").unwrap().streams()[0], (64..76).collect::<Vec<u8>>());
    for length in [1 << 16, 1 << 18, bytes.len() - 200] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = Gguf::read_with(&path, &formats()).unwrap_err().to_string();
        assert!(error.contains("model.gguf: byte "), "{error}");
    }
}

#[test]
fn a_file_that_becomes_shorter_is_an_error_where_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, File::sample().bytes()).unwrap();
    let gguf = Gguf::read_with(&path, &formats()).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert_eq!(gguf.get::<i32>("i32").unwrap(), -70000, "the header is kept");
    let error = gguf.tensor("last").unwrap_err();
    assert!(
        matches!(&error, Error::Io { path: named, .. } if named.contains("model.gguf")),
        "{error}"
    );
}

#[test]
fn folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), "it is a folder; a regular file is needed");
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success(), "mkfifo");
    for path in [&pipe, Path::new("/dev/zero"), Path::new("/dev/null")] {
        refused(path, "it is a pipe or a device; a regular file is needed");
    }
}

/// Whether all that opens refuses this path, within a time that no waiting has.
fn refused(path: &Path, wanted: &str) {
    let (path, wanted) = (path.to_owned(), wanted.to_owned());
    let (started, named) = (Instant::now(), path.display().to_string());
    let opens = std::thread::spawn(move || {
        let opened = [Gguf::open(&path).map(drop), Gguf::read(&path).map(drop)];
        let bytes = [Bytes::open(&path).map(drop), Bytes::read(&path).map(drop)];
        for error in opened.into_iter().chain(bytes) {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&named) && error.contains(&wanted), "{error}");
        }
    });
    while !opens.is_finished() {
        assert!(started.elapsed() < Duration::from_secs(20), "it waits for somebody");
        std::thread::sleep(Duration::from_millis(5));
    }
    opens.join().unwrap();
}

#[test]
fn bytes_are_read_as_they_are_mapped() {
    let file = File::of(vec![Entry::new("t", &[4], 1000, 0)], vec![1, 2]).bytes();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    std::fs::write(&path, &file).unwrap();
    assert_eq!(*Bytes::read(&path).unwrap(), file);
    assert_eq!(*Bytes::open(&path).unwrap(), file);
}
