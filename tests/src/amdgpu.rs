//! Compiles HIP kernel texts to code objects for AMD GPUs, with clang alone: neither ROCm nor
//! hardware is needed. Debian: `apt-get install --no-install-recommends clang-19 lld-19`.

use std::fs;
use std::io;
use std::num::NonZero;
use std::process::Command;
use std::thread;

/// One of each generation: CDNA 2 and 3 (waves of 64), RDNA 2, 3 and 4 (waves of 32).
pub const TARGETS: [&str; 5] = ["gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1201"];

/// A clang that compiles for AMD GPUs.
#[derive(Clone, Debug)]
pub struct Clang {
    program: &'static str,
    version: String,
}

/// A kernel for one target.
#[derive(Clone, Debug)]
pub struct CodeObject {
    /// The ELF file.
    pub bytes: Vec<u8>,
    /// Vector registers per thread.
    pub registers: u32,
    /// Bytes of shared memory per workgroup.
    pub shared: u32,
    /// Bytes per thread that did not fit into registers.
    pub scratch: u32,
}

/// A kernel text, compiled for a target.
#[derive(Clone, Debug)]
pub struct Compiled<'a> {
    /// The kernel.
    pub kernel: &'a str,
    /// The target, as in [`TARGETS`].
    pub target: &'a str,
    /// The code object, or the compiler's diagnostics.
    pub result: Result<CodeObject, String>,
}

/// What every compilation is told. Nothing of a HIP installation is used, warnings are errors, and
/// remarks tell the resources that a kernel takes.
const FLAGS: [&str; 14] = [
    "-x",
    "hip",
    "--offload-device-only",
    "--no-gpu-bundle-output",
    "-nogpuinc",
    "-nogpulib",
    "-fuse-cuid=none",
    "-std=c++17",
    "-O3",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter", // a format of one strip per block reads no strip
    "-Werror",
    "-Rpass-analysis=kernel-resource-usage",
];

impl Clang {
    /// The first that is installed of clang-19, clang-20, clang-21 and clang.
    ///
    /// # Errors
    /// What to install, where there is none.
    pub fn find() -> Result<Clang, String> {
        let programs = ["clang-19", "clang-20", "clang-21", "clang"];
        let found = programs.into_iter().find_map(|program| {
            let output = Command::new(program).arg("--version").output().ok()?;
            let version = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
            output.status.success().then_some(Clang { program, version })
        });
        found.ok_or_else(|| {
            format!(
                "none of {} runs; apt-get install --no-install-recommends clang-19 lld-19",
                programs.join(", ")
            )
        })
    }

    /// What it calls itself.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Compiles the kernel `name` for one target.
    ///
    /// # Errors
    /// The compiler's diagnostics, or what is wrong with the code object it wrote.
    pub fn compile(&self, name: &str, text: &str, target: &str) -> Result<CodeObject, String> {
        let arch = format!("--offload-arch={target}");
        let (bytes, messages) = self.run(text, FLAGS.into_iter().chain([&*arch]))?;
        check(&bytes, name)?;
        let usage = |what: &str| usage(&messages, what);
        Ok(CodeObject {
            registers: usage("VGPRs")?,
            shared: usage("LDS Size [bytes/block]")?,
            scratch: usage("ScratchSize [bytes/lane]")?,
            bytes,
        })
    }

    /// Compiles a text with flags. What it writes, and its messages.
    ///
    /// # Errors
    /// The compiler's diagnostics.
    pub(crate) fn run<'a>(
        &self,
        text: &str,
        flags: impl Iterator<Item = &'a str>,
    ) -> Result<(Vec<u8>, String), String> {
        let failed = |error: io::Error| format!("cannot run {}: {error}", self.program);
        let directory = tempfile::tempdir().map_err(failed)?;
        // Run where the text is, so that diagnostics name it without a path.
        let run = || {
            fs::write(directory.path().join("kernel.hip"), text)?;
            let mut command = Command::new(self.program);
            command.current_dir(directory.path()).args(flags);
            command.args(["-o", "output", "kernel.hip"]).output()
        };
        let output = run().map_err(failed)?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(diagnostics(&messages));
        }
        Ok((fs::read(directory.path().join("output")).map_err(failed)?, messages))
    }

    /// Compiles kernels, given as name and text, for every target, on all cores: 0.1 s each. In the
    /// result the targets of a kernel stand together, in order.
    pub fn compile_all<'a>(
        &self,
        kernels: &[(&'a str, &'a str)],
        targets: &[&'a str],
    ) -> Vec<Compiled<'a>> {
        let of_kernel = |kernel| targets.iter().map(move |target| (kernel, *target));
        let jobs: Vec<_> = kernels.iter().copied().flat_map(of_kernel).collect();
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let compile = |&((kernel, text), target): &((&'a str, &'a str), &'a str)| Compiled {
            kernel,
            target,
            result: self.compile(kernel, text, target),
        };
        let part = |jobs: &[_]| jobs.iter().map(compile).collect::<Vec<_>>();
        thread::scope(|scope| {
            let parts = jobs.chunks(jobs.len().div_ceil(threads).max(1));
            let parts: Vec<_> = parts.map(|jobs| scope.spawn(move || part(jobs))).collect();
            parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
        })
    }
}

/// The compiler's messages without its remarks.
fn diagnostics(messages: &str) -> String {
    let remarks = |line: &&str| !line.contains("remark: ");
    messages.lines().filter(remarks).collect::<Vec<_>>().join("\n")
}

/// A number from the remarks, as in `kernel.hip:7:1: remark:     VGPRs: 12 [-Rpass-analysis=..]`.
fn usage(messages: &str, what: &str) -> Result<u32, String> {
    let remark = messages.lines().find_map(|line| {
        let (key, value) = line.split_once("remark: ")?.1.trim().split_once(": ")?;
        (key == what).then(|| value.split(' ').next()?.parse().ok()).flatten()
    });
    remark.ok_or_else(|| format!("the compiler does not tell `{what}`:\n{messages}"))
}

/// Is this an ELF file for AMD GPUs that holds the kernel?
fn check(bytes: &[u8], name: &str) -> Result<(), String> {
    const AMDGPU: [u8; 2] = 224u16.to_le_bytes();
    if !bytes.starts_with(b"\x7fELF") || bytes.get(18..20) != Some(&AMDGPU) {
        return Err("the output is no code object for AMD GPUs".to_owned());
    }
    // What the loader looks up to launch a kernel.
    let descriptor = format!("\0{name}.kd\0").into_bytes();
    if !bytes.windows(descriptor.len()).any(|window| window == descriptor) {
        return Err(format!("the code object has no kernel `{name}`"));
    }
    Ok(())
}
