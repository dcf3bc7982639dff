#![deny(unsafe_code)]
//! Compiles descriptors of weight quantization formats into decoders and kernels.
//!
//! Text in, text out: no I/O, deterministic, no panic on any input. The road has one direction:
//! descriptor, format, IR, emitters, artifact.

pub mod artifact;

#[cfg(feature = "compile")]
mod compile;
#[cfg(feature = "compile")]
mod descriptor;
#[cfg(feature = "compile")]
pub mod emit;
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
#[cfg(feature = "validate")]
pub mod validate;

#[cfg(feature = "compile")]
pub use compile::{
    Compiled, Error, choices, compile, compile_all, compile_bytes, compile_scheduled, compile_with,
    quantizers, text,
};
#[cfg(feature = "compile")]
pub use descriptor::{Descriptor, Params};
#[cfg(feature = "compile")]
pub use emit::{Numbers, Schedules};
#[cfg(feature = "compile")]
pub use format::Format;
#[cfg(feature = "compile")]
pub use problem::{Part, Path, Problem, Problems, Step};
