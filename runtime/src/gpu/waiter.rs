//! Waits for a GPU: in the calling thread, or in one of its own so that async calls do not block.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use super::Gpu;
use crate::Result;
use crate::launch::locked;

/// How a call waits for the GPU.
#[derive(Clone, Copy)]
pub(super) enum Waiting {
    /// The calling thread waits.
    Blocked,
    /// The call is woken: by a thread of the device's, in browsers by their event loop.
    Woken,
}

/// Whether something is done, told by a callback of wgpu's.
#[derive(Default)]
pub(super) struct Done(Mutex<Told>);

#[derive(Default)]
struct Told {
    result: Option<Result<(), String>>,
    waker: Option<Waker>,
}

impl Done {
    pub(super) fn set(&self, result: Result<(), String>) {
        let mut told = locked(&self.0);
        told.result.get_or_insert(result);
        let waker = told.waker.take();
        drop(told);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) -> Result<(), String> {
        poll_fn(|context| {
            let mut told = locked(&self.0);
            match told.result.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    told.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Gpu {
    /// Waits for a submission whose callback sets `done`.
    pub(super) async fn reach(
        &self,
        during: &str,
        index: wgpu::SubmissionIndex,
        done: &Arc<Done>,
        waiting: Waiting,
    ) -> Result<()> {
        match waiting {
            Waiting::Blocked => self.poll(during, index)?,
            Waiting::Woken => self.drive(during, index, done)?,
        }
        done.wait().await.map_err(|problem| self.failed(during, problem))
    }

    /// Lets the GPU finish a submission. In a browser this returns at once.
    pub(super) fn poll(&self, during: &str, index: wgpu::SubmissionIndex) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: None };
        self.guarded(during, || self.shared.device.poll(wait))?
            .map(drop)
            .map_err(|error| self.failed(during, error))
    }

    /// Browsers call back by themselves.
    #[cfg(target_family = "wasm")]
    fn drive(&self, _: &str, _: wgpu::SubmissionIndex, _: &Arc<Done>) -> Result<()> {
        Ok(())
    }

    /// Has the device's thread wait for a submission.
    #[cfg(not(target_family = "wasm"))]
    fn drive(&self, during: &str, index: wgpu::SubmissionIndex, done: &Arc<Done>) -> Result<()> {
        let mut waiter = locked(&self.shared.waiter);
        let jobs = match &mut *waiter {
            Some(jobs) => jobs,
            None => {
                let jobs = started(self.shared.device.clone());
                waiter.insert(jobs.map_err(|error| self.failed(during, error))?)
            }
        };
        let job = Job { index, done: done.clone() };
        jobs.send(job).map_err(|_| self.failed(during, "the thread that waits for it is gone"))
    }
}

/// A submission that an async call waits for.
#[cfg(not(target_family = "wasm"))]
pub(super) struct Job {
    index: wgpu::SubmissionIndex,
    done: Arc<Done>,
}

/// A thread that waits for one submission after another, as long as the sender is there.
#[cfg(not(target_family = "wasm"))]
fn started(device: wgpu::Device) -> std::io::Result<std::sync::mpsc::Sender<Job>> {
    let (sender, jobs) = std::sync::mpsc::channel::<Job>();
    let thread = std::thread::Builder::new().name("quantloom wgpu".to_owned());
    thread.spawn(move || {
        for Job { index, done } in jobs {
            let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: None };
            if let Err(error) = device.poll(wait) {
                done.set(Err(error.to_string()));
            }
        }
    })?;
    Ok(sender)
}
