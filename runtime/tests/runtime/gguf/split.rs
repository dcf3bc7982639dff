//! Models in several files.

use std::path::{Path, PathBuf};

use quantloom::{Format, Gguf};

use super::file::{Entry, File};
use crate::toy;

fn formats() -> [Format; 1] {
    [Format::from(toy::blocked())]
}

/// Two parts: one tensor in the first, two in the second.
fn parts() -> [File; 2] {
    let mut first = File::of(vec![Entry::new("a", &[8, 2], 1000, 0)], (0..8).collect());
    first.entries.push(("general.name".into(), super::file::value(4, &5u32.to_le_bytes())));
    let tensors = vec![Entry::new("b", &[8], 1000, 0), Entry::new("c", &[4], 1000, 32)];
    let second = File::of(tensors, (100..134).collect());
    [first.part(0, 2, 3), second.part(1, 2, 3)]
}

fn path(folder: &Path, part: usize) -> PathBuf {
    folder.join(format!("a-model-{part:05}-of-00002.gguf"))
}

fn written(files: &[File; 2]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, file) in (1..).zip(files) {
        std::fs::write(path(folder.path(), number), file.bytes()).unwrap();
    }
    folder
}

fn whole(gguf: &Gguf) {
    let names: Vec<&str> = gguf.tensors().iter().map(|info| &*info.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(gguf.tensors().iter().map(|info| info.part).collect::<Vec<_>>(), [0, 1, 1]);
    assert_eq!(*gguf.tensor("a").unwrap().streams()[0], (0..8).collect::<Vec<u8>>());
    assert_eq!(*gguf.tensor("b").unwrap().streams()[0], [100, 101, 102, 103]);
    assert_eq!(*gguf.bytes("c").unwrap(), [132, 133]);
    assert_eq!(gguf.get::<u32>("general.name").unwrap(), 5, "of the first part");
}

#[test]
fn all_parts_are_opened_by_any_of_them() {
    let folder = written(&parts());
    for number in [1, 2] {
        let path = path(folder.path(), number);
        whole(&Gguf::open_with(&path, &formats()).unwrap());
        whole(&Gguf::read_with(&path, &formats()).unwrap());
    }
    let [first, second] = parts().map(|file| file.bytes());
    whole(&Gguf::from_parts([first.clone(), second.clone()], &formats()).unwrap());
    whole(&Gguf::from_parts([second, first], &formats()).unwrap());
}

#[test]
fn says_which_part_is_missing() {
    for missing in [1, 2] {
        let folder = written(&parts());
        std::fs::remove_file(path(folder.path(), missing)).unwrap();
        let error = Gguf::open(path(folder.path(), 3 - missing)).unwrap_err().to_string();
        let part = format!("part {} of 2; the model has 3 tensors", 3 - missing);
        assert!(error.contains(&part), "{error}");
        let file = path(folder.path(), missing).display().to_string();
        assert!(error.contains(&format!("`{file}` must lie beside it")), "{error}");
    }
    let [first, second] = parts().map(|file| file.bytes());
    for (bytes, wanted) in [(first, "part 2 is missing"), (second, "part 1 is missing")] {
        let error = Gguf::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains("of 2; the model has 3 tensors"), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_part_under_another_name_says_how_the_others_are_found() {
    let folder = tempfile::tempdir().unwrap();
    for (name, wanted) in [
        ("model.gguf", "looked for by names such as `NAME-00001-of-00002.gguf`"),
        ("m-1-of-2.gguf", "looked for by names such as"),
        ("m-00002-of-00002.gguf", "its name says part 2 of 2"),
        ("m-00001-of-00003.gguf", "its name says part 1 of 3"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, parts()[0].bytes()).unwrap();
        let error = Gguf::open(&path).unwrap_err().to_string();
        assert!(error.contains("part 1 of 2; the model has 3 tensors"), "{error}");
        assert!(error.contains(name) && error.contains(wanted), "{error}");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let refusal = |change: &dyn Fn(&mut [File; 2])| {
        let mut files = parts();
        change(&mut files);
        let folder = written(&files);
        let error = Gguf::open_with(path(folder.path(), 1), &formats()).unwrap_err().to_string();
        let bytes = files.map(|file| file.bytes());
        assert!(Gguf::from_parts(bytes, &formats()).is_err(), "{error}");
        error
    };
    let plain = |file: &File| File { entries: Vec::new(), ..file.clone() };
    let twice = refusal(&|files| files[1] = files[0].clone());
    assert!(twice.contains("-00002-of-") && twice.contains("there twice"), "{twice}");
    let alone = refusal(&|files| files[1] = plain(&files[1]));
    assert!(alone.contains("it is no part of a split model"), "{alone}");
    let other = refusal(&|files| files[1] = plain(&files[1]).part(1, 2, 4));
    assert!(other.contains("it is another model's"), "{other}");
    let fewer = refusal(&|files| {
        *files = [plain(&files[0]).part(0, 2, 4), plain(&files[1]).part(1, 2, 4)];
    });
    assert!(fewer.contains("the model has 4 tensors: all parts together have 3"), "{fewer}");
    let names = refusal(&|files| files[1].tensors[0].name = "a".into());
    assert!(names.contains("another part has a tensor of this name"), "{names}");
    let numbers = refusal(&|files| files[0] = plain(&files[0]).part(2, 2, 3));
    assert!(numbers.contains("is 2 and `split.count` is 2"), "{numbers}");
    assert!(Gguf::from_parts([] as [Vec<u8>; 0], &[]).is_err());
}
