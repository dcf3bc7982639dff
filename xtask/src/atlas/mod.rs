//! `atlas`: all formats as a static site. One function plans the files, another writes them.

mod highlight;
mod pages;

use crate::failure::Outcome;
use crate::{files, generate, print, templates};
use pages::{Page, Site};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Write a static site about all formats
///
/// A table of the formats, and for each a page with a picture of its block, the formula, the derived
/// facts, the descriptor, and the generated Rust, WGSL and HIP. The pages need neither a server nor a
/// network. Pages of formats that are gone are removed.
///
/// Example:
///   cargo xtask atlas && xdg-open target/atlas/index.html
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder of descriptors [default: formats/ of the repository]
    #[arg(long, value_name = "DIR")]
    formats: Option<PathBuf>,
    /// Folder for the site [default: target/atlas of the repository]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let started = Instant::now();
    let formats = args.formats.clone().unwrap_or_else(|| files::root().join("formats"));
    let out = args.out.clone().unwrap_or_else(|| files::root().join("target/atlas"));
    let site = site(&formats)?;
    write(&site, &out)?;
    print::out(format!(
        "{}: {}; {}\n",
        files::shown(&out.join(INDEX)),
        print::count(site.len(), "file"),
        print::duration(started.elapsed())
    ))
}

/// A text per file, by its path in the site.
type Files = BTreeMap<PathBuf, String>;

/// The page that lists the others, and the folder these are in: no name of a format can meet it.
const INDEX: &str = "index.html";
const FOLDER: &str = "formats";

/// Everything that the site of a folder of descriptors consists of.
pub fn site(formats: &Path) -> Outcome<Files> {
    let compiled = generate::compile_all(formats)?;
    let site = Site::new(&compiled);
    let pages = generate::in_parallel(&compiled, |compiled| {
        templates::render("format.html", &Page::new(&site, compiled)?)
    });
    let mut files = Files::new();
    for (compiled, page) in compiled.iter().zip(pages) {
        files.insert(Path::new(FOLDER).join(format!("{}.html", compiled.format.name)), page?);
    }
    files.insert(INDEX.into(), templates::render("index.html", &site)?);
    files.insert("style.css".into(), include_str!("../../templates/atlas/style.css").into());
    Ok(files)
}

/// Writes the site.
pub fn write(site: &Files, out: &Path) -> Outcome {
    for (path, text) in site {
        files::write(&out.join(path), text.as_bytes())?;
    }
    remove_others(site, out)
}

/// What the head of every page says; other files are never removed.
const MARK: &str = "<meta name=\"generator\" content=\"cargo xtask atlas\">";

/// Removes pages of formats that are gone.
fn remove_others(site: &Files, out: &Path) -> Outcome {
    let folder = out.join(FOLDER);
    let entries = std::fs::read_dir(&folder);
    let entries = entries.map_err(|error| files::cannot("read", &folder, error))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let known = site.contains_key(&Path::new(FOLDER).join(entry.file_name()));
        let page = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains(MARK));
        if !known && path.is_file() && page() {
            std::fs::remove_file(&path).map_err(|error| files::cannot("remove", &path, error))?;
        }
    }
    Ok(())
}

/// Builds the site for a test of another crate.
///
/// # Errors
/// What went wrong, as the command would say it.
pub fn build(formats: &Path, out: &Path) -> Result<(), String> {
    let built = site(formats).and_then(|site| write(&site, out));
    built.map_err(|failure| failure.text(false).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const TOY: &str = "format: toy\ntitle: 2 < 3 & more\nweights: 32\nblock: {d: f16, q: \"u8[32]\"}\nvalue: q * d\n";

    #[test]
    fn writes_pages_and_removes_those_of_formats_that_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let formats = folder.path().join("in");
        let out = folder.path().join("out");
        fs::create_dir_all(&formats).unwrap();
        fs::write(formats.join("toy.yaml"), TOY).unwrap();
        fs::write(formats.join("index.yaml"), TOY.replace("toy", "index")).unwrap();
        build(&formats, &out).unwrap();
        let page = fs::read_to_string(out.join("formats/index.html")).unwrap();
        assert!(page.contains(MARK) && page.contains("2 &lt; 3 &amp; more"), "{page}");
        assert!(page.contains("href=\"toy.html\""), "{page}");
        assert!(page.contains("index_matvec_f32"), "{page}");
        let index = fs::read_to_string(out.join(INDEX)).unwrap();
        assert!(index.contains("href=\"formats/index.html\""), "{index}");

        fs::write(out.join("formats/mine.html"), "by hand").unwrap();
        fs::remove_file(formats.join("index.yaml")).unwrap();
        build(&formats, &out).unwrap();
        assert!(!out.join("formats/index.html").exists());
        assert!(out.join("formats/mine.html").exists());
    }

    #[test]
    fn is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("toy.yaml"), TOY).unwrap();
        assert_eq!(site(folder.path()).unwrap(), site(folder.path()).unwrap());
    }
}
