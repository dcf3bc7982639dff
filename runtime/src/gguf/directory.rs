//! The tensor directory: what is declared of each tensor, and which bytes are stored for it.

use std::collections::HashSet;
use std::ops::Range;

use super::cursor::Cursor;
use crate::{Format, Result};

/// What the file's directory says of a tensor. It may say what no tensor can be, such as five
/// dimensions: that is an error where the tensor is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name, unique in the model.
    pub name: String,
    /// Its dimensions, the one that runs fastest (`k`) first.
    pub dims: Vec<u64>,
    /// The number the file gives for how it is stored.
    pub type_number: u32,
    /// The format with that number, where one is known.
    pub format: Option<Format>,
    /// The bytes stored for it, counted from the start of its file: all up to the next tensor or the
    /// end of the file, padding among them.
    pub range: Range<usize>,
    /// Which part of a split model holds it, from 0.
    pub part: usize,
    /// What is wrong with its place in the file.
    pub(super) misplaced: Option<String>,
}

/// The most dimensions a tensor may have.
const MAX_DIMS: usize = 4;
/// More dimensions than this are taken as damage.
const LISTED_DIMS: u32 = 1024;
/// So many bytes stored beyond what a tensor needs are more than any alignment asks for.
const SLACK: usize = 1 << 16;

/// `count` directory entries, and the file's data behind them.
pub(super) fn tensors(
    cursor: &mut Cursor,
    count: u64,
    alignment: u64,
    known: &dyn Fn(u32) -> Option<Format>,
) -> Result<Vec<TensorInfo>> {
    // A name's length, a dimension count, a type and an offset.
    let count = cursor.fits(count, 24, "tensors")?;
    let (mut entries, mut names) = (Vec::new(), HashSet::new());
    for _ in 0..count {
        let entry = entry(cursor)?;
        if !names.insert(entry.name) {
            return Err(
                cursor.error_in(entry.name, "occurs twice; names must be unique".to_owned())
            );
        }
        entries.push(entry);
    }
    let start = (cursor.position() as u64).next_multiple_of(alignment);
    let data = Data { start, length: cursor.length().saturating_sub(start), alignment };
    let starts = starts(&entries);
    entries.iter().map(|entry| data.find(cursor, entry, &starts, known)).collect()
}

/// A directory entry as declared.
struct Entry<'a> {
    name: &'a str,
    dims: Vec<u64>,
    type_number: u32,
    /// Counted from the start of the data.
    offset: u64,
}

impl Entry<'_> {
    /// Whether it may be that nothing is stored for it.
    fn is_empty(&self) -> bool {
        self.dims.is_empty() || self.dims.contains(&0)
    }
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let name = cursor.name("a tensor's name")?;
    let count = cursor.u32("a tensor's number of dimensions")?;
    if count > LISTED_DIMS {
        return Err(cursor.error_in(
            name,
            format!("{count} dimensions; more than {LISTED_DIMS} are taken as damage"),
        ));
    }
    let mut dims = Vec::new();
    for _ in 0..count {
        dims.push(cursor.u64("a tensor's dimension")?);
    }
    let type_number = cursor.u32("a tensor's type")?;
    let offset = cursor.u64("a tensor's offset")?;
    Ok(Entry { name, dims, type_number, offset })
}

/// Offsets at which tensors begin for which something is stored, and their names, ascending.
fn starts<'a>(entries: &[Entry<'a>]) -> Vec<(u64, &'a str)> {
    let stored = entries.iter().filter(|entry| !entry.is_empty());
    let mut starts: Vec<_> = stored.map(|entry| (entry.offset, entry.name)).collect();
    starts.sort_unstable();
    starts
}

/// Where the file's data lies.
struct Data {
    start: u64,
    length: u64,
    alignment: u64,
}

