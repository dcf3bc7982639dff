//! Tensors: quantized bytes on the host, with their shape and format.

use std::sync::Arc;

use crate::artifact::{Beyond, Dims};
use crate::{Bytes, Device, Error, Format, Result, Weights, memory};

/// Weights `[n, k]`, row-major and quantized, as they lie in a file or in memory. Cheap to clone:
/// the bytes are shared.
#[derive(Clone, Debug)]
pub struct Tensor {
    name: Arc<str>,
    format: Format,
    dims: Arc<[usize]>,
    n: usize,
    k: usize,
    layout: Dims,
    streams: Arc<[Bytes]>,
}

impl Tensor {
    /// A tensor from its raw bytes, one item of `streams` for every stream of the format, in the
    /// format's order. A block format has one stream; planar ones have several, stored with the
    /// sizes of the handle `format` (see [`Format::with_size`]).
    ///
    /// # Errors
    /// Where `n` or `k` is 0, `k` is not a multiple of the format's block, the number of streams
    /// is not the format's, a stream has not exactly the bytes of its units, or a stored number of a unit
    /// (act-order's group of a column) is past the last unit there is.
    pub fn new<B: Into<Bytes>>(
        name: impl Into<Arc<str>>,
        format: impl Into<Format>,
        n: usize,
        k: usize,
        streams: impl IntoIterator<Item = B>,
    ) -> Result<Tensor> {
        let streams = streams.into_iter().map(Into::into).collect();
        Tensor::with_dims(name.into(), format.into(), vec![k, n], streams)
    }

    /// Like [`Tensor::new`] for any number of dimensions, `k` first.
    pub(crate) fn with_dims(
        name: Arc<str>,
        format: Format,
        dims: Vec<usize>,
        streams: Vec<Bytes>,
    ) -> Result<Tensor> {
        format.check()?;
        let error = |problem: String| Error::Tensor { tensor: name.to_string(), problem };
        let (k, n) = rows(&dims).map_err(error)?;
        let layout = layout(n, k, &format).map_err(error)?;
        if streams.len() != format.streams.len() {
            let names = crate::format::list(format.streams.iter().map(|s| s.name.to_string()));
            return Err(error(format!(
                "{} streams of bytes given; format `{}` has {}: {names}",
                streams.len(),
                format.name,
                format.streams.len(),
            )));
        }
        for (bytes, stream) in streams.iter().zip(format.streams.iter()) {
            let wanted = stream.len(&layout).and_then(|bytes| usize::try_from(bytes).ok());
            if wanted != Some(bytes.len()) {
                let wanted = wanted
                    .map_or("more than memory can address".to_owned(), |wanted| wanted.to_string());
                let units = if stream.units.are_blocks() { "blocks" } else { "units" };
                let rows = stream.units.rows;
                let shared = match rows > 1 && !n.is_multiple_of(rows as usize) {
                    true => format!(
                        "; a unit covers {rows} rows, the last one too: without padding, rows are a \
                         multiple of {rows}"
                    ),
                    false => String::new(),
                };
                return Err(error(format!(
                    "stream `{}` has {} bytes; [{n}, {k}] weights of format `{}` are {} {units} of \
                     {} bytes each, {wanted} in all{shared}",
                    stream.name,
                    bytes.len(),
                    format.name,
                    stream.count(&layout),
                    stream.bytes,
                )));
            }
        }
        check_numbers(&format, &layout, &streams).map_err(error)?;
        Ok(Tensor { name, format, dims: dims.into(), n, k, layout, streams: streams.into() })
    }

    /// Makes the weights available to a device, once: later products read them there. The bytes
    /// go as they are; on the CPU nothing is copied.
    ///
    /// # Errors
    /// Where the format has no decoder or kernel for the device, or the device has no room.
    pub fn upload(&self, device: &Device) -> Result<Weights> {
        device.upload(self)
    }

    /// The name in its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the bytes store weights.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// All dimensions, the one that runs fastest (`k`) first, as GGUF files list them.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Weight rows: the product of all dimensions but the first.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Weights per row, a multiple of the format's block.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The raw bytes, one item per stream of the format.
    pub fn streams(&self) -> &[Bytes] {
        &self.streams
    }

    /// Quantized bytes in all streams.
    pub fn bytes(&self) -> usize {
        self.streams.iter().map(|bytes| bytes.len()).sum()
    }

    /// Blocks in all rows.
    pub(crate) fn blocks(&self) -> usize {
        self.n * (self.k / self.format.weights as usize)
    }

    /// The sizes that streams are measured with.
    pub(crate) fn layout(&self) -> &Dims {
        &self.layout
    }

    /// The bytes of every stream.
    pub(crate) fn stream_bytes(&self) -> Vec<&[u8]> {
        self.streams.iter().map(|bytes| &**bytes).collect()
    }
}

/// Refuses numbers of units that there are not.
fn check_numbers(format: &Format, layout: &Dims, streams: &[Bytes]) -> Result<(), String> {
    for index in format.indices.iter() {
        let name = |stream: u32| format.streams.get(stream as usize).map_or("", |own| &own.name);
        let number = index.planes.first().map_or("", |plane| name(plane.stream));
        let found = index.beyond(&format.streams, format.weights, layout, streams);
        let found = found.map_err(|_| {
            format!("format `{}` has numbers of units outside its streams' bytes", format.name)
        })?;
        if let Some(Beyond { row, column, number: found, units }) = found {
            return Err(format!(
                "stream `{number}` says {found} for row {row}, column {column}; stream `{}` has {units} \
                 units along k, so numbers are 0 to {}",
                name(index.of),
                units.saturating_sub(1)
            ));
        }
    }
    Ok(())
}

/// `(k, n)` of dimensions.
fn rows(dims: &[usize]) -> Result<(usize, usize), String> {
    let Some((&k, rest)) = dims.split_first() else {
        return Err("no dimension; it needs at least one".to_owned());
    };
    if dims.contains(&0) {
        return Err(format!("dimensions {dims:?} hold no weight; each must be at least 1"));
    }
    let n = rest.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    let n = n.filter(|n| n.checked_mul(k).is_some());
    n.map(|n| (k, n))
        .ok_or_else(|| format!("dimensions {dims:?} hold more weights than memory can address"))
}

/// The sizes that streams of weights `[n, k]` are measured with.
fn layout(n: usize, k: usize, format: &Format) -> Result<Dims, String> {
    let block = format.weights as usize;
    if !k.is_multiple_of(block) {
        return Err(format!(
            "rows of {k} weights; format `{}` stores blocks of {block}, so a row must be a \
             multiple of {block}",
            format.name
        ));
    }
    memory::elements(n, k / block, "blocks").map_err(|error| error.to_string())?;
    format.dims(n, k).ok_or_else(|| {
        format!(
            "[{n}, {k}] weights; there may be {} rows, blocks and units of a stream",
            crate::artifact::MOST_UNITS
        )
    })
}
