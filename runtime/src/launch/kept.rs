//! Memory that a call leaves to later ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Result;

/// Sets of buffers of calls that are over: as many as ran at a time.
pub(crate) struct Kept<T>(Mutex<Vec<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(Mutex::default())
    }
}

impl<T: Default> Kept<T> {
    /// A set that no other call has, perhaps an empty one.
    pub fn take(&self) -> T {
        locked(&self.0).pop().unwrap_or_default()
    }

    /// Calls with a set that stays for later calls, unless it fails.
    pub fn with(&self, call: impl FnOnce(&mut T) -> Result<()>) -> Result<()> {
        let mut set = self.take();
        call(&mut set)?;
        self.give(set);
        Ok(())
    }

    /// Leaves a set to later calls.
    pub fn give(&self, set: T) {
        locked(&self.0).push(set);
    }
}

/// The size of a buffer for `bytes` bytes that is to be used again, where it may have `most`: what is
/// larger by a little comes soon.
pub(crate) fn grown(bytes: u64, most: u64) -> u64 {
    let bytes = bytes.max(1);
    let size = bytes.checked_next_power_of_two().unwrap_or(bytes).min(most).max(bytes);
    size.checked_next_multiple_of(16).unwrap_or(size)
}

/// A lock's content, also after a thread that had it panicked.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
