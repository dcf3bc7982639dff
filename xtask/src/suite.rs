//! `test`: everything that proves the project, one step after the other.

mod kernels;
mod mesa;

use crate::failure::{Failure, Outcome};
use crate::{bench, files, generate, print};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Run everything: generated files, tests of every engine, lints
///
/// Installs the Debian packages that the tests of GPU kernels, of AArch64 and of pages need where it may
/// (root and apt-get), and with rustup what they need of Rust; elsewhere it names them, and what cannot
/// run is skipped by name. A newer Mesa is unpacked beside the builds, and not installed.
///
/// Examples:
///   cargo xtask test
///   cargo xtask test --require wgsl,hip,amdgpu,browser --lint     what CI runs: no skips
///   cargo xtask test --require cuda     on a machine with a GPU of NVIDIA's: every format there too
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What must not be skipped: wgsl, hip, amd, cuda, amdgpu, hiprtc, nvrtc, matrices, browser, mesa, neon, miri, asan [default: the environment's REQUIRE]
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    require: Vec<String>,
    /// Also run rustfmt and clippy [default where the environment has CI=true]
    #[arg(long)]
    lint: bool,
    /// Install nothing
    #[arg(long)]
    no_install: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let lint = args.lint || std::env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1");
    let mut steps = Steps::default();
    steps.run("packages", || packages(!args.no_install));
    steps.run("gen --check", || match generate::run(&generate::Args::check()) {
        Ok(()) => Ok(Done::All),
        Err(failure) => Err(format!("exit code {}", failure.tell())),
    });
    let required = match args.require.is_empty() {
        true => std::env::var("REQUIRE").unwrap_or_default(),
        false => args.require.join(","),
    };
    let test = |mut command: Command| finish(command.env("REQUIRE", &required));
    steps.run("tests", || test(cargo(&TESTS)));
    steps.run("outside", || test(outside("test")?));
    let required = required.split(',').map(|name| name.trim().to_owned()).collect();
    let toolchains = kernels::Toolchains { install: !args.no_install, required };
    steps.run("mesa", || mesa::mesa(&toolchains));
    for (name, step) in kernels::STEPS {
        steps.run(name, || step(&toolchains));
    }
    if lint {
        steps.run("rustfmt", || {
            finish(&mut cargo(&["fmt", "--all", "--check"]))?;
            for package in [OUTSIDE, bench::PACKAGE] {
                finish(cargo(&["fmt", "--check", "--manifest-path"]).arg(package))?;
            }
            Ok(Done::All)
        });
        steps.run("clippy", || {
            let workspace =
                ["clippy", "--workspace", "--all-targets", "--features", "xtask/engines"];
            finish(cargo(&workspace).args(["--", "--deny", "warnings"]))?;
            finish(outside("clippy")?.args(["--all-targets", "--", "--deny", "warnings"]))
        });
    }
    steps.summary()
}

/// What cargo tests the workspace with.
const TESTS: [&str; 4] = ["test", "--workspace", "--features", "xtask/engines"];

/// The crate that is no member of the workspace.
const OUTSIDE: &str = "tests/outside/Cargo.toml";

/// A command of cargo in that crate, with the versions and builds of other crates that the workspace
/// has.
fn outside(command: &str) -> Result<Command, String> {
    let lock = files::root().join(OUTSIDE).with_extension("lock");
    std::fs::copy(files::root().join("Cargo.lock"), &lock)
        .map_err(|error| format!("cannot write {}: {error}", files::shown(&lock)))?;
    let mut cargo = cargo(&[command, "--manifest-path", OUTSIDE]);
    cargo.arg("--target-dir").arg(files::builds());
    Ok(cargo)
}

/// What a step comes to: done, or not all there, or what went wrong.
type Step = Result<Done, String>;

/// How a step that did not fail ended.
enum Done {
    All,
    Part,
}

/// Steps that ran: name, time, and what they came to.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration, Step)>);

impl Steps {
    fn run(&mut self, name: &'static str, step: impl FnOnce() -> Step) {
        print::error(&format!("== {name}"));
        let started = Instant::now();
        let result = step();
        if let Err(problem) = &result {
            print::error(&format!("{name}: {problem}"));
        }
        self.0.push((name, started.elapsed(), result));
    }

    fn summary(&self) -> Outcome {
        let mut text = "\n".to_owned();
        for (name, time, result) in &self.0 {
            let result = match result {
                Ok(Done::All) => "ok",
                Ok(Done::Part) => "incomplete",
                Err(_) => "FAILED",
            };
            text += &format!("{name:12} {result:11} {}\n", print::duration(*time));
        }
        print::out(text)?;
        let failed = self.0.iter().filter(|(_, _, result)| result.is_err());
        let failed: Vec<&str> = failed.map(|(name, ..)| *name).collect();
        match failed.is_empty() {
            true => Ok(()),
            false => Err(Failure::Differs(format!("failed: {}", failed.join(", ")))),
        }
    }
}

fn cargo(args: &[&str]) -> Command {
    let mut command = files::cargo();
    command.args(args).current_dir(files::root());
    command
}

fn finish(command: &mut Command) -> Step {
    match command.status() {
        Ok(status) if status.success() => Ok(Done::All),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(format!("cannot start {}: {error}", command.get_program().display())),
    }
}

/// Debian packages, and what cannot be tested without them.
const PACKAGES: [(&str, &str); 9] = [
    ("g++", "HIP kernels on the CPU"),
    ("clang-19", "HIP kernels as AMD code objects"),
    ("lld-19", "HIP kernels as AMD code objects"),
    ("libvulkan1", "WGSL kernels"),
    ("mesa-vulkan-drivers", "WGSL kernels on software Vulkan"),
    ("chromium", "the atlas, and WGSL kernels, in a browser"),
    ("gcc-aarch64-linux-gnu", "CPU kernels on AArch64"),
    ("libc6-dev-arm64-cross", "CPU kernels on AArch64"),
    ("qemu-user", "CPU kernels on AArch64"),
];

/// Installs what is missing, or names it. Missing packages alone are no failure: the tests say what
/// they skip, and fail where it is required.
fn packages(install: bool) -> Step {
    let missing: Vec<_> = PACKAGES.into_iter().filter(|(name, _)| !installed(name)).collect();
    if missing.is_empty() {
        print::error("all there");
        return Ok(Done::All);
    }
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    if install && may_install() {
        let apt = |args: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
            finish(command.stdout(Stdio::null()).stdin(Stdio::null()))
        };
        print::error(&format!("installing {}", names.join(" ")));
        let result = apt(&["update", "--quiet"]).and_then(|_| {
            apt(&[&["install", "--yes", "--quiet", "--no-install-recommends"], &*names].concat())
        });
        match result {
            Ok(_) => return Ok(Done::All),
            Err(problem) => print::error(&format!("apt-get: {problem}")),
        }
    }
    for (name, use_) in &missing {
        print::error(&format!("package {name} is missing: without it no test of {use_}"));
    }
    print::error(&format!("on Debian, as root: apt-get install {}", names.join(" ")));
    Ok(Done::Part)
}

/// Whether dpkg knows the package as installed.
fn installed(package: &str) -> bool {
    let query = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

/// Root, on a system with apt-get.
fn may_install() -> bool {
    let runs = |program: &str, args: &[&str]| Command::new(program).args(args).output().ok();
    let root = runs("id", &["-u"]).is_some_and(|output| output.stdout.trim_ascii() == b"0");
    root && runs("apt-get", &["--version"]).is_some_and(|output| output.status.success())
}
