//! Steps of `test` that need toolchains of their own: the unit tests of the CPU's kernels on emulated
//! AArch64, under Miri and with AddressSanitizer.

use super::{Done, Step, finish, may_install};
use crate::{files, print};
use quantloom_codegen::artifact::AVX512;
use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The steps by name, as `REQUIRE` may list them.
pub const STEPS: [(&str, Run); 3] = [("neon", neon), ("miri", miri), ("asan", asan)];

type Run = fn(&Toolchains) -> Step;

/// What may be installed, and what must not be skipped.
pub struct Toolchains {
    /// Whether anything may be installed.
    pub install: bool,
    /// Names of steps.
    pub required: Vec<String>,
}

/// The nightly toolchain of Miri and AddressSanitizer: one day's, so that no new one can break the suite.
/// Miri of a later one may not know an intrinsic that this one knows.
const NIGHTLY: &str = "nightly-2026-05-20";

/// Target triples.
const AARCH64: &str = "aarch64-unknown-linux-gnu";
const X86_64: &str = "x86_64-unknown-linux-gnu";

/// Emulated processors with the best level that each has.
const PROCESSORS: [(&str, &str); 3] =
    [("max", "i8mm"), ("cortex-a76", "dotprod"), ("cortex-a53", "neon")];

fn neon(toolchains: &Toolchains) -> Step {
    if cfg!(target_arch = "aarch64") {
        print::error("this machine is an AArch64: the tests above ran on its levels");
        return Ok(Done::All);
    }
    let tools = ["aarch64-linux-gnu-gcc", "qemu-aarch64"];
    let has = |tool: &&str| runs(Command::new(tool).arg("--version"));
    if let Some(tool) = tools.iter().find(|tool| !has(tool)) {
        return toolchains.skip("neon", &format!("{tool} is not there"));
    }
    let list = rustup(&["target", "list", "--installed"]);
    if let Err(reason) = toolchains.ready(&list, AARCH64, &["target", "add", AARCH64]) {
        return toolchains.skip("neon", &reason);
    }
    for (processor, level) in PROCESSORS {
        let runner = format!("qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu {processor}");
        let mut cargo = files::cargo();
        cargo.args(test(1)).args(["--target", AARCH64, "--"]);
        // Which levels there are is seen on every processor; the last one has all of them.
        match level {
            "i8mm" => cargo.arg("cpu::"),
            _ => cargo.args(["cpu::isa", "cpu::simd"]),
        };
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
        cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
        finish(cargo.env("QUANTLOOM_ISA", level).current_dir(files::root()))?;
    }
    Ok(Done::All)
}

/// Miri interprets intrinsics, so this machine needs none of them.
fn miri(toolchains: &Toolchains) -> Step {
    let components = ["--component", "miri", "--component", "rust-src"];
    if let Err(reason) = toolchains.nightly("miri", &components) {
        return toolchains.skip("miri", &reason);
    }
    let features = AVX512.split(',').map(|feature| format!("+{feature}"));
    let features: Vec<String> = features.collect();
    let mut cargo = nightly(&["cargo", "miri"]);
    cargo.args(test(0)).args(["--target", X86_64, "--", "cpu::"]);
    cargo.env("RUSTFLAGS", format!("-Ctarget-feature={}", features.join(",")));
    // Rayon: its queues break the rules of stacked borrows and turn integers into pointers, its
    // threads never end. Two processors, so that it has two threads.
    let flags = "-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks";
    cargo.env("MIRIFLAGS", format!("{flags} -Zmiri-num-cpus=2"));
    match lacking(&mut cargo, "unsupported operation:") {
        Err(Stopped::Lacks(what)) => toolchains.skip("miri", &format!("Miri stopped at {what}")),
        Err(Stopped::Failed(problem)) => Err(problem),
        Ok(()) => Ok(Done::All),
    }
}

/// Why a command did not succeed.
enum Stopped {
    /// The tool cannot do what it was asked for, in its words.
    Lacks(String),
    Failed(String),
}

