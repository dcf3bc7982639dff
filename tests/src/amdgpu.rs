//! Compiles HIP kernel texts to code objects for AMD GPUs, with clang alone: neither ROCm nor
//! hardware is needed. Debian: `apt-get install --no-install-recommends clang-19 lld-19`.

use std::fs;
use std::io;
use std::process::Command;

/// One of each generation: CDNA 3 (waves of 64) and RDNA 3 (waves of 32), then CDNA 2, RDNA 2 and 4.
pub const TARGETS: [&str; 5] = ["gfx942", "gfx1100", "gfx90a", "gfx1030", "gfx1201"];

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
    /// The instructions, where some round to f16.
    pub assembly: String,
}

impl CodeObject {
    /// An instruction that adds a constant 0 to a product before it rounds it to f16: -0 becomes 0.
    pub fn loses_signs(&self) -> Option<&str> {
        let instructions = self.assembly.lines().map(str::trim);
        let mut mixed = instructions
            .filter(|line| line.starts_with("v_fma_mix") || line.starts_with("v_mad_mix"));
        mixed.find(|line| {
            let operands = line.split_once(';').map_or(*line, |(code, _)| code);
            // Modifiers such as op_sel_hi:[1,0,0] are none.
            operands.split_whitespace().any(|operand| operand.trim_end_matches(',') == "0")
        })
    }
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
        let flags = FLAGS.into_iter().chain([&*arch]);
        // Keeping the assembly takes time.
        let ([bytes, assembly], messages) = if text.contains("(_Float16)") {
            let kept = format!("kernel-hip-amdgcn-amd-amdhsa-{target}.s");
            self.run(text, flags.chain(["-save-temps=obj"]), ["output", &kept])?
        } else {
            let ([bytes], messages) = self.run(text, flags, ["output"])?;
            ([bytes, Vec::new()], messages)
        };
        check(&bytes, name)?;
        let usage = |what: &str| usage(&messages, what);
        Ok(CodeObject {
            registers: usage("VGPRs")?,
            shared: usage("LDS Size [bytes/block]")?,
            scratch: usage("ScratchSize [bytes/lane]")?,
            assembly: String::from_utf8_lossy(&assembly).into_owned(),
            bytes,
        })
    }

    /// Compiles a text with flags to the file `output`. What is in some files that it writes, and its
    /// messages.
    ///
    /// # Errors
    /// The compiler's diagnostics.
    pub(crate) fn run<'a, const FILES: usize>(
        &self,
        text: &str,
        flags: impl Iterator<Item = &'a str>,
        files: [&str; FILES],
    ) -> Result<([Vec<u8>; FILES], String), String> {
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
        let mut contents = files.map(|_| Vec::new());
        for (content, file) in contents.iter_mut().zip(files) {
            *content = fs::read(directory.path().join(file)).map_err(failed)?;
        }
        Ok((contents, messages))
    }
}

/// The compiler's messages without its remarks.
fn diagnostics(messages: &str) -> String {
    let remarks = |line: &&str| !line.contains("remark: ");
    messages.lines().filter(remarks).collect::<Vec<_>>().join("\n")
}

/// A number from the remarks, as in `remark: kernel.hip:7:0:     VGPRs: 12 [-Rpass-analysis=..]`.
fn usage(messages: &str, what: &str) -> Result<u32, String> {
    let remark = messages.lines().find_map(|line| {
        let (place, value) = line.split_once("remark: ")?.1.rsplit_once(": ")?;
        let key = place.rsplit("  ").next()?.trim();
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
