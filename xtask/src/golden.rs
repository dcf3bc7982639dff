//! Golden vectors: bytes, and the weights that somebody else's implementation decodes them to.

use include_dir::{Dir, include_dir};
use quantloom::Format;
use quantloom::verify::Vectors;
use safetensors::SafeTensors;
use std::collections::BTreeSet;

/// tests/data/golden, in this program.
static FILES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../tests/data/golden");

/// The vectors of a built-in format.
///
/// # Errors
/// Why there are none.
pub fn of(format: &Format) -> Result<Vec<Vectors>, String> {
    let name = format!("{}.safetensors", format.name);
    let file = FILES.get_file(&name).ok_or_else(|| format!("there is no {name}"))?;
    let tensors = SafeTensors::deserialize(file.contents());
    let tensors = tensors.map_err(|error| format!("{name}: {error}"))?;
    let streams: Vec<&str> = format.streams.iter().map(|stream| &*stream.name).collect();
    let sizes: Vec<&str> = format.sizes.iter().map(|size| &*size.name).collect();
    vectors(&tensors, &streams, &sizes).map_err(|error| format!("{name}: {error}"))
}

/// The vectors of a file, by the names of a format's streams and sizes.
///
/// # Errors
/// Where a set has not all streams.
pub fn vectors(
    tensors: &SafeTensors<'_>,
    streams: &[&str],
    sizes: &[&str],
) -> Result<Vec<Vectors>, safetensors::SafeTensorError> {
    let names = tensors.names();
    let sets: BTreeSet<&str> = names.iter().filter_map(|n| n.strip_suffix(".weights")).collect();
    let bytes = |set: &str, part: &str| tensors.tensor(&format!("{set}.{part}"));
    let vector = |set: &str| {
        let weights = bytes(set, "weights")?;
        let (words, _) = weights.data().as_chunks();
        let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let n = weights.shape().first().copied().unwrap_or(1);
        let size = |name: &&str| {
            let tensor = bytes(set, &format!("sizes.{name}")).ok()?;
            let (words, _) = tensor.data().as_chunks();
            Some(((*name).to_owned(), words.first().copied().map_or(0, u32::from_le_bytes)))
        };
        let streams = streams.iter().map(|name| Ok(bytes(set, name)?.data().to_vec()));
        Ok(Vectors {
            name: set.into(),
            n,
            k: values.len() / n.max(1),
            sizes: sizes.iter().filter_map(size).collect(),
            streams: streams.collect::<Result<_, safetensors::SafeTensorError>>()?,
            weights: values,
        })
    };
    sets.into_iter().map(vector).collect()
}
