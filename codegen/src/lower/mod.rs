//! Format to decoder program, word by word: which strips a block falls into, how each word's weights
//! are taken apart, how the formula is computed for them.

mod apart;
mod build;
mod codes;
mod dots;
mod exponent;
mod floats;
mod lookup;
mod places;
mod plane;
mod strips;
pub(crate) mod tables;
mod units;
mod weights;
mod words;

use crate::format::{Coding, Format, Formula, Signed};
use crate::ir::{Decoder, Verified, VerifyError};
use strips::Strips;

/// Lowers a format to the program that hands out every weight of a strip as f32.
///
/// `word` is the wish for the strip's bytes in the primary code plane (4, 8 or 16); the strip grows
/// where fewer bytes hold no whole quad, and falls back to a quad or a single weight where the
/// layout is not made of words. Quads have 4 weights where the block's number of weights is a
/// multiple of 4, else 1.
pub fn weights(format: &Format, word: u32) -> Result<Verified<Decoder>, VerifyError> {
    first(format, strips::candidates(format, word), weights::lower)
}

/// Like [`weights`], with up to `quads` quads in a strip: the more, the less often what they share is
/// computed, as far as registers hold them.
pub fn wide_weights(format: &Format, quads: u32) -> Result<Verified<Decoder>, VerifyError> {
    first(format, strips::wide(format, quads), weights::lower)
}

/// The affine form of a format: weight = scale · value of the code + offset.
#[derive(Clone, Debug)]
pub struct Coded {
    /// What a code is and what it means.
    pub coding: Coding,
    /// The program that hands out a byte per weight.
    pub codes: Verified<Decoder>,
    /// The program that hands out scale and offset of every run.
    pub scales: Verified<Decoder>,
}

/// Lowers a format to the programs that hand out its affine form, for integer dot products and tables
/// in registers. `word` is a wish as in [`weights`]. `None` where [`Format::coding`] is.
pub fn coded(format: &Format, word: u32) -> Option<Result<Coded, VerifyError>> {
    let coding = format.coding()?;
    let codes = first(format, strips::candidates(format, word), |format, strips| {
        codes::codes(format, strips, &coding)
    });
    let scales = first(format, strips::runs(format, coding.run), |format, strips| {
        codes::scales(format, strips, &coding)
    });
    let both = codes.and_then(|codes| Ok((codes, scales?)));
    Some(both.map(|(codes, scales)| Coded { coding, codes, scales }))
}

/// The affine form of a format for dot products of signed bytes:
/// weight = scale · (code - [`Signed::zero`](crate::format::Signed::zero)) + offset.
#[derive(Clone, Debug)]
pub struct Dots {
    /// How bytes are made signed.
    pub signed: Signed,
    /// Whether there is an offset that is not 0.
    pub offset: bool,
    /// The program that hands out four codes at a time, with scale and offset.
    pub program: Verified<Decoder>,
}

/// Quads of signed bytes in a strip, at most: they and their activations stay in registers.
pub(crate) const DOT_QUADS: u32 = 16;

/// Lowers a format to the program that hands out signed bytes, with as much of a row in a strip as
/// registers hold well. `None` where [`Format::coding`] is, or its codes are no 8-bit numbers.
pub fn dots(format: &Format) -> Option<Result<Dots, VerifyError>> {
    wide_dots(format, DOT_QUADS)
}

/// Like [`dots`], with up to `quads` quads in a strip.
pub fn wide_dots(format: &Format, quads: u32) -> Option<Result<Dots, VerifyError>> {
    dots_of(format, strips::wide(format, quads))
}

/// Like [`dots`], with strips of up to 32 bytes, in which more weights may share a scale.
pub fn long_dots(format: &Format) -> Option<Result<Dots, VerifyError>> {
    dots_of(format, strips::long(format, DOT_QUADS))
}

fn dots_of(format: &Format, candidates: Vec<Strips>) -> Option<Result<Dots, VerifyError>> {
    let coding = format.coding()?;
    let signed = coding.signed()?;
    let offset = coding.affine.offset != Formula::Number(0.0);
    let program =
        first(format, candidates, |format, strips| dots::lower(format, strips, &coding, &signed));
    let program = program.and_then(|program| for_gpus(&program));
    Some(program.map(|program| Dots { signed, offset, program }))
}

/// A program as GPUs run it fastest: without conversions of small integers, and with wide loads.
pub(crate) fn for_gpus(decoder: &Verified<Decoder>) -> Result<Verified<Decoder>, VerifyError> {
    words::joined(&floats::converted(decoder)?)
}

/// Like [`weights`], a strip for each weight and loads as narrow as they can be: for backends that find
/// out which weights are alike.
pub fn single_weights(format: &Format) -> Result<Verified<Decoder>, VerifyError> {
    first(format, strips::singles(format), weights::lower)
}

/// The codes of [`coded`] in the same way.
pub fn single_codes(format: &Format, coding: &Coding) -> Result<Verified<Decoder>, VerifyError> {
    first(format, strips::singles(format), |format, strips| codes::codes(format, strips, coding))
}

/// The first way to strip the block that lowers.
fn first(
    format: &Format,
    candidates: Vec<Strips>,
    lower: impl Fn(&Format, &Strips) -> Option<Decoder>,
) -> Result<Verified<Decoder>, VerifyError> {
    match candidates.iter().find_map(|strips| lower(format, strips)) {
        Some(decoder) => Verified::new(decoder),
        None => Err(VerifyError {
            format: format.name.clone(),
            message: "no way to take its block apart was found".into(),
        }),
    }
}
