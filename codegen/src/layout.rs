//! Where a value's bits lie: `"(shape):(stride)"`, an affine map from an index to a bit position.

use crate::descriptor::Params;
use std::fmt;

/// A map from an index to a bit position: affine, or affine piece by piece. Within a piece the index
/// is split into mixed-radix digits, first digit fastest; each digit is multiplied by its stride in
/// bits; the sum, from the piece's first position on, is the bit position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pieces: Vec<Piece>,
}

/// Consecutive indices that one affine map holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Position of its first index.
    pub at: i64,
    /// Its digits, fastest first.
    pub digits: Vec<Digit>,
}

/// One digit of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// How many values the digit takes.
    pub radix: u32,
    /// Bits between neighbours: 0 where they share the bits, negative where the high part is first.
    pub stride: i64,
}

/// Strides and sums stay far inside i64 when they are parsed below this.
const MAX_STRIDE: i64 = 1 << 40;
/// No format has as many.
const MAX_PIECES: usize = 16;

impl Layout {
    /// The layout of a single value: one index, position 0.
    pub fn single() -> Layout {
        Layout { pieces: vec![Piece { at: 0, digits: Vec::new() }] }
    }

    /// `count` values, `stride` bits apart.
    pub fn linear(count: u32, stride: i64) -> Layout {
        Layout { pieces: vec![Piece { at: 0, digits: vec![Digit { radix: count, stride }] }] }
    }

    /// Reads `"(32,2,4):(8,4,256)"`, `"8:4"`, or pieces such as `"(32,5):(8,0) | 256+(16,5):(8,0)"`;
    /// numbers may be written with parameters. The error says what is wrong with the text.
    pub fn parse(text: &str, params: &Params) -> Result<Layout, String> {
        if text.matches('|').count() >= MAX_PIECES {
            return Err(format!("the layout has more than {MAX_PIECES} pieces"));
        }
        let pieces = text.split('|').map(|piece| Piece::parse(piece.trim(), params));
        let layout = Layout { pieces: pieces.collect::<Result<_, _>>()? };
        if layout.checked_size().is_none() {
            return Err("the shape holds more indices than fit 32 bits".into());
        }
        Ok(layout)
    }

    /// The pieces, in the order of their indices.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How many indices the shape holds.
    pub fn size(&self) -> u32 {
        self.checked_size().unwrap_or(u32::MAX)
    }

    fn checked_size(&self) -> Option<u32> {
        self.pieces.iter().try_fold(0u32, |size, piece| size.checked_add(piece.size()?))
    }

    /// The bit position of `index`.
    pub fn at(&self, index: u32) -> i64 {
        let mut rest = index;
        for piece in &self.pieces {
            match piece.size() {
                Some(size) if rest >= size => rest -= size,
                _ => return piece.position(rest),
            }
        }
        0
    }

    /// The same layout `times` over, copies `stride` bits apart.
    pub fn repeated(&self, times: u32, stride: i64) -> Layout {
        let mut pieces = self.pieces.clone();
        match pieces.as_mut_slice() {
            _ if times <= 1 => {}
            [piece] => piece.digits.push(Digit { radix: times, stride }),
            _ => {
                for copy in 1..times {
                    let moved = |piece: &Piece| Piece {
                        at: piece.at + i64::from(copy) * stride,
                        ..piece.clone()
                    };
                    pieces.extend(self.pieces.iter().map(moved));
                }
            }
        }
        Layout { pieces }
    }
}

impl Piece {
    fn parse(text: &str, params: &Params) -> Result<Piece, String> {
        let (shape, stride) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` has no colon between shape and stride"))?;
        let (at, shape) = match shape.split_once('+') {
            Some((at, shape)) => (params.number(at.trim())?, shape),
            None => (0, shape),
        };
        if at.abs() > MAX_STRIDE {
            return Err(format!("a first bit of {at} is out of reach"));
        }
        let shape = numbers(shape, params)?;
        let stride = numbers(stride, params)?;
        if shape.len() != stride.len() {
            return Err(format!(
                "the shape has {} digits and the stride {}",
                shape.len(),
                stride.len()
            ));
        }
        let mut digits = Vec::with_capacity(shape.len());
        for (&radix, &stride) in shape.iter().zip(&stride) {
            let radix = u32::try_from(radix)
                .ok()
                .filter(|&radix| radix > 0)
                .ok_or_else(|| format!("{radix} cannot be the size of a digit"))?;
            if stride.abs() > MAX_STRIDE {
                return Err(format!("a stride of {stride} bits is out of reach"));
            }
            digits.push(Digit { radix, stride });
        }
        Ok(Piece { at, digits })
    }

    /// How many indices the piece holds; `None` beyond 32 bits.
    fn size(&self) -> Option<u32> {
        self.digits.iter().try_fold(1u32, |size, digit| size.checked_mul(digit.radix))
    }

    fn position(&self, index: u32) -> i64 {
        let mut rest = index;
        let mut position = self.at;
        for digit in &self.digits {
            position += i64::from(rest % digit.radix) * digit.stride;
            rest /= digit.radix;
        }
        position
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, piece) in self.pieces.iter().enumerate() {
            if number > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{piece}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at != 0 {
            write!(f, "{}+", self.at)?;
        }
        match self.digits.as_slice() {
            [] => write!(f, "1:0"),
            [digit] => write!(f, "{}:{}", digit.radix, digit.stride),
            digits => {
                let list = |part: fn(&Digit) -> i64| {
                    digits.iter().map(|d| part(d).to_string()).collect::<Vec<_>>().join(",")
                };
                write!(f, "({}):({})", list(|d| d.radix.into()), list(|d| d.stride))
            }
        }
    }
}

/// `"(1,2,3)"` or `"1"`.
fn numbers(text: &str, params: &Params) -> Result<Vec<i64>, String> {
    let text = text.trim();
    let inner = match (text.strip_prefix('('), text.strip_suffix(')')) {
        (Some(_), Some(_)) => text.get(1..text.len() - 1).unwrap_or_default(),
        (None, None) => text,
        _ => return Err(format!("`{text}` lacks a parenthesis")),
    };
    inner.split(',').map(|number| params.number(number.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Layout, String> {
        Layout::parse(text, &Params::default())
    }

    #[test]
    fn splits_the_index_first_digit_fastest() {
        let layout = parse("(32,2,4):(8,4,256)").unwrap();
        assert_eq!(layout.size(), 256);
        assert_eq!(layout.at(1), 8);
        assert_eq!(layout.at(32), 4);
        assert_eq!(layout.at(64), 256);
        assert_eq!(layout.at(255), 31 * 8 + 4 + 3 * 256);
        assert_eq!(layout.to_string(), "(32,2,4):(8,4,256)");
    }

    #[test]
    fn pieces_follow_one_another() {
        let layout = parse("(4,2):(8,0)|32+4:8").unwrap();
        assert_eq!(layout.size(), 12);
        assert_eq!((layout.at(7), layout.at(8), layout.at(11)), (24, 32, 56));
        assert_eq!(layout.to_string(), "(4,2):(8,0) | 32+4:8");
        let twice = layout.repeated(2, 64);
        assert_eq!((twice.size(), twice.at(12), twice.at(20)), (24, 64, 96));
    }

    #[test]
    fn refuses_what_is_no_layout() {
        for text in [
            "",
            "8",
            "8:",
            ":8",
            "(8,2):8",
            "(8:4",
            "0:4",
            "-1:4",
            "a:4",
            "8:4:2",
            "(99999,99999):(1,1)",
            "8:99999999999999",
            ")(:)(",
            "8:1 |",
            "+8:1",
            "1e3+8:1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
