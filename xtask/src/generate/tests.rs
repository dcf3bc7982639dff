use super::*;

const TOY: &str = "format: toy\ntitle: a test's format\ngguf: 7\nweights: 4\nblock: {d: f16, q: \"u8[2]\"}\n\
                   fields: {q: {from: q, bits: 4, k: \"4:4\", bias: 8}}\nvalue: q * d\n";

/// Descriptors in a folder of their own, and a folder to write to.
fn folder(descriptors: &[(&str, &str)]) -> (tempfile::TempDir, Args) {
    let folder = tempfile::tempdir().unwrap();
    let formats = folder.path().join("formats");
    fs::create_dir(&formats).unwrap();
    for (file, text) in descriptors {
        fs::write(formats.join(file), text).unwrap();
    }
    let out = Some(folder.path().join("out"));
    let args = Args { check: false, formats: Some(formats), out, whole: None };
    (folder, args)
}

fn message(outcome: Outcome) -> String {
    outcome.unwrap_err().text(false).unwrap()
}

#[test]
fn writes_compares_and_removes() {
    let (folder, args) = folder(&[("toy.yaml", TOY)]);
    let check =
        Args { check: true, formats: args.formats.clone(), out: args.out.clone(), whole: None };
    let out = folder.path().join("out");
    assert!(message(run(&check)).contains("run `cargo xtask gen --formats"));
    assert!(!out.exists());
    run(&args).unwrap();
    run(&check).unwrap();
    let files = |folder: &str| fs::read_dir(out.join(folder)).unwrap().count();
    assert_eq!(["wgsl/decoders", "hip/decoders", "rust"].map(files), [1; 3]);
    assert!(files("wgsl/kernels") > 7);

    let decoders = out.join("hip/decoders/toy.hip");
    fs::write(&decoders, "changed by hand").unwrap();
    fs::write(out.join("wgsl/mine.wgsl"), "// by hand").unwrap();
    let old = ["wgsl/decoders/old.wgsl", "rust/old.rs"].map(|name| out.join(name));
    old.iter().for_each(|old| fs::write(old, format!("// {MARK} from formats/old.yaml")).unwrap());
    assert!(matches!(run(&check), Err(Failure::Differs(_))));
    run(&args).unwrap();
    assert!(fs::read_to_string(&decoders).unwrap().contains(MARK));
    assert!(!old.iter().any(|old| old.exists()));
    assert!(out.join("wgsl/mine.wgsl").exists());
    run(&check).unwrap();
}

#[test]
fn cleans_up_after_an_interrupted_run() {
    let (folder, args) = folder(&[("toy.yaml", TOY)]);
    run(&args).unwrap();
    let out = folder.path().join("out");
    let left = [".catalogue.rs.x7a.draft", "wgsl/decoders/.toy.wgsl.k2.draft"];
    left.iter().for_each(|name| fs::write(out.join(name), "half").unwrap());
    fs::write(out.join("hip/.mine"), "by hand").unwrap();
    let check =
        Args { check: true, formats: args.formats.clone(), out: args.out.clone(), whole: None };
    run(&check).unwrap();
    assert!(left.iter().all(|name| out.join(name).exists()), "a check changes nothing");
    run(&args).unwrap();
    assert!(!left.iter().any(|name| out.join(name).exists()));
    assert!(out.join("hip/.mine").exists());
}

#[cfg(unix)]
#[test]
fn two_at_once_do_not_disturb_each_other() {
    let (folder, args) = folder(&[("toy.yaml", TOY)]);
    let out = folder.path().join("out");
    let other = claim(&out).unwrap();
    fs::write(out.join(".catalogue.rs.other.draft"), "half").unwrap();
    assert!(message(run(&args)).contains("another `gen` writes to"));
    assert!(out.join(".catalogue.rs.other.draft").exists());
    drop(other);
    run(&args).unwrap();
}

#[test]
fn reports_all_problems_and_writes_nothing() {
    let broken = TOY.replace("value: q * d", "value: q * e");
    let (folder, args) = folder(&[("a.yaml", &broken), ("b.yaml", &broken), ("toy.yaml", TOY)]);
    let message = message(run(&args));
    assert!(message.contains("a.yaml:7:") && message.contains("b.yaml:7:"), "{message}");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn refuses_names_and_numbers_that_meet() {
    let (_folder, args) = folder(&[("other.yaml", TOY), ("toy.yaml", TOY)]);
    let message = message(run(&args));
    assert!(message.contains("the format is called `toy`, its file is not\n --> "), "{message}");
    assert!(message.contains("also describes `toy`"), "{message}");
    assert!(message.contains("also has number 7"), "{message}");
}

#[test]
fn finds_the_way_between_folders() {
    let way = |from: &str, to: &str| from_to(Path::new(from), Path::new(to)).unwrap();
    assert_eq!(way("/no/a/b", "/no/c"), "../../c");
    assert_eq!(way("/no/a", "/no/a/c"), "c");
}

#[test]
fn whole_texts_have_their_names_and_facts() {
    let (folder, args) = folder(&[("toy.yaml", TOY)]);
    let whole = folder.path().join("whole");
    run(&Args { out: None, whole: Some(whole.clone()), ..args }).unwrap();
    for backend in ["wgsl", "hip"] {
        let facts = fs::read(whole.join(backend).join("kernels.json")).unwrap();
        let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
        let facts = facts.as_array().unwrap();
        assert!(facts.len() > 8, "{}", facts.len());
        for kernel in facts {
            let (file, name) = (kernel["file"].as_str().unwrap(), kernel["name"].as_str().unwrap());
            let text = fs::read_to_string(whole.join(backend).join(file)).unwrap();
            assert!(file.starts_with(name) && text.contains(&format!(" {name}(")), "{file}");
            let bindings = kernel["bindings"].as_array().unwrap();
            assert!(bindings.iter().any(|binding| binding["role"] == "output"), "{file}");
        }
    }
    assert!(!folder.path().join("out").exists());
}
