use super::*;
use quantloom_codegen::Compiled;
use quantloom_codegen::artifact::Dims;
use quantloom_codegen::ir;
use safetensors::SafeTensors;
use std::process::Command;

fn new(folder: &Path, name: &str, weights: u32, bits: u32) -> Outcome {
    run(&Args { name: name.into(), weights, bits, out: Some(folder.into()) })
}

fn decoded(compiled: &Compiled, blocks: &[u8]) -> Vec<f32> {
    let count = blocks.len() / compiled.artifact.streams[0].bytes as usize;
    let mut weights = vec![f32::NAN; count * compiled.format.weights as usize];
    let dims = Dims { n: 1, blocks: count as u32, ..Dims::default() };
    ir::interpret(&compiled.decoder, &[blocks], &dims, 0, &mut weights);
    weights
}

/// Weights by the programs that hand out codes and scales.
fn from_codes(compiled: &Compiled, blocks: &[u8]) -> Vec<f32> {
    let count = blocks.len() / compiled.artifact.streams[0].bytes as usize;
    let coded = compiled.coded.as_ref().unwrap();
    let mut codes = vec![0; count * compiled.format.weights as usize];
    let mut runs = vec![(0.0, 0.0); codes.len() / coded.coding.run as usize];
    let dims = Dims { n: 1, blocks: count as u32, ..Dims::default() };
    ir::interpret_codes(&coded.codes, &[blocks], &dims, 0, &mut codes);
    ir::interpret_scales(&coded.scales, &[blocks], &dims, 0, &mut runs);
    let runs = runs.iter().zip(codes.chunks(coded.coding.run as usize));
    let weight = |&(scale, offset), code: &u8| scale * coded.coding.values[*code as usize] + offset;
    runs.flat_map(|(run, codes)| codes.iter().map(move |code| weight(run, code))).collect()
}

#[test]
fn what_it_writes_compiles_and_decodes_as_its_comments_say() {
    let folder = tempfile::tempdir().unwrap();
    for (weights, bits) in
        [(32, 4), (8, 1), (64, 2), (24, 3), (256, 5), (32, 5), (128, 6), (32, 7), (8, 7), (1, 8)]
    {
        let name = format!("w{weights}_b{bits}");
        new(folder.path(), &name, weights, bits).unwrap();
        let path = folder.path().join(format!("{name}.yaml"));
        let compiled = files::format(&path.display().to_string(), &[]).unwrap();
        assert_eq!(compiled.format.weights, weights);
        // Codes that count up, and a scale of one half.
        let code = |index: u32| index % (1 << bits);
        let mut block = vec![0x00, 0x38];
        block.resize(2 + (weights * bits / 8) as usize, 0);
        for bit in 0..weights * bits {
            block[2 + bit as usize / 8] |=
                ((code(bit / bits) >> (bit % bits) & 1) as u8) << (bit % 8);
        }
        let expected =
            (0..weights).map(|i| 0.5 * (f64::from(code(i)) - f64::from(1 << bits) / 2.0));
        let expected: Vec<f32> = expected.map(|weight| weight as f32).collect();
        assert_eq!(decoded(&compiled, &block), expected, "{name}");
        if compiled.coded.is_some() {
            assert_eq!(from_codes(&compiled, &block), expected, "{name}");
        }
    }
}

/// The vectors that the script writes are those of the descriptor beside it.
#[test]
fn its_script_writes_golden_vectors() {
    if let Err(error) = Command::new("python3").arg("--version").output() {
        assert!(std::env::var_os("CI").is_none(), "python3: {error}");
        return eprintln!("its_script_writes_golden_vectors is skipped: python3: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    for (weights, bits) in [(32, 4), (24, 3)] {
        let name = format!("w{weights}");
        new(folder.path(), &name, weights, bits).unwrap();
        let path = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let output = Command::new("python3").arg(path("py")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            said.ends_with("16 blocks random, 7 blocks edge_scales, 3 blocks nonfinite_scales\n")
        );
        let compiled = files::format(&path("yaml").display().to_string(), &[]).unwrap();
        let vectors = fs::read(path("safetensors")).unwrap();
        let vectors = SafeTensors::deserialize(&vectors).unwrap();
        assert_eq!(vectors.names().len(), 6);
        for set in ["random", "edge_scales", "nonfinite_scales"] {
            let blocks = vectors.tensor(&format!("{set}.blocks")).unwrap();
            let wanted = vectors.tensor(&format!("{set}.weights")).unwrap();
            let found = decoded(&compiled, blocks.data());
            assert_eq!(wanted.shape(), [found.len() / weights as usize, weights as usize]);
            let wanted = wanted.data().as_chunks::<4>().0;
            let wanted: Vec<f32> = wanted.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let same =
                |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(found.iter().zip(&wanted).all(same), "{set}: {found:?}, {wanted:?}");
        }
    }
}

#[test]
fn says_what_to_do_next() {
    let args = |out| Args { name: "toy".into(), weights: 32, bits: 4, out };
    let plan = Plan::new(&args(None)).unwrap();
    let text = plan.next_steps();
    for command in [
        "cargo xtask explain toy\n",
        "data/golden/toy.py\n",
        "cargo xtask gen\n",
        "cargo test -p quantloom-tests -- decode/toy/\n",
    ] {
        assert!(text.contains(command), "{text}");
    }
    let text = Plan::new(&args(Some("elsewhere".into()))).unwrap().next_steps();
    assert!(text.contains("cargo xtask explain elsewhere/toy.yaml\n"), "{text}");
    assert!(text.contains("include_format!(\"elsewhere/toy.yaml\")"), "{text}");
}

#[test]
fn refuses_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let message = |outcome: Outcome| outcome.unwrap_err().text(false).unwrap();
    for name in ["Toy", "", "q-4", "../toy", "a/b", "toy.yaml", "ü", "__toy", &"long".repeat(9)] {
        let said = message(new(&path.join("sub"), name, 32, 4));
        assert!(
            said.starts_with(&format!("error: `{name}` cannot be a format's name: ")),
            "{said}"
        );
    }
    let said = message(new(&path.join("sub"), "toy", 4, 3));
    assert!(said.contains("4 codes of 3 bits do not fill whole bytes"), "{said}");
    let said = message(new(&path.join("sub"), "toy", 1 << 20, 4));
    assert!(
        said.contains("a block of 1048576 weights\n") && said.contains("toy.yaml:10:10"),
        "{said}"
    );
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);

    for ending in ["yaml", "py", "safetensors"] {
        let taken = path.join(format!("toy.{ending}"));
        fs::write(&taken, "mine").unwrap();
        let said = message(new(path, "toy", 32, 4));
        assert!(said.contains(&format!("toy.{ending} is there already")), "{said}");
        assert_eq!(fs::read(&taken).unwrap(), b"mine");
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
        fs::remove_file(&taken).unwrap();
    }
    new(path, "toy", 32, 4).unwrap();
}
