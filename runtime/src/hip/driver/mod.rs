//! What HIP and CUDA have in common: the few calls that it takes to bring bytes to a device and to
//! launch kernels there.
#![allow(unsafe_code)]

pub(super) mod amd;
pub(super) mod cuda;
pub(super) mod library;

use std::ffi::{CStr, c_char, c_void};
use std::fmt;

use crate::Error;

/// A device, and the calls of its driver. Each acts on the device that [`Driver::enter`] has made the
/// calling thread's own.
pub(super) trait Driver: Send + Sync {
    /// The device as people call it.
    fn name(&self) -> &str;
    /// What code is compiled for, as compilers call it.
    fn target(&self) -> &str;

    /// Makes the device the calling thread's own. Returns what was so before, if anything else.
    fn enter(&self) -> Result<Option<Handle>, Failure>;
    /// Gives the thread back what it had before.
    fn leave(&self, before: Handle);

    /// New memory, aligned to 256 bytes at least.
    fn allocate(&self, bytes: usize) -> Result<u64, Failure>;
    /// # Safety
    /// `address` comes from [`Driver::allocate`]; nothing uses it any more, on the device either.
    unsafe fn free(&self, address: u64) -> Result<(), Failure>;
    /// Copies to the device, some time before the stream's next work.
    ///
    /// # Safety
    /// `bytes` bytes at `from` stay as they are until the stream is waited for; the memory at `to` has
    /// as many, and so long. The stream is one of this device.
    unsafe fn write(
        &self,
        to: u64,
        from: *const u8,
        bytes: usize,
        stream: Handle,
    ) -> Result<(), Failure>;
    /// Copies from the device, some time after the stream's earlier work.
    ///
    /// # Safety
    /// As for [`Driver::write`]; nothing else uses the bytes at `to` until the stream is waited for.
    unsafe fn read(
        &self,
        to: *mut u8,
        from: u64,
        bytes: usize,
        stream: Handle,
    ) -> Result<(), Failure>;
    /// Writes zeros.
    ///
    /// # Safety
    /// As for [`Driver::write`].
    unsafe fn clear(&self, to: u64, bytes: usize, stream: Handle) -> Result<(), Failure>;

    /// A new stream, which waits for no other one.
    fn stream(&self) -> Result<Handle, Failure>;
    /// Waits for all work of a stream.
    ///
    /// # Safety
    /// The stream is one of this device.
    unsafe fn wait(&self, stream: Handle) -> Result<(), Failure>;
    /// Waits for all work of the device.
    fn wait_for_all(&self) -> Result<(), Failure>;
    /// # Safety
    /// The stream comes from [`Driver::stream`] and is not used any more.
    unsafe fn destroy(&self, stream: Handle) -> Result<(), Failure>;

    /// A new event, which holds a time once a stream has come to it.
    fn event(&self) -> Result<Handle, Failure>;
    /// Adds an event to a stream's work.
    ///
    /// # Safety
    /// The event and the stream are of this device.
    unsafe fn record(&self, event: Handle, stream: Handle) -> Result<(), Failure>;
    /// Milliseconds from one event to another; a failure where a stream has not come to both.
    ///
    /// # Safety
    /// The events are of this device.
    unsafe fn elapsed(&self, from: Handle, to: Handle) -> Result<f32, Failure>;
    /// # Safety
    /// The event comes from [`Driver::event`] and is not used any more.
    unsafe fn destroy_event(&self, event: Handle) -> Result<(), Failure>;

    /// Brings code to the device.
    ///
    /// # Safety
    /// The code is a whole code object, cubin, or PTX with a 0 after it.
    unsafe fn load(&self, code: &[u8]) -> Result<Handle, Failure>;
    /// # Safety
    /// The module comes from [`Driver::load`]; none of its functions is used any more.
    unsafe fn unload(&self, module: Handle) -> Result<(), Failure>;
    /// A kernel of a module.
    ///
    /// # Safety
    /// The module comes from [`Driver::load`].
    unsafe fn function(&self, module: Handle, name: &CStr) -> Result<Handle, Failure>;
    /// Adds a launch to a stream's work.
    ///
    /// # Safety
    /// The function and the stream are of this device; there is a pointer for each of the function's
    /// parameters, to a value of its size. With these arguments the function keeps to memory that
    /// stays until its work is done.
    unsafe fn launch(
        &self,
        function: Handle,
        grid: [u32; 3],
        workgroup: [u32; 3],
        arguments: &mut [*mut c_void],
        stream: Handle,
    ) -> Result<(), Failure>;
}

/// A driver's own name for a stream, an event, a module, a function or a thread's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(pub *mut c_void);

// SAFETY: drivers take their handles from any thread, and nothing here looks behind one.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The function.
    pub call: &'static str,
    /// What it returned.
    pub code: i64,
    /// What its library says to that.
    pub text: String,
}

impl Failure {
    /// What both APIs return where memory is exhausted.
    const OUT_OF_MEMORY: i64 = 2;

    /// The error of a device that was doing something.
    pub(super) fn error(self, device: &str, during: String) -> Error {
        match self.code {
            Self::OUT_OF_MEMORY => Error::OutOfMemory {
                during: format!("on device `{device}`, {during}"),
                bytes: None,
            },
            _ => Error::Device { device: device.to_owned(), during, problem: self.to_string() },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} returned {} ({})", self.call, self.code, self.text)
    }
}

/// A library's own words, or nothing.
///
/// # Safety
/// `text` is null or points to a text that ends with a 0.
pub(super) unsafe fn words(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: see above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// A device number as drivers count, or why there is none of that number.
pub(super) fn numbered(ordinal: usize, count: i32) -> Result<i32, String> {
    let number = i32::try_from(ordinal).ok().filter(|number| (0..count).contains(number));
    number.ok_or_else(|| match count {
        ..=0 => "the driver finds no device".to_owned(),
        1 => format!("device {ordinal} of 1; the first has number 0"),
        _ => format!("device {ordinal} of {count}; the last has number {}", count - 1),
    })
}
