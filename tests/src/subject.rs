//! What is tested: every descriptor of formats/, with the golden vectors that belong to it.

use crate::Failed;
use crate::check::Weights;
use quantloom_codegen::{Format, ir, lower};
use safetensors::SafeTensors;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A descriptor of formats/.
pub struct Subject {
    /// The format's name.
    pub name: String,
    /// The descriptor's text.
    pub text: String,
    /// The descriptor, validated.
    pub format: Format,
    /// Its golden vectors; none where it has no file.
    pub vectors: Vec<Vector>,
}

/// Blocks and the weights that another project decoded them to.
pub struct Vector {
    /// How the blocks were made.
    pub set: String,
    /// The bytes of each stream.
    pub streams: Vec<Vec<u8>>,
    /// The weights.
    pub weights: Vec<f32>,
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Every descriptor, by name.
pub fn subjects() -> &'static [Subject] {
    static SUBJECTS: LazyLock<Vec<Subject>> = LazyLock::new(|| {
        let read = || -> Result<Vec<Subject>, Box<dyn std::error::Error>> {
            let mut subjects = Vec::new();
            for entry in std::fs::read_dir(repository("formats"))? {
                let path = entry?.path();
                if path.extension().is_some_and(|ending| ending == "yaml") {
                    let text = std::fs::read_to_string(&path)?;
                    let format = Format::parse(&text, &path.display().to_string())?;
                    let vectors = vectors(&format)?;
                    subjects.push(Subject { name: format.name.clone(), text, format, vectors });
                }
            }
            subjects.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(subjects)
        };
        read().unwrap_or_else(|error| panic!("formats/ or tests/data/golden: {error}"))
    });
    &SUBJECTS
}

fn vectors(format: &Format) -> Result<Vec<Vector>, Box<dyn std::error::Error>> {
    let path = repository("tests/data/golden").join(format!("{}.safetensors", format.name));
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = std::fs::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let names = tensors.names();
    let sets: BTreeSet<&str> = names.iter().filter_map(|n| n.strip_suffix(".weights")).collect();
    let bytes = |set: &str, part: &str| Ok(tensors.tensor(&format!("{set}.{part}"))?.data());
    let vector = |set: &str| {
        let weights: Result<_, safetensors::SafeTensorError> = bytes(set, "weights");
        let streams: Result<_, safetensors::SafeTensorError> = format
            .streams
            .iter()
            .map(|stream| bytes(set, &stream.name).map(<[u8]>::to_vec))
            .collect();
        let (words, _) = weights?.as_chunks();
        Ok(Vector {
            set: set.into(),
            streams: streams?,
            weights: words.iter().map(|&word| f32::from_le_bytes(word)).collect(),
        })
    };
    sets.into_iter().map(vector).collect()
}

impl Subject {
    /// The same format as the runtime has it built in.
    pub fn built_in(&self) -> Result<quantloom::Format, Failed> {
        quantloom::Format::named(&self.name)
            .map_err(|error| format!("{error}; run `cargo xtask gen`").into())
    }

    /// A tensor of `n` rows from random or golden blocks.
    pub fn tensor(&self, n: usize, streams: &[Vec<u8>]) -> Result<quantloom::Tensor, Failed> {
        let blocks = streams[0].len() / self.format.streams[0].bytes as usize;
        let k = blocks / n * self.format.weights as usize;
        let streams = streams.iter().cloned();
        Ok(quantloom::Tensor::new("weights", self.built_in()?, n, k, streams)?)
    }
}

/// The weights of whole blocks, by the interpreter of the IR.
pub fn interpreted(format: &Format, streams: &[Vec<u8>]) -> Result<Weights, Failed> {
    let decoder = lower::weights(format, 4)?;
    let streams: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    let blocks = streams[0].len() / format.streams[0].bytes as usize;
    let mut weights = vec![f32::NAN; blocks * format.weights as usize];
    ir::interpret(&decoder, &streams, &mut weights);
    Ok(weights)
}
