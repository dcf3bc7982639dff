//! `gen`: descriptors in, the generated tree out. One function plans what the tree must hold; the
//! plan is either carried out or only compared.

use crate::draft::{self, Draft};
use crate::failure::{Failure, Outcome};
use crate::files::{self, cannot, shown};
use crate::print;
use crate::whole;
use quantloom_codegen::Compiled;
use quantloom_codegen::artifact::Kernel;
use quantloom_codegen::{Descriptor, Problem, Problems};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Compile every descriptor and write kernels and catalogue
///
/// Compiles all descriptors of a folder, validates the kernels, and writes the pieces that they are joined of
/// and a catalogue of all. Nothing is written while any descriptor is wrong. Generated files whose format
/// is gone are removed.
///
/// Examples:
///   cargo xtask gen            after every change of a descriptor or of the compiler
///   cargo xtask gen --check    in CI: is the tree up to date?
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Write nothing; fail where the tree is out of date
    #[arg(long)]
    check: bool,
    /// Folder of descriptors [default: formats/ of the repository]
    #[arg(long, value_name = "DIR")]
    formats: Option<PathBuf>,
    /// Folder for the generated files [default: formats/generated/ of the repository]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write instead the whole text of every kernel to this folder, and kernels.json with their facts
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "out"])]
    whole: Option<PathBuf>,
}

impl Args {
    /// What `gen --check` is called with.
    pub fn check() -> Args {
        Args { check: true, formats: None, out: None, whole: None }
    }

    /// The command that brings the tree up to date.
    fn command(&self) -> String {
        let option = |name: &str, path: &Option<PathBuf>| match path {
            Some(path) => format!(" --{name} {}", path.display()),
            None => String::new(),
        };
        format!("cargo xtask gen{}{}", option("formats", &self.formats), option("out", &self.out))
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let started = Instant::now();
    let formats = args.formats.clone().unwrap_or_else(|| files::root().join("formats"));
    let out = args.out.clone().unwrap_or_else(|| files::root().join("formats/generated"));
    let compiled = compile_all(&formats)?;
    // They are the runtime's, and formats of others use those.
    let quantizers = match args.formats {
        None => quantloom_codegen::quantizers()?,
        Some(_) => Vec::new(),
    };
    if let Some(folder) = &args.whole {
        return whole::write(&compiled, &quantizers, folder);
    }
    let tree = tree(&compiled, &quantizers, &formats, &out)?;
    let _claim = if args.check { None } else { claim(&out)? };
    let changes = changes(&out, &tree)?;
    if !args.check {
        apply(&out, &tree, &changes)?;
    }
    for change in &changes {
        let verb = if args.check { change.kind.wanted() } else { change.kind.done() };
        print::out(format!("{verb} {}\n", shown(&out.join(&change.path))))?;
    }
    print::out(format!(
        "{}, {}, {}; {}\n",
        print::count(compiled.len(), "format"),
        print::count(tree.len(), "file"),
        match (changes.len(), args.check) {
            (0, _) => "up to date".to_owned(),
            (changed, true) => format!("{changed} out of date"),
            (changed, false) => format!("{changed} changed"),
        },
        print::duration(started.elapsed())
    ))?;
    match changes.is_empty() || !args.check {
        true => Ok(()),
        false => Err(Failure::Differs(format!(
            "{} is out of date; run `{}`",
            shown(&out),
            args.command()
        ))),
    }
}

/// Every descriptor of a folder, compiled, by name. All problems of all of them at once.
pub fn compile_all(folder: &Path) -> Outcome<Vec<Compiled>> {
    let paths = files::descriptors(folder)?;
    if paths.is_empty() {
        return Err(Failure::input(format!("{} holds no descriptor (*.yaml)", shown(folder))));
    }
    let results = in_parallel(&paths, |path| files::compile_all(path));
    let mut failures = Vec::new();
    let mut compiled: Vec<(&PathBuf, Compiled)> = Vec::new();
    for (path, result) in paths.iter().zip(results) {
        match result {
            Ok(all) => compiled.extend(all.into_iter().map(|one| (path, one))),
            Err(failure) => failures.push(failure),
        }
    }
    failures.extend(conflicts(&compiled).into_iter().map(Failure::Descriptor));
    if !failures.is_empty() {
        let wrong = print::count(failures.len(), "descriptor");
        failures.push(Failure::Input(format!("nothing was written because of {wrong}")));
        return Err(Failure::All(failures));
    }
    Ok(compiled.into_iter().map(|(_, compiled)| compiled).collect())
}

/// Calls `work` for every item, on all cores; results in order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?)))
        {
            done.push((index, work(item)));
        }
        done
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut results = worker();
        for worker in workers {
            match worker.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_by_key(|&(index, _)| index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What is wrong between descriptors, and between them and their files' names.
fn conflicts(compiled: &[(&PathBuf, Compiled)]) -> Vec<Problems> {
    let mut found = Vec::new();
    let mut names = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for (path, Compiled { artifact, .. }) in compiled {
        let name = &*artifact.name;
        let family = &*artifact.family;
        let mut problems = Vec::new();
        let mut refuse = |key: &str, message: String, help: String| {
            problems.push(Problem::new(quantloom_codegen::Path::of(key), message, help));
        };
        if path.file_name().is_none_or(|file| file != format!("{family}.yaml").as_str()) {
            let message = format!("the format is called `{family}`, its file is not");
            refuse("format", message, format!("rename the file to {family}.yaml, or the format"));
        }
        if let Some(other) = names.insert(name, *path) {
            let message = format!("{} also describes `{name}`", shown(other));
            refuse("format", message, "give one of them another name".into());
        }
        if let Some(number) = artifact.gguf
            && let Some(other) = numbers.insert(number, *path)
        {
            let message = format!("{} also has number {number}", shown(other));
            refuse("gguf", message, "a tensor type has one format: remove or correct one".into());
        }
        if !problems.is_empty() {
            found.push(Descriptor::locate(&artifact.descriptor, &shown(path), problems));
        }
    }
    found
}

/// Everything that the generated folder must hold: a text per file, by its path.
type Tree = BTreeMap<PathBuf, String>;

fn tree(compiled: &[Compiled], quantizers: &[Kernel], formats: &Path, out: &Path) -> Outcome<Tree> {
    let formats = from_to(out, formats)?;
    let tree = quantloom_codegen::emit::tree(compiled, quantizers, &formats)?;
    Ok(tree.into_iter().map(|(path, text)| (path.into(), text)).collect())
}

/// How two paths get from one folder to another, with `/` between steps.
fn from_to(from: &Path, to: &Path) -> Outcome<String> {
    let from = resolved(from).map_err(|error| cannot("find", from, error))?;
    let to = resolved(to).map_err(|error| cannot("find", to, error))?;
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| "..".to_owned());
    let down = to.components().skip(common).map(|step| step.as_os_str().to_string_lossy().into());
    Ok(up.chain(down).collect::<Vec<String>>().join("/"))
}

/// The absolute path without links, of a folder that need not exist yet.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let exists = |path: &&Path| path.exists();
    let Some(existing) = path.ancestors().find(exists) else { return Ok(path) };
    let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
    Ok(existing.canonicalize()?.join(rest))
}

/// A file that is not as it must be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    New,
    Changed,
    Gone,
}

