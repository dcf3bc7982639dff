//! What pages show: texts, ready to be put into templates.

use super::highlight::{Language, Token, tokens};
use crate::explain::{drawing, facts};
use crate::failure::{Failure, Outcome};
use crate::print;
use quantloom_codegen::artifact::{Backend, Kernel};
use quantloom_codegen::{Compiled, emit};
use serde::Serialize;

/// The index, and what pages know of each other.
#[derive(Serialize)]
pub struct Site {
    formats: Vec<Row>,
}

/// A format in the index.
#[derive(Serialize)]
struct Row {
    name: String,
    title: String,
    bits: String,
    bytes: u32,
    alignment: u32,
    class: String,
    /// Weights that share scale and offset, and where that sorts.
    group: String,
    group_key: u32,
    /// Kernels by backend, such as `WGSL 4`.
    kernels: String,
    /// How many they are.
    count: usize,
}

impl Site {
    pub fn new(compiled: &[Compiled]) -> Site {
        Site { formats: compiled.iter().map(row).collect() }
    }

    /// The name before and after this one.
    fn neighbours(&self, name: &str) -> [Option<&str>; 2] {
        let at = self.formats.iter().position(|row| row.name == name);
        let name = |at: Option<usize>| Some(&*self.formats.get(at?)?.name);
        [name(at.and_then(|at| at.checked_sub(1))), name(at.map(|at| at + 1))]
    }
}

/// Backends, in the order of pages.
const BACKENDS: [(Backend, &str, Language); 2] =
    [(Backend::Wgsl, "WGSL", Language::Wgsl), (Backend::Hip, "HIP", Language::Hip)];

fn kernels(compiled: &Compiled, backend: Backend) -> impl Iterator<Item = &Kernel> {
    compiled.artifact.kernels.iter().filter(move |kernel| kernel.backend == backend)
}

fn row(compiled: &Compiled) -> Row {
    let Compiled { format, facts, artifact, .. } = compiled;
    let (group, group_key) = match (&facts.affine, facts.run) {
        (None, _) => ("none".to_owned(), 0),
        (Some(_), 0) => ("row".to_owned(), u32::MAX),
        (Some(_), run) => (run.to_string(), run),
    };
    let count = |(backend, name, _)| format!("{name} {}", kernels(compiled, backend).count());
    Row {
        name: format.name.clone(),
        title: format.title.clone(),
        bits: print::decimal(facts.bits_per_weight),
        bytes: facts.block_bytes,
        alignment: facts.alignment,
        class: facts.class.to_string(),
        group,
        group_key,
        kernels: BACKENDS.map(count).join(", "),
        count: artifact.kernels.len(),
    }
}

/// The page of a format.
#[derive(Serialize)]
pub struct Page<'a> {
    name: &'a str,
    title: &'a str,
    previous: Option<&'a str>,
    next: Option<&'a str>,
    svg: String,
    formula: String,
    facts: Vec<(String, String)>,
    descriptor: Vec<Token>,
    cpu: Vec<Token>,
    backends: Vec<Texts<'a>>,
}

/// The kernels of a backend.
#[derive(Serialize)]
struct Texts<'a> {
    name: &'static str,
    id: &'static str,
    kernels: Vec<Text<'a>>,
}

/// A kernel.
#[derive(Serialize)]
struct Text<'a> {
    name: &'a str,
    workgroup: [u32; 3],
    bindings: Vec<&'a str>,
    lines: usize,
    tokens: Vec<Token>,
}

impl<'a> Page<'a> {
    pub fn new(site: &'a Site, compiled: &'a Compiled) -> Outcome<Page<'a>> {
        let format = &compiled.format;
        let [previous, next] = site.neighbours(&format.name);
        let cpu = emit::cpu::text_of_format(format).map_err(Failure::input)?;
        Ok(Page {
            name: &format.name,
            title: &format.title,
            previous,
            next,
            svg: drawing::draw(format)?,
            formula: facts::value(format),
            facts: named(facts::lines(compiled)),
            descriptor: tokens(Language::Yaml, &compiled.artifact.descriptor),
            cpu: tokens(Language::Rust, &cpu),
            backends: BACKENDS
                .map(|(backend, name, language)| Texts {
                    name,
                    id: backend.word(),
                    kernels: kernels(compiled, backend).map(|k| text(k, language)).collect(),
                })
                .into(),
        })
    }
}

/// Facts under names that need no indent: `affine form: scale`.
fn named(facts: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    let mut whole = "";
    let mut named = Vec::new();
    for (name, fact) in facts {
        match name.strip_prefix("  ") {
            Some(part) => named.push((format!("{whole}: {part}"), fact)),
            None => {
                whole = name;
                named.push((name.to_owned(), fact));
            }
        }
    }
    named
}

fn text(kernel: &Kernel, language: Language) -> Text<'_> {
    Text {
        name: &kernel.name,
        workgroup: kernel.workgroup,
        bindings: kernel.bindings.iter().map(|binding| &*binding.name).collect(),
        lines: kernel.source().lines().count(),
        tokens: tokens(language, &kernel.source()),
    }
}
