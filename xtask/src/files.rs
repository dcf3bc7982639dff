//! Files: where the repository is, descriptors in, results out without ever leaving half a file.

use crate::failure::{Failure, Outcome};
use quantloom_codegen::artifact::Param;
use quantloom_codegen::{Compiled, Error, Params, choices, compile_with, text};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::NamedTempFile;

/// The repository that these commands were built from.
pub fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.filter(|path| path.join("../formats").is_dir());
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// Where cargo builds these commands, two folders above them.
pub fn builds() -> PathBuf {
    let exe = std::env::current_exe().ok();
    let builds = exe.as_deref().and_then(|exe| exe.ancestors().nth(2)).map(Path::to_path_buf);
    builds.unwrap_or_else(|| root().join("target"))
}

/// The cargo that started these commands.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Vulkan drivers look for a Wayland display there, and complain where they are not told.
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command
}

/// A path as a user would type it here.
pub fn shown(path: &Path) -> String {
    let relative = |base: PathBuf| path.strip_prefix(base).ok().map(Path::to_path_buf);
    let short = std::env::current_dir().ok().and_then(relative).or_else(|| relative(root()));
    let short = short.filter(|path| !path.as_os_str().is_empty());
    short.unwrap_or_else(|| path.to_path_buf()).display().to_string()
}

/// A failure about a file.
pub fn cannot(verb: &str, path: &Path, error: io::Error) -> Failure {
    Failure::input(format!("cannot {verb} {}: {error}", shown(path)))
}

/// A format by its name in `formats/`, or by the path of its descriptor with a choice of parameters.
pub fn format(format: &str, params: &[Param]) -> Outcome<Compiled> {
    let (path, chosen) = match is_path(format) {
        true => (format.into(), Params(params.to_vec())),
        false => named(format, params)?,
    };
    let text = read(&path)?;
    let all = choices(&text, &shown(&path)).map_err(Error::from)?;
    if let ([_, _, ..], []) = (all.as_slice(), chosen.0.as_slice()) {
        let names = all.iter().map(|choice| {
            let params = choice.0.iter().map(|param| format!("{}={}", param.name, param.value));
            params.collect::<Vec<_>>().join(" --param ")
        });
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(Failure::input(format!(
            "{} stands for {} formats; choose one with --param, of {names}",
            shown(&path),
            all.len()
        )));
    }
    Ok(compile_with(&text, &shown(&path), &chosen)?)
}

/// The descriptor in `formats/` that describes a format, and the parameters that its name chooses.
fn named(format: &str, params: &[Param]) -> Outcome<(PathBuf, Params)> {
    let folder = root().join("formats");
    let path = folder.join(format!("{format}.yaml"));
    if path.is_file() {
        return Ok((path, Params(params.to_vec())));
    }
    let mut known = Vec::new();
    for path in descriptors(&folder)? {
        let Some(family) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        known.push(family.to_owned());
        if format.starts_with(family)
            && let Ok(all) = choices(&read(&path)?, &shown(&path))
        {
            let name = |choice: &Params| {
                let suffix = choice.0.iter().map(|param| format!("_{}{}", param.name, param.value));
                family.to_owned() + &suffix.collect::<String>()
            };
            if let Some(choice) = all.into_iter().find(|choice| name(choice) == format) {
                return Ok((path, choice));
            }
        }
    }
    Err(Failure::input(format!(
        "no format is named `{format}`; known are {}; a descriptor of your own is given by its path, \
         as in ./{format}.yaml",
        known.join(", ")
    )))
}

/// Whether an argument means a descriptor's path rather than a format's name.
pub fn is_path(format: &str) -> bool {
    format.contains(['/', std::path::MAIN_SEPARATOR])
        || [".yaml", ".yml"].iter().any(|ending| format.ends_with(ending))
}

/// The descriptors in a folder, sorted by name.
pub fn descriptors(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, error))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|error| cannot("read", folder, error))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"));
    paths.sort();
    Ok(paths)
}

/// Reads and compiles a descriptor, for every choice of its parameters.
pub fn compile_all(path: &Path) -> Outcome<Vec<Compiled>> {
    Ok(quantloom_codegen::compile_all(&read(path)?, &shown(path))?)
}

fn read(path: &Path) -> Outcome<String> {
    let bytes = fs::read(path).map_err(|error| cannot("read", path, error))?;
    Ok(text(&bytes, &shown(path)).map(str::to_owned).map_err(Error::from)?)
}

/// `name=number`, as an option of a command.
pub fn param(text: &str) -> Result<Param, String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=NUMBER")?;
    let value = value.parse().map_err(|_| format!("`{value}` is not a whole number"))?;
    Ok(Param { name: name.to_owned().into(), value })
}

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

/// Writes a file at once, and the folders that it needs.
pub fn write(path: &Path, bytes: &[u8]) -> Outcome {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| cannot("create", folder, error))?;
    }
    let mut draft = Draft::new(path)?;
    draft.write(bytes)?;
    draft.finish()
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
        write(&path("a"), b"new").unwrap();
        assert_eq!(fs::read_to_string(path("treasure")).unwrap(), "mine");
        fs::write(path("plain"), "").unwrap();
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode();
        assert_eq!(mode("a"), mode("plain"));
        // A link that is the target itself stays one, and what it points to is replaced.
        symlink(path("a"), path("link")).unwrap();
        write(&path("link"), b"newer").unwrap();
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "newer");
    }

    #[test]
    fn a_single_choice_of_parameters_needs_no_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.yaml");
        let text = |values: &str| {
            format!(
                "format: one\ntitle: t\nparams: {{b: {values}, c: [8]}}\nweights: 8\nblock: {{d: f16, q: \"u8[b]\"}}\n\
                 fields: {{n: {{from: q, bits: b, k: \"c:b\"}}}}\nvalue: d * n\n"
            )
        };
        let name = |params: &[Param]| {
            format(&path.display().to_string(), params).map(|one| one.artifact.name.to_string())
        };
        let b = Param { name: "b".into(), value: 4 };
        fs::write(&path, text("[4]")).unwrap();
        assert_eq!(name(&[]).unwrap(), "one_b4_c8");
        assert_eq!(name(std::slice::from_ref(&b)).unwrap(), "one_b4_c8");
        let c = Param { name: "c".into(), value: 8 };
        assert_eq!(name(&[c, b.clone()]).unwrap(), "one_b4_c8", "in the descriptor's order");
        fs::write(&path, text("[2, 4]")).unwrap();
        assert!(name(&[]).unwrap_err().text(false).unwrap().contains("stands for 2 formats"));
        assert_eq!(name(&[b]).unwrap(), "one_b4_c8", "only what there is to choose is asked for");
    }

    #[test]
    fn names_and_paths_are_told_apart() {
        assert!(!is_path("toy"));
        assert!(is_path("toy.yaml"));
        assert!(is_path("./toy"));
        assert!(format("no_such_format", &[]).is_err());
        assert!(root().join("formats").is_dir());
    }
}
