//! Compiles HIP kernel texts with the vendors' own compilers, which take no GPU. They are tested where
//! the system's loader finds them: `pip download --no-deps nvidia-cuda-nvrtc` brings NVIDIA's, Debian's
//! package libamdhip64-5 an old one of AMD's.

use quantloom::artifact::Kernel;
use quantloom::hip::Compiler;
use std::sync::LazyLock;

/// A vendor's compiler.
pub struct Vendor {
    /// Its name in tests and in `REQUIRE`.
    pub name: &'static str,
    /// The compiler, or why it is not there.
    pub compiler: LazyLock<Result<Compiler, String>>,
    /// What it compiles for.
    pub targets: &'static [&'static str],
}

/// hipRTC for CDNA and RDNA of two generations; NVRTC for Hopper, the oldest that NVRTC 13 knows,
/// consumers' Blackwell, and a GPU newer than every one, for which it writes PTX.
pub static VENDORS: [Vendor; 2] = [
    Vendor {
        name: "hiprtc",
        compiler: LazyLock::new(|| Compiler::amd().map_err(|error| error.to_string())),
        targets: &["gfx90a", "gfx1030"],
    },
    Vendor {
        name: "nvrtc",
        compiler: LazyLock::new(|| Compiler::cuda().map_err(|error| error.to_string())),
        targets: &["sm_90", "sm_75", "sm_120", "sm_999"],
    },
];

/// Compiles a kernel for targets.
///
/// # Errors
/// The compiler's diagnostics, or what is wrong with what it wrote.
pub fn compile(compiler: &Compiler, kernel: &Kernel, targets: &[&str]) -> Result<(), String> {
    for target in targets {
        let code = compiler.compile(kernel, target).map_err(|error| error.to_string())?;
        let has = |text: String| code.windows(text.len()).any(|window| window == text.as_bytes());
        let kernel = &kernel.name;
        let (whole, found) = match code.starts_with(b"\x7fELF") {
            true => (true, has(format!("\0{kernel}.kd\0")) || has(format!("\0.text.{kernel}\0"))),
            false => (code.ends_with(&[0]), has(format!(".entry {kernel}("))),
        };
        if !(whole && found) {
            return Err(format!(
                "{target}: the output is no code object, cubin or PTX of `{kernel}`"
            ));
        }
    }
    Ok(())
}
