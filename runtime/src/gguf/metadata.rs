//! Metadata: where each key's value lies in the header.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::Cursor;
use super::value::{self, Value};
use crate::Result;

/// The entries of a header, in its order.
#[derive(Debug)]
pub(super) struct Metadata {
    entries: Vec<Entry>,
    keys: HashMap<Arc<str>, usize>,
}

#[derive(Debug)]
struct Entry {
    key: Arc<str>,
    kind: u32,
    /// Where the value lies in the header.
    range: Range<usize>,
}

impl Metadata {
    /// Reads the count of entries and goes through them once.
    pub(super) fn read(cursor: &mut Cursor) -> Result<Metadata> {
        let count = cursor.u64("the number of metadata entries")?;
        // A key's length, a type and a byte.
        let count = cursor.fits(count, 13, "metadata entries")?;
        let (mut entries, mut keys) = (Vec::new(), HashMap::new());
        for index in 0..count {
            let at = cursor.position();
            let key: Arc<str> = cursor.name("a metadata key")?.into();
            if keys.insert(key.clone(), index).is_some() {
                return Err(cursor.error_at(
                    at,
                    format!("metadata key `{key}` occurs twice; keys must be unique"),
                ));
            }
            let kind = cursor.u32("a metadata type")?;
            let start = cursor.position();
            value::value(cursor, kind, &key, 0)?;
            entries.push(Entry { key, kind, range: start..cursor.position() });
        }
        Ok(Metadata { entries, keys })
    }

    /// The value of a key.
    pub(super) fn get<'a>(&self, header: &'a [u8], key: &str) -> Option<Value<'a>> {
        self.entries.get(*self.keys.get(key)?)?.value(header)
    }

    /// All keys and values.
    pub(super) fn iter<'a>(
        &'a self,
        header: &'a [u8],
    ) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.entries.iter().filter_map(|entry| Some((&*entry.key, entry.value(header)?)))
    }

    /// The keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.key)
    }
}

impl Entry {
    fn value<'a>(&self, header: &'a [u8]) -> Option<Value<'a>> {
        let bytes = header.get(self.range.clone())?;
        // It was gone through when the header was read.
        value::value(&mut Cursor::new(bytes, bytes.len(), ""), self.kind, &self.key, 0).ok()
    }
}