impl Data {
    /// Finds the bytes stored for a tensor.
    fn find(
        &self,
        cursor: &Cursor,
        entry: &Entry,
        starts: &[(u64, &str)],
        known: &dyn Fn(u32) -> Option<Format>,
    ) -> Result<TensorInfo> {
        let Entry { name, ref dims, type_number, offset } = *entry;
        if offset >= self.length && !entry.is_empty() {
            return Err(cursor.error_in(
                name,
                format!(
                    "its data begins at offset {offset}; the file has {} bytes of data, so it is cut \
                     off or the offset is wrong",
                    self.length
                ),
            ));
        }
        let before = starts.partition_point(|(start, _)| *start < offset);
        let after = starts.partition_point(|(start, _)| *start <= offset);
        let twins = starts.get(before..after).unwrap_or_default();
        let twin = twins.iter().find(|(_, twin)| *twin != name && !entry.is_empty());
        let misplaced = match twin {
            Some((_, twin)) => Some(format!(
                "its data begins at offset {offset}, where that of `{twin}` begins; data must not \
                 overlap"
            )),
            None if !offset.is_multiple_of(self.alignment) => Some(format!(
                "its data begins at offset {offset}; offsets must be multiples of the file's \
                 alignment, {}",
                self.alignment
            )),
            None => None,
        };
        let end = starts.get(after).map_or(self.length, |(next, _)| *next).min(self.length);
        let end = if dims.contains(&0) { offset } else { end };
        // Within the file's length, which memory holds.
        let place = |offset: u64| (self.start.saturating_add(offset.min(self.length))) as usize;
        Ok(TensorInfo {
            name: name.to_owned(),
            dims: dims.clone(),
            type_number,
            format: known(type_number),
            range: place(offset)..place(end.max(offset)),
            part: 0,
            misplaced,
        })
    }
}

impl TensorInfo {
    /// Its dimensions and the bytes of its weights in a format; or why it is no tensor of it.
    pub(super) fn weights(&self, format: &Format) -> Result<(Vec<usize>, usize), String> {
        let count = self.dims.len();
        if count == 0 || count > MAX_DIMS {
            return Err(format!("{count} dimensions; 1 to {MAX_DIMS} are allowed"));
        }
        let shown = &self.dims;
        if shown.contains(&0) {
            return Err(format!("dimensions {shown:?} hold no weight; each must be at least 1"));
        }
        let too_many = || format!("dimensions {shown:?} take more bytes than can be counted");
        let dims: Option<Vec<usize>> = shown.iter().map(|&dim| dim.try_into().ok()).collect();
        let dims = dims.ok_or_else(too_many)?;
        let (k, block) = (dims.first().copied().unwrap_or_default(), format.weights as usize);
        if !k.is_multiple_of(block) {
            return Err(format!(
                "rows of {k} weights; format `{}` stores blocks of {block}, so a row must be a \
                 multiple of {block}",
                format.name
            ));
        }
        let bytes = format.streams.iter().map(|stream| stream.bytes as usize).sum();
        let row = (k / block).checked_mul(bytes);
        let rows = dims.iter().skip(1);
        let size = rows.fold(row, |size, &dim| size?.checked_mul(dim)).ok_or_else(too_many)?;
        Ok((dims, size))
    }

    /// [`TensorInfo::weights`] of the format that its type number has, with bytes as they must be
    /// stored.
    pub(super) fn own_weights(&self, format: &Format) -> Result<(Vec<usize>, usize), String> {
        let (dims, size) = self.weights(format)?;
        if let Some(problem) = &self.misplaced {
            return Err(problem.clone());
        }
        match self.range.len().checked_sub(size) {
            Some(more) if more >= SLACK => Err(self.stored_otherwise(format, size)),
            _ => self.enough(format, size).map(|()| (dims, size)),
        }
    }

    /// Refuses fewer bytes than a format needs.
    pub(super) fn enough(&self, format: &Format, size: usize) -> Result<(), String> {
        match self.range.len() < size {
            true => Err(self.stored_otherwise(format, size)),
            false => Ok(()),
        }
    }

    fn stored_otherwise(&self, format: &Format, size: usize) -> String {
        format!(
            "{:?} weights of format `{}` are {size} bytes; {} are stored from byte {} to the next \
             tensor or the end of the file. The file is cut off or damaged, or type number {} is not \
             `{}` where it was made; `Gguf::bytes` hands out what is stored",
            self.dims,
            format.name,
            self.range.len(),
            self.range.start,
            self.type_number,
            format.name
        )
    }
}
