//! A format's name stands in formats/, in test data and in generated text, and nowhere else.

use crate::subject::{repository, subjects};
use crate::{Failed, test};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};

/// Where no format may be named.
const SOURCES: [&str; 11] = [
    "codegen/src",
    "codegen/templates",
    "macros/src",
    "runtime/src",
    "runtime/tests",
    "tests/browser",
    "tests/src",
    "tests/tests",
    "xtask/bench/src",
    "xtask/src",
    "xtask/templates",
];

pub fn trials() -> Vec<Trial> {
    vec![test("names/no_format_in_the_sources", no_format_in_the_sources)]
}

fn no_format_in_the_sources() -> Result<(), Failed> {
    // The types of plain floats are called as their formats are.
    let types = ["f16", "bf16", "f32"];
    let names = subjects().iter().map(|subject| subject.name.as_str());
    let names: Vec<&str> = names.filter(|name| !types.contains(name)).collect();
    let mut found = Vec::new();
    let mut files = 0;
    for folder in SOURCES {
        for path in files_in(&repository(folder))? {
            let text = std::fs::read_to_string(&path)?;
            files += 1;
            // Comments may give an example, as commands do in their help.
            let comment = |line: &str| line.trim_start().starts_with("//");
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !comment(line)) {
                for name in names.iter().filter(|name| words(line).any(|word| is_in(name, &word))) {
                    found.push(format!("{}:{}: {name}", path.display(), number + 1));
                }
            }
        }
    }
    match found.as_slice() {
        _ if files < 50 => Err(format!("only {files} files were searched").into()),
        [] => Ok(()),
        found => Err(format!(
            "formats are named in\n{}\n(a new format needs a name that is no word there)",
            found.join("\n")
        )
        .into()),
    }
}

/// Runs of letters, digits and underscores, in lower case.
fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase)
}

/// A name inside a longer one counts too: kernels and modules are named after formats.
fn is_in(name: &str, word: &str) -> bool {
    format!("_{word}_").contains(&format!("_{name}_"))
}

fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let source = ["rs", "tera", "h", "js", "css"]
            .iter()
            .any(|e| path.extension().is_some_and(|f| f == *e));
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else if source {
            files.push(path);
        }
    }
    Ok(files)
}
