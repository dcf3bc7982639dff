//! The CPU as a device: which storage, which arithmetic and which instructions, and the weights that
//! lie there.
//!
//! ```no_run
//! # fn main() -> quantloom::Result<()> {
//! use quantloom::cpu::Cpu;
//! use quantloom::{Device, Gguf};
//!
//! let cpu: Device = Cpu::new().interleaved().int8().into();
//! let weights = Gguf::open("model.gguf")?.tensor("blk.0.ffn_down.weight")?.upload(&cpu)?;
//! let x = vec![1.0; weights.k()];
//! let mut y = vec![0.0; weights.n()];
//! if let Some(weights) = weights.on_cpu() {
//!     weights.matmul_into(&x, 1, &mut y)?; // allocates nothing after the first call
//! }
//! # Ok(())
//! # }
//! ```
#![allow(unsafe_code)]

mod arithmetic;
mod codebook;
mod coded;
mod columns;
mod decoded;
mod exact;
mod fetch;
mod interleave;
mod isa;
mod native;
mod panel;
mod planes;
mod product;
mod quantize;
mod rows;
mod simd;
mod storage;
mod stream;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use crate::artifact::Activations;
pub use weights::CpuWeights;

use std::sync::Arc;

use crate::device::{Backend, Resident};
use crate::{Device, Error, Result, Tensor};
use isa::Isa;

/// How the CPU keeps weights and multiplies: a builder for a [`Device`].
///
/// What a format does not have is replaced by what it has, and [`CpuWeights::kernel`] says by what:
/// weights whose codes have more than 8 bits, or whose scales are not shared by at least 8 neighbours,
/// have no interleaved storage and no integer products; nor have exact products of weights that are
/// rounded to f16 interleaved storage.
#[derive(Clone, Copy)]
pub struct Cpu {
    /// None: chosen when weights are uploaded, so that making a device cannot fail.
    isa: Option<Isa>,
    storage: Storage,
    activations: Activations,
}

/// Where the CPU's products read weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// Where they lie: in the mapped file, for instance. Nothing is copied.
    #[default]
    Native,
    /// A copy made once, as large as the original: codes of 16 rows side by side.
    Interleaved,
}

impl Cpu {
    /// Native storage, exact products, and the best instructions there are, or those that the
    /// environment variable `QUANTLOOM_ISA` names.
    /// Where the variable names something this processor has not, uploading to the device is
    /// [`Error::Instructions`].
    pub fn new() -> Cpu {
        Cpu { isa: None, storage: Storage::Native, activations: Activations::F32 }
    }

    /// Products from a copy made for speed.
    #[must_use]
    pub fn interleaved(self) -> Cpu {
        Cpu { storage: Storage::Interleaved, ..self }
    }

    /// Products with activations in 8 bits.
    #[must_use]
    pub fn int8(self) -> Cpu {
        Cpu { activations: Activations::Int8, ..self }
    }

    /// With instructions of [`instructions`].
    ///
    /// # Errors
    /// [`Error::Instructions`] where this processor has not those.
    pub fn with_instructions(self, name: &str) -> Result<Cpu> {
        let isa = Isa::named(name).map_err(|problem| Error::Instructions { problem })?;
        Ok(Cpu { isa: Some(isa), ..self })
    }

    fn isa(&self) -> Result<Isa> {
        self.isa.map_or_else(Isa::chosen, Ok)
    }
}

/// Levels of instructions that this processor and its operating system permit, the simplest first.
pub fn instructions() -> Vec<String> {
    Isa::all().iter().map(Isa::to_string).collect()
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu::new()
    }
}

impl From<Cpu> for Device {
    fn from(cpu: Cpu) -> Device {
        Device::new(cpu)
    }
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Cpu { storage, activations, .. } = self;
        write!(f, "Cpu({storage:?} weights, {activations:?} activations)")
    }
}

impl Backend for Cpu {
    fn name(&self) -> String {
        let isa = self.isa().map_or_else(|error| error.to_string(), |isa| isa.to_string());
        format!("CPU, {} threads, {isa}", rayon::current_num_threads())
    }

    fn upload(&self, tensor: &Tensor) -> Result<Arc<dyn Resident>> {
        Ok(Arc::new(CpuWeights::new(*self, tensor)?))
    }
}
