//! The whole road, a line a stage.

use crate::artifact::{Artifact, Stream};
use crate::emit;
use crate::format::{Facts, Format};
use crate::ir::{Decoder, Verified, VerifyError};
use crate::lower;
use crate::problem::{Path, Problem, Problems};

/// Compiles a descriptor. `file` is only named in errors.
pub fn compile(descriptor: &str, file: &str) -> Result<Compiled, Error> {
    let format = Format::parse(descriptor, file)?;
    let facts = format.facts();
    let decoder = lower::weights(&format, emit::STRIP_BYTES)?;
    let codes = lower::codes(&format, emit::STRIP_BYTES).transpose()?;
    let kernels = emit::kernels(&format, &decoder)?;
    #[cfg(feature = "validate")]
    crate::validate::kernels(&kernels)?;
    let artifact = Artifact {
        name: format.name.clone().into(),
        title: format.title.clone().into(),
        gguf: format.gguf,
        weights: format.weights,
        streams: format
            .streams
            .iter()
            .map(|stream| Stream { name: stream.name.clone().into(), bytes: stream.bytes })
            .collect(),
        kernels: kernels.into(),
        decode: None,
        descriptor: descriptor.to_string().into(),
    };
    Ok(Compiled { format, facts, decoder, codes, artifact })
}

/// [`compile`] for a file's bytes: refuses what is not UTF-8.
pub fn compile_bytes(descriptor: &[u8], file: &str) -> Result<Compiled, Error> {
    let text = std::str::from_utf8(descriptor).map_err(|error| {
        let line =
            descriptor[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let message = format!("the descriptor is not UTF-8 from byte {} on", error.valid_up_to());
        let mut problem = Problem::new(Path::default(), message, "save it as UTF-8 text");
        problem.position = Some((line, 1));
        Problems { file: file.into(), list: vec![problem] }
    })?;
    compile(text, file)
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
    /// The program that hands out packed codes, where codes are integers.
    pub codes: Option<Verified<Decoder>>,
    /// Facts and kernels; no CPU decoder, which only a compiled program can have.
    pub artifact: Artifact,
}

/// Why a descriptor did not compile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptor is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// The lowering made a program that its verifier refuses: a defect of Quantloom.
    #[error("{0}; this is a defect of Quantloom, not of the descriptor")]
    Lowering(#[from] VerifyError),
    /// A template did not render: a defect of Quantloom.
    #[error("a template did not render: {0}; this is a defect of Quantloom, not of the descriptor")]
    Template(#[from] tera::Error),
    /// naga refuses a kernel: a defect of Quantloom.
    #[cfg(feature = "validate")]
    #[error("{0}; this is a defect of Quantloom, not of the descriptor")]
    Kernel(#[from] crate::validate::KernelError),
}
