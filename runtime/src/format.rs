//! Formats: handles to what the compiler made of a descriptor.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::artifact::{Artifact, Grid};
use crate::{Error, Result};

/// A format's facts, CPU decoder and kernels; cheap to clone. Reads like an [`Artifact`].
#[derive(Clone)]
pub struct Format(Source);

#[derive(Clone)]
enum Source {
    BuiltIn(&'static Artifact),
    Owned(Arc<Artifact>),
}

/// Every format that is built in, sorted by name.
pub fn formats() -> &'static [Artifact] {
    crate::manifest::FORMATS
}

impl Format {
    /// The built-in format of this name.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], which lists the names there are.
    pub fn named(name: &str) -> Result<Format> {
        let found = formats().iter().find(|artifact| artifact.name == name);
        found.map(Format::from).ok_or_else(|| Error::UnknownFormat {
            name: name.to_owned(),
            known: list(formats().iter().map(|artifact| artifact.name.to_string())),
        })
    }

    /// A format of your own, from the text of its descriptor. It runs on the reference engine and on
    /// GPUs; a decoder for the CPU is made by `quantloom-macros`, when a program is built.
    ///
    /// `file` is only named in errors.
    ///
    /// # Errors
    /// [`Error::Compile`], which lists everything that is wrong with the descriptor.
    #[cfg(feature = "compile")]
    pub fn compile(descriptor: &str, file: &str) -> Result<Format> {
        let compiled = quantloom_codegen::compile(descriptor, file);
        compiled
            .map(|compiled| compiled.artifact.into())
            .map_err(|error| Error::Compile(error.into()))
    }

    /// The built-in format with this type number in GGUF files.
    pub fn of_gguf_type(number: u32) -> Option<Format> {
        formats().iter().find(|artifact| artifact.gguf == Some(number)).map(Format::from)
    }

    /// Refuses facts that no compiler makes but a hand could, so that nobody divides by zero.
    pub(crate) fn check(&self) -> Result<()> {
        let error = |problem: &str| {
            Err(Error::Format { format: self.name.to_string(), problem: problem.to_owned() })
        };
        if self.weights == 0 {
            return error("a block of 0 weights; it needs at least 1");
        }
        if self.streams.is_empty() {
            return error("no stream of bytes; it needs at least 1");
        }
        if self.streams.iter().any(|stream| stream.bytes == 0) {
            return error("a stream with 0 bytes per block; each needs at least 1");
        }
        if let Some(kernel) = self.kernels.iter().find(|kernel| is_empty(kernel.grid)) {
            let name = &kernel.name;
            return error(&format!("kernel `{name}` has a grid with a 0; each needs at least 1"));
        }
        Ok(())
    }
}

fn is_empty(grid: Grid) -> bool {
    match grid {
        Grid::Strips { weights, strips, per_workgroup } => {
            weights == 0 || strips == 0 || per_workgroup == 0
        }
        Grid::Rows { per_workgroup } => per_workgroup == 0,
        Grid::Tiles { n, m } => n == 0 || m == 0,
    }
}

/// `a, b, c`, or `none` for an empty list.
pub(crate) fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Deref for Format {
    type Target = Artifact;

    fn deref(&self) -> &Artifact {
        match &self.0 {
            Source::BuiltIn(artifact) => artifact,
            Source::Owned(artifact) => artifact,
        }
    }
}

impl From<&'static Artifact> for Format {
    fn from(artifact: &'static Artifact) -> Format {
        Format(Source::BuiltIn(artifact))
    }
}

impl From<Artifact> for Format {
    fn from(artifact: Artifact) -> Format {
        Format(Source::Owned(Arc::new(artifact)))
    }
}

impl From<&Format> for Format {
    fn from(format: &Format) -> Format {
        format.clone()
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Format({})", self.name)
    }
}
