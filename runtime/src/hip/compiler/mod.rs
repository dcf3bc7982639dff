//! Kernel texts to code for GPUs, by the compiler that each vendor ships as a library. That takes no
//! GPU.

mod hiprtc;
mod nvrtc;

use std::ffi::CString;
use std::fmt;

use self::hiprtc::Hiprtc;
use self::nvrtc::Nvrtc;
use super::driver::Failure;
use crate::artifact::{Backend, Kernel};
use crate::{Error, Result};

/// Compiles kernels for AMD's GPUs (hipRTC) or NVIDIA's (NVRTC), also where there is none: to ship
/// their code, see [`Hip::load`](super::Hip::load), or to see whether a text compiles.
pub struct Compiler {
    library: Box<dyn Library>,
}

/// A compiler's library.
trait Library: Send + Sync {
    /// Its name and version.
    fn version(&self) -> &str;
    /// What it is told, for a target.
    fn options(&self, target: &str) -> Result<Vec<String>, String>;
    /// Code for the text called `name`; or its diagnostics.
    fn compile(
        &self,
        name: &CString,
        text: &CString,
        options: &[CString],
    ) -> Result<Vec<u8>, Refusal>;
}

/// Why there is no code.
struct Refusal {
    failure: Failure,
    /// The compiler's diagnostics.
    log: String,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal { failure, log: String::new() }
    }
}

/// Lines of a compiler's diagnostics that an error repeats.
const LINES: usize = 20;

impl Compiler {
    /// AMD's: hipRTC, from libhiprtc or, in old releases of ROCm, from libamdhip64. Targets are called
    /// as in `gfx942` and `gfx90a:sramecc+:xnack-`.
    ///
    /// # Errors
    /// [`Error::Library`] where it is not installed; it names the libraries looked for.
    pub fn amd() -> Result<Compiler> {
        let library = Hiprtc::open().map_err(|problem| {
            absent("hipRTC", format!("{problem}; install ROCm, or set ROCM_PATH to where it is"))
        })?;
        Ok(Compiler { library: Box::new(library) })
    }

    /// NVIDIA's: NVRTC. Targets are called as in `sm_90`; where the compiler is older than the target,
    /// it writes PTX for the newest one it knows, and the driver does the rest.
    ///
    /// # Errors
    /// [`Error::Library`] where it is not installed; it names the libraries looked for.
    pub fn cuda() -> Result<Compiler> {
        let library = Nvrtc::open().map_err(|problem| {
            let hint = "install CUDA, or the Python package nvidia-cuda-nvrtc, with its folder in \
                        LD_LIBRARY_PATH";
            absent("NVRTC", format!("{problem}; {hint}"))
        })?;
        Ok(Compiler { library: Box::new(library) })
    }

    /// The compiler's name and version.
    pub fn version(&self) -> &str {
        self.library.version()
    }

    /// The code of a kernel for a target: a code object of AMD's, or a cubin or PTX with a 0 after it.
    ///
    /// # Errors
    /// [`Error::Device`] where the kernel is no HIP kernel, or the compiler refuses the text or the
    /// target; with its diagnostics.
    pub fn compile(&self, kernel: &Kernel, target: &str) -> Result<Vec<u8>> {
        let fail = |problem: String| Error::Device {
            device: self.version().to_owned(),
            during: format!("compiling `{}` for {target}", kernel.name),
            problem,
        };
        if kernel.backend != Backend::Hip {
            return Err(fail("it is not a HIP kernel".to_owned()));
        }
        let c_text = |text: &str| CString::new(text).map_err(|error| fail(error.to_string()));
        let options = self.library.options(target).map_err(fail)?;
        let options = options.iter().map(|option| c_text(option)).collect::<Result<Vec<_>>>()?;
        let (name, text) = (c_text(&format!("{}.hip", kernel.name))?, c_text(&kernel.source())?);
        self.library.compile(&name, &text, &options).map_err(|Refusal { failure, log }| {
            let lines = log.lines().map(str::trim_end).filter(|line| !line.is_empty());
            let lines = lines.take(LINES).map(|line| format!("\n{line}"));
            fail(format!("{failure}{}", lines.collect::<String>()))
        })
    }

    /// What the code of a kernel depends on.
    pub(super) fn key(&self, kernel: &Kernel, target: &str) -> Option<String> {
        let options = self.library.options(target).ok()?.join(" ");
        Some(format!("{}\n{options}\n{}\n{}", self.version(), kernel.name, kernel.source()))
    }
}

impl fmt::Debug for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiler({})", self.version())
    }
}

fn absent(compiler: &str, problem: String) -> Error {
    Error::Library { library: compiler.to_owned(), problem }
}
