//! The step that tests cooperative matrices: Debian's Mesa has none yet, so a newer one is unpacked
//! beside it, with all libraries that it needs, and installed nowhere.

use super::kernels::Toolchains;
use super::{Done, Step, TESTS, cargo, finish};
use crate::{files, print};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release whose libraries are taken, the suite of it with a Mesa whose software Vulkan has
/// cooperative matrices, and a package that has its key.
const RELEASE: &str = "trixie";
const SUITE: &str = "trixie-backports";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Parts of an unpacked package.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";
const DRIVER: &str = "usr/share/vulkan/icd.d/lvp_icd.json";

/// Tests that are run. Software Vulkan takes seconds to compile such a kernel: those of every third
/// format, and all with other schedules.
const FILTERS: [&str; 3] = ["/wgsl/129x", "wgsl/f16", "matrices/split"];

/// Runs tests of the suite with that Mesa; nothing of it may be skipped.
pub fn mesa(toolchains: &Toolchains) -> Step {
    let root = match unpacked(toolchains.install) {
        Ok(root) => root,
        Err(reason) => return toolchains.skip("mesa", &reason),
    };
    let libraries = root.join(LIBRARIES);
    let loader = libraries.join(LOADER);
    // A list, as paths may have spaces.
    let runner = [loader.as_path(), Path::new("--library-path"), &libraries];
    let runner = format!("target.'cfg(all())'.runner={runner:?}");
    for filter in FILTERS {
        let mut cargo = cargo(&TESTS);
        cargo.args([
            "--config", &runner, "--test", "all", "--", "--quiet", filter, "--skip", "product/",
        ]);
        cargo.env("VK_DRIVER_FILES", root.join(DRIVER)).env("REQUIRE", "matrices");
        finish(&mut cargo)?;
    }
    Ok(Done::All)
}

/// The folder that the packages are unpacked to, once; the error is why there is none.
fn unpacked(install: bool) -> Result<PathBuf, String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err("this is no Linux on x86-64".to_owned());
    }
    let folder = files::builds().join("mesa");
    let whole = folder.join("root");
    if whole.is_dir() {
        return Ok(whole);
    }
    if !install {
        return Err(format!("{} is not there, and nothing may be installed", whole.display()));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => fs::create_dir_all(folder.join("lists/partial")).map_err(failed)?,
    }
    fs::create_dir_all(folder.join("cache/archives/partial")).map_err(failed)?;
    fs::write(folder.join("status"), "").map_err(failed)?;
    let archive = archive()?;
    let source = |suite| format!("deb [signed-by={KEYS}] {archive} {suite} main\n");
    let sources = [RELEASE, SUITE].map(source).concat();
    fs::write(folder.join("sources.list"), sources).map_err(failed)?;
    print::error(&format!("unpacking {} of {SUITE} to {}", PACKAGES.join(", "), whole.display()));
    run(apt(&folder).args(["--quiet", "update"]))?;
    let install = ["--quiet", "--yes", "--no-install-recommends", "--download-only", "install"];
    run(apt(&folder).args(install).args(["--target-release", SUITE]).args(PACKAGES))?;
    let part = folder.join("part");
    for entry in fs::read_dir(folder.join("cache/archives")).map_err(failed)? {
        let package = entry.map_err(failed)?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&part))?;
        }
    }
    fs::rename(&part, &whole).map_err(failed)?;
    Ok(whole)
}

/// Where this system has its packages from.
fn archive() -> Result<String, String> {
    let targets = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"];
    let output = Command::new("apt-get").args(targets).output();
    let output = output.map_err(|error| format!("cannot start apt-get: {error}"))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    let archive = listed.lines().find(|line| line.ends_with("/debian/"));
    archive.map(str::to_owned).ok_or_else(|| "this system's packages are not Debian's".to_owned())
}

/// apt-get with all that it knows in this folder, as if nothing were installed.
fn apt(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let places = [
        ("Dir::Etc::sourcelist", folder.join("sources.list")),
        ("Dir::Etc::sourceparts", PathBuf::from("-")),
        ("Dir::State::lists", folder.join("lists")),
        ("Dir::State::status", folder.join("status")),
        ("Dir::Cache", folder.join("cache")),
    ];
    for (option, place) in places {
        command.arg("-o").arg(format!("{option}={}", place.display()));
    }
    command.args(["-o", "Debug::NoLocking=1", "-o", "Acquire::http::Timeout=30"]);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    finish(quiet)
        .map(drop)
        .map_err(|problem| format!("{} {problem}", command.get_program().display()))
}
