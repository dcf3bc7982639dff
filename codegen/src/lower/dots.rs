//! The affine form as one program: signed bytes, four to a word, with the scale and offset they share.

use super::build::Builder;
use super::codes;
use super::plane::Reader;
use super::strips::Strips;
use super::weights::Values;
use crate::format::{Byte, Coding, Format, Make, Signed};
use crate::ir::{Binary, Decoder, Entries, Lanes, Quad, Value};

/// The program; `None` where these strips do not fit the layouts.
pub(super) fn lower(
    format: &Format,
    strips: &Strips,
    coding: &Coding,
    signed: &Signed,
) -> Option<Decoder> {
    if strips.lanes != 4 {
        return None;
    }
    let mut b = Builder::new(format, strips);
    let reader = Reader { format, strips };
    let mut quads = Vec::new();
    for (quad, starts) in strips.starts.iter().enumerate() {
        let start = b.of_place(starts)?;
        let codes = signed_bytes(&mut b, &reader, coding, signed, quad)?;
        b.name(codes, "codes");
        // Runs are made of whole quads: what is so for the first lane is so for all.
        let mut values = Values { reader: &reader, quad, lane: 0 };
        let scale = values.formula(&mut b, &coding.affine.scale)?;
        let offset = values.formula(&mut b, &coding.affine.offset)?;
        let scale = match signed.unit {
            1.0 => scale,
            unit => {
                let unit = b.f32(unit);
                b.binary(Binary::Mul, scale, unit)
            }
        };
        quads.push(Quad { start, lanes: Lanes::Dot { codes, scale, offset } });
    }
    Some(b.finish(quads))
}

/// The codes of a quad as signed bytes in a u32.
fn signed_bytes(
    b: &mut Builder,
    reader: &Reader,
    coding: &Coding,
    signed: &Signed,
    quad: usize,
) -> Option<Value> {
    match (&signed.make, coding.byte) {
        (Make::Flip(bits), _) => {
            let bytes = codes::bytes(b, reader, coding, quad)?;
            Some(b.with(Binary::Xor, bytes, u32::from(*bits) * 0x0101_0101))
        }
        (Make::Table(entries), Byte::Stored(field)) => {
            let entries = entries.iter().map(|&entry| u32::from(entry as u8)).collect();
            let table = b.table("codebook".into(), Entries::U32(entries));
            codes::join(b, |b, lane| {
                let stored = Values { reader, quad, lane }.stored(b, field)?;
                Some(b.lookup(table, stored))
            })
        }
        (Make::Table(_), Byte::Value) => None, // a signed byte needs no table
    }
}

#[cfg(test)]
mod tests {
    use crate::artifact::Dims;
    use crate::{Descriptor, Format, choices, ir, lower};

    /// Signed bytes with scale and offset are the weights, but for codebooks that are rounded.
    #[test]
    fn dots_are_the_weights_of_every_format() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats");
        let mut checked = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|ending| ending != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            Descriptor::parse(&text, "file").unwrap();
            for params in choices(&text, "file").unwrap() {
                let format = Format::parse_with(&text, "file", &params).unwrap();
                for dots in [lower::dots(&format), lower::long_dots(&format)].into_iter().flatten()
                {
                    check(&format, &dots.unwrap());
                    checked += 1;
                }
            }
        }
        assert!(checked > 40, "{checked} programs");
    }

    fn check(format: &Format, dots: &lower::Dots) {
        let mut dims = Dims { n: 2, blocks: 4, sizes: [1; 2] };
        for (blocks, size) in dims.sizes.iter_mut().zip(&format.sizes) {
            *blocks = size.default / format.weights;
        }
        let mut state = 1u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let lengths = format.streams.iter().map(|s| s.artifact().len(&dims).unwrap());
        let streams: Vec<Vec<u8>> = lengths.map(|len| (0..len).map(|_| byte()).collect()).collect();
        let streams: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
        let count = (dims.n * dims.blocks * format.weights) as usize;
        let mut weights = vec![f32::NAN; count];
        ir::interpret(&lower::weights(format, 4).unwrap(), &streams, &dims, 0, &mut weights);
        let mut parts = vec![(0, f32::NAN, f32::NAN); count];
        ir::interpret_dots(&dots.program, &streams, &dims, 0, &mut parts);
        for (index, (&weight, &(code, scale, offset))) in weights.iter().zip(&parts).enumerate() {
            let code = f64::from(i32::from(code) - dots.signed.zero);
            let (scale, offset) = (f64::from(scale), f64::from(offset));
            let off = (code * scale + offset - f64::from(weight)).abs();
            let terms = (code * scale).abs() + offset.abs();
            let rounding = if dots.signed.unit.log2().fract() == 0.0 { 0.0 } else { 0.5001 };
            // A rounding to f16 on the way is no part of the affine form.
            let most = rounding * scale.abs() + terms * 2e-3 + 1e-37;
            let finite = weight.is_finite() && terms < 1e30;
            assert!(!finite || off <= most, "{} {index}: {weight}, off {off}", format.name);
        }
    }
}
