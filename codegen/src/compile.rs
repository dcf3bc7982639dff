//! The whole road, a line a stage.

use crate::artifact::{Artifact, Kernel};
use crate::descriptor::{Descriptor, Params};
use crate::emit::{self, Schedules};
use crate::format::{Facts, Format};
use crate::ir::{Decoder, Verified, VerifyError};
use crate::lower;
use crate::problem::Problems;

/// Compiles a descriptor without parameters. `file` is only named in errors.
pub fn compile(descriptor: &str, file: &str) -> Result<Compiled, Error> {
    compile_with(descriptor, file, &Params::default())
}

/// Compiles a descriptor for one choice of its parameters. `file` is only named in errors.
pub fn compile_with(descriptor: &str, file: &str, params: &Params) -> Result<Compiled, Error> {
    compile_scheduled(descriptor, file, params, &Schedules::default())
}

/// Compiles a descriptor with kernels of other schedules than the compiler's own.
pub fn compile_scheduled(
    descriptor: &str,
    file: &str,
    params: &Params,
    schedules: &Schedules,
) -> Result<Compiled, Error> {
    let format = Format::parse_with(descriptor, file, params)?;
    let facts = format.facts();
    let decoder = lower::weights(&format, emit::STRIP_BYTES)?;
    let coded = lower::coded(&format, emit::STRIP_BYTES).transpose()?;
    let emit::Kernels { all: kernels, missing } = emit::kernels(&format, &decoder, schedules)?;
    #[cfg(feature = "validate")]
    crate::validate::kernels(&kernels)?;
    let artifact = Artifact {
        name: format.name.clone().into(),
        family: format.family.clone().into(),
        params: format.params.clone().into(),
        title: format.title.clone().into(),
        gguf: format.gguf,
        weights: format.weights,
        streams: format.streams.iter().map(|stream| stream.artifact()).collect(),
        indices: format.indices().into(),
        sizes: format.sizes.clone().into(),
        tables: lower::tables::buffer(&format).into(),
        kernels: kernels.into(),
        cpu: None,
        descriptor: descriptor.to_string().into(),
    };
    Ok(Compiled { format, facts, decoder, coded, artifact, missing })
}

/// The kernels that round activations to [`Activations::Int8`](crate::artifact::Activations::Int8), one
/// for each backend; they serve all formats.
pub fn quantizers() -> Result<Vec<Kernel>, Error> {
    let kernels = emit::quantizers()?;
    #[cfg(feature = "validate")]
    crate::validate::kernels(&kernels)?;
    Ok(kernels)
}

/// [`compile`] for a file's bytes: refuses what is not UTF-8.
pub fn compile_bytes(descriptor: &[u8], file: &str) -> Result<Compiled, Error> {
    compile(text(descriptor, file)?, file)
}

/// Compiles a descriptor for every choice of its parameters.
pub fn compile_all(descriptor: &str, file: &str) -> Result<Vec<Compiled>, Error> {
    let choices = choices(descriptor, file)?;
    choices.iter().map(|params| compile_with(descriptor, file, params)).collect()
}

/// Every choice of a descriptor's parameters; a single empty one where it has none.
pub fn choices(descriptor: &str, file: &str) -> Result<Vec<Params>, Problems> {
    let parsed = Descriptor::parse(descriptor, file)?;
    parsed.choices().map_err(|list| Descriptor::locate(descriptor, file, list))
}

/// A file's bytes as text: refuses what is not UTF-8.
pub fn text<'a>(descriptor: &'a [u8], file: &str) -> Result<&'a str, Problems> {
    std::str::from_utf8(descriptor)
        .map_err(|error| Problems::not_utf8(file, descriptor, error.valid_up_to()))
}

/// Every stage of a compiled descriptor.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The validated format.
    pub format: Format,
    /// What is derived from it.
    pub facts: Facts,
    /// The program that hands out weights.
    pub decoder: Verified<Decoder>,
    /// The programs of the affine form, where there is one with bytes for codes.
    pub coded: Option<lower::Coded>,
    /// Facts and kernels; no CPU functions, which only a compiled program can have.
    pub artifact: Artifact,
    /// Kernels that it has not, as they would need more than every device grants.
    pub missing: Vec<emit::Missing>,
}

/// Why a descriptor did not compile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptor is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// Numbers of a schedule that kernels cannot have.
    #[error("schedule of {kind} kernels with {activations} activations: {problem}")]
    Schedule {
        /// The kind of kernel.
        kind: &'static str,
        /// How they read activations.
        activations: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The lowering made a program that its verifier refuses: a defect of Quantloom.
    #[error("{0}; this is a defect of Quantloom, not of the descriptor")]
    Lowering(#[from] VerifyError),
    /// A template did not render: a defect of Quantloom.
    #[error("a template did not render: {0}; this is a defect of Quantloom, not of the descriptor")]
    Template(#[from] tera::Error),
    /// Two pieces of kernels have one name: a defect of Quantloom.
    #[error(
        "`{file}` would have two sections `{name}`; this is a defect of Quantloom, not of the descriptor"
    )]
    Piece {
        /// The file that both would stand in.
        file: String,
        /// The name.
        name: String,
    },
    /// naga refuses a kernel: a defect of Quantloom.
    #[cfg(feature = "validate")]
    #[error("{0}; this is a defect of Quantloom, not of the descriptor")]
    Kernel(#[from] crate::validate::KernelError),
}
