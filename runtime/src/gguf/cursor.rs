//! Reads a header front to back; every error says where it stands.

use std::fmt::Display;

use crate::{Error, Result};

/// A position in a file's bytes, of which perhaps only the first are here.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the whole file.
    length: usize,
    file: &'a str,
    starved: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], length: usize, file: &'a str) -> Cursor<'a> {
        Cursor { bytes, at: 0, length, file, starved: false }
    }

    /// Whether an error came of bytes that the file has and that are not here.
    pub(super) fn is_starved(&self) -> bool {
        self.starved
    }

    /// The next `count` bytes; `what` they are is for the error.
    pub(super) fn take(&mut self, count: u64, what: impl Display) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let Some(taken) = taken else {
            self.starved = count <= self.left();
            return Err(self.error(format!(
                "the file ends after {} bytes; {what} needs {count} more bytes here and {} are \
                 left",
                self.length,
                self.left()
            )));
        };
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: impl Display) -> Result<[u8; N]> {
        let bytes = self.take(N as u64, what)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: impl Display) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(super) fn u64(&mut self, what: impl Display) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A number of things to come, each of at least `smallest` bytes: more than the file can hold
    /// are refused before anything is read or reserved for them.
    pub(super) fn fits(&self, count: u64, smallest: u64, what: &str) -> Result<usize> {
        let left = self.left();
        let most = left / smallest.max(1);
        if count > most {
            return Err(self.error(format!(
                "{count} {what} are declared; the {left} bytes left in the file hold at most {most}"
            )));
        }
        // At most as many as there are bytes.
        Ok(count as usize)
    }

    /// A length and so many bytes.
    pub(super) fn string(&mut self, what: impl Display) -> Result<&'a [u8]> {
        let length = self.u64(&what)?;
        self.take(length, what)
    }

    /// A name, which must be UTF-8.
    pub(super) fn name(&mut self, what: impl Display) -> Result<&'a str> {
        let at = self.at;
        let bytes = self.string(&what)?;
        std::str::from_utf8(bytes).map_err(|error| {
            self.error_at(
                at,
                format!(
                    "{what} \"{}\" is not UTF-8 from its byte {} on; names must be",
                    bytes.escape_ascii(),
                    error.valid_up_to()
                ),
            )
        })
    }

    /// Bytes from here to the end of the file.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.at) as u64
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The bytes from a place before this one up to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Length of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.length as u64
    }

    /// An error at this place.
    pub(super) fn error(&self, problem: String) -> Error {
        self.error_at(self.at, problem)
    }

    pub(super) fn error_at(&self, at: usize, problem: String) -> Error {
        Error::Gguf { file: self.file.to_owned(), place: format!("byte {at}"), problem }
    }

    pub(super) fn error_in(&self, tensor: &str, problem: String) -> Error {
        Error::Gguf { file: self.file.to_owned(), place: format!("tensor `{tensor}`"), problem }
    }

    pub(super) fn error_at_key(&self, key: &str, problem: String) -> Error {
        Error::Gguf { file: self.file.to_owned(), place: format!("key `{key}`"), problem }
    }
}
