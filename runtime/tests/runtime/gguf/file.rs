//! Writes GGUF files, right and wrong ones.

use quantloom::{Format, Gguf};

use crate::toy;

/// Writes little-endian GGUF.
#[derive(Clone)]
pub struct File {
    pub version: u32,
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    pub tensors: Vec<Entry>,
    pub alignment: usize,
    pub data: Vec<u8>,
}

#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub dims: Vec<u64>,
    pub kind: u32,
    pub offset: u64,
}

pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

pub fn value(kind: u32, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), bytes].concat()
}

pub fn array(kind: u32, count: u64, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), &count.to_le_bytes()[..], bytes].concat()
}

impl Entry {
    pub fn new(name: &str, dims: &[u64], kind: u32, offset: u64) -> Entry {
        Entry { name: name.into(), dims: dims.to_vec(), kind, offset }
    }
}

impl File {
    /// A file of nothing but these tensors and their data.
    pub fn of(tensors: Vec<Entry>, data: Vec<u8>) -> File {
        File { version: 3, entries: Vec::new(), tensors, alignment: 32, data }
    }

    /// Two tensors of known formats around one that nobody knows.
    pub fn sample() -> File {
        let strings = [string(b"a"), string(b"bc")].concat();
        let inner = [array(4, 1, &7u32.to_le_bytes()), array(4, 0, &[])].concat();
        let entries = [
            ("u8", value(0, &[200])),
            ("i8", value(1, &[200])),
            ("u16", value(2, &500u16.to_le_bytes())),
            ("i16", value(3, &(-500i16).to_le_bytes())),
            ("u32", value(4, &70000u32.to_le_bytes())),
            ("i32", value(5, &(-70000i32).to_le_bytes())),
            ("f32", value(6, &1.5f32.to_le_bytes())),
            ("bool", value(7, &[1])),
            ("string", value(8, &string("grün".as_bytes()))),
            ("bytes", value(8, &string(&[0xff, 0x41]))),
            ("u64", value(10, &u64::MAX.to_le_bytes())),
            ("i64", value(11, &i64::MIN.to_le_bytes())),
            ("f64", value(12, &2.5f64.to_le_bytes())),
            ("strings", value(9, &array(8, 2, &strings))),
            ("nested", value(9, &array(9, 2, &inner))),
            ("flags", value(9, &array(7, 3, &[1, 0, 1]))),
        ];
        File {
            version: 3,
            entries: entries.map(|(key, value)| (key.into(), value)).into(),
            tensors: vec![
                Entry::new("first", &[8, 3], 1000, 0),
                Entry::new("strange", &[100], 77_777, 32),
                Entry::new("last", &[4, 2, 3], 1000, 64),
            ],
            alignment: 32,
            data: (0..76).collect(),
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            bytes.extend(string(key));
            bytes.extend(value);
        }
        for tensor in &self.tensors {
            bytes.extend(string(&tensor.name));
            bytes.extend((tensor.dims.len() as u32).to_le_bytes());
            bytes.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            bytes.extend(tensor.kind.to_le_bytes());
            bytes.extend(tensor.offset.to_le_bytes());
        }
        bytes
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
        bytes.extend(&self.data);
        bytes
    }

    pub fn open(&self) -> quantloom::Result<Gguf> {
        open(self.bytes())
    }

    /// The message that this file is refused with.
    pub fn refusal(&self) -> String {
        self.open().expect_err("a damaged file").to_string()
    }

    /// The message that a tensor of this file, which opens, is refused with.
    pub fn refused(&self, tensor: &str) -> String {
        let gguf = self.open().expect("a file with an odd tensor");
        gguf.tensor(tensor).expect_err("an odd tensor").to_string()
    }

    /// Says which part of a split model this is, as other programs do.
    pub fn part(mut self, number: u16, parts: u16, tensors: i32) -> File {
        for (key, value) in [
            ("split.no", value(2, &number.to_le_bytes())),
            ("split.count", value(2, &parts.to_le_bytes())),
            ("split.tensors.count", value(5, &tensors.to_le_bytes())),
        ] {
            self.entries.push((key.into(), value));
        }
        self
    }
}

pub fn open(bytes: Vec<u8>) -> quantloom::Result<Gguf> {
    Gguf::from_bytes_with(bytes, &[Format::from(toy::blocked())])
}
