//! Weight quantization formats: what `cargo xtask gen` made of the descriptors in this folder.
//!
//! Each is an [`Artifact`]: its facts, and, by features, its functions for CPUs (`cpu`) and its kernels
//! (`wgsl`, `hip`) with all that is needed to launch them. An engine with launch code of its own needs
//! nothing else:
//!
//! ```
//! let format = quantloom_formats::named("q4_k").unwrap();
//! for kernel in format.kernels.iter() {
//!     println!("{}: {} bindings\n{}", kernel.name, kernel.bindings.len(), kernel.source());
//! }
//! ```
#![deny(unsafe_code)]

// Generated code names the crate `quantloom`, from outside and from here alike.
extern crate self as quantloom;

#[path = "../generated/catalogue.rs"]
#[rustfmt::skip]
// Functions have all helpers, also where they need few of them.
#[allow(dead_code, clippy::all)]
mod catalogue;

pub use catalogue::{FORMATS, QUANTIZERS};
pub use quantloom_artifact as artifact;

use artifact::Artifact;

/// The format of this name.
pub fn named(name: &str) -> Option<&'static Artifact> {
    FORMATS.iter().find(|format| format.name == name)
}
