//! Events: points in a stream's work that know when the device came to them.
#![allow(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::driver::Handle;
use super::{Hip, Stream};
use crate::{Error, Result};

/// A point in a stream's work, by the device's own clock.
///
/// ```no_run
/// # use quantloom::hip::{Hip, HipWeights, Buffer};
/// # fn time(gpu: &Hip, weights: &HipWeights, x: &Buffer, y: &Buffer) -> quantloom::Result<()> {
/// let stream = gpu.stream()?;
/// let (start, end) = (gpu.event()?, gpu.event()?);
/// stream.record(&start)?;
/// weights.launch_matvec(&stream, x, y)?;
/// stream.record(&end)?;
/// stream.synchronize()?;
/// println!("{:?}", end.since(&start)?);
/// # Ok(())
/// # }
/// ```
pub struct Event {
    context: Arc<Context>,
    handle: Handle,
}

impl Hip {
    /// A new event, which no stream has come to.
    ///
    /// # Errors
    /// Where the driver makes none.
    pub fn event(&self) -> Result<Event> {
        let during = || "creating an event".to_owned();
        let handle = self.context.call(during, |driver| driver.event())?;
        Ok(Event { context: self.context.clone(), handle })
    }
}

impl Stream {
    /// Adds an event to the stream's work; an earlier place of it is forgotten.
    ///
    /// # Errors
    /// Where the event is of another device, or the driver refuses it.
    pub fn record(&self, event: &Event) -> Result<()> {
        event.check(&self.context)?;
        let during = || "recording an event".to_owned();
        // SAFETY: `check` saw that the event is of this stream's device.
        self.context.call(during, |driver| unsafe { driver.record(event.handle, self.handle()) })
    }
}

impl Event {
    /// The device's time from `earlier` to this event; both of a stream that has been waited for.
    ///
    /// # Errors
    /// Where the device has not come to both, or they are of several devices.
    pub fn since(&self, earlier: &Event) -> Result<Duration> {
        earlier.check(&self.context)?;
        let during = || "reading the time between two events".to_owned();
        // SAFETY: `check` saw that both are of one device.
        let milliseconds = self
            .context
            .call(during, |driver| unsafe { driver.elapsed(earlier.handle, self.handle) })?;
        let duration = Duration::try_from_secs_f64(f64::from(milliseconds) / 1e3);
        duration.map_err(|error| Error::Device {
            device: self.context.name.clone(),
            during: during(),
            problem: format!("{milliseconds} ms: {error}"),
        })
    }

    fn check(&self, context: &Arc<Context>) -> Result<()> {
        if Arc::ptr_eq(&self.context, context) {
            return Ok(());
        }
        Err(Error::Device {
            device: context.name.clone(),
            during: "using an event".to_owned(),
            problem: format!(
                "the event is of another device or of a device opened twice: {}",
                self.context.name
            ),
        })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `Hip::event` alone, and nobody has it any more; a driver keeps one that a stream has yet to come
        // to. Nobody is left to be told of a failure.
        let _ =
            self.context.call(String::new, |driver| unsafe { driver.destroy_event(self.handle) });
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({:?} on {})", self.handle.0, self.context.name)
    }
}
