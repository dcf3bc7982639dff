//! Bytes that many can hold without copying them.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use crate::{Error, Result, memory};

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
    /// A mapped file must not be changed or truncated by anyone while any of these bytes live: where
    /// it has become shorter, who reads past its new end is killed by the system (SIGBUS).
    /// [`Bytes::read`] needs no such promise.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be opened, read or mapped, or is no regular file.
    pub fn open(path: impl AsRef<Path>) -> Result<Bytes> {
        let path = path.as_ref();
        let (file, length) = regular(path)?;
        #[cfg(feature = "gguf")]
        return contents(&file, length).map_err(|source| io(path, source));
        #[cfg(not(feature = "gguf"))]
        part(path, &file, 0..length)
    }

    /// The bytes of a file, read into memory.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be opened or read, or is no regular file;
    /// [`Error::OutOfMemory`].
    pub fn read(path: impl AsRef<Path>) -> Result<Bytes> {
        let path = path.as_ref();
        let (file, length) = regular(path)?;
        part(path, &file, 0..length)
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

/// A regular file, opened, and its length. What else has a path may have no end, or no beginning until
/// somebody writes to it.
pub(crate) fn regular(path: &Path) -> Result<(File, usize)> {
    let open = || {
        // Asked before it is opened: to open a pipe is to wait for its writer.
        let kind = std::fs::metadata(path)?.file_type();
        if !kind.is_file() {
            let found = if kind.is_dir() { "a folder" } else { "a pipe or a device" };
            return Err(std::io::Error::other(format!("it is {found}; a regular file is needed")));
        }
        let file = File::open(path)?;
        let length = usize::try_from(file.metadata()?.len());
        let length =
            length.map_err(|_| std::io::Error::other("memory cannot address all of it"))?;
        Ok((file, length))
    };
    open().map_err(|source| io(path, source))
}

/// A part of a file, read.
pub(crate) fn part(path: &Path, mut file: &File, range: Range<usize>) -> Result<Bytes> {
    let during = format!("`{}`", path.display());
    let mut bytes = memory::zeros(range.len(), &during)?;
    let read = file.seek(SeekFrom::Start(range.start as u64));
    let read = read.and_then(|_| file.read_exact(&mut bytes));
    read.map(|()| bytes.into()).map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: path.display().to_string(), source }
}

#[cfg(feature = "gguf")]
fn contents(file: &File, length: usize) -> std::io::Result<Bytes> {
    if length == 0 {
        // Nothing to map.
        return Ok(Vec::new().into());
    }
    let map = map(file)?;
    Ok(Bytes { range: 0..map.len(), owner: Owner::Mapped(Arc::new(map)) })
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
