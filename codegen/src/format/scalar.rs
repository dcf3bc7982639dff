//! How a value is stored: integers and floats of any width.

/// How a value is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Unsigned integer.
    Unsigned,
    /// Two's complement integer.
    Signed,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE 754 binary32.
    F32,
    /// A float of at most 8 bits.
    Small(SmallFloat),
}

/// A float of at most 8 bits: sign, exponent and mantissa from the top down. With a mantissa, an
/// exponent of 0 is that of subnormals; without one, every exponent is a power of two.
#[derive(Clone, Debug, PartialEq)]
pub struct SmallFloat {
    /// Bits of the exponent.
    pub exponent: u32,
    /// Bits of the mantissa.
    pub mantissa: u32,
    /// Subtracted from the exponent.
    pub bias: i32,
    /// Whether there is a sign bit.
    pub signed: bool,
    /// Bits above all others that mean nothing.
    pub pad: u32,
    /// What codes mean that are no numbers.
    pub special: Special,
    /// Codes that mean something of their own.
    pub values: Vec<(u32, f32)>,
}

/// Codes of a small float that are no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// There is none.
    None,
    /// The largest exponent is infinity, or NaN where the mantissa is not 0.
    Ieee,
    /// NaN where exponent and mantissa are all ones.
    Nan,
}

impl SmallFloat {
    /// Bits of a code.
    pub fn bits(&self) -> u32 {
        self.exponent + self.mantissa + u32::from(self.signed) + self.pad
    }

    /// The value of a code, exact in f64.
    pub fn value(&self, code: u32) -> f64 {
        if let Some((_, value)) = self.values.iter().find(|(own, _)| *own == code) {
            return f64::from(*value);
        }
        let mantissa = code & ((1 << self.mantissa) - 1);
        let exponent = code >> self.mantissa & ((1 << self.exponent) - 1);
        let largest = exponent == (1 << self.exponent) - 1;
        let all_ones = largest && mantissa == (1 << self.mantissa) - 1;
        let magnitude = match self.special {
            Special::Ieee if largest && mantissa == 0 => f64::INFINITY,
            Special::Ieee if largest => f64::NAN,
            Special::Nan if all_ones => f64::NAN,
            _ => {
                let normal = exponent > 0 || self.mantissa == 0;
                let leading = if normal { 1 << self.mantissa } else { 0 };
                let power = exponent.max(u32::from(self.mantissa > 0)) as i32 - self.bias;
                f64::from(leading + mantissa) * 2f64.powi(power - self.mantissa as i32)
            }
        };
        match self.signed && code >> (self.exponent + self.mantissa) & 1 == 1 {
            true => -magnitude,
            false => magnitude,
        }
    }

    /// The values of all codes.
    pub fn table(&self) -> Vec<f32> {
        (0..1 << self.bits()).map(|code| self.value(code) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const E4M3: SmallFloat = SmallFloat {
        exponent: 4,
        mantissa: 3,
        bias: 7,
        signed: true,
        pad: 0,
        special: Special::Nan,
        values: Vec::new(),
    };

    #[test]
    fn values_are_those_of_the_ocp_formats() {
        assert_eq!(E4M3.value(0x7e), 448.0);
        assert!(E4M3.value(0x7f).is_nan());
        assert_eq!(E4M3.value(0x01), 2f64.powi(-9));
        assert_eq!(E4M3.value(0x88), -(2f64.powi(-6)));
        let e5m2 =
            SmallFloat { exponent: 5, mantissa: 2, bias: 15, special: Special::Ieee, ..E4M3 };
        assert_eq!(e5m2.value(0x7b), 57344.0);
        assert_eq!(e5m2.value(0xfc), f64::NEG_INFINITY);
        assert!(e5m2.value(0x7d).is_nan());
        let e8m0 = SmallFloat { exponent: 8, mantissa: 0, bias: 127, signed: false, ..E4M3 };
        assert_eq!(e8m0.value(0), 2f64.powi(-127));
        assert_eq!(e8m0.value(127), 1.0);
        assert!(e8m0.value(255).is_nan());
        let e2m1 = SmallFloat { exponent: 2, mantissa: 1, bias: 1, special: Special::None, ..E4M3 };
        assert_eq!(e2m1.table()[..8], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]);
    }
}
