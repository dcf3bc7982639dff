//! Files in the making: results take their place whole or not at all.

use crate::failure::Outcome;
use crate::files::cannot;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file in the making, beside the one it will replace. Unless it is finished it leaves no trace.
pub struct Draft {
    target: PathBuf,
    file: Target,
}

enum Target {
    Draft(BufWriter<NamedTempFile>),
    /// No plain file (a pipe, a device), which is written directly.
    Itself(BufWriter<File>),
}

/// Where the names of drafts end; they begin with a dot and the target's name.
const DRAFT: &str = ".draft";

impl Draft {
    /// Begins a file. Nobody can know its name beforehand, and it is made anew: what lies there already,
    /// links too, is never written to.
    pub fn new(path: &Path) -> Outcome<Draft> {
        let create = || -> io::Result<Draft> {
            // What a link points to is replaced, not the link.
            let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            match fs::metadata(&target) {
                Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
                Ok(found) if !found.is_file() => {
                    let file = OpenOptions::new().write(true).open(&target)?;
                    return Ok(Draft { target, file: Target::Itself(BufWriter::new(file)) });
                }
                _ => {}
            }
            let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
            let prefix = format!(".{}.", name.to_string_lossy());
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).suffix(DRAFT);
            // As files are made here, not for the user alone.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
            let file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
            Ok(Draft { target, file: Target::Draft(BufWriter::new(file)) })
        };
        create().map_err(|error| cannot("write", path, error))
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Outcome {
        let written = match &mut self.file {
            Target::Draft(file) => file.write_all(bytes),
            Target::Itself(file) => file.write_all(bytes),
        };
        written.map_err(|error| cannot("write", &self.target, error))
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Outcome {
        let Draft { target, file } = self;
        let finished = match file {
            Target::Itself(mut file) => file.flush(),
            Target::Draft(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error);
                file.and_then(|file| Ok(file.persist(&target).map(drop)?))
            }
        };
        finished.map_err(|error| cannot("write", &target, error))
    }
}

/// Removes drafts that an interrupted command left in a folder. Nobody else may be at work there.
pub fn remove_drafts(folder: &Path) -> Outcome {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        if plain && name.starts_with('.') && name.ends_with(DRAFT) {
            fs::remove_file(entry.path())
                .map_err(|error| cannot("remove", &entry.path(), error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_replaces_its_target_only_when_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let mut draft = Draft::new(&path).unwrap();
        draft.write(b"new").unwrap();
        drop(draft);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let mut draft = Draft::new(&path).unwrap();
        draft.write(b"new").unwrap();
        draft.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Draft::new(folder.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_draft_follows_no_link_and_is_readable_as_other_files_are() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // What somebody puts where the draft of a process used to lie.
        fs::write(path("treasure"), "mine").unwrap();
        symlink(path("treasure"), path(&format!(".a.{}.draft", std::process::id()))).unwrap();
        crate::files::write(&path("a"), b"new").unwrap();
        assert_eq!(fs::read_to_string(path("treasure")).unwrap(), "mine");
        fs::write(path("plain"), "").unwrap();
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode();
        assert_eq!(mode("a"), mode("plain"));
        // A link that is the target itself stays one, and what it points to is replaced.
        symlink(path("a"), path("link")).unwrap();
        crate::files::write(&path("link"), b"newer").unwrap();
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "newer");
    }
}
