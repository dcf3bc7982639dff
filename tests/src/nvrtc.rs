//! Compiles HIP kernel texts with NVIDIA's own compiler, which takes no GPU: libnvrtc must be where
//! the system's loader finds it. `pip download --no-deps nvidia-cuda-nvrtc` brings it; unpacked, its
//! folder goes into LD_LIBRARY_PATH.

use quantloom::artifact::Kernel;
use quantloom::hip::Compiler;

/// Hopper, the oldest that NVRTC 13 knows, and consumers' Blackwell.
pub const TARGETS: [&str; 3] = ["sm_90", "sm_75", "sm_120"];
/// Newer than every GPU: the compiler writes PTX.
const FUTURE: &str = "sm_999";

/// Compiles a kernel for targets, and to PTX.
///
/// # Errors
/// The compiler's diagnostics, or what is wrong with what it wrote.
pub fn compile(compiler: &Compiler, kernel: &Kernel, targets: &[&str]) -> Result<(), String> {
    let compiled = |target| compiler.compile(kernel, target).map_err(|error| error.to_string());
    for target in targets {
        let cubin = compiled(target)?;
        let name = format!("\0.text.{}\0", kernel.name);
        let has = cubin.windows(name.len()).any(|window| window == name.as_bytes());
        if !cubin.starts_with(b"\x7fELF") || !has {
            return Err(format!("{target}: the output is no cubin of `{}`", kernel.name));
        }
    }
    let ptx = compiled(FUTURE)?;
    let text = String::from_utf8_lossy(&ptx);
    match text.contains(&format!(".entry {}(", kernel.name)) && ptx.ends_with(&[0]) {
        true => Ok(()),
        false => Err(format!("the PTX has no kernel `{}`", kernel.name)),
    }
}
