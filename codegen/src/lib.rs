#![deny(unsafe_code)]
//! Compiles descriptors of weight quantization formats into decoders and kernels.
//!
//! Text in, text out: no I/O, deterministic, no panic on any input. The road has one direction:
//! descriptor, format, IR, emitters, artifact.

mod compile;
mod descriptor;
pub mod emit;
pub mod format;
pub mod ir;
pub mod layout;
pub mod lower;
mod problem;
#[cfg(feature = "validate")]
pub mod validate;

pub use quantloom_artifact as artifact;

pub use compile::{
    Compiled, Error, choices, compile, compile_all, compile_bytes, compile_scheduled, compile_with,
    quantizers, text,
};
pub use descriptor::{Descriptor, Params};
pub use emit::{Numbers, Schedules, TABLE};
pub use format::Format;
pub use problem::{Part, Path, Problem, Problems, Step};
