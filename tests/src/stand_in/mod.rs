//! Libraries that stand in for the drivers and compilers of AMD and NVIDIA: they run kernels on the
//! CPU, with the shim of `Device::hip_host`. With them the whole way of a kernel onto a real device is
//! tested where there is none.

use crate::Failed;
use crate::subject::repository;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// What the system looks for the libraries by.
const NAMES: [&str; 4] = ["libamdhip64.so", "libhiprtc.so", "libcuda.so", "libnvrtc.so"];

/// Set where the libraries are the ones made here.
const MARK: &str = "STAND_IN_COMPILED";

/// The libraries in a folder of their own, and a cache beside them.
pub struct StandIn {
    folder: TempDir,
}

impl StandIn {
    /// Compiles them.
    ///
    /// # Errors
    /// `Ok(Err(reason))` where there is no C++ compiler.
    pub fn make() -> Result<Result<StandIn, String>, Failed> {
        let Some(compiler) = compiler() else {
            return Ok(Err("no C++ compiler: neither $CXX nor c++ nor g++ runs".to_owned()));
        };
        let folder = tempfile::tempdir()?;
        let library = folder.path().join(NAMES[0]);
        let shim = fs::canonicalize(repository("runtime/src/hip_host/shim.h"))?;
        let (program, arguments) = compiler.split_first().ok_or("no compiler")?;
        let output = Command::new(program)
            .args(arguments)
            .args(["-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"])
            .args(["-Wall", "-Wextra", "-Werror"])
            .arg(format!("-DQL_SHIM=\"{}\"", shim.display()))
            .arg(format!("-DQL_CXX=\"{}\"", compiler.join(" ")))
            .arg("-o")
            .arg(&library)
            .arg(repository("tests/src/stand_in/driver.cpp"))
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        for name in &NAMES[1..] {
            symlink(&library, folder.path().join(name))?;
        }
        Ok(Ok(StandIn { folder }))
    }

    /// Where compiled kernels are kept.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Kernels that the compilers have compiled since the last call.
    pub fn compiled(&self) -> usize {
        let list = self.list();
        let lines = fs::read_to_string(&list).map_or(0, |text| text.lines().count());
        let _ = fs::remove_file(list);
        lines
    }

    /// Runs the tests of this program whose names contain `filter`, with these libraries.
    ///
    /// # Errors
    /// What the program said, where a test failed or none ran.
    pub fn test(&self, filter: &str, engine: &str) -> Result<(), Failed> {
        let output = self.run(filter, engine)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        let none = said.contains(" 0 passed");
        match output.status.success() && !none {
            true => Ok(()),
            false => Err(format!("tests `{filter}`: {}\n{said}{errors}", output.status).into()),
        }
    }

    fn run(&self, filter: &str, engine: &str) -> Result<Output, Failed> {
        let output = self
            .command()?
            .args(["--quiet", filter])
            .env("REQUIRE", engine)
            .env("SEED", (*crate::seed::SEED).to_string())
            .output()?;
        Ok(output)
    }

    /// This program, with these libraries.
    ///
    /// # Errors
    /// Where the program or its libraries cannot be named.
    pub fn command(&self) -> Result<Command, Failed> {
        let others = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let own = std::iter::once(self.folder.path().to_owned());
        let libraries = std::env::join_paths(own.chain(std::env::split_paths(&others)))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env("LD_LIBRARY_PATH", libraries)
            .env("QUANTLOOM_CACHE", self.cache())
            .env(MARK, self.list());
        Ok(command)
    }

    fn list(&self) -> PathBuf {
        self.folder.path().join("compiled")
    }
}

/// Whether this program runs with such libraries.
pub fn stands_in() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Damages every file of a folder, each in another way.
///
/// # Errors
/// Where there is none, or a file cannot be written.
pub fn damage(folder: &Path) -> Result<usize, Failed> {
    let mut damaged = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let mut bytes = fs::read(&path)?;
        match damaged % 3 {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes.clear(),
            _ => bytes.iter_mut().rev().take(100).for_each(|byte| *byte = !*byte),
        }
        fs::write(&path, bytes)?;
        damaged += 1;
    }
    Ok(damaged)
}

/// `$CXX` or the first of c++ and g++ that runs, with its arguments.
fn compiler() -> Option<Vec<String>> {
    let chosen = std::env::var("CXX").ok().filter(|chosen| !chosen.trim().is_empty());
    let candidates = chosen.map_or(vec!["c++".to_owned(), "g++".to_owned()], |chosen| vec![chosen]);
    candidates.into_iter().find_map(|candidate| {
        let words: Vec<String> = candidate.split_whitespace().map(str::to_owned).collect();
        let output = Command::new(words.first()?).arg("--version").output().ok()?;
        output.status.success().then_some(words)
    })
}
