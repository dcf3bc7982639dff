//! GGUF files, whole and damaged.

mod file;
mod odd;
mod places;
mod split;

use quantloom::Error;
use quantloom::gguf::{Array, Value};

use self::file::{Entry, File, array, open, string, value};
use crate::toy;

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
            ("string", Value::String("grün")),
            ("bytes", Value::Bytes(&[0xff, 0x41])),
            ("u64", Value::U64(u64::MAX)),
            ("i64", Value::I64(i64::MIN)),
            ("f64", Value::F64(2.5)),
        ];
        assert!(gguf.metadata().take(wanted.len()).eq(wanted));
        assert_eq!(gguf.metadata().count(), wanted.len() + 3);
        assert_eq!(gguf.value("i16").unwrap().as_i64(), Some(-500));
        assert_eq!(gguf.value("i16").unwrap().as_u64(), None);
        assert_eq!(gguf.value("nothing"), None);
        let flags = [true, false, true].map(Value::Bool);
        assert!(gguf.get::<Array>("flags").unwrap().iter().eq(flags));
        let nested = gguf.get::<Array>("nested").unwrap();
        assert_eq!((nested.len(), nested.element_type()), (2, "array"));
        let inner = nested.iter().map(|inner| inner.as_array().unwrap());
        let inner: Vec<Vec<Value>> = inner.map(|inner| inner.iter().collect()).collect();
        assert_eq!(inner, [vec![Value::U32(7)], vec![]]);
    }
}

#[test]
fn hands_out_metadata_as_the_type_asked_for() {
    let gguf = File::sample().open().unwrap();
    assert_eq!(gguf.get::<u32>("u16").unwrap(), 500);
    assert_eq!(gguf.get::<usize>("u32").unwrap(), 70000);
    assert_eq!(gguf.get::<i64>("i8").unwrap(), -56);
    assert_eq!(gguf.get::<f64>("f32").unwrap(), 1.5);
    assert!(gguf.get::<bool>("bool").unwrap());
    assert_eq!(gguf.get::<&str>("string").unwrap(), "grün");
    assert_eq!(gguf.get::<Vec<&str>>("strings").unwrap(), ["a", "bc"]);
    assert_eq!(gguf.get::<Vec<Vec<u8>>>("nested").unwrap(), [vec![7], vec![]]);

    let error = |error: quantloom::Result<u32>| error.unwrap_err().to_string();
    let negative = error(gguf.get("i16"));
    assert!(negative.contains("key `i16`: is I16(-500); a u32 is asked for"), "{negative}");
    let large = error(gguf.get("u64"));
    assert!(large.contains("is U64(18446744073709551615); a u32 is asked for"), "{large}");
    let array = error(gguf.get("strings"));
    assert!(array.contains("is Array([string; 2]); a u32 is asked for"), "{array}");
    let absent = gguf.get::<u32>("Strings").unwrap_err();
    assert!(matches!(absent, Error::NoKey { .. }), "{absent}");
    assert!(absent.to_string().contains("no metadata key `Strings`; is `strings` meant?"));
    let elements = gguf.get::<Vec<u8>>("strings").unwrap_err().to_string();
    assert!(elements.contains("an array, each element a u8 is asked for"), "{elements}");
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
    assert!(
        error.contains("[8, 400] weights of format `blocked` are 1600 bytes; 32 are"),
        "{error}"
    );
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
    assert!(file.refused("last").contains("multiples of the file's alignment, 64"));
    for wrong in [value(4, &[0; 4]), value(4, &24u32.to_le_bytes()), value(8, &string(b"32"))] {
        file.entries.last_mut().unwrap().1 = wrong;
        assert!(file.refusal().contains("key `general.alignment`"));
    }
}

#[test]
fn refuses_a_file_cut_anywhere() {
    let bytes = File::sample().bytes();
    // The last tensor has 12 bytes; where only they are cut, only it is refused.
    for length in 0..=bytes.len() - 12 {
        let error = open(bytes[..length].to_vec()).expect_err("a file cut off").to_string();
        assert!(error.starts_with("GGUF in memory: "), "{error}");
    }
    for length in bytes.len() - 11..bytes.len() {
        let gguf = open(bytes[..length].to_vec()).unwrap();
        gguf.tensor("first").unwrap();
        let error = gguf.tensor("last").unwrap_err().to_string();
        assert!(error.contains("tensor `last`") && error.contains("cut off"), "{error}");
    }
    open(bytes).unwrap().tensor("last").unwrap();
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
                let _ = gguf.bytes(&info.name).unwrap();
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
                let _ = gguf.tensor_as(&info.name, toy::blocked());
                let _ = gguf.bytes(&info.name).unwrap();
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
fn says_what_is_wrong_with_the_directory() {
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut file = File::sample();
        change(&mut file.tensors[2]);
        file.refusal()
    };
    let twice = with(&|tensor| tensor.name = "first".into());
    assert!(twice.contains("tensor `first`: occurs twice"), "{twice}");
    let encoding = with(&|tensor| tensor.name = vec![b'a', 0xc3]);
    assert!(encoding.contains("\"a\\xc3\" is not UTF-8 from its byte 1 on"), "{encoding}");
    for offset in [96, u64::MAX - 31] {
        let beyond = with(&|tensor| tensor.offset = offset);
        assert!(beyond.contains("tensor `last`: its data begins at offset"), "{beyond}");
        assert!(beyond.contains("it is cut off or the offset is wrong"), "{beyond}");
    }
    let many = with(&|tensor| tensor.dims = vec![1; 2000]);
    assert!(many.contains("2000 dimensions; more than 1024 are taken as damage"), "{many}");
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
