//! A crate without any `unsafe`: its formats are compiled when it runs, and are proven all the same.
#![forbid(unsafe_code)]

mod devices;

use devices::devices;
use quantloom::artifact::Artifact;
use quantloom::{Error, Format, Tensor, verify};

#[test]
fn a_format_is_compiled_and_right() {
    let text = include_str!("../formats/three_bits.yaml");
    let format = Format::compile(text, "formats/three_bits.yaml").unwrap();
    assert!(format.is_proven());
    verify(&format, &devices(&["reference", "wgsl"])).unwrap();
}

#[test]
fn a_changed_format_runs_only_where_it_is_checked() {
    let text = include_str!("../formats/split.yaml");
    let format = Format::compile(text, "formats/split.yaml").unwrap();
    let changed = Format::from(Artifact { title: "changed".into(), ..Artifact::clone(&format) });
    assert!(!changed.is_proven());
    let tensor = |format| Tensor::new("w", format, 1, 16, [vec![0x10; 8], vec![0; 8]]).unwrap();
    for device in devices(&["reference", "wgsl"]) {
        let weights = |format| tensor(format).upload(&device).unwrap().dequantize().unwrap();
        assert_eq!(weights(changed.clone()), weights(format.clone()));
    }
    for device in devices(&["hip"]) {
        assert!(tensor(format.clone()).upload(&device).is_ok());
        match tensor(changed.clone()).upload(&device) {
            Err(Error::Format { problem, .. }) => assert!(problem.contains("Format::trusted")),
            other => panic!("{other:?}"),
        }
    }
}
