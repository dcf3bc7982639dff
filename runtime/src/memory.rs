//! Result vectors whose size comes from input.

use crate::{Error, Result};

/// `len` zeros, or an error where the allocator does not have the room.
pub(crate) fn zeros<T: Clone + Default>(len: usize, what: &str) -> Result<Vec<T>> {
    filled(len, T::default(), what)
}

/// `len` items, or an error where the allocator does not have the room.
pub(crate) fn filled<T: Clone>(len: usize, item: T, what: &str) -> Result<Vec<T>> {
    // Asking first turns an abort into an error; the zeroed allocation itself leaves the pages
    // untouched until a core writes its part.
    let mut probe = Vec::<T>::new();
    probe.try_reserve_exact(len).map_err(|_| Error::OutOfMemory {
        during: format!("on the host, for {what}"),
        bytes: Some((len as u64).saturating_mul(size_of::<T>() as u64)),
    })?;
    drop(probe);
    Ok(vec![item; len])
}

/// `m * n`, or an error that says which shape overflows.
pub(crate) fn elements(m: usize, n: usize, what: &str) -> Result<usize> {
    m.checked_mul(n).ok_or_else(|| Error::OutOfMemory {
        during: format!("on the host, for {what} of {m} x {n} values"),
        bytes: None,
    })
}
