#![forbid(unsafe_code)]
//! Compiles descriptors of weight quantization formats into decoders and kernels.

pub mod artifact;
