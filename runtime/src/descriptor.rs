//! A format's descriptor, read again where an artifact is not enough.

use crate::artifact::{Stream, Units};
use crate::{Error, Format, Result};

/// The format that an artifact's descriptor describes.
///
/// # Errors
/// Where the artifact carries none, it does not compile, or the two do not fit together.
pub(crate) fn parse(format: &Format) -> Result<quantloom_codegen::Format> {
    if format.descriptor.is_empty() {
        return Err(Error::Missing {
            format: format.name.to_string(),
            what: "descriptor".to_owned(),
            hint: ", which says what its bytes mean".to_owned(),
        });
    }
    let file = format!("{}.yaml", format.name);
    let params = quantloom_codegen::Params(format.params.to_vec());
    let parsed = quantloom_codegen::Format::parse_with(&format.descriptor, &file, &params);
    let parsed = parsed.map_err(|problems| Error::Format {
        format: format.name.to_string(),
        problem: format!("its descriptor does not compile: {problems}"),
    })?;
    let streams: Vec<Stream> = parsed.streams.iter().map(|stream| stream.artifact()).collect();
    agree(format, parsed.weights, &streams)?;
    let sizes = |size: &crate::artifact::Size| size.name.to_string();
    if !format.sizes.iter().map(sizes).eq(parsed.sizes.iter().map(sizes)) {
        return Err(other(format, "sizes"));
    }
    Ok(parsed)
}

/// Refuses facts of other blocks than those of a descriptor: lengths are checked against the facts.
///
/// # Errors
/// Where weights per block or the streams' units differ.
pub(crate) fn agree(format: &Format, weights: u32, streams: &[Stream]) -> Result<()> {
    fn units(streams: &[Stream]) -> impl Iterator<Item = (u32, Units)> {
        streams.iter().map(|stream| (stream.bytes, stream.units))
    }
    match format.weights == weights && units(&format.streams).eq(units(streams)) {
        true => Ok(()),
        false => Err(other(format, "blocks")),
    }
}

fn other(format: &Format, what: &str) -> Error {
    Error::Format {
        format: format.name.to_string(),
        problem: format!("its descriptor describes other {what} than its facts do"),
    }
}
