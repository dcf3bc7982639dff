//! Where a value's bits lie: `"(shape):(stride)"`, an affine map from an index to a bit position.

use std::fmt;

/// An affine layout. The index is split into mixed-radix digits, first digit fastest; each digit
/// is multiplied by its stride in bits; the sum is the bit position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    digits: Vec<Digit>,
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

impl Layout {
    /// The layout of a single value: one index, position 0.
    pub fn single() -> Layout {
        Layout { digits: Vec::new() }
    }

    /// `count` values, `stride` bits apart.
    pub fn linear(count: u32, stride: i64) -> Layout {
        Layout { digits: vec![Digit { radix: count, stride }] }
    }

    /// Reads `"(32,2,4):(8,4,256)"` or `"8:4"`. The error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Layout, String> {
        let (shape, stride) = text
            .split_once(':')
            .ok_or_else(|| format!("`{text}` has no colon between shape and stride"))?;
        let shape = numbers(shape)?;
        let stride = numbers(stride)?;
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
        let layout = Layout { digits };
        if layout.checked_size().is_none() {
            return Err("the shape holds more indices than fit 32 bits".into());
        }
        Ok(layout)
    }

    /// The digits, fastest first.
    pub fn digits(&self) -> &[Digit] {
        &self.digits
    }

    /// How many indices the shape holds.
    pub fn size(&self) -> u32 {
        self.checked_size().unwrap_or(u32::MAX)
    }

    fn checked_size(&self) -> Option<u32> {
        self.digits.iter().try_fold(1u32, |size, digit| size.checked_mul(digit.radix))
    }

    /// The bit position of `index`.
    pub fn at(&self, index: u32) -> i64 {
        let mut rest = index;
        let mut position = 0;
        for digit in &self.digits {
            position += i64::from(rest % digit.radix) * digit.stride;
            rest /= digit.radix;
        }
        position
    }

    /// The same layout `times` over, copies `stride` bits apart.
    pub fn repeated(&self, times: u32, stride: i64) -> Layout {
        let mut digits = self.digits.clone();
        if times > 1 {
            digits.push(Digit { radix: times, stride });
        }
        Layout { digits }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
fn numbers(text: &str) -> Result<Vec<i64>, String> {
    let text = text.trim();
    let inner = match (text.strip_prefix('('), text.strip_suffix(')')) {
        (Some(_), Some(_)) => &text[1..text.len() - 1],
        (None, None) => text,
        _ => return Err(format!("`{text}` lacks a parenthesis")),
    };
    inner
        .split(',')
        .map(|number| {
            let number = number.trim();
            number.parse().map_err(|_| format!("`{number}` is not a whole number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_index_first_digit_fastest() {
        let layout = Layout::parse("(32,2,4):(8,4,256)").unwrap();
        assert_eq!(layout.size(), 256);
        assert_eq!(layout.at(1), 8);
        assert_eq!(layout.at(32), 4);
        assert_eq!(layout.at(64), 256);
        assert_eq!(layout.at(255), 31 * 8 + 4 + 3 * 256);
        assert_eq!(layout.to_string(), "(32,2,4):(8,4,256)");
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
        ] {
            assert!(Layout::parse(text).is_err(), "{text}");
        }
    }
}
