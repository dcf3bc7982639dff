//! HIP kernels on the CPU: their texts, compiled by the host's C++ compiler and run with one fiber
//! per GPU thread. A device for tests, which shows that the texts compute what they should where
//! there is no AMD hardware; it also finds barriers that not every thread reaches.

mod compiler;
mod kernel;
mod memory;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

pub use kernel::{Argument, HostKernel};

use self::memory::Buffer;
use self::weights::{HostWeights, Staging};
use crate::artifact::{self, Activations, Kernel};
use crate::device::{Backend, Resident};
use crate::launch::{Choice, Kept, Limits, Planner, locked};
use crate::{Device, Format, Result, Tensor, quantizers};

/// How errors call this device.
const DEVICE: &str = "HIP kernels on the CPU";

impl Device {
    /// The CPU, running the HIP kernels as a GPU would: slow, and for tests. It runs the kernels of
    /// a format as native code, of formats that the compiler made or [`Format::trusted`] vouches for.
    ///
    /// # Errors
    /// [`Error::Device`] where no C++ compiler is found; it says what to install.
    pub fn hip_host() -> Result<Device> {
        Ok(HipHost::new()?.into())
    }
}

/// The CPU, running the HIP kernels; cheap to clone.
#[derive(Clone)]
pub struct HipHost {
    compiler: Arc<str>,
    /// Kernels of formats, by their texts.
    compiled: Arc<Mutex<HashMap<Vec<String>, Kernels>>>,
    /// Memory of calls that are over.
    kept: Arc<Kept<Staging>>,
    choice: Choice,
}

impl HipHost {
    /// See [`Device::hip_host`].
    ///
    /// # Errors
    /// Those of [`Device::hip_host`].
    pub fn new() -> Result<HipHost> {
        let compiler = compiler::Compiler::find()?.version.into();
        let choice =
            Choice { matrix: 16, ..Choice::new(artifact::Backend::Hip, Limits::ADDRESSES) };
        Ok(HipHost { compiler, compiled: Arc::default(), kept: Arc::default(), choice })
    }

    /// The same device, whose products round activations to [`Activations::Int8`] first, but for formats
    /// without 8-bit codes.
    #[must_use]
    pub fn int8(mut self) -> HipHost {
        self.choice.activations = Activations::Int8;
        self
    }

    /// The same device, whose products of more than 16 activation rows round to f16
    /// ([`Activations::F16`]).
    #[must_use]
    pub fn f16(mut self) -> HipHost {
        self.choice.activations = Activations::F16;
        self
    }
}

impl From<HipHost> for Device {
    fn from(host: HipHost) -> Device {
        Device::new(host)
    }
}

impl fmt::Debug for HipHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HipHost({})", self.compiler)
    }
}

/// All HIP kernels of one format.
type Kernels = Arc<[HostKernel]>;

impl Backend for HipHost {
    fn name(&self) -> String {
        format!("{DEVICE}, {} threads, {}", kernel::system_threads(), self.compiler)
    }

    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>> {
        tensor.format().vouched(DEVICE)?;
        let planner = Planner::new(DEVICE, &self.choice, tensor, tensor.format().clone())?;
        Ok(Arc::new(HostWeights {
            host: self.clone(),
            parts: planner.bring(tensor, Buffer::copied)?,
            tables: Buffer::copied(&planner.tables(), 0)?,
            kernels: self.kernels(tensor.format())?,
            planner,
        }))
    }
}

impl HipHost {
    /// Compiles a format's kernels and the one that rounds activations, once, into one library.
    fn kernels(&self, format: &Format) -> Result<Kernels> {
        let of_format =
            || format.kernels.iter().chain(quantizers()).filter(|kernel| is_hip(kernel));
        let texts: Vec<_> = of_format().map(|kernel| kernel.source()).collect();
        let compiled = || locked(&self.compiled);
        if let Some(kernels) = compiled().get(&texts) {
            return Ok(kernels.clone());
        }
        // The lock is free meanwhile, so that several formats compile at a time.
        let all: Vec<_> = of_format().collect();
        // SAFETY: `upload` saw that the format is proven or vouched for; the others are this crate's own.
        #[allow(unsafe_code)]
        let kernels: Kernels = unsafe { HostKernel::compile_all(&all) }?.into();
        compiled().insert(texts, kernels.clone());
        Ok(kernels)
    }
}

fn is_hip(kernel: &Kernel) -> bool {
    kernel.backend == artifact::Backend::Hip
}
