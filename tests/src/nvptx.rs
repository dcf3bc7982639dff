//! Compiles HIP kernel texts to PTX, NVIDIA's assembly language, with clang alone: the branches for
//! nvcc and NVRTC are checked where neither is installed.

use crate::amdgpu::Clang;

/// Stands in for what nvcc and NVRTC know without a header.
const VOCABULARY: &str = include_str!("nvptx.h");

const FLAGS: [&str; 15] = [
    "-x",
    "cuda",
    "--cuda-device-only",
    "--cuda-gpu-arch=sm_80",
    "--cuda-feature=+ptx70",
    "-nocudainc",
    "-nocudalib",
    "-ffp-contract=off",
    "-std=c++17",
    "-O3",
    "-S",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-parameter", // a format of one strip per block reads no strip
];

/// The PTX of kernel `name`.
///
/// # Errors
/// The compiler's diagnostics.
pub fn compile(clang: &Clang, name: &str, text: &str) -> Result<String, String> {
    // The vocabulary counts no lines, so diagnostics point into the text.
    let text = format!("{VOCABULARY}#line 1 \"{name}.hip\"\n{text}");
    let ([ptx], _) = clang.run(&text, FLAGS.into_iter(), ["output"])?;
    let ptx = String::from_utf8_lossy(&ptx).into_owned();
    let entry = format!(".entry {name}(");
    if ptx.contains(&entry) { Ok(ptx) } else { Err(format!("the PTX has no kernel `{name}`")) }
}
