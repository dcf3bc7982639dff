//! Format to decoder program, word by word: which strips a block falls into, how each word's weights
//! are taken apart, how the formula is computed for them.

mod apart;
mod build;
mod codes;
mod lookup;
mod places;
mod plane;
mod strips;
pub(crate) mod tables;
mod units;
mod weights;

use crate::format::Format;
use crate::ir::{Decoder, Verified, VerifyError};
use strips::Strips;

/// Lowers a format to the program that hands out every weight of a strip as f32.
///
/// `word` is the wish for the strip's bytes in the primary code plane (4, 8 or 16); the strip grows
/// where fewer bytes hold no whole quad, and falls back to a quad or a single weight where the
/// layout is not made of words. Quads have 4 weights where the block's number of weights is a
/// multiple of 4, else 1.
pub fn weights(format: &Format, word: u32) -> Result<Verified<Decoder>, VerifyError> {
    first(format, word, weights::lower)
}

/// Lowers a format to the program that hands out packed signed 8-bit codes and the scale and offset
/// they share, for integer dot products. `None` where the codes are not integers, or where four
/// consecutive weights do not share scale and offset.
pub fn codes(format: &Format, word: u32) -> Option<Result<Verified<Decoder>, VerifyError>> {
    codes::applies(format).then(|| first(format, word, codes::lower))
}

/// The first way to strip the block that lowers.
fn first(
    format: &Format,
    word: u32,
    lower: fn(&Format, &Strips) -> Option<Decoder>,
) -> Result<Verified<Decoder>, VerifyError> {
    let decoder = strips::candidates(format, word).iter().find_map(|strips| lower(format, strips));
    match decoder {
        Some(decoder) => Verified::new(decoder),
        None => Err(VerifyError {
            format: format.name.clone(),
            message: "no way to take its block apart was found".into(),
        }),
    }
}
