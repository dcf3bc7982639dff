//! `bench cpu`: how fast kernels are, beside others. What measures is a package outside the workspace, so
//! that nobody builds the peers who does not measure.

use crate::failure::{Failure, Outcome};
use crate::files;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that measures.
pub const PACKAGE: &str = "xtask/bench/Cargo.toml";

/// Runs the command.
pub fn run() -> Outcome {
    let builds = builds();
    build(&builds)?;
    let binary =
        builds.join("release/quantloom-bench").with_extension(std::env::consts::EXE_EXTENSION);
    // The package reads the same options: all that follows `bench`.
    let status = Command::new(binary)
        .args(std::env::args_os().skip_while(|arg| arg != "bench").skip(1))
        .env("QUANTLOOM_ROOT", files::root())
        .status();
    let status =
        status.map_err(|error| Failure::input(format!("cannot start the benchmark: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        code => Err(Failure::Told(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2))),
    }
}

/// Builds ours and the peers for this very processor: candle and ggml choose instructions then.
fn build(builds: &Path) -> Outcome {
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" -C target-cpu=native");
    let status = files::cargo()
        .args(["build", "--release", "--manifest-path"])
        .arg(files::root().join(PACKAGE))
        .arg("--target-dir")
        .arg(builds)
        .env("RUSTFLAGS", flags.trim())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::input(
            "the benchmark does not build; its peers need cmake, a C++ compiler and libclang \
             (apt-get install cmake g++ libclang-dev)",
        )),
        Err(error) => Err(Failure::input(format!("cannot start cargo: {error}"))),
    }
}

/// Where it is built: beside these commands' own builds.
fn builds() -> PathBuf {
    files::builds().join("bench")
}
