#![forbid(unsafe_code)]
//! Compiles descriptors of weight quantization formats into decoders and kernels.

pub mod artifact;

#[cfg(feature = "compile")]
mod descriptor;
#[cfg(feature = "compile")]
pub mod format;
#[cfg(feature = "compile")]
pub mod ir;
#[cfg(feature = "compile")]
pub mod layout;
#[cfg(feature = "compile")]
pub mod lower;
#[cfg(feature = "compile")]
mod problem;

#[cfg(feature = "compile")]
pub use descriptor::Descriptor;
#[cfg(feature = "compile")]
pub use format::Format;
#[cfg(feature = "compile")]
pub use problem::{Path, Problem, Problems, Step};
