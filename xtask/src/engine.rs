//! The engines that decode and multiply, and the way from a plain `cargo xtask` to one that has them.

use clap::ValueEnum;

/// A way to decode and multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Engine {
    /// Interpreter of the decoder program; products in f64
    Reference,
    /// Compiled decoders, all cores
    Cpu,
    /// WGSL kernels on a GPU, or on software Vulkan
    Wgsl,
    /// HIP kernels, run on the CPU
    Hip,
    /// HIP kernels on a GPU of AMD's
    Amd,
    /// HIP kernels on a GPU of NVIDIA's
    Cuda,
}

impl Engine {
    /// The name in arguments and tables.
    #[cfg(feature = "engines")]
    pub fn name(self) -> &'static str {
        match self {
            Engine::Reference => "reference",
            Engine::Cpu => "cpu",
            Engine::Wgsl => "wgsl",
            Engine::Hip => "hip",
            Engine::Amd => "amd",
            Engine::Cuda => "cuda",
        }
    }

    /// Opens it. The error says what is missing and how to get it.
    #[cfg(feature = "engines")]
    pub fn open(self) -> quantloom::Result<quantloom::Device> {
        use quantloom::Device;
        match self {
            Engine::Reference => Ok(Device::reference()),
            Engine::Cpu => Ok(Device::cpu()),
            Engine::Wgsl => Device::wgpu(),
            Engine::Hip => Device::hip_host(),
            Engine::Amd => Device::amd(),
            Engine::Cuda => Device::cuda(),
        }
    }
}

/// How these commands are built with the engines.
#[cfg(not(feature = "engines"))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quickly; only what computes is optimized.
    Dev,
    /// All is optimized, for what measures the host.
    Release,
}

/// Builds these commands with the engines and runs the same arguments there.
#[cfg(not(feature = "engines"))]
pub fn rerun(profile: Profile) -> crate::failure::Outcome {
    use crate::failure::Failure;
    // The first build takes minutes: show its progress.
    let exe = std::env::current_exe().unwrap_or_default();
    let built = match profile {
        Profile::Dev => exe.with_file_name("xtask-engines"),
        Profile::Release => exe.with_file_name("../release/xtask-engines"),
    };
    let built = built.with_extension(std::env::consts::EXE_EXTENSION).exists();
    let status = crate::files::cargo()
        .arg("run")
        .args(built.then_some("--quiet"))
        .args((profile == Profile::Release).then_some("--release"))
        .args(["--package", "xtask", "--features", "engines"])
        .args(["--bin", "xtask-engines", "--manifest-path"])
        .arg(crate::files::root().join("Cargo.toml"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .status();
    let status = status.map_err(|error| Failure::input(format!("cannot start cargo: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        // cargo has said why it cannot build.
        Some(101) => Err(Failure::Told(2)),
        code => Err(Failure::Told(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2))),
    }
}
