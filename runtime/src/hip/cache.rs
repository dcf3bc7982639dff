//! Compiled code on disk, so that the next process need not compile it. Nothing here fails: what
//! cannot be read is compiled again, and what cannot be written is compiled again next time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The variable that names the folder, or says `off`.
const VARIABLE: &str = "QUANTLOOM_CACHE";

/// How every entry begins; another version of what follows would begin otherwise.
const MAGIC: &[u8; 16] = b"quantloom code 1";

/// A folder of compiled code, or none.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The folder of `QUANTLOOM_CACHE`, else `quantloom` in the user's own folder for caches; none
    /// where the variable says `off` or is empty, or where the user has no such folder.
    pub fn of_environment() -> Cache {
        let folder = match std::env::var_os(VARIABLE) {
            Some(chosen) if chosen.is_empty() || chosen == "off" => None,
            Some(chosen) => Some(PathBuf::from(chosen)),
            None => of_user().map(|folder| folder.join("quantloom")),
        };
        Cache { folder }
    }

    /// The code with this key, where it is here and whole.
    pub fn read(&self, key: &str) -> Option<Vec<u8>> {
        let entry = fs::read(self.path(key)?).ok()?;
        let (head, rest) = entry.split_at_checked(MAGIC.len() + 24)?;
        let (magic, numbers) = head.split_at(MAGIC.len());
        let mut numbers = numbers.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let (keys, codes, hash) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let (own, code) = rest.split_at_checked(usize::try_from(keys).ok()?)?;
        let whole = magic == MAGIC && own == key.as_bytes() && code.len() as u64 == codes;
        (whole && fnv(code) == hash).then(|| code.to_vec())
    }

    /// Keeps the code with this key. Other processes see all of it or nothing.
    pub fn write(&self, key: &str, code: &[u8]) {
        let Some(path) = self.path(key) else { return };
        let written = path.parent().map(|folder| written(folder, &path, key, code));
        // Without it the next process takes longer, which is all.
        drop(written);
    }

    /// The whole key stands in the entry, so that two keys of one hash are not confused.
    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{:016x}.code", fnv(key.as_bytes()))))
    }
}

fn written(folder: &Path, path: &Path, key: &str, code: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(MAGIC)?;
    for number in [key.len() as u64, code.len() as u64, fnv(code)] {
        file.write_all(&number.to_le_bytes())?;
    }
    file.write_all(key.as_bytes())?;
    file.write_all(code)?;
    file.persist(path)?;
    Ok(())
}

/// Where the system has users keep what may be deleted.
fn of_user() -> Option<PathBuf> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    let folder = |variable| folder(variable).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return folder("LOCALAPPDATA");
    }
    folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))
}

/// The hash FNV-1a of 64 bits: the same in every process and release.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(folder: &Path) -> Cache {
        Cache { folder: Some(folder.to_owned()) }
    }

    /// The one entry of a folder.
    fn entry(folder: &Path) -> PathBuf {
        let mut entries: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the authors' own test vectors.
        assert_eq!(fnv(b""), 0xcbf29ce484222325);
        assert_eq!(fnv(b"a"), 0xaf63dc4c8601ec8c);
        assert_eq!(fnv(b"foobar"), 0x85944171f73967e8);
    }

    #[test]
    fn code_comes_back_under_its_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("made/when/needed");
        assert_eq!(cache(&inside).read("key"), None);
        cache(&inside).write("key", b"code");
        assert_eq!(cache(&inside).read("key").as_deref(), Some(&b"code"[..]));
        assert_eq!(cache(&inside).read("kex"), None);
        cache(&inside).write("key", b"newer");
        assert_eq!(cache(&inside).read("key").as_deref(), Some(&b"newer"[..]));
        entry(&inside);
    }

    #[test]
    fn a_damaged_entry_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        cache.write("key", &[7; 100]);
        let path = entry(folder.path());
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(cache.read("key"), None, "{length} bytes of {}", whole.len());
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(cache.read("key"), None, "byte {at}");
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        assert_eq!(cache.read("key"), None, "a byte too many");
        fs::write(&path, &whole).unwrap();
        assert_eq!(cache.read("key").as_deref(), Some(&[7; 100][..]));
    }

    #[test]
    fn an_entry_of_another_key_with_its_hash_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        cache.write("one", b"code");
        fs::rename(entry(folder.path()), cache.path("two").unwrap()).unwrap();
        assert_eq!(cache.read("two"), None);
    }

    #[test]
    fn what_cannot_be_written_is_let_be() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "in the way").unwrap();
        for cache in [cache(&file), Cache { folder: None }] {
            cache.write("key", b"code");
            assert_eq!(cache.read("key"), None);
        }
        assert_eq!(fs::read(&file).unwrap(), b"in the way");
    }
}
