//! What is tested: every descriptor of formats/, with the golden vectors that belong to it.

use crate::Failed;
use crate::seed::SEED;
use quantloom::verify::random::Rng;
use quantloom::verify::{Case, Origin, Vectors};
use quantloom_codegen::artifact::Dims;
use quantloom_codegen::format::{Table, TableValues};
use quantloom_codegen::{Format, Params, choices, ir, lower};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A descriptor of formats/ with one choice of its parameters.
pub struct Subject {
    /// The format's name.
    pub name: String,
    /// The descriptor's text.
    pub text: String,
    /// The parameters chosen.
    pub params: Params,
    /// The descriptor, validated.
    pub format: Format,
    /// Its golden vectors; none where it has no file.
    pub vectors: Vec<Vectors>,
    /// Its golden tables of 8-bit integers, by name: vectors do not meet every entry of a large one.
    pub tables: Vec<(String, Vec<i8>)>,
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
                    let file = path.display().to_string();
                    for params in choices(&text, &file)? {
                        let format = Format::parse_with(&text, &file, &params)?;
                        let (name, text) = (format.name.clone(), text.clone());
                        let (vectors, tables) = golden(&format)?;
                        subjects.push(Subject { name, text, params, format, vectors, tables });
                    }
                }
            }
            subjects.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(subjects)
        };
        read().unwrap_or_else(|error| panic!("formats/ or tests/data/golden: {error}"))
    });
    &SUBJECTS
}

type Golden = (Vec<Vectors>, Vec<(String, Vec<i8>)>);

/// What the format's golden file holds.
fn golden(format: &Format) -> Result<Golden, Box<dyn std::error::Error>> {
    let path = repository("tests/data/golden").join(format!("{}.safetensors", format.name));
    if !path.exists() {
        return Ok(Golden::default());
    }
    let bytes = std::fs::read(path)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let streams: Vec<&str> = format.streams.iter().map(|stream| &*stream.name).collect();
    let sizes: Vec<&str> = format.sizes.iter().map(|size| &*size.name).collect();
    let vectors = xtask::golden::vectors(&tensors, &streams, &sizes)?;
    let table = |name: &&str| {
        let own = name.strip_prefix("tables.")?.to_owned();
        let values = tensors.tensor(name).ok()?.data().iter().map(|&byte| byte as i8).collect();
        Some((own, values))
    };
    Ok((vectors, tensors.names().iter().filter_map(table).collect()))
}

/// The sizes of a tensor of golden vectors.
pub fn dims_of(format: &Format, vectors: &Vectors) -> Dims {
    dims(format, vectors.n, vectors.k, &vectors.sizes)
}

/// The sizes of a tensor `[n, k]`, with some sizes of its own, in weights.
pub fn dims(format: &Format, n: usize, k: usize, sizes: &[(String, u32)]) -> Dims {
    let mut dims = Dims { n: n as u32, blocks: k as u32 / format.weights, sizes: [0; 2] };
    for (blocks, size) in dims.sizes.iter_mut().zip(&format.sizes) {
        let own = sizes.iter().find(|(name, _)| *name == size.name);
        *blocks = own.map_or(size.default, |(_, weights)| *weights) / format.weights;
    }
    dims
}

impl Subject {
    /// The same format as the runtime has it built in.
    pub fn built_in(&self) -> Result<quantloom::Format, Failed> {
        quantloom::Format::named(&self.name)
            .map_err(|error| format!("{error}; run `cargo xtask gen`").into())
    }

    /// A tensor of the default sizes.
    pub fn tensor(&self, dims: &Dims, streams: Vec<Vec<u8>>) -> Result<quantloom::Tensor, Failed> {
        let (n, k) = (dims.n as usize, (dims.blocks * self.format.weights) as usize);
        Ok(quantloom::Tensor::new("weights", self.built_in()?, n, k, streams)?)
    }

    /// A tensor of random bytes of the default sizes, with finite scales, checked against the
    /// interpreter's weights, and multiplied with `m` activation rows.
    pub fn case(&self, n: usize, k: usize, m: usize, rng: &mut Rng) -> Result<Case, Failed> {
        let dims = dims(&self.format, n, k, &[]);
        let streams = rng.finite_bytes(&self.format, &dims)?;
        Ok(self.case_of(&dims, streams)?.with_activations(m, rng))
    }

    /// The same of any bytes, without a product.
    pub fn any_case(&self, n: usize, k: usize, rng: &mut Rng) -> Result<Case, Failed> {
        let dims = dims(&self.format, n, k, &[]);
        self.case_of(&dims, rng.tensor_bytes(&self.format, &dims)?)
    }

    fn case_of(&self, dims: &Dims, streams: Vec<Vec<u8>>) -> Result<Case, Failed> {
        let weights = interpreted(&self.format, dims, &streams)?;
        Ok(Case::new(self.tensor(dims, streams)?, weights, Origin::Seed(*SEED)))
    }

    /// Whether it is the first format of its descriptor: the others differ in a number.
    pub fn leads_family(&self) -> bool {
        let family = |other: &&Subject| other.format.family == self.format.family;
        subjects().iter().find(family).is_none_or(|first| first.name == self.name)
    }

    /// Whether a format's tables are those of the golden file, as far as it has them.
    pub fn has_golden_tables(&self, format: &Format) -> bool {
        self.tables.iter().all(|(name, values)| {
            let same =
                |table: &Table| matches!(&table.values, TableValues::I8(own) if own == values);
            format.tables.iter().any(|table| table.name == *name && same(table))
        })
    }

    /// The descriptor, read again with a change.
    pub fn parse(&self, text: &str) -> Result<Format, quantloom_codegen::Problems> {
        Format::parse_with(text, "mutant.yaml", &self.params)
    }
}

/// The weights of a tensor, by the interpreter of the IR.
pub fn interpreted(format: &Format, dims: &Dims, streams: &[Vec<u8>]) -> Result<Vec<f32>, Failed> {
    let decoder = lower::weights(format, 4)?;
    let streams: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    let mut weights = vec![f32::NAN; (dims.n * dims.blocks * format.weights) as usize];
    ir::interpret(&decoder, &streams, dims, 0, &mut weights);
    Ok(weights)
}
