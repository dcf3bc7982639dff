//! GGUF files, whole and damaged.

use quantloom::gguf::{Array, Value};
use quantloom::{Error, Format, Gguf};

use crate::toy;

/// Writes little-endian GGUF.
#[derive(Clone)]
struct File {
    version: u32,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    tensors: Vec<Entry>,
    alignment: usize,
    data: Vec<u8>,
}

#[derive(Clone)]
struct Entry {
    name: Vec<u8>,
    dims: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text].concat()
}

fn value(kind: u32, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), bytes].concat()
}

fn array(kind: u32, count: u64, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), &count.to_le_bytes()[..], bytes].concat()
}

impl File {
    /// Two tensors of known formats around one that nobody knows.
    fn sample() -> File {
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
        let entry = |name: &str, dims: &[u64], kind, offset| Entry {
            name: name.into(),
            dims: dims.to_vec(),
            kind,
            offset,
        };
        File {
            version: 3,
            entries: entries.map(|(key, value)| (key.into(), value)).into(),
            tensors: vec![
                entry("first", &[8, 3], 1000, 0),
                entry("strange", &[100], 77_777, 32),
                entry("last", &[4, 2, 3], 1000, 64),
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

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
        bytes.extend(&self.data);
        bytes
    }

    fn open(&self) -> quantloom::Result<Gguf> {
        open(self.bytes())
    }

    /// The message that this file is refused with.
    fn refusal(&self) -> String {
        self.open().expect_err("a damaged file").to_string()
    }
}

fn open(bytes: Vec<u8>) -> quantloom::Result<Gguf> {
    Gguf::from_bytes_with(bytes, &[Format::from(toy::blocked())])
}

#[test]
fn reads_every_value_with_its_type() {
    for version in [2, 3] {
        let gguf = File { version, ..File::sample() }.open().unwrap();
        assert_eq!(gguf.version(), version);
        let wanted = [
            ("u8", Value::U8(200)),
            ("i8", Value::I8(-56)),
            ("u16", Value::U16(500)),
            ("i16", Value::I16(-500)),
            ("u32", Value::U32(70000)),
            ("i32", Value::I32(-70000)),
            ("f32", Value::F32(1.5)),
            ("bool", Value::Bool(true)),
            ("string", Value::String("grün".into())),
            ("bytes", Value::Bytes(vec![0xff, 0x41])),
            ("u64", Value::U64(u64::MAX)),
            ("i64", Value::I64(i64::MIN)),
            ("f64", Value::F64(2.5)),
            ("strings", Value::Array(Array::String(vec!["a".into(), "bc".into()]))),
            ("nested", Value::Array(Array::Array(vec![Array::U32(vec![7]), Array::U32(vec![])]))),
            ("flags", Value::Array(Array::Bool(vec![true, false, true]))),
        ];
        assert!(gguf.metadata().eq(wanted.iter().map(|(key, value)| (*key, value))));
        assert_eq!(gguf.get("i16").unwrap().as_i64(), Some(-500));
        assert_eq!(gguf.get("i16").unwrap().as_u64(), None);
        assert_eq!(gguf.get("nothing"), None);
    }
}

#[test]
fn hands_out_tensors_and_lists_unknown_ones() {
    let gguf = File::sample().open().unwrap();
    let first = gguf.tensor("first").unwrap();
    assert_eq!((first.n(), first.k()), (3, 8));
    assert_eq!(*first.streams()[0], (0..12).collect::<Vec<u8>>());
    let last = gguf.tensor("last").unwrap();
    assert_eq!((last.n(), last.k(), last.dims()), (6, 4, &[4, 2, 3][..]));
    assert_eq!(*last.streams()[0], (64..76).collect::<Vec<u8>>());

    let unknown: Vec<_> = gguf.tensors().iter().filter(|info| info.format.is_none()).collect();
    assert_eq!((unknown.len(), unknown[0].type_number), (1, 77_777));
    let error = gguf.tensor("strange").unwrap_err();
    assert!(matches!(error, Error::UnknownType { number: 77_777, .. }), "{error}");
    assert!(error.to_string().contains("tensor `strange` has type number 77777"), "{error}");

    let error = gguf.tensor("firs").unwrap_err().to_string();
    assert!(error.contains("no tensor named `firs`; is `first` meant?"), "{error}");
}

#[test]
fn a_format_may_be_given_for_an_unknown_type() {
    let mut file = File::sample();
    file.tensors[1].dims = vec![8, 4];
    let tensor = file.open().unwrap().tensor_as("strange", toy::blocked()).unwrap();
    assert_eq!(*tensor.streams()[0], (32..48).collect::<Vec<u8>>());
    file.tensors[1].dims = vec![8, 400];
    let error = file.open().unwrap().tensor_as("strange", toy::blocked()).unwrap_err().to_string();
    assert!(error.contains("stream `blocks` has 32 bytes"), "{error}");
}

#[test]
fn follows_the_alignment_key() {
    let mut file = File::sample();
    file.entries.push(("general.alignment".into(), value(4, &64u32.to_le_bytes())));
    file.alignment = 64;
    file.tensors.remove(1);
    let last = file.open().unwrap().tensor("last").unwrap();
    assert_eq!(*last.streams()[0], (64..76).collect::<Vec<u8>>());
    file.tensors[1].offset = 32;
    assert!(file.refusal().contains("multiples of the file's alignment, 64"));
    for wrong in [value(4, &[0; 4]), value(4, &24u32.to_le_bytes()), value(8, &string(b"32"))] {
        file.entries.last_mut().unwrap().1 = wrong;
        assert!(file.refusal().contains("key `general.alignment`"));
    }
}

#[test]
fn refuses_a_file_cut_anywhere() {
    let file = File::sample();
    let bytes = file.bytes();
    for length in 0..bytes.len() {
        let error = open(bytes[..length].to_vec()).expect_err("a file cut off").to_string();
        assert!(error.starts_with("GGUF in memory: "), "{error}");
    }
    open(bytes).unwrap();
}

#[test]
fn survives_every_changed_byte() {
    let bytes = File::sample().bytes();
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff, 0x20] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let Ok(gguf) = open(bytes) else { continue };
            for info in gguf.tensors() {
                let _ = gguf.tensor(&info.name);
                let _ = gguf.tensor_as(&info.name, toy::blocked());
            }
        }
    }
}

