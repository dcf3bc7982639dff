//! The type of a field: the name of a scalar, or the parts of a small float.

use super::build::Builder;
use super::{Plane, Scalar, SmallFloat, Special};
use crate::descriptor::{FieldText, FloatText, TypeText};
use crate::problem::Path;

impl Builder {
    /// The type of a field: as written, else that of the elements it covers whole.
    pub(super) fn scalar(
        &mut self,
        text: &FieldText,
        planes: &[Plane],
        path: &Path,
    ) -> Option<Scalar> {
        let bits: u32 = planes.iter().map(|plane| plane.bits).sum();
        let name = match &text.ty {
            None => {
                return Some(match planes {
                    [plane] => match &self.members[plane.member].element {
                        Some(element) if element.bits == plane.bits => element.scalar.clone(),
                        _ => Scalar::Unsigned,
                    },
                    _ => Scalar::Unsigned,
                });
            }
            Some(TypeText::Float(float)) => return self.small_float(float, bits, path.key("type")),
            Some(TypeText::Name(name)) => name,
        };
        let (scalar, width) = match name.as_str() {
            "u" => (Scalar::Unsigned, None),
            "i" => (Scalar::Signed, None),
            "f16" => (Scalar::F16, Some(16)),
            "bf16" => (Scalar::Bf16, Some(16)),
            "f32" => (Scalar::F32, Some(32)),
            _ => {
                self.refuse(
                    path.key("type"),
                    format!("`{name}` is not a type"),
                    "write u, i, f16, bf16, f32, pad, or the parts of a small float",
                );
                return None;
            }
        };
        if let Some(width) = width.filter(|&width| width != bits) {
            let message = format!("{name} has {width} bits, but the planes hold {bits}");
            self.refuse(
                path.key("type"),
                message,
                format!("let the planes add up to {width} bits"),
            );
            return None;
        }
        Some(scalar)
    }

    /// A float given by its parts.
    fn small_float(&mut self, text: &FloatText, bits: u32, path: Path) -> Option<Scalar> {
        let FloatText { exponent, mantissa, bias, signed, pad, special, values } = text;
        let special = match special.as_deref() {
            None | Some("none") => Special::None,
            Some("ieee") => Special::Ieee,
            Some("nan") => Special::Nan,
            Some(other) => {
                let message = format!("`{other}` is no kind of special codes");
                let help =
                    "write none, ieee (infinity and NaN at the largest exponent) or nan (all ones)";
                self.refuse(path.key("special"), message, help);
                return None;
            }
        };
        let width = exponent.saturating_add(*mantissa).saturating_add((*signed).into());
        let width = width.saturating_add(*pad);
        let wrong = match *exponent {
            _ if width != bits => Some(format!("the parts have {width} bits, the planes {bits}")),
            _ if width > 8 => Some(format!("a float of {width} bits")),
            0 => Some("an exponent of no bits".to_owned()),
            _ => None,
        };
        if let Some(message) = wrong {
            self.refuse(
                path,
                message,
                "exponent, mantissa, sign and pad fill the planes, 8 bits at most",
            );
            return None;
        }
        let finite = |value: &f64| (*value as f32).is_finite();
        if let Some((code, _)) =
            values.iter().find(|(code, value)| *code >> bits > 0 || !finite(value))
        {
            let message = format!("code {code} is none of {bits} bits, or its value is no f32");
            self.refuse(path.key("values"), message, "write {code: number}");
            return None;
        }
        let values = values.iter().map(|(&code, &value)| (code, value as f32)).collect();
        let (exponent, mantissa, bias) = (*exponent, *mantissa, *bias);
        let (signed, pad) = (*signed, *pad);
        if bias.unsigned_abs() > 1 << 10 {
            self.refuse(path.key("bias"), format!("a bias of {bias}"), "f32 has a bias of 127");
            return None;
        }
        let float = SmallFloat { exponent, mantissa, bias, signed, pad, special, values };
        let inexact = (0..1 << bits).find(|&code| {
            let value = float.value(code);
            !value.is_nan() && f64::from(value as f32) != value
        });
        if let Some(code) = inexact {
            let message =
                format!("code {code} means {:e}, which f32 cannot hold", float.value(code));
            self.refuse(path, message, "check the bias");
            return None;
        }
        Some(Scalar::Small(float))
    }
}
