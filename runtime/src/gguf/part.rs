//! One file: its header read, its tensors found.

use std::ops::Range;
use std::path::Path;

use super::cursor::Cursor;
use super::directory::{self, TensorInfo};
use super::metadata::Metadata;
use super::source::{Access, Source};
use super::split::Opened;
use super::value::Value;
use crate::{Bytes, Error, Format, Result};

/// A GGUF file: all of a model, or a part.
#[derive(Debug)]
pub(super) struct Part {
    /// Its path, for people.
    pub file: String,
    pub version: u32,
    source: Source,
    header: Bytes,
    metadata: Metadata,
}

/// What a header holds.
type Header = (u32, Metadata, Vec<TensorInfo>);

/// Bytes of a file that is read in which its header is looked for first.
const FIRST: usize = 1 << 16;

impl Part {
    pub(super) fn open(
        path: &Path,
        access: Access,
        known: &dyn Fn(u32) -> Option<Format>,
    ) -> Result<Opened> {
        Part::new(path.display().to_string(), Source::open(path, access)?, known)
    }

    pub(super) fn held(bytes: Bytes, known: &dyn Fn(u32) -> Option<Format>) -> Result<Opened> {
        Part::new(super::IN_MEMORY.to_owned(), Source::Held(bytes), known)
    }

    fn new(file: String, source: Source, known: &dyn Fn(u32) -> Option<Format>) -> Result<Opened> {
        let mut wanted = FIRST;
        loop {
            let bytes = source.first(wanted)?;
            let mut cursor = Cursor::new(&bytes, source.length(), &file);
            match header(&mut cursor, known) {
                Err(_) if cursor.is_starved() && bytes.len() < source.length() => {
                    wanted = bytes.len().saturating_mul(4);
                }
                Err(error) => return Err(error),
                Ok((version, metadata, tensors)) => {
                    let header = bytes.slice(0..cursor.position()).unwrap_or_else(|| bytes.clone());
                    return Ok((Part { file, version, source, header, metadata }, tensors));
                }
            }
        }
    }

    /// A metadata value.
    pub(super) fn get(&self, key: &str) -> Option<Value<'_>> {
        self.metadata.get(&self.header, key)
    }

    /// All metadata.
    pub(super) fn metadata(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.metadata.iter(&self.header)
    }

    /// The keys of the metadata.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys()
    }

    /// Some of its bytes.
    pub(super) fn bytes(&self, range: Range<usize>) -> Result<Bytes> {
        self.source.part(range)
    }

    /// What is wrong with this file, at a place in it.
    pub(super) fn error(&self, place: String, problem: String) -> Error {
        Error::Gguf { file: self.file.clone(), place, problem }
    }
}

fn header(cursor: &mut Cursor, known: &dyn Fn(u32) -> Option<Format>) -> Result<Header> {
    let version = version(cursor)?;
    let count = cursor.u64("the number of tensors")?;
    let metadata = Metadata::read(cursor)?;
    let start = cursor.since(0);
    let alignment = alignment(metadata.get(start, ALIGNMENT))
        .map_err(|problem| cursor.error_at_key(ALIGNMENT, problem))?;
    let tensors = directory::tensors(cursor, count, alignment, known)?;
    Ok((version, metadata, tensors))
}

const ALIGNMENT: &str = "general.alignment";

fn version(cursor: &mut Cursor) -> Result<u32> {
    let magic = cursor.take(4, "the magic number")?;
    if magic != b"GGUF" {
        let found = magic.escape_ascii();
        return Err(cursor
            .error_at(0, format!("begins with \"{found}\"; a GGUF file begins with \"GGUF\"")));
    }
    let version = cursor.u32("the version")?;
    let problem = match version {
        2 | 3 => return Ok(version),
        1 => "version 1, whose counts are 32-bit; versions 2 and 3 are supported, so convert the \
              file again with a current tool"
            .to_owned(),
        _ if matches!(version.swap_bytes(), 1..=0xffff) => format!(
            "a big-endian file (version {} with its bytes swapped); only little-endian files are \
             supported, so convert it",
            version.swap_bytes()
        ),
        _ => format!("version {version}; versions 2 and 3 are supported"),
    };
    Err(cursor.error_at(4, problem))
}

/// The alignment that the metadata asks for, 32 where it does not.
fn alignment(value: Option<Value>) -> Result<u64, String> {
    let Some(value) = value else { return Ok(32) };
    match value.as_u64() {
        Some(bytes) if bytes.is_power_of_two() && bytes <= 1 << 30 => Ok(bytes),
        _ => Err(format!("is {value:?}; it must be a power of two in bytes, such as U32(32)")),
    }
}
