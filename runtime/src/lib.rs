//! Quantized weights on the CPU and on GPUs.
//!
//! ```no_run
//! # #[cfg(feature = "wgpu")]
//! # fn main() -> quantloom::Result<()> {
//! use quantloom::{Device, Gguf};
//!
//! let gguf = Gguf::open("model.gguf")?;
//! let device = Device::wgpu()?; // or Device::cpu()
//! let weights = gguf.tensor("blk.0.ffn_down.weight")?.upload(&device)?;
//! let x = vec![1.0; weights.k()];
//! let y = weights.matvec(&x)?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "wgpu"))]
//! # fn main() {}
//! ```
//!
//! Weights are `[n, k]` row-major and stay quantized in memory, activations are `[m, k]`, outputs
//! `[m, n]`. Formats and their kernels come from descriptors that Quantloom's compiler has turned
//! into [`artifact::Artifact`]s; [`formats`] lists those built in. Kernels are there for the devices that
//! features ask for; an engine that wants kernels alone takes the crate `quantloom-formats`.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cpu` | `Device::cpu`: decoders on all cores |
//! | `macros` | `include_format!`: formats of your own, compiled when a program is built |
//! | `gguf` | [`Gguf::open`] maps the file instead of reading it |
//! | `wgpu` | `Device::wgpu` and module `gpu`: Vulkan, Metal and DirectX 12 |
//! | `hip` | `Device::amd`, `Device::cuda` and module `hip`: AMD and NVIDIA GPUs, whose libraries are loaded where they are installed |
//! | `hip-host` | `Device::hip_host`: HIP kernels on the CPU, for tests; needs a C++ compiler |
//! | `web` | module `gpu` in a browser |
//! | `compile` | `Format::compile`: descriptors at run time; `Device::reference`: the interpreter |
//! | `tune` | `tuning`: kernels with schedules that `cargo xtask tune` measured on the device |
//! | `verify` | `verify`: checks that devices compute what a format means, for test suites |
#![deny(unsafe_code)]
// Without some of the backends nobody uses some of what backends share.
#![cfg_attr(
    not(all(feature = "cpu", feature = "wgpu", feature = "hip", feature = "hip-host")),
    allow(dead_code)
)]

// Generated code names this crate from outside and from inside alike.
extern crate self as quantloom;

mod arguments;
mod bytes;
#[cfg(feature = "cpu")]
pub mod cpu;
#[cfg(feature = "compile")]
mod descriptor;
mod device;
mod epilogue;
mod error;
mod experts;
mod format;
pub mod gguf;
#[cfg(any(feature = "wgpu", feature = "web"))]
pub mod gpu;
#[cfg(feature = "hip")]
pub mod hip;
#[cfg(all(feature = "hip-host", unix))]
pub mod hip_host;
#[cfg(any(feature = "hip", feature = "hip-host", feature = "wgpu", feature = "web"))]
mod launch;
mod memory;
#[cfg(feature = "compile")]
mod reference;
mod tensor;
#[cfg(all(feature = "tune", any(feature = "hip", feature = "wgpu", feature = "web")))]
pub mod tuning;
#[cfg(feature = "verify")]
pub mod verify;
mod weights;

pub use bytes::Bytes;
pub use device::Device;
pub use epilogue::Epilogue;
pub use error::{Error, Result};
pub use experts::Experts;
pub use format::{Format, formats, quantizers};
pub use gguf::Gguf;
pub use half::f16;
#[cfg(any(feature = "hip", feature = "hip-host", feature = "wgpu", feature = "web"))]
pub use launch::FEW_ROWS;
pub use quantloom_artifact as artifact;
#[cfg(feature = "macros")]
pub use quantloom_macros::include_format;
pub use tensor::Tensor;
#[cfg(feature = "verify")]
pub use verify::verify;
pub use weights::Weights;
/// The wgpu that module [`gpu`] works with.
#[cfg(any(feature = "wgpu", feature = "web"))]
pub use wgpu;
