//! The tensor directory: what is declared, checked against the file before anyone uses it.

use std::collections::HashMap;
use std::ops::Range;

use super::cursor::Cursor;
use crate::{Error, Format, Result};

/// What the file's directory says of a tensor.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name, unique in the file.
    pub name: String,
    /// Its dimensions, the one that runs fastest (`k`) first.
    pub dims: Vec<usize>,
    /// The number the file gives for how it is stored.
    pub type_number: u32,
    /// The format with that number, where one is known.
    pub format: Option<Format>,
    /// Its bytes, counted from the start of the file. With no known format: all up to the next
    /// tensor or the end of the file.
    pub range: Range<usize>,
}

/// The most dimensions a tensor may have.
const MAX_DIMS: u32 = 4;

type Tensors = (Vec<TensorInfo>, HashMap<String, usize>);

/// `count` directory entries, and the file's data behind them.
pub(super) fn tensors(
    cursor: &mut Cursor,
    count: u64,
    alignment: u64,
    known: &dyn Fn(u32) -> Option<Format>,
) -> Result<Tensors> {
    // A name's length, a dimension count, a dimension, a type and an offset.
    let count = cursor.fits(count, 32, "tensors")?;
    let (mut entries, mut names) = (Vec::new(), HashMap::new());
    for index in 0..count {
        let entry = entry(cursor, alignment, known)?;
        if names.insert(entry.name.clone(), index).is_some() {
            return Err(
                cursor.error_in(&entry.name, "occurs twice; names must be unique".to_owned())
            );
        }
        entries.push(entry);
    }
    let data = (cursor.position() as u64).next_multiple_of(alignment);
    Ok((place(cursor, entries, data)?, names))
}

/// A directory entry as declared.
struct Entry {
    name: String,
    dims: Vec<usize>,
    type_number: u32,
    format: Option<Format>,
    /// Counted from the start of the data.
    offset: u64,
    /// Bytes, where the format is known.
    size: Option<u64>,
}

fn entry(
    cursor: &mut Cursor,
    alignment: u64,
    known: &dyn Fn(u32) -> Option<Format>,
) -> Result<Entry> {
    let name = cursor.name("a tensor's name")?.to_owned();
    let count = cursor.u32("a tensor's number of dimensions")?;
    if count == 0 || count > MAX_DIMS {
        return Err(
            cursor.error_in(&name, format!("{count} dimensions; 1 to {MAX_DIMS} are allowed"))
        );
    }
    let mut dims = Vec::new();
    for _ in 0..count {
        let dim = cursor.u64("a tensor's dimension")?;
        let dim = usize::try_from(dim).ok().filter(|&dim| dim > 0);
        dims.push(dim.ok_or_else(|| {
            cursor.error_in(
                &name,
                "a dimension is 0 or above what memory can address; each must be at least 1"
                    .to_owned(),
            )
        })?);
    }
    let type_number = cursor.u32("a tensor's type")?;
    let offset = cursor.u64("a tensor's offset")?;
    if !offset.is_multiple_of(alignment) {
        return Err(cursor.error_in(
            &name,
            format!(
                "its data begins at offset {offset}; offsets must be multiples of the file's \
                 alignment, {alignment}"
            ),
        ));
    }
    let format = known(type_number);
    let size = match &format {
        Some(format) => {
            format.check()?;
            Some(size(&dims, format).map_err(|problem| cursor.error_in(&name, problem))?)
        }
        None => None,
    };
    Ok(Entry { name, dims, type_number, format, offset, size })
}

/// Bytes of a tensor, or what is wrong with its shape.
pub(super) fn size(dims: &[usize], format: &Format) -> Result<u64, String> {
    let k = dims.first().copied().unwrap_or_default() as u64;
    let block = u64::from(format.weights);
    if !k.is_multiple_of(block) {
        return Err(format!(
            "rows of {k} weights; format `{}` stores blocks of {block}, so a row must be a \
             multiple of {block}",
            format.name
        ));
    }
    let bytes: u64 = format.streams.iter().map(|stream| u64::from(stream.bytes)).sum();
    let rows = dims.iter().skip(1);
    rows.map(|&dim| dim as u64)
        .try_fold((k / block).checked_mul(bytes), |size, dim| Some(size?.checked_mul(dim)))
        .flatten()
        .ok_or_else(|| format!("dimensions {dims:?} take more bytes than can be counted"))
}

/// Finds every tensor's bytes; `data` is where the file's data begins.
fn place(cursor: &Cursor, entries: Vec<Entry>, data: u64) -> Result<Vec<TensorInfo>> {
    let starts = starts(&entries);
    entries
        .into_iter()
        .map(|entry| {
            let range = range(cursor, &entry, data, &starts)?;
            let Entry { name, dims, type_number, format, .. } = entry;
            Ok(TensorInfo { name, dims, type_number, format, range })
        })
        .collect()
}

/// Offsets at which tensors begin and their names, ascending.
fn starts(entries: &[Entry]) -> Vec<(u64, String)> {
    let mut starts: Vec<_> =
        entries.iter().map(|entry| (entry.offset, entry.name.clone())).collect();
    starts.sort();
    starts
}

fn range(
    cursor: &Cursor,
    entry: &Entry,
    data: u64,
    starts: &[(u64, String)],
) -> Result<Range<usize>> {
    let error = |problem: String| Err::<Range<usize>, Error>(cursor.error_in(&entry.name, problem));
    let available = cursor.length().saturating_sub(data);
    let after = starts.partition_point(|(offset, _)| *offset <= entry.offset);
    let same = starts.partition_point(|(offset, _)| *offset < entry.offset)..after;
    let twin = starts.get(same).unwrap_or_default().iter().find(|(_, name)| *name != entry.name);
    if let Some((offset, twin)) = twin {
        return error(format!(
            "its data begins at offset {offset}, where that of `{twin}` begins; data must not \
             overlap"
        ));
    }
    let next = starts.get(after);
    let limit = next.map_or(available, |(offset, _)| *offset).min(available);
    let end = match entry.size {
        Some(size) => entry.offset.checked_add(size),
        None => Some(limit.max(entry.offset.saturating_add(1))),
    };
    let Some(end) = end.filter(|&end| end <= available) else {
        let size = entry.size.map_or("at least 1".to_owned(), |size| size.to_string());
        return error(format!(
            "its data begins at offset {} and has {size} bytes; the file has {available} bytes of \
             data, so it is cut off or the offset is wrong",
            entry.offset
        ));
    };
    if let Some((offset, name)) = next.filter(|(offset, _)| end > *offset) {
        return error(format!(
            "its data ends at offset {end}, behind {offset} where that of `{name}` begins; data \
             must not overlap"
        ));
    }
    // Within the file's length, which memory holds.
    Ok((data + entry.offset) as usize..(data + end) as usize)
}
