//! Formats: handles to what the compiler made of a descriptor.

mod check;
#[cfg(feature = "compile")]
mod compile;
mod proof;
mod sizes;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::artifact::{Artifact, Kernel};
use crate::{Error, Result};

/// A format's facts, CPU decoder and kernels, and the sizes that its tensors are stored with; cheap to
/// clone. Reads like an [`Artifact`].
///
/// A format is [proven](Format::is_proven) where the compiler made it and nobody could change it. Safe code
/// changes copies alone, and puts no function in place of the compiler's:
///
/// ```compile_fail,E0451
/// use quantloom::artifact::{Cpu, DecodeFn, Versions};
///
/// unsafe fn own(_: &[&[u8]], _: &[u32; 4], _: usize, _: &mut [f32]) {}
/// let cpu = Cpu { decode: Versions::only(own as DecodeFn), coded: None };
/// ```
///
/// ```compile_fail,E0616
/// let format = quantloom::formats()[0].clone();
/// let mut cpu = format.cpu.unwrap();
/// cpu.decode.portable = cpu.decode.avx512.unwrap();
/// ```
#[derive(Clone)]
pub struct Format {
    source: Source,
    /// Weights, for each of the artifact's sizes.
    sizes: [u32; 2],
    /// Whether texts and facts are as Quantloom's compiler made them; see [`Format::trusted`].
    proven: bool,
}

#[derive(Clone)]
enum Source {
    BuiltIn(&'static Artifact),
    Owned(Arc<Artifact>),
}

/// Every format that is built in, sorted by name.
pub fn formats() -> &'static [Artifact] {
    quantloom_formats::FORMATS
}

/// The kernels that make [`Activations::Int8`](crate::artifact::Activations::Int8) of f32 activations
/// `[m, k]`, one for each backend; they serve all formats.
pub fn quantizers() -> &'static [Kernel] {
    quantloom_formats::QUANTIZERS
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

    /// The built-in format with this type number in GGUF files.
    pub fn of_gguf_type(number: u32) -> Option<Format> {
        formats().iter().find(|artifact| artifact.gguf == Some(number)).map(Format::from)
    }

    fn artifact(&self) -> &Artifact {
        match &self.source {
            Source::BuiltIn(artifact) => artifact,
            Source::Owned(artifact) => artifact,
        }
    }

    fn new(source: Source) -> Format {
        let mut format = Format { source, sizes: [0; 2], proven: false };
        let defaults = format.artifact().sizes.iter().map(|size| size.default);
        let defaults: Vec<u32> = defaults.collect();
        for (size, default) in format.sizes.iter_mut().zip(defaults) {
            *size = default;
        }
        format
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
        self.artifact()
    }
}

impl From<Artifact> for Format {
    fn from(artifact: Artifact) -> Format {
        Format::new(Source::Owned(Arc::new(artifact)))
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
