//! GGUF files, versions 2 and 3: metadata, a tensor directory and quantized bytes.

mod cursor;
mod directory;
mod metadata;
mod part;
mod source;
mod split;
mod typed;
mod value;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

pub use self::directory::TensorInfo;
use self::part::Part;
use self::source::Access;
use self::split::Opened;
pub use self::typed::FromValue;
pub use self::value::{Array, Elements, Value};
use crate::format::list;
use crate::{Bytes, Error, Format, Result, Tensor, formats};

/// What errors call a file that has no path.
const IN_MEMORY: &str = "GGUF in memory";

/// An open GGUF model, of one file or several; cheap to clone. Tensors taken from it outlive it.
#[derive(Clone, Debug)]
pub struct Gguf {
    contents: Arc<Contents>,
}

#[derive(Debug)]
struct Contents {
    /// At least one.
    parts: Vec<Part>,
    tensors: Vec<TensorInfo>,
    names: HashMap<String, usize>,
    /// Formats known beside the built-in ones.
    more: Vec<Format>,
}

impl Gguf {
    /// Opens a file, mapped into memory with feature `gguf`. Only the header is read now. Where the
    /// file is a part of a split model (`NAME-00001-of-00003.gguf`), the other parts are opened too.
    ///
    /// A mapped file must not be changed or truncated while it, or a tensor from it, lives: who reads
    /// past the end of a file that has become shorter is killed by the system (SIGBUS). For files that
    /// others may write there is [`Gguf::read`].
    ///
    /// # Errors
    /// Where the file cannot be opened or is no regular file; is no GGUF file of version 2 or 3; has a
    /// damaged header, or ends before the data of a tensor begins; or where another part is missing. A
    /// tensor that cannot be is no error until it is asked for: one of an unknown type, of five
    /// dimensions or none, with rows that its type does not allow, or with other bytes than its type
    /// needs.
    pub fn open(path: impl AsRef<Path>) -> Result<Gguf> {
        Gguf::open_with(path, &[])
    }

    /// Like [`Gguf::open`], knowing some more formats by their type numbers; where a built-in
    /// format has the same number, the one given here is taken.
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn open_with(path: impl AsRef<Path>, more: &[Format]) -> Result<Gguf> {
        Gguf::open_by(path.as_ref(), Access::Map, more)
    }

    /// Like [`Gguf::open`], with nothing mapped: the header is read and kept, and the bytes of a tensor
    /// are read into memory each time that it is asked for. Where somebody has made the file shorter
    /// that is an error.
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<Gguf> {
        Gguf::read_with(path, &[])
    }

    /// Like [`Gguf::read`], knowing some more formats; see [`Gguf::open_with`].
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn read_with(path: impl AsRef<Path>, more: &[Format]) -> Result<Gguf> {
        Gguf::open_by(path.as_ref(), Access::Read, more)
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
        Gguf::from_parts([bytes], more)
    }

    /// All parts of a split model, each in memory and in any order, knowing some more formats; see
    /// [`Gguf::open_with`].
    ///
    /// # Errors
    /// As for [`Gguf::open`].
    pub fn from_parts<B: Into<Bytes>>(
        parts: impl IntoIterator<Item = B>,
        more: &[Format],
    ) -> Result<Gguf> {
        let known = |number| known(number, more);
        let parts = parts.into_iter().map(|bytes| Part::held(bytes.into(), &known));
        let parts: Vec<Opened> = parts.collect::<Result<_>>()?;
        if parts.is_empty() {
            return Err(Error::Gguf {
                file: IN_MEMORY.to_owned(),
                place: "parts".to_owned(),
                problem: "none is given; a model has at least one".to_owned(),
            });
        }
        Gguf::of(split::ordered(parts)?, more)
    }

    fn open_by(path: &Path, access: Access, more: &[Format]) -> Result<Gguf> {
        let open = |path: &Path| Part::open(path, access, &|number| known(number, more));
        Gguf::of(split::open(path, open(path)?, open)?, more)
    }

    fn of(opened: Vec<Opened>, more: &[Format]) -> Result<Gguf> {
        more.iter().try_for_each(Format::check)?;
        let (mut parts, mut tensors, mut names) = (Vec::new(), Vec::new(), HashMap::new());
        for (number, (part, own)) in opened.into_iter().enumerate() {
            for info in own {
                if names.insert(info.name.clone(), tensors.len()).is_some() {
                    let problem = "another part has a tensor of this name; names must be unique";
                    return Err(part.error(format!("tensor `{}`", info.name), problem.to_owned()));
                }
                tensors.push(TensorInfo { part: number, ..info });
            }
            parts.push(part);
        }
        let contents = Contents { parts, tensors, names, more: more.to_vec() };
        Ok(Gguf { contents: Arc::new(contents) })
    }

