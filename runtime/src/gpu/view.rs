//! Buffers of the caller's, and where kernels are recorded.

use crate::Result;
use crate::launch::Span;

/// A range of a buffer, from a `&wgpu::Buffer` or a `wgpu::BufferSlice`.
///
/// Buffers need the usage `STORAGE`, and ranges begin where the device lets a storage binding begin. Several
/// operands of a call may lie in one buffer, at ranges that share no byte. WebGPU lets no kernel read and write
/// one buffer, so what lies in that of the output is copied first, by a kernel, to memory that the device
/// keeps for that: a buffer of its own for the output saves the copy.
///
/// A call with other buffers than before makes a bind group; with the same, or other slices of them, it makes
/// nothing. Bind groups of the last 256 calls are kept, 64 at most, and with them their buffers;
/// `wgpu::Buffer::destroy` frees the memory of one at once.
#[derive(Clone, Copy)]
pub struct View<'a>(pub(super) Span<&'a wgpu::Buffer>);

/// Where kernels are recorded: an encoder, in which they get a compute pass of their own, or a compute
/// pass that is open. Many kernels in one pass take the least of the host's time; they still see what
/// those before them wrote.
pub trait Recorder {
    /// Records into a compute pass.
    ///
    /// # Errors
    /// Those of `record`.
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()>;
}

impl Recorder for wgpu::CommandEncoder {
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()> {
        record(&mut self.begin_compute_pass(&Default::default()))
    }
}

impl Recorder for wgpu::ComputePass<'_> {
    fn compute(
        &mut self,
        record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<()>,
    ) -> Result<()> {
        record(self)
    }
}

impl<'a> From<&'a wgpu::Buffer> for View<'a> {
    fn from(buffer: &'a wgpu::Buffer) -> View<'a> {
        View(Span { buffer, begin: 0, bytes: buffer.size() })
    }
}

impl<'a> From<wgpu::BufferSlice<'a>> for View<'a> {
    fn from(slice: wgpu::BufferSlice<'a>) -> View<'a> {
        View(Span { buffer: slice.buffer(), begin: slice.offset(), bytes: slice.size() })
    }
}
