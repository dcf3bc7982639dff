//! Where a file's bytes come from.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::{Bytes, Result, bytes};

/// How a file's bytes reach memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// All at once: mapped, or read where mapping is not built in.
    Map,
    /// Each range when it is asked for.
    Read,
}

/// A file, or bytes without one.
#[derive(Debug)]
pub(super) enum Source {
    /// In memory, mapped or not.
    Held(Bytes),
    /// To be read.
    Read { path: PathBuf, file: Mutex<File>, length: usize },
}

impl Source {
    pub(super) fn open(path: &Path, access: Access) -> Result<Source> {
        if access == Access::Map && cfg!(feature = "gguf") {
            return Bytes::open(path).map(Source::Held);
        }
        let (file, length) = bytes::regular(path)?;
        Ok(Source::Read { path: path.to_owned(), file: file.into(), length })
    }

    /// Bytes in all.
    pub(super) fn length(&self) -> usize {
        match self {
            Source::Held(bytes) => bytes.len(),
            Source::Read { length, .. } => *length,
        }
    }

    /// Some of the bytes; what lies past the end is left out.
    pub(super) fn part(&self, range: Range<usize>) -> Result<Bytes> {
        let end = range.end.min(self.length());
        let range = range.start.min(end)..end;
        match self {
            Source::Held(bytes) => Ok(bytes.slice(range).unwrap_or_else(|| Vec::new().into())),
            Source::Read { path, file, .. } => {
                // The place in the file belongs to whoever reads now.
                let file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                bytes::part(path, &file, range)
            }
        }
    }

    /// As many of the first bytes as are in memory, and `wanted` at least where the file has them.
    pub(super) fn first(&self, wanted: usize) -> Result<Bytes> {
        match self {
            Source::Held(bytes) => Ok(bytes.clone()),
            Source::Read { .. } => self.part(0..wanted),
        }
    }
}
