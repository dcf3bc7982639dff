//! Turns what goes wrong on a GPU into errors: nothing panics, nothing is lost.

use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::Gpu;
use super::waiter::Waiting;
use crate::launch::locked;
use crate::{Error, Result};

/// What a device reported outside of any call, or has still to say of one. Nothing is called while one of
/// the locks is held: wgpu may call back.
#[derive(Default)]
pub(super) struct Faults {
    lost: Mutex<Option<String>>,
    uncaptured: Mutex<Option<Report>>,
    late: Mutex<Vec<Late>>,
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

/// A call whose error scopes have not answered yet: browsers do it later.
struct Late {
    during: String,
    answers: Vec<Answer>,
}

#[cfg(not(target_family = "wasm"))]
type Answer = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;
#[cfg(target_family = "wasm")]
type Answer = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

impl Faults {
    /// Listens to a device.
    pub(super) fn watch(self: &Arc<Faults>, device: &wgpu::Device) {
        let faults = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            let reason = format!("{reason:?} {message}").trim_end().to_owned();
            locked(&faults.lost).get_or_insert(reason);
        });
        let faults = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            // What follows from the first error is of no interest.
            locked(&faults.uncaptured).get_or_insert(error.into());
        }));
    }
}

impl Gpu {
    /// Calls wgpu; errors that it reports become ours. `during` what, for the error.
    ///
    /// What a browser says later is for [`Gpu::settle`].
    pub(super) fn guarded<T>(&self, during: &str, call: impl FnOnce() -> T) -> Result<T> {
        let filters = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ];
        let scopes = filters.map(|filter| self.shared.device.push_error_scope(filter));
        let value = call();
        // The last scope pushed is popped first.
        let [internal, memory, validation] = scopes;
        let answers: [Answer; 3] =
            [Box::pin(validation.pop()), Box::pin(memory.pop()), Box::pin(internal.pop())];
        let mut late = Vec::new();
        for mut answer in answers {
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(error)) => return Err(self.fault(during, error.into())),
                Poll::Pending => late.push(answer),
            }
        }
        if !late.is_empty() {
            let late = Late { during: during.to_owned(), answers: late };
            locked(&self.shared.faults.late).push(late);
        }
        self.check()?;
        Ok(value)
    }

    /// The result of calls just made, or the first error that a browser tells of only now: of these calls, or
    /// of earlier ones that could not wait. Where the caller blocks, a later call tells. These are the
    /// calls made before this one returns its future: nothing may be awaited in between.
    pub(super) fn settle<T>(
        &self,
        result: Result<T>,
        waiting: Waiting,
    ) -> impl Future<Output = Result<T>> {
        let late = match waiting {
            Waiting::Blocked => Vec::new(),
            Waiting::Woken => take(&mut *locked(&self.shared.faults.late)),
        };
        async move {
            for Late { during, answers } in late {
                for answer in answers {
                    if let Some(error) = answer.await {
                        return Err(self.fault(&during, error.into()));
                    }
                }
            }
            result
        }
    }

    /// Waits for what a browser has still to say about calls that do not wait, such as
    /// [`GpuWeights::record_matvec`](super::GpuWeights::record_matvec). Elsewhere these calls fail
    /// themselves. The async methods of weights wait for it, too.
    ///
    /// # Errors
    /// The first of them; [`Error::DeviceLost`].
    pub async fn check_async(&self) -> Result<()> {
        self.settle(Ok(()), Waiting::Woken).await?;
        self.check()
    }

    /// Whether the device still works, as far as it told us.
    pub(super) fn check(&self) -> Result<()> {
        let faults = &self.shared.faults;
        let lost = locked(&faults.lost).clone();
        if let Some(reason) = lost {
            return Err(Error::DeviceLost { device: self.name().to_owned(), reason });
        }
        let report = locked(&faults.uncaptured).take();
        match report {
            Some(report) => Err(self.fault(OUTSIDE, report)),
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
        let lost = locked(&self.shared.faults.lost).clone();
        match lost {
            Some(reason) => Error::DeviceLost { device: self.name().to_owned(), reason },
            None => refused,
        }
    }

    fn fault(&self, during: &str, report: Report) -> Error {
        if report.out_of_memory {
            let during = format!("on device `{}`, {during}", self.name());
            return Error::OutOfMemory { during, bytes: None };
        }
        self.failed(during, report.problem)
    }
}

/// What no call of ours is to blame for; wgpu's message names the operation and the object's label.
const OUTSIDE: &str = "in a call of wgpu by the program itself, earlier";

#[cfg(all(test, feature = "wgpu", not(target_family = "wasm")))]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    /// An answer that is not there when it is asked for first.
    fn late(error: Option<&str>) -> Answer {
        let error = error.map(|problem| wgpu::Error::Validation {
            source: problem.into(),
            description: problem.to_owned(),
        });
        let mut answer = Some(error);
        let mut asked = false;
        Box::pin(poll_fn(move |context| {
            if !std::mem::replace(&mut asked, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            answer.take().map_or(Poll::Pending, Poll::Ready)
        }))
    }

    #[test]
    fn what_a_browser_says_later_is_waited_for() {
        let gpu = match Gpu::new() {
            Ok(gpu) => gpu,
            Err(error) => return eprintln!("skipped: GPU: {error}"),
        };
        let say = |during: &str, answers| {
            locked(&gpu.shared.faults.late).push(Late { during: during.to_owned(), answers });
        };
        say("making one", vec![late(None), late(None)]);
        say("making two", vec![late(None), late(Some("no such thing")), Box::pin(pending())]);
        say("making three", vec![late(Some("what follows from it"))]);
        // Who blocks leaves it to others.
        pollster::block_on(gpu.settle(Ok(()), Waiting::Blocked)).unwrap();
        let error = pollster::block_on(gpu.check_async()).unwrap_err().to_string();
        assert!(error.contains("making two: no such thing"), "{error}");
        pollster::block_on(gpu.check_async()).unwrap();
    }
}