#[test]
fn survives_huge_numbers_at_every_place() {
    let bytes = File::sample().bytes();
    for at in 0..bytes.len() - 8 {
        for huge in [u64::MAX, u64::MAX / 2, 1 << 62, 1 << 40, 1 << 32, u64::from(u32::MAX)] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&huge.to_le_bytes());
            let Ok(gguf) = open(bytes) else { continue };
            for info in gguf.tensors() {
                let _ = gguf.tensor(&info.name);
            }
        }
    }
}

#[test]
fn says_what_a_foreign_file_is() {
    let refusal = |bytes: &[u8]| open(bytes.to_vec()).unwrap_err().to_string();
    assert!(refusal(b"").contains("byte 0: the file ends after 0 bytes; the magic number needs 4"));
    assert!(refusal(b"PK\x03\x04....").contains("begins with \"PK\\x03\\x04\""));
    let version = |version| File { version, ..File::sample() }.refusal();
    assert!(version(1).contains("byte 4: version 1"));
    assert!(version(4).contains("version 4; versions 2 and 3 are supported"));
    assert!(version(3u32.swap_bytes()).contains("big-endian"));
}

#[test]
fn says_what_is_wrong_with_a_tensor() {
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut file = File::sample();
        change(&mut file.tensors[2]);
        file.refusal()
    };
    for (message, wanted) in [
        (with(&|tensor| tensor.dims = vec![6, 2]), "a row must be a multiple of 4"),
        (with(&|tensor| tensor.dims = vec![4, 2, 3, 1, 1]), "5 dimensions; 1 to 4 are allowed"),
        (with(&|tensor| tensor.dims = vec![]), "0 dimensions; 1 to 4 are allowed"),
        (with(&|tensor| tensor.dims = vec![4, 0]), "a dimension is 0"),
        (with(&|tensor| tensor.dims = vec![1 << 62, 1 << 62]), "more bytes than can be counted"),
        (with(&|tensor| tensor.offset = 65), "multiples of the file's alignment, 32"),
        (with(&|tensor| tensor.offset = 96), "it is cut off or the offset is wrong"),
        (with(&|tensor| tensor.offset = u64::MAX - 31), "it is cut off or the offset is wrong"),
        (with(&|tensor| tensor.offset = 0), "data must not overlap"),
        (with(&|tensor| tensor.offset = 32), "data must not overlap"),
        (with(&|tensor| tensor.dims = vec![8, 4]), "the file has 76 bytes of data"),
    ] {
        assert!(message.contains("tensor `") && message.contains(wanted), "{message}");
    }
    let twice = with(&|tensor| tensor.name = "first".into());
    assert!(twice.contains("tensor `first`: occurs twice"), "{twice}");
    let encoding = with(&|tensor| tensor.name = vec![b'a', 0xc3]);
    assert!(encoding.contains("\"a\\xc3\" is not UTF-8 from its byte 1 on"), "{encoding}");
    let mut file = File::sample();
    file.tensors[0].dims = vec![8, 10];
    assert!(file.refusal().contains("data ends at offset 40, behind 32"));
}

#[test]
fn says_what_is_wrong_with_metadata() {
    let with = |key: &[u8], value: Vec<u8>| {
        let mut file = File::sample();
        file.entries.push((key.to_vec(), value));
        file.refusal()
    };
    assert!(with(b"u8", value(0, &[1])).contains("metadata key `u8` occurs twice"));
    assert!(with(&[0xff], value(0, &[1])).contains("is not UTF-8"));
    assert!(with(b"k", value(13, &[1])).contains("key `k` has type 13; types are 0 to 12"));
    assert!(with(b"k", value(7, &[2])).contains("boolean of value 2; it must be 0 or 1"));
    let long = value(9, &array(4, u64::MAX, &[]));
    assert!(with(b"k", long).contains(&format!("{} array elements are declared", u64::MAX)));
    let deep = (0..20).fold(array(4, 0, &[]), |inner, _| array(9, 1, &inner));
    assert!(with(b"k", value(9, &deep)).contains("nests arrays more than 8 deep"));
}

#[test]
fn a_missing_file_is_named() {
    let error = Gguf::open("/no/such/file.gguf").unwrap_err().to_string();
    assert!(error.contains("cannot read `/no/such/file.gguf`"), "{error}");
}

#[test]
fn opens_files() {
    let path = std::env::temp_dir().join(format!("quantloom-{}.gguf", std::process::id()));
    std::fs::write(&path, File::sample().bytes()).unwrap();
    let gguf = Gguf::open_with(&path, &[Format::from(toy::blocked())]).unwrap();
    let tensor = gguf.tensor("first").unwrap();
    drop(gguf);
    assert_eq!(*tensor.streams()[0], (0..12).collect::<Vec<u8>>());
    std::fs::write(&path, []).unwrap();
    let empty = Gguf::open(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(empty.contains("the file ends after 0 bytes"), "{empty}");
}
