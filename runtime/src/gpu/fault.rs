//! Turns what goes wrong on a GPU into errors: nothing panics, nothing is lost.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Gpu;
use crate::{Error, Result};

/// What a device that we opened reported outside of any call.
#[derive(Default)]
pub(super) struct Faults {
    lost: Mutex<Option<String>>,
    uncaptured: Mutex<Option<Report>>,
}

/// An error of wgpu's, in a form that may change threads everywhere.
struct Report {
    out_of_memory: bool,
    problem: String,
}

impl From<wgpu::Error> for Report {
    fn from(error: wgpu::Error) -> Report {
        let out_of_memory = matches!(error, wgpu::Error::OutOfMemory { .. });
        Report { out_of_memory, problem: error.to_string() }
    }
}

impl Faults {
    /// Listens to a device.
    pub(super) fn watch(self: &Arc<Faults>, device: &wgpu::Device) {
        let faults = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            let reason = format!("{reason:?} {message}").trim_end().to_owned();
            set(&faults.lost, reason);
        });
        let faults = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            set(&faults.uncaptured, Report::from(error));
        }));
    }
}

/// Keeps the first.
fn set<T>(slot: &Mutex<Option<T>>, value: T) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(value);
}

impl Gpu {
    /// Calls wgpu; errors that it reports become ours. `during` what, for the error.
    pub(super) fn guarded<T>(&self, during: &str, call: impl FnOnce() -> T) -> Result<T> {
        let filters = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ];
        let scopes = filters.map(|filter| self.shared.device.push_error_scope(filter));
        let value = call();
        // The last scope pushed is popped first. Browsers answer later: there the error arrives as
        // an uncaptured one.
        let [internal, memory, validation] = scopes;
        for scope in [validation, memory, internal] {
            if let Some(Some(error)) = now(scope.pop()) {
                return Err(self.fault(during, error.into()));
            }
        }
        self.check(during)?;
        Ok(value)
    }

    /// Whether the device still works, as far as it told us.
    pub(super) fn check(&self, during: &str) -> Result<()> {
        let faults = &self.shared.faults;
        if let Some(reason) = faults.lost.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(Error::DeviceLost { device: self.name().to_owned(), reason });
        }
        match faults.uncaptured.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(self.fault(during, error)),
            None => Ok(()),
        }
    }

    /// What failed, unless it failed because the device is lost.
    pub(super) fn failed(&self, during: &str, problem: impl ToString) -> Error {
        let refused = Error::Device {
            device: self.name().to_owned(),
            during: during.to_owned(),
            problem: problem.to_string(),
        };
        // A device tells of its loss only when it is polled.
        let _ = self.shared.device.poll(wgpu::PollType::Poll);
        self.check(during).err().unwrap_or(refused)
    }

    fn fault(&self, during: &str, report: Report) -> Error {
        if report.out_of_memory {
            let during = format!("on device `{}`, {during}", self.name());
            return Error::OutOfMemory { during, bytes: None };
        }
        self.failed(during, report.problem)
    }
}

/// The result of a future that is ready, as wgpu's error scopes are outside of browsers.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
