//! Memory of the host that kernels read and write.

use crate::Result;
use crate::memory::zeros;

/// Zeroed memory, aligned and rounded up to 16 bytes.
#[derive(Default)]
pub(super) struct Buffer(Vec<u128>);

impl Buffer {
    pub fn new(bytes: usize, what: &str) -> Result<Buffer> {
        Ok(Buffer(zeros(bytes.div_ceil(size_of::<u128>()), what)?))
    }

    /// A copy of these bytes, and zeros after them.
    pub fn copied(bytes: &[u8], padding: usize, what: &str) -> Result<Buffer> {
        let mut copy = Buffer::new(bytes.len().saturating_add(padding), what)?;
        if let Some(start) = copy.bytes_mut().get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
        Ok(copy)
    }

    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// The first `len` values, or none where there are fewer.
    pub fn values<T: bytemuck::Pod>(&self, len: usize) -> &[T] {
        bytemuck::cast_slice(&self.0).get(..len).unwrap_or_default()
    }
}
