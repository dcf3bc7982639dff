//! The runtime against formats made up here, so that it is tested without any real one.

#[cfg(any(feature = "cpu", feature = "wgpu"))]
mod devices;
#[cfg(feature = "wgpu")]
mod faults;
mod gguf;
#[cfg(feature = "wgpu")]
mod gpu;
mod tensor;
mod toy;
