//! The host's C++ compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::DEVICE;
use crate::artifact::Kernel;
use crate::{Error, Result};

/// What a text gets from a GPU compiler, and the fibers that run it.
const SHIM: &str = include_str!("shim.h");

/// Enough optimization to run at a fair speed, while a format compiles in 0.2 s. Nothing may
/// contract `a * b + c`, or the bits of decoded weights change.
const FLAGS: [&str; 8] = [
    "-O1",
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-fno-exceptions",
    "-w",
];

/// Lines of a compiler's diagnostics that an error repeats.
const LINES: usize = 20;

pub(super) struct Compiler {
    /// A program, and what it is told before anything else, as in `ccache g++`.
    command: Vec<String>,
    /// What it calls itself.
    pub version: String,
}

impl Compiler {
    /// `$CXX` where it is set, else the first that runs of `c++`, `g++` and `clang++`.
    pub fn find() -> Result<Compiler> {
        let chosen = std::env::var_os("CXX").map(|chosen| chosen.to_string_lossy().into_owned());
        let chosen = chosen.filter(|chosen| !chosen.trim().is_empty());
        let found = match &chosen {
            Some(chosen) => Compiler::try_command(chosen),
            None => ["c++", "g++", "clang++"].into_iter().find_map(Compiler::try_command),
        };
        found.ok_or_else(|| {
            let problem = match chosen {
                Some(chosen) => format!(
                    "the environment variable CXX is `{chosen}`, which does not run; name a C++17 compiler, or unset it"
                ),
                None => "no C++ compiler: none of c++, g++ and clang++ runs; install g++ (Debian: apt-get install g++), \
                         or set the environment variable CXX"
                    .to_owned(),
            };
            error("looking for a C++ compiler", problem)
        })
    }

    fn try_command(command: &str) -> Option<Compiler> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let (program, rest) = command.split_first()?;
        let output = Command::new(program).args(rest).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
        output.status.success().then_some(Compiler { command, version })
    }

    /// Compiles texts into one shared library in `directory`.
    pub fn compile(&self, kernels: &[&Kernel], directory: &Path) -> Result<PathBuf> {
        let names: Vec<&str> = kernels.iter().map(|kernel| &*kernel.name).collect();
        let during = format!("compiling {}", names.join(", "));
        let main = directory.join("kernels.cpp");
        let library = directory.join("kernels.so");
        let sources = write(kernels, directory, &main);
        let output = sources.and_then(|()| self.run(&main, &library));
        let output = output.map_err(|problem| error(&during, problem.to_string()))?;
        if output.status.success() {
            return Ok(library);
        }
        let diagnostics = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = diagnostics.lines().take(LINES).collect();
        Err(error(&during, format!("{} refuses the text:\n{}", self.version, lines.join("\n"))))
    }

    fn run(&self, main: &Path, library: &Path) -> std::io::Result<Output> {
        // In the directory itself diagnostics name the texts without a path.
        let directory = main.parent().unwrap_or(main);
        let (program, rest) = self.command.split_first().ok_or(std::io::ErrorKind::NotFound)?;
        Command::new(program)
            .current_dir(directory)
            .args(rest)
            .args(FLAGS)
            .arg("-o")
            .args([library, main])
            .output()
    }
}

/// The texts as files, and one that includes them all. Each stands in a namespace of its own, as
/// all define the same helpers.
fn write(kernels: &[&Kernel], directory: &Path, main: &Path) -> std::io::Result<()> {
    fs::write(directory.join("shim.h"), SHIM)?;
    let mut text = "#include \"shim.h\"\n".to_owned();
    for (number, kernel) in kernels.iter().enumerate() {
        let name = &kernel.name;
        fs::write(directory.join(format!("{name}.hip")), kernel.source())?;
        text += &format!(
            "namespace kernel_{number} {{\n#include \"{name}.hip\"\n}}\nQL_EXPORT(kernel_{number}, {name})\n"
        );
    }
    fs::write(main, text)
}

/// Why a library that was just made in a folder cannot be loaded.
pub(super) fn unloadable(folder: &Path, problem: &str) -> String {
    explained(folder, problem, may_run(folder))
}

fn explained(folder: &Path, problem: &str, may_run: bool) -> String {
    if may_run {
        return problem.to_owned();
    }
    format!(
        "{problem}: no program may run in `{}`, the folder for temporary files (it is mounted noexec, or a \
         policy forbids it); set the environment variable TMPDIR to a folder where programs may run",
        folder.parent().unwrap_or(folder).display()
    )
}

/// Whether a program in this folder runs.
fn may_run(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("may_run");
    let written = fs::write(&program, "#!/bin/sh\n");
    let executable = fs::Permissions::from_mode(0o700);
    let ran = written.and_then(|()| fs::set_permissions(&program, executable));
    let ran = ran.and_then(|()| Command::new(&program).status());
    !ran.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

pub(super) fn error(during: &str, problem: String) -> Error {
    Error::Device { device: DEVICE.to_owned(), during: during.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_where_nothing_may_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(may_run(folder.path()));
        assert_eq!(unloadable(folder.path(), "no segment"), "no segment");
        let told = explained(Path::new("/mnt/ql_1"), "no segment", false);
        assert!(told.starts_with("no segment: no program may run in `/mnt`"), "{told}");
        assert!(
            told.ends_with(
                "set the environment variable TMPDIR to a folder where programs may run"
            )
        );
    }
}
