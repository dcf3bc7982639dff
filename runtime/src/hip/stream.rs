//! Streams: work of a device in order.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex};

use super::Hip;
use super::context::Context;
use super::driver::Handle;
use super::execute::Scratches;
use crate::{Error, Result};

/// Work of a device, one thing after another.
pub struct Stream {
    pub(super) context: Arc<Context>,
    handle: Handle,
    owned: bool,
    /// What one call leaves to the next.
    pub(super) scratch: Mutex<Scratches>,
}

impl Hip {
    /// A new stream, which waits for no other one.
    ///
    /// # Errors
    /// Where the driver makes none.
    pub fn stream(&self) -> Result<Stream> {
        let during = || "creating a stream".to_owned();
        let handle = self.context.call(during, |driver| driver.stream())?;
        Ok(Stream::new(self, handle, true))
    }

    /// A stream of the caller's, a `hipStream_t` or a `CUstream`; null is the default stream. It is
    /// not destroyed when this is dropped.
    ///
    /// # Safety
    /// The handle is a stream of this very device (on NVIDIA in its primary context), and stays one as
    /// long as this lives.
    pub unsafe fn stream_from_raw(&self, handle: *mut c_void) -> Stream {
        Stream::new(self, Handle(handle), false)
    }
}

impl Stream {
    fn new(hip: &Hip, handle: Handle, owned: bool) -> Stream {
        Stream { context: hip.context.clone(), handle, owned, scratch: Mutex::default() }
    }

    /// Waits for all work that it has been given.
    ///
    /// # Errors
    /// Where some of that work failed.
    pub fn synchronize(&self) -> Result<()> {
        let during = || "waiting for a stream".to_owned();
        // SAFETY: the stream is one of this device: `Hip::stream` made it there, or the caller of
        // `stream_from_raw` says so.
        self.context.call(during, |driver| unsafe { driver.wait(self.handle) })
    }

    /// The driver's handle, a `hipStream_t` or a `CUstream`.
    pub fn as_raw(&self) -> *mut c_void {
        self.handle.0
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle
    }

    /// Whether it is a stream of this device.
    pub(super) fn check(&self, context: &Arc<Context>) -> Result<()> {
        if Arc::ptr_eq(&self.context, context) {
            return Ok(());
        }
        Err(Error::Device {
            device: context.name.clone(),
            during: "using a stream".to_owned(),
            problem: format!(
                "the stream is of another device or of a device opened twice: {}",
                self.context.name
            ),
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: `owned` says that `Hip::stream` made it; nobody has it any more, and drivers finish its work first. Nobody is left
            // to be told of a failure.
            let _ = self.context.call(String::new, |driver| unsafe { driver.destroy(self.handle) });
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?} on {})", self.handle.0, self.context.name)
    }
}
