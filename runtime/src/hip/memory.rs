//! Memory on a device, of ours and of the caller's.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use super::context::Context;
use super::driver::Handle;
use super::{Hip, Stream};
use crate::{Error, Result};

/// Memory on a device. What it holds at first is anything.
///
/// Work on a stream that uses the memory may go on while the buffer is dropped: that waits for the
/// device.
pub struct Buffer {
    context: Arc<Context>,
    address: u64,
    bytes: u64,
}

impl Hip {
    /// Memory of so many bytes, rounded up to 16.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the device has no room.
    pub fn buffer(&self, bytes: u64) -> Result<Buffer> {
        let during = || format!("allocating {bytes} bytes");
        let too_many = || Error::OutOfMemory {
            during: format!("on device `{}`, {}", self.name(), during()),
            bytes: Some(bytes),
        };
        let rounded = bytes.max(1).checked_next_multiple_of(16).ok_or_else(too_many)?;
        let size = usize::try_from(rounded).map_err(|_| too_many())?;
        let allocated = self.context.call(during, |driver| driver.allocate(size));
        let address = allocated.map_err(|error| match error {
            Error::OutOfMemory { .. } => too_many(),
            other => other,
        })?;
        Ok(Buffer { context: self.context.clone(), address, bytes: rounded })
    }
}

impl Buffer {
    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its address on the device.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Copies bytes to its beginning, after the stream's earlier work, and waits for that.
    ///
    /// # Errors
    /// [`Error::Device`] where there are more bytes than it has, the stream is of another device, or
    /// the copy or earlier work fails.
    pub fn write(&self, stream: &Stream, bytes: &[u8]) -> Result<()> {
        stream.check(&self.context)?;
        self.copy_in(stream.handle(), 0, bytes)
    }

    /// Copies its beginning to `bytes`, after the stream's earlier work, and waits for that.
    ///
    /// # Errors
    /// As for [`Buffer::write`].
    pub fn read(&self, stream: &Stream, bytes: &mut [u8]) -> Result<()> {
        stream.check(&self.context)?;
        self.copy_out(stream.handle(), bytes)
    }

    /// Copies bytes to `at`, and zeros to all that follows them.
    pub(super) fn fill(&self, bytes: &[u8]) -> Result<()> {
        let stream = self.context.stream();
        self.copy_in(stream, 0, bytes)?;
        let (from, rest) = (bytes.len() as u64, self.bytes - bytes.len() as u64);
        if rest == 0 {
            return Ok(());
        }
        // SAFETY: `copy_in` saw that the bytes fit, so the rest lies in this memory, which is borrowed until
        // the stream, the context's own, is waited for. What fails has no bytes of the host's to lose.
        self.context.call(
            || format!("clearing {rest} bytes"),
            |driver| unsafe {
                driver.clear(self.address + from, rest as usize, stream)?;
                driver.wait(stream)
            },
        )
    }

    pub(super) fn copy_in(&self, stream: Handle, at: u64, bytes: &[u8]) -> Result<()> {
        let during = || format!("copying {} bytes to the device", bytes.len());
        self.check(at, bytes.len(), &during)?;
        // SAFETY: `check` saw that both sides have as many bytes, and `write` or `fill` that the stream is
        // this context's; both borrows outlive the copy, which is waited for whether or not it fails.
        self.context.call(during, |driver| unsafe {
            let copied = driver.write(self.address + at, bytes.as_ptr(), bytes.len(), stream);
            driver.wait(stream).and(copied)
        })
    }

    pub(super) fn copy_out(&self, stream: Handle, bytes: &mut [u8]) -> Result<()> {
        let during = || "copying from the device".to_owned();
        self.check(0, bytes.len(), &during)?;
        // SAFETY: as in `copy_in`; `read` saw to the stream, and the bytes are borrowed by nobody else.
        self.context.call(during, |driver| unsafe {
            let copied = driver.read(bytes.as_mut_ptr(), self.address, bytes.len(), stream);
            driver.wait(stream).and(copied)
        })
    }

    fn check(&self, at: u64, bytes: usize, during: &dyn Fn() -> String) -> Result<()> {
        if at.checked_add(bytes as u64).is_some_and(|end| end <= self.bytes) {
            return Ok(());
        }
        Err(Error::Device {
            device: self.context.name.clone(),
            during: during(),
            problem: format!("the buffer has {} bytes", self.bytes),
        })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: `Hip::buffer` allocated it, and a view's lifetime ends before this; work that uses it is
        // waited for, and where that fails nothing is freed. Nobody is left to be told of a failure.
        let _ = self.context.call(String::new, |driver| unsafe {
            driver.wait_for_all()?;
            driver.free(self.address)
        });
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes on {})", self.bytes, self.context.name)
    }
}

/// A part of a device's memory: of a [`Buffer`], or of memory that is the caller's.
///
/// Operands of a launch begin at multiples of 16 bytes, a bias and indices at multiples of 4; what is written
/// shares no byte with what is read. No memory of the device is allocated and nothing is waited for by a
/// launch, but what [`HipWeights::prepare`](super::HipWeights::prepare) does at the first one, and for
/// activations in 8 bits memory of the stream at the first launch of as many.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(super) address: u64,
    pub(super) bytes: u64,
    /// Whose it is; none where the caller vouches for it.
    pub(super) context: Option<&'a Arc<Context>>,
    memory: PhantomData<&'a ()>,
}

impl<'a> View<'a> {
    /// Memory that the caller has allocated: `bytes` bytes from `address` on.
    ///
    /// # Safety
    /// The memory is one that the device it is used with may read and write. It stays until all work
    /// that is given the view is done, and nobody uses it meanwhile but on the same stream.
    pub unsafe fn from_raw(address: u64, bytes: u64) -> View<'a> {
        View { address, bytes, context: None, memory: PhantomData }
    }

    /// A part of it; `None` where `range` leaves it.
    pub fn slice(&self, range: Range<u64>) -> Option<View<'a>> {
        let inside = range.start <= range.end && range.end <= self.bytes;
        inside.then(|| View {
            address: self.address + range.start,
            bytes: range.end - range.start,
            ..*self
        })
    }
}

impl<'a> From<&'a Buffer> for View<'a> {
    fn from(buffer: &'a Buffer) -> View<'a> {
        let Buffer { context, address, bytes } = buffer;
        View { address: *address, bytes: *bytes, context: Some(context), memory: PhantomData }
    }
}