impl Kind {
    fn done(self) -> &'static str {
        match self {
            Kind::New => "added  ",
            Kind::Changed => "changed",
            Kind::Gone => "removed",
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Kind::New => "missing ",
            Kind::Changed => "outdated",
            Kind::Gone => "obsolete",
        }
    }
}

/// What stands in the first line of every generated file; others are never removed.
const MARK: &str = "Generated by `cargo xtask gen`";

/// Compares the folder with what it must hold.
fn changes(out: &Path, tree: &Tree) -> Outcome<Vec<Change>> {
    let mut changes = Vec::new();
    for (path, text) in tree {
        let kind = match fs::read(out.join(path)) {
            Ok(found) if found == text.as_bytes() => continue,
            Ok(_) => Kind::Changed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kind::New,
            Err(error) => return Err(cannot("read", &out.join(path), error)),
        };
        changes.push(Change { path: path.clone(), kind });
    }
    for folder in FOLDERS {
        let Ok(entries) = fs::read_dir(out.join(folder)) else { continue };
        for entry in entries.flatten() {
            let path = Path::new(folder).join(entry.file_name());
            let generated = || {
                let text = fs::read(entry.path()).unwrap_or_default();
                let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
                String::from_utf8_lossy(line).contains(MARK)
            };
            if !tree.contains_key(&path) && entry.path().is_file() && generated() {
                changes.push(Change { path, kind: Kind::Gone });
            }
        }
    }
    changes.sort();
    Ok(changes)
}

/// Folders of the tree beside its own.
const FOLDERS: [&str; 7] =
    ["wgsl", "wgsl/decoders", "wgsl/kernels", "hip", "hip/decoders", "hip/kernels", "rust"];

/// Claims the folder for this process, and removes what an interrupted one left there.
fn claim(out: &Path) -> Outcome<Option<fs::File>> {
    fs::create_dir_all(out).map_err(|error| cannot("create", out, error))?;
    // Not every system opens or locks folders; whoever cannot is at work alone.
    let lock = fs::File::open(out).ok();
    if let Some(Err(fs::TryLockError::WouldBlock)) = lock.as_ref().map(fs::File::try_lock) {
        return Err(Failure::input(format!(
            "another `gen` writes to {} now; wait until it is done",
            shown(out)
        )));
    }
    draft::remove_drafts(out)?;
    FOLDERS.iter().try_for_each(|folder| draft::remove_drafts(&out.join(folder)))?;
    Ok(lock)
}

/// Carries the changes out: all texts are on the disk before the first takes its place, and nothing
/// is removed before the last has.
fn apply(out: &Path, tree: &Tree, changes: &[Change]) -> Outcome {
    let mut drafts = Vec::new();
    for change in changes {
        let path = out.join(&change.path);
        if let Some(text) = tree.get(&change.path) {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| cannot("create", folder, error))?;
            }
            let mut draft = Draft::new(&path)?;
            draft.write(text.as_bytes())?;
            drafts.push(draft);
        }
    }
    for draft in drafts {
        draft.finish()?;
    }
    for change in changes.iter().filter(|change| change.kind == Kind::Gone) {
        let path = out.join(&change.path);
        fs::remove_file(&path).map_err(|error| cannot("remove", &path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
