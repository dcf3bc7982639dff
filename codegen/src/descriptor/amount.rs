//! Numbers that may be written with parameters: `4`, `b`, `4 * b`.

use crate::artifact::Param;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// A number or a product, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// A number.
    Number(i64),
    /// A word, or numbers and words with `*` between them.
    Text(String),
}

/// The values of a descriptor's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(pub Vec<Param>);

/// A product, its parameters replaced: a number, times a name that is no parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The number.
    pub number: i64,
    /// The name.
    pub name: Option<String>,
}

impl Amount {
    /// What it is, with these parameters.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn product(&self, params: &Params) -> Result<Product, String> {
        match self {
            Amount::Number(number) => Ok(Product { number: *number, name: None }),
            Amount::Text(text) => params.product(text),
        }
    }
}

impl Params {
    /// The number that `text` is: digits, a parameter, or a product of these.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn number(&self, text: &str) -> Result<i64, String> {
        let known = || match self.0.as_slice() {
            [] => "is not a whole number".to_owned(),
            params => {
                let names: Vec<&str> = params.iter().map(|param| &*param.name).collect();
                format!("is neither a whole number nor a parameter ({})", names.join(", "))
            }
        };
        match self.product(text)? {
            Product { number, name: None } => Ok(number),
            Product { name: Some(name), .. } => Err(format!("`{name}` {}", known())),
        }
    }

    fn product(&self, text: &str) -> Result<Product, String> {
        let mut product = Product { number: 1, name: None };
        for factor in text.split('*').map(str::trim) {
            let param = self.0.iter().find(|param| param.name == factor);
            let number = match (param, factor.parse::<i64>()) {
                (Some(param), _) => i64::from(param.value),
                (None, Ok(number)) => number,
                (None, Err(_)) if product.name.is_none() && is_word(factor) => {
                    product.name = Some(factor.to_owned());
                    continue;
                }
                (None, Err(_)) => return Err(format!("`{text}` is not a whole number")),
            };
            product.number = product
                .number
                .checked_mul(number)
                .ok_or_else(|| format!("`{text}` is too large a number"))?;
        }
        Ok(product)
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Number(number) => write!(f, "{number}"),
            Amount::Text(text) => f.write_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
        Ok(Amount::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
        Ok(Amount::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
        Ok(Amount::Text(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_numbers_and_parameters() {
        let params = Params(vec![Param { name: "b".into(), value: 3 }]);
        assert_eq!(params.number("12"), Ok(12));
        assert_eq!(params.number("-4 * b"), Ok(-12));
        let product = Amount::Text("256*g*b".into()).product(&params);
        assert_eq!(product, Ok(Product { number: 768, name: Some("g".into()) }));
        for text in ["", "b b", "g", "4 *", "9223372036854775807 * 2", "g * h", "1.5"] {
            assert!(params.number(text).is_err(), "{text}");
        }
    }
}