    /// The tensor of this name, sharing the memory of a mapped file.
    ///
    /// # Errors
    /// [`Error::NoTensor`]; [`Error::UnknownType`] where no known format has its type number;
    /// [`Error::Gguf`] where its dimensions or the bytes stored for it do not fit its format.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let info = self.info(name)?;
        let part = self.part(info)?;
        let format = info.format.as_ref().ok_or_else(|| Error::UnknownType {
            file: part.file.clone(),
            tensor: name.to_owned(),
            number: info.type_number,
            known: self.known(),
        })?;
        self.take(info, format.clone(), info.own_weights(format))
    }

    /// Type numbers and names of all formats known to this file.
    fn known(&self) -> String {
        let more = self.contents.more.iter().map(|format| &**format);
        let numbered = more
            .chain(formats())
            .filter_map(|format| format.gguf.map(|number| format!("{number} ({})", format.name)));
        list(numbered)
    }

    /// The tensor of this name, whatever its type number says taken as being of this format: the first
    /// of the bytes stored for it, as many as the format needs.
    ///
    /// # Errors
    /// [`Error::NoTensor`]; [`Error::Gguf`] where its dimensions do not fit the format or fewer bytes
    /// are stored than it needs.
    pub fn tensor_as(&self, name: &str, format: impl Into<Format>) -> Result<Tensor> {
        let (info, format) = (self.info(name)?, format.into());
        format.check()?;
        let weights = info.weights(&format);
        let weights =
            weights.and_then(|(dims, size)| info.enough(&format, size).map(|()| (dims, size)));
        self.take(info, format, weights)
    }

    /// The bytes stored for a tensor, whatever its type number and dimensions say: all up to the next
    /// tensor or the end of the file, padding among them.
    ///
    /// # Errors
    /// [`Error::NoTensor`]; where the file is read, what that fails with.
    pub fn bytes(&self, name: &str) -> Result<Bytes> {
        let info = self.info(name)?;
        self.part(info)?.bytes(info.range.clone())
    }

    /// A tensor of these dimensions and so many bytes; or what is wrong with it.
    fn take(
        &self,
        info: &TensorInfo,
        format: Format,
        weights: Result<(Vec<usize>, usize), String>,
    ) -> Result<Tensor> {
        let part = self.part(info)?;
        let (dims, size) =
            weights.map_err(|problem| part.error(format!("tensor `{}`", info.name), problem))?;
        let bytes = part.bytes(info.range.start..info.range.start.saturating_add(size))?;
        Tensor::with_dims(info.name.as_str().into(), format, dims, vec![bytes])
    }

    fn part(&self, info: &TensorInfo) -> Result<&Part> {
        self.contents.parts.get(info.part).ok_or_else(|| self.none(&info.name))
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        let index = self.contents.names.get(name);
        index.and_then(|&index| self.tensors().get(index)).ok_or_else(|| self.none(name))
    }

    fn none(&self, name: &str) -> Error {
        let names = self.tensors().iter().map(|info| info.name.as_str());
        let hint = hint(name, names);
        Error::NoTensor { file: self.file().to_owned(), name: name.to_owned(), hint }
    }

    /// What the directory says of every tensor, in the file's order, whatever it says.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.contents.tensors
    }

    /// A metadata value as the type that is asked for, as in `gguf.get::<u32>("llama.block_count")?`;
    /// integers are of any stored width. Of a split model that is the metadata of its first part.
    ///
    /// # Errors
    /// [`Error::NoKey`] where there is none; [`Error::Gguf`] where it has another type or does not fit.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T> {
        let first = self.contents.parts.first();
        let value = first.and_then(|part| part.get(key)).ok_or_else(|| Error::NoKey {
            file: self.file().to_owned(),
            key: key.to_owned(),
            hint: hint(key, first.into_iter().flat_map(Part::keys)),
        })?;
        T::from_value(value).ok_or_else(|| Error::Gguf {
            file: self.file().to_owned(),
            place: format!("key `{key}`"),
            problem: format!("is {}; {} is asked for", shown(value), T::wanted()),
        })
    }

    /// A metadata value of any type, where there is one.
    pub fn value(&self, key: &str) -> Option<Value<'_>> {
        self.contents.parts.first()?.get(key)
    }

    /// All metadata, in the file's order; of a split model that of its first part.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.contents.parts.first().into_iter().flat_map(Part::metadata)
    }

    /// The file's GGUF version, 2 or 3; of a split model that of its first part.
    pub fn version(&self) -> u32 {
        self.contents.parts.first().map_or(0, |part| part.version)
    }

    /// The file's path, for people; of a split model that of its first part.
    pub fn file(&self) -> &str {
        self.contents.parts.first().map_or("", |part| &part.file)
    }
}

/// The format with a type number: one of `more`, or built in.
fn known(number: u32, more: &[Format]) -> Option<Format> {
    let given = more.iter().find(|format| format.gguf == Some(number));
    given.cloned().or_else(|| Format::of_gguf_type(number))
}

/// What may be meant by a name that is not there.
fn hint<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let similar = names.iter().find(|have| {
        have.contains(name) || name.contains(**have) || have.eq_ignore_ascii_case(name)
    });
    match similar {
        Some(similar) => format!("; is `{similar}` meant?"),
        None => format!("; it has {} others", names.len()),
    }
}

/// A value for an error, its beginning where it is long.
fn shown(value: Value) -> String {
    const LONG: usize = 40;
    let text = format!("{value:?}");
    match text.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
