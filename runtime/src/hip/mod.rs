//! AMD's and NVIDIA's GPUs, through the HIP kernels: their texts are compiled at run time by the
//! vendor's own compiler for the very GPU, and kept on disk.
//!
//! Neither ROCm nor CUDA is needed to build this. Where a device is opened, the libraries of its
//! vendor are loaded: on AMD libamdhip64 and libhiprtc, on NVIDIA libcuda and libnvrtc. Where they are
//! not installed, the error names those looked for.
//!
//! [`Hip`] is a device. [`HipWeights`] are weights on it; their `launch_*` methods only add work to a
//! [`Stream`], which may be the caller's own, on memory that may be the caller's own too ([`View`]).
//!
//! ```no_run
//! use quantloom::{Gguf, hip::Hip};
//!
//! let gpu = Hip::cuda(0)?; // or Hip::amd(0)?
//! let weights = gpu.upload(&Gguf::open("model.gguf")?.tensor("blk.0.ffn_down.weight")?)?;
//! let (x, y) = (gpu.buffer(4 * weights.k())?, gpu.buffer(4 * weights.n())?);
//! let stream = gpu.stream()?; // or unsafe { gpu.stream_from_raw(handle) }
//! weights.launch_matvec(&stream, &x, &y)?;
//! stream.synchronize()?;
//! # Ok::<(), quantloom::Error>(())
//! ```
//!
//! Compiled kernels lie in the folder that the environment variable `QUANTLOOM_CACHE` names, else in
//! `quantloom` under the user's folder for caches (`$XDG_CACHE_HOME` or `~/.cache`); `off` turns that
//! off. The folder may be deleted at any time, and entries that are damaged are made again.
//!
//! A kernel runs as its format has it. Use formats that the compiler made: a text written by hand may
//! do anything to the device's memory.

mod cache;
mod compiler;
mod context;
mod driver;
mod event;
mod execute;
mod fetch;
mod matrices;
mod memory;
mod stream;
mod weights;

use std::sync::Arc;

pub use self::compiler::Compiler;
use self::context::Context;
use self::driver::amd::Amd;
use self::driver::cuda::Cuda;
pub use self::event::Event;
use self::fetch::Staging;
pub use self::memory::{Buffer, View};
pub use self::stream::Stream;
pub use self::weights::HipWeights;
use crate::artifact::{self, Kernel};
use crate::launch::{Choice, Kept, Limits, methods};
use crate::{Error, Result};

/// A GPU with its compiled kernels; cheap to clone.
#[derive(Clone)]
pub struct Hip {
    context: Arc<Context>,
    choice: Choice,
    /// Streams and buffers of calls that computed on the host's memory.
    kept: Arc<Kept<Staging>>,
    #[cfg(feature = "tune")]
    tuning: Option<Arc<crate::tuning::Tuning>>,
}

/// Whose driver and compiler it is.
#[derive(Clone, Copy)]
enum Vendor {
    Amd,
    Cuda,
}

impl Vendor {
    fn compiler(self) -> Result<Compiler> {
        match self {
            Vendor::Amd => Compiler::amd(),
            Vendor::Cuda => Compiler::cuda(),
        }
    }
}

impl Hip {
    /// AMD's GPU number `ordinal`, as HIP counts them.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, or no HIP runtime; it names the libraries looked for.
    pub fn amd(ordinal: usize) -> Result<Hip> {
        let hint = "install ROCm's HIP runtime (libamdhip64), or set ROCM_PATH to where it is, or \
                    compute on another device";
        let device = Amd::open(ordinal);
        let device =
            device.map_err(|problem| Error::NoAdapter { problem, hint: hint.to_owned() })?;
        Ok(Hip::new(Context::new(Vendor::Amd, device)?))
    }

    /// NVIDIA's GPU number `ordinal`, as CUDA counts them, in its primary context.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] where there is none, or no driver; it names the libraries looked for.
    pub fn cuda(ordinal: usize) -> Result<Hip> {
        let hint = "install NVIDIA's driver (libcuda), or compute on another device";
        let device = Cuda::open(ordinal);
        let device =
            device.map_err(|problem| Error::NoAdapter { problem, hint: hint.to_owned() })?;
        Ok(Hip::new(Context::new(Vendor::Cuda, device)?))
    }

    fn new(context: Context) -> Hip {
        let matrix = matrices::side(context.target());
        let choice = Choice { matrix, ..Choice::new(artifact::Backend::Hip, Limits::ADDRESSES) };
        Hip {
            context: Arc::new(context),
            choice,
            kept: Arc::default(),
            #[cfg(feature = "tune")]
            tuning: None,
        }
    }

    /// The device's name, and what code is compiled for.
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// What code is compiled for: as `gfx942:sramecc+:xnack-`, or as `sm_90`.
    pub fn target(&self) -> &str {
        self.context.target()
    }

    /// Takes kernels from code compiled elsewhere, which then need not be compiled here: a code object
    /// (AMD), or a cubin or PTX (NVIDIA). [`Compiler`] makes such code, and so do clang, hipcc and nvcc.
    ///
    /// # Errors
    /// [`Error::Device`] where the driver does not take the code, as of another GPU, or it has not one
    /// of the kernels.
    ///
    /// # Safety
    /// `code` is a whole file of one of these kinds, PTX with a 0 after it, and compiled from the texts
    /// of these kernels.
    #[allow(unsafe_code)]
    pub unsafe fn load(&self, code: &[u8], kernels: &[&Kernel]) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { self.context.provide(code, kernels) }
    }
}

methods!(Hip, HipWeights);
