//! Memory of the host that kernels read and write.

use crate::Result;
use crate::launch::{Span, grown};
use crate::memory::zeros;

/// Zeroed memory, aligned and rounded up to 16 bytes.
#[derive(Default)]
pub(super) struct Buffer(Vec<u128>);

impl Buffer {
    /// A copy of these bytes, and zeros after them up to `size` bytes.
    pub fn copied(bytes: &[u8], size: u64) -> Result<Buffer> {
        let mut copy = Buffer::new(size.max(bytes.len() as u64))?;
        copy.fill(bytes);
        Ok(copy)
    }

    fn new(bytes: u64) -> Result<Buffer> {
        let words = usize::try_from(bytes.div_ceil(16)).unwrap_or(usize::MAX);
        Ok(Buffer(zeros(words, "memory of a device")?))
    }

    /// Makes room for so many bytes, where there is less.
    pub fn hold(&mut self, bytes: u64) -> Result<()> {
        if (self.bytes().len() as u64) < bytes {
            *self = Buffer::new(grown(bytes, u64::MAX))?;
        }
        Ok(())
    }

    /// Copies bytes to its beginning.
    pub fn fill(&mut self, bytes: &[u8]) {
        if let Some(start) = self.bytes_mut().get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
    }

    /// All of it, which lies there.
    pub fn span<B>(&self, buffer: B) -> Span<B> {
        Span { buffer, begin: 0, bytes: self.bytes().len() as u64 }
    }

    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}
