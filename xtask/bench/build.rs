//! Writes what the peers' names are needed for: candle's decoders by block type, out of the list of
//! formats, and the versions in the lock.

use serde::Deserialize;
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Listed {
    candle: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=formats.yaml");
    println!("cargo:rerun-if-changed=Cargo.lock");
    let listed: Vec<Listed> = serde_yaml::from_str(&std::fs::read_to_string("formats.yaml")?)?;
    let mut text = "match block {\n".to_owned();
    for block in listed.iter().filter_map(|format| format.candle.as_ref()) {
        writeln!(
            text,
            "\"{block}\" => Some(decode::<candle_core::quantized::k_quants::{block}>),"
        )?;
    }
    text += "_ => None,\n}";
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("candle.rs"), text)?;

    let lock = std::fs::read_to_string("Cargo.lock")?;
    for (package, variable) in [
        ("candle-core", "CANDLE_VERSION"),
        ("llama-cpp-sys-2", "GGML_CRATE_VERSION"),
        ("gemm", "GEMM_VERSION"),
    ] {
        let entry =
            lock.split("[[package]]").find(|p| p.contains(&format!("name = \"{package}\"\n")));
        let version = entry.and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next());
        println!("cargo:rustc-env={variable}={}", version.unwrap_or("unknown"));
    }
    println!(
        "cargo:rustc-env=FLAGS={}",
        std::env::var("CARGO_ENCODED_RUSTFLAGS")?.replace('\x1f', " ")
    );
    Ok(())
}
