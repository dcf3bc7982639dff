//! `new`: a descriptor to start from, and a script that writes its golden vectors.

use crate::draft::Draft;
use crate::failure::{Failure, Outcome};
use crate::files::{self, cannot, shown};
use crate::print;
use quantloom_codegen::{Error, Path as Place, compile};
use std::fs;
use std::path::{Path, PathBuf};

/// Start a format: write a descriptor with comments, and a script for its golden vectors
///
/// Both work as they are: a block of 4-bit codes and a scale. Change the descriptor into your format,
/// and the script's decoder into a call of the code that your format comes from.
///
/// Examples:
///   cargo xtask new my_format
///   cargo xtask new my_format --weights 256 --bits 6
///   cargo xtask new my_format --out ../my_crate/formats     for a crate of your own
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name: lower-case letters, digits and underscores
    name: String,
    /// Weights per block
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    weights: u32,
    /// Bits per code
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    bits: u32,
    /// Folder for both files [default: formats/ and tests/data/golden/ of the repository]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let plan = Plan::new(args)?;
    plan.write()?;
    print::out(plan.next_steps())
}

/// What will be written.
struct Plan {
    name: String,
    /// Whether the descriptor becomes one of the repository's formats.
    built_in: bool,
    /// Path and text of the descriptor.
    descriptor: (PathBuf, String),
    /// Path and text of the script.
    script: (PathBuf, String),
}

impl Plan {
    /// Checks everything, so that nothing is written where anything is wrong.
    fn new(args: &Args) -> Outcome<Plan> {
        let (formats, golden) = match &args.out {
            Some(folder) => (folder.clone(), folder.clone()),
            None => (files::root().join("formats"), files::root().join("tests/data/golden")),
        };
        let descriptor = formats.join(format!("{}.yaml", args.name));
        let script = golden.join(format!("{}.py", args.name));
        let bits = u64::from(args.weights) * u64::from(args.bits);
        if !bits.is_multiple_of(8) {
            return Err(Failure::input(format!(
                "{} codes of {} bits do not fill whole bytes; let --weights be a multiple of 8",
                args.weights, args.bits
            )));
        }
        let built_in = args.out.is_none();
        let explain =
            format!("cargo xtask explain {}", argument(&args.name, built_in, &descriptor));
        let bias = 1u32 << (args.bits - 1);
        let fill = |template: &str| {
            let numbers = [
                ("@weights@", args.weights.to_string()),
                ("@bits@", args.bits.to_string()),
                ("@bytes@", (bits / 8).to_string()),
                ("@bias@", bias.to_string()),
                ("@last@", (2 * bias - 1).to_string()),
                ("@lowest@", format!("-{bias}")),
                ("@highest@", (bias - 1).to_string()),
                ("@name@", args.name.clone()),
                ("@explain@", explain.clone()),
                ("@descriptor@", shown(&descriptor)),
                ("@script@", shown(&script)),
            ];
            let replace = |text: String, (from, to): &(&str, String)| text.replace(from, to);
            numbers.iter().fold(template.to_owned(), replace)
        };
        let text = fill(include_str!("descriptor.yaml"));
        check(&text, &shown(&descriptor))?;
        let taken = [descriptor.clone(), script.clone(), script.with_extension("safetensors")];
        if let Some(path) = taken.iter().find(|path| path.symlink_metadata().is_ok()) {
            return Err(Failure::input(format!(
                "{} is there already; choose another name, or remove it first",
                shown(path)
            )));
        }
        let script_text = fill(include_str!("golden.py"));
        Ok(Plan {
            name: args.name.clone(),
            built_in,
            descriptor: (descriptor, text),
            script: (script, script_text),
        })
    }

    fn write(&self) -> Outcome {
        let mut drafts = Vec::new();
        for (path, text) in [&self.descriptor, &self.script] {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| cannot("create", folder, error))?;
            }
            let mut draft = Draft::new(path)?;
            draft.write(text.as_bytes())?;
            drafts.push(draft);
        }
        drafts.into_iter().try_for_each(Draft::finish)
    }

    fn next_steps(&self) -> String {
        let (descriptor, script) = (shown(&self.descriptor.0), shown(&self.script.0));
        let argument = argument(&self.name, self.built_in, &self.descriptor.0);
        let mut steps = vec![
            (format!("edit {descriptor}"), "until it says how your format stores its weights"),
            (
                format!("cargo xtask explain {argument}"),
                "look at the block, and at what is made of it; mistakes are shown",
            ),
            (format!("edit {script}"), "let it call your reference decoder"),
            (format!("python3 {script}"), "write golden vectors"),
        ];
        if self.built_in {
            steps.push(("cargo xtask gen".into(), "write the kernels"));
            let test = format!("cargo test -p quantloom-tests -- decode/{}/", self.name);
            steps.push((test, "compare every engine with your vectors, bit by bit"));
        } else {
            let include = format!("quantloom::include_format!(\"{descriptor}\");");
            steps.push((include, "use it in a crate (the path is relative to its Cargo.toml)"));
        }
        let mut text =
            format!("wrote {descriptor}\nwrote {script}\n\nBoth work as they are. Next:\n");
        for (number, (step, why)) in steps.iter().enumerate() {
            text += &format!("  {}. {step}\n     {why}\n", number + 1);
        }
        text + "The language is explained in formats/README.md.\n"
    }
}

/// How a command is told the format.
fn argument(name: &str, built_in: bool, descriptor: &Path) -> String {
    if built_in { name.to_owned() } else { shown(descriptor) }
}

/// Compiles the descriptor before it is written.
fn check(text: &str, file: &str) -> Outcome {
    match compile(text, file) {
        Ok(_) => Ok(()),
        Err(Error::Problems(problems)) => {
            match problems.list.iter().find(|problem| problem.path == Place::of("format")) {
                Some(name) => Err(Failure::input(format!("{}: {}", name.message, name.help))),
                None => Err(Failure::Descriptor(problems)),
            }
        }
        Err(defect) => Err(defect.into()),
    }
}

#[cfg(test)]
mod tests;
