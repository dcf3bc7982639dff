//! Files: where the repository is, descriptors in, results out.

use crate::draft::Draft;
use crate::failure::{Failure, Outcome};
use quantloom_codegen::artifact::Param;
use quantloom_codegen::{Compiled, Error, Params, choices, compile_with, text};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

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
