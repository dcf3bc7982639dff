//! A YAML mapping that keeps its order and refuses a key that stands twice.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::{fmt, marker::PhantomData, slice};

/// Entries in the order they are written.
#[derive(Clone, Debug)]
pub struct Ordered<T>(Vec<(String, T)>);

impl<T> Ordered<T> {
    /// Key and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.into_iter()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<'a, T> IntoIterator for &'a Ordered<T> {
    type Item = (&'a str, &'a T);
    type IntoIter = std::iter::Map<slice::Iter<'a, (String, T)>, fn(&'a (String, T)) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

/// More would take noticeable time to compare, and no format has as many.
const MAX_ENTRIES: usize = 1000;

/// What is wrong with too many keys.
pub(super) const TOO_MANY: &str = "a mapping of more than 1000 keys";

/// What is wrong with a key that stands twice.
pub(super) fn twice(key: &str) -> String {
    format!("the key `{key}` stands twice")
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
        let mut entries: Vec<(String, T)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.iter().any(|(other, _)| *other == key) {
                return Err(A::Error::custom(twice(&key)));
            }
            if entries.len() == MAX_ENTRIES {
                return Err(A::Error::custom(TOO_MANY));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Ordered(entries))
    }
}