/// Runs a command whose errors begin with `mark` where the tool itself lacks something.
fn lacking(command: &mut Command, mark: &str) -> Result<(), Stopped> {
    let failed = |problem: &dyn Display| Stopped::Failed(problem.to_string());
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(|error| failed(&error))?;
    let mut lacks = None;
    let lines = child.stderr.take().map(|stderr| BufReader::new(stderr).split(b'\n'));
    for line in lines.into_iter().flatten().map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        print::error(&line);
        lacks = lacks.or_else(|| line.split_once(mark).map(|(_, what)| what.trim().to_owned()));
    }
    match (child.wait(), lacks) {
        (Ok(status), _) if status.success() => Ok(()),
        (_, Some(what)) => Err(Stopped::Lacks(what)),
        (Ok(status), None) => Err(failed(&status)),
        (Err(error), None) => Err(failed(&error)),
    }
}

fn asan(toolchains: &Toolchains) -> Step {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return toolchains.skip("asan", "this is no Linux on x86-64");
    }
    if let Err(reason) = toolchains.nightly("rustc", &[]) {
        return toolchains.skip("asan", &reason);
    }
    // Not optimized: nothing is read that the optimizer could see is not used.
    let mut cargo = nightly(&["cargo"]);
    cargo.args(test(0)).args(["--target", X86_64, "--", "cpu::"]);
    cargo.env("RUSTFLAGS", "-Zsanitizer=address");
    // Looking for leaks takes rights that containers may not have.
    finish(cargo.env("ASAN_OPTIONS", "detect_leaks=0"))
}

/// Arguments that test the library alone, with formats' functions, which take most of the time to optimize.
fn test(optimization: u8) -> Vec<String> {
    let package = ["test", "--package", "quantloom", "--lib", "--no-default-features"];
    let package = package.into_iter().chain(["--features", "cpu"]).map(str::to_owned);
    let levels = ["quantloom", "quantloom-formats"].into_iter().flat_map(|package| {
        let level = format!("profile.dev.package.{package}.opt-level={optimization}");
        ["--config".to_owned(), level]
    });
    package.chain(levels).collect()
}

impl Toolchains {
    /// A step that cannot run; a failure where it is required.
    pub fn skip(&self, name: &str, reason: &str) -> Step {
        if self.required.iter().any(|required| required == name) {
            return Err(format!("REQUIRE names {name}, but: {reason}"));
        }
        print::error(&format!("{name} is skipped: {reason}"));
        Ok(Done::Part)
    }

    /// Makes sure of the nightly toolchain with a component.
    fn nightly(&self, component: &str, components: &[&str]) -> Result<(), String> {
        let list = rustup(&["component", "list", "--installed", "--toolchain", NIGHTLY]);
        let install = ["toolchain", "install", NIGHTLY, "--profile", "minimal"];
        self.ready(&list, component, &[&install, components].concat())
    }

    /// Makes sure that rustup's list has an item, else installs it; the error is why it is not there.
    fn ready(&self, list: &str, item: &str, install: &[&str]) -> Result<(), String> {
        if list.lines().any(|line| line.starts_with(item)) {
            return Ok(());
        }
        let command = format!("rustup {}", install.join(" "));
        if !(self.install && may_install()) {
            return Err(format!("Rust has no {item} here; `{command}` installs it"));
        }
        print::error(&command);
        match Command::new("rustup").args(install).stdin(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{command}`: {status}")),
            Err(error) => Err(format!("cannot start rustup: {error}")),
        }
    }
}

/// A command of the nightly toolchain. Cargo's variables name the one that runs this.
fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY]).args(arguments).current_dir(files::root());
    command.env_remove("CARGO");
    command
}

/// What rustup prints; nothing where it fails.
fn rustup(arguments: &[&str]) -> String {
    let output = Command::new("rustup").args(arguments).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).into())
}

/// Whether a program is there.
fn runs(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}
