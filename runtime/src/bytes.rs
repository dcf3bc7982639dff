//! Bytes that many can hold without copying them.

use std::fmt;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use crate::{Error, Result};

/// A range of a mapped file, of a vector, or of a constant. Cloning and slicing copy nothing, and
/// the memory stays as long as any slice of it.
#[derive(Clone)]
pub struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

#[derive(Clone)]
enum Owner {
    Static(&'static [u8]),
    Owned(Arc<Vec<u8>>),
    #[cfg(feature = "gguf")]
    Mapped(Arc<memmap2::Mmap>),
}

impl Bytes {
    /// The bytes of a file: mapped with feature `gguf`, else read.
    ///
    /// A mapped file must not be changed or truncated by anyone while any of these bytes live.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be opened, read or mapped.
    pub fn open(path: impl AsRef<Path>) -> Result<Bytes> {
        let path = path.as_ref();
        load(path).map_err(|source| Error::Io { path: path.display().to_string(), source })
    }

    /// A part of these bytes, sharing their memory; `None` where `range` leaves them.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let start = self.range.start;
        Some(Bytes { owner: self.owner.clone(), range: start + range.start..start + range.end })
    }
}

#[cfg(feature = "gguf")]
fn load(path: &Path) -> std::io::Result<Bytes> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    // Neither an empty file nor a pipe can be mapped.
    if length == 0 || !file.metadata()?.is_file() {
        return std::fs::read(path).map(Bytes::from);
    }
    let map = map(&file)?;
    Ok(Bytes { range: 0..map.len(), owner: Owner::Mapped(Arc::new(map)) })
}

#[cfg(not(feature = "gguf"))]
fn load(path: &Path) -> std::io::Result<Bytes> {
    std::fs::read(path).map(Bytes::from)
}

#[cfg(feature = "gguf")]
#[allow(unsafe_code)]
fn map(file: &std::fs::File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is read-only and private to `Bytes`, which hands out only shared slices
    // within its length. That no other process changes or truncates the file meanwhile cannot be
    // checked; `Bytes::open` and `Gguf::open` demand it of the caller.
    unsafe { memmap2::Mmap::map(file) }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let all: &[u8] = match &self.owner {
            Owner::Static(bytes) => bytes,
            Owner::Owned(bytes) => bytes,
            #[cfg(feature = "gguf")]
            Owner::Mapped(map) => map,
        };
        all.get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes { range: 0..bytes.len(), owner: Owner::Owned(Arc::new(bytes)) }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Bytes {
        Bytes { range: 0..bytes.len(), owner: Owner::Static(bytes) }
    }
}

impl<const N: usize> From<&'static [u8; N]> for Bytes {
    fn from(bytes: &'static [u8; N]) -> Bytes {
        Bytes::from(bytes.as_slice())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}
