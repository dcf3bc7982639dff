//! GGUF files, versions 2 and 3: metadata, a tensor directory and quantized bytes.

mod cursor;
mod directory;
mod value;

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use self::cursor::Cursor;
pub use self::directory::TensorInfo;
pub use self::value::{Array, Value};
use crate::format::list;
use crate::{Bytes, Error, Format, Result, Tensor, formats};

/// An open GGUF file; cheap to clone. Tensors taken from it share its memory and outlive it.
#[derive(Clone, Debug)]
pub struct Gguf {
    contents: Arc<Contents>,
}

#[derive(Debug)]
struct Contents {
    file: String,
    bytes: Bytes,
    version: u32,
    metadata: Vec<(String, Value)>,
    keys: HashMap<String, usize>,
    tensors: Vec<TensorInfo>,
    names: HashMap<String, usize>,
    /// Formats known beside the built-in ones.
    more: Vec<Format>,
}

impl Gguf {
    /// Opens a file, mapped into memory with feature `gguf`. Only the header is read now.
    ///
    /// A mapped file must not be changed or truncated while it, or a tensor from it, lives.
    ///
    /// # Errors
    /// Where the file cannot be opened, is no GGUF file of version 2 or 3, or is damaged. A tensor
    /// of an unknown type is no error until it is asked for.
    pub fn open(path: impl AsRef<Path>) -> Result<Gguf> {
        Gguf::open_with(path, &[])
    }

    /// Like [`Gguf::open`], knowing some more formats by their type numbers; where a built-in
    /// format has the same number, the one given here is taken.
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn open_with(path: impl AsRef<Path>, more: &[Format]) -> Result<Gguf> {
        let path = path.as_ref();
        Gguf::parse(path.display().to_string(), Bytes::open(path)?, more)
    }

    /// A whole GGUF file that already is in memory.
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Gguf> {
        Gguf::from_bytes_with(bytes, &[])
    }

    /// Like [`Gguf::from_bytes`], knowing some more formats; see [`Gguf::open_with`].
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn from_bytes_with(bytes: impl Into<Bytes>, more: &[Format]) -> Result<Gguf> {
        Gguf::parse("GGUF in memory".to_owned(), bytes.into(), more)
    }

    fn parse(file: String, bytes: Bytes, more: &[Format]) -> Result<Gguf> {
        let known = |number| {
            let given = more.iter().find(|format| format.gguf == Some(number));
            given.cloned().or_else(|| Format::of_gguf_type(number))
        };
        let mut cursor = Cursor::new(&bytes, &file);
        let version = version(&mut cursor)?;
        let tensor_count = cursor.u64("the number of tensors")?;
        let (metadata, keys) = value::metadata(&mut cursor)?;
        let alignment = alignment(&file, keys.get(ALIGNMENT).and_then(|&at| metadata.get(at)))?;
        let (tensors, names) = directory::tensors(&mut cursor, tensor_count, alignment, &known)?;
        let more = more.to_vec();
        let contents = Contents { file, bytes, version, metadata, keys, tensors, names, more };
        Ok(Gguf { contents: Arc::new(contents) })
    }

    /// The tensor of this name, sharing the file's memory.
    ///
    /// # Errors
    /// [`Error::NoTensor`]; [`Error::UnknownType`] where no known format has its type number.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let info = self.info(name)?;
        let format = info.format.as_ref().ok_or_else(|| Error::UnknownType {
            file: self.contents.file.clone(),
            tensor: name.to_owned(),
            number: info.type_number,
            known: self.known(),
        })?;
        self.take(info, format.clone(), info.range.clone())
    }

    /// Type numbers and names of all formats known to this file.
    fn known(&self) -> String {
        let more = self.contents.more.iter().map(|format| &**format);
        let numbered = more
            .chain(formats())
            .filter_map(|format| format.gguf.map(|number| format!("{number} ({})", format.name)));
        list(numbered)
    }

    /// The tensor of this name, whatever its type number says taken as being of this format.
    ///
    /// # Errors
    /// [`Error::NoTensor`]; [`Error::Tensor`] where its shape does not fit the format or fewer
    /// bytes follow than it needs.
    pub fn tensor_as(&self, name: &str, format: impl Into<Format>) -> Result<Tensor> {
        let (info, format) = (self.info(name)?, format.into());
        format.check()?;
        let size = directory::size(&info.dims, &format)
            .map_err(|problem| Error::Tensor { tensor: name.to_owned(), problem })?;
        let end = info.range.start.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        self.take(info, format, info.range.start..end.min(info.range.end))
    }

    fn take(&self, info: &TensorInfo, format: Format, range: Range<usize>) -> Result<Tensor> {
        let bytes = self.contents.bytes.slice(range).unwrap_or_else(|| Vec::new().into());
        Tensor::with_dims(info.name.as_str().into(), format, info.dims.clone(), vec![bytes])
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        let index = self.contents.names.get(name);
        index.and_then(|&index| self.tensors().get(index)).ok_or_else(|| {
            let mut similar = self.tensors().iter().map(|info| info.name.as_str()).filter(|have| {
                have.contains(name) || name.contains(have) || have.eq_ignore_ascii_case(name)
            });
            let hint = match similar.next() {
                Some(similar) => format!("; is `{similar}` meant?"),
                None => format!("; it has {} others", self.tensors().len()),
            };
            Error::NoTensor { file: self.contents.file.clone(), name: name.to_owned(), hint }
        })
    }

    /// What the directory says of every tensor, in the file's order, known formats or not.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.contents.tensors
    }

    /// A metadata value.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let index = self.contents.keys.get(key)?;
        self.contents.metadata.get(*index).map(|(_, value)| value)
    }

    /// All metadata, in the file's order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.contents.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The file's GGUF version, 2 or 3.
    pub fn version(&self) -> u32 {
        self.contents.version
    }

    /// The file's path, for people.
    pub fn file(&self) -> &str {
        &self.contents.file
    }
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
fn alignment(file: &str, entry: Option<&(String, Value)>) -> Result<u64> {
    let Some((_, value)) = entry else { return Ok(32) };
    match value.as_u64() {
        Some(bytes) if bytes.is_power_of_two() && bytes <= 1 << 30 => Ok(bytes),
        _ => Err(Error::Gguf {
            file: file.to_owned(),
            place: format!("key `{ALIGNMENT}`"),
            problem: format!("is {value:?}; it must be a power of two in bytes, such as U32(32)"),
        }),
    }
}
