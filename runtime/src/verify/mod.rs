//! Does every device compute what a format means? The check that Quantloom's own formats go
//! through, for the test suites of those who write formats of their own.
//!
//! ```
//! use quantloom::{Device, Format, verify};
//!
//! let descriptor = "
//! format: my_format
//! title: 4-bit codes, an f16 scale for 32 of them
//! weights: 32
//! block:
//!   d: f16
//!   codes: u8[16]
//! fields:
//!   q: {from: codes, bits: 4, k: \"(16,2):(8,4)\", bias: 8}
//! value: d * q
//! ";
//! let format = Format::compile(descriptor, "my_format.yaml")?;
//! // Likewise Device::cpu() for a format of include_format!, Device::wgpu()?, Device::hip_host()?
//! let report = verify(&format, &[Device::reference()])?;
//! println!("{report}");
//! # Ok::<(), quantloom::Error>(())
//! ```
//!
//! Tensors of random bytes show that devices agree with the descriptor. Whether the descriptor says
//! what its author meant, only numbers from elsewhere can show: see [`verify_vectors`].

pub mod compare;
pub mod finite;
pub mod meaning;
mod output;
pub mod random;
pub mod report;
pub mod rounded;

mod case;

pub use case::Case;
pub use output::Output;
pub use report::{Call, Checks, Difference, Fault, Flushed, Operation, Origin, Report};

use crate::artifact::{Dims, Size};
use crate::{Bytes, Device, Error, Format, Result, Tensor, descriptor};
use random::Rng;

/// Checks that every device computes what a format means.
///
/// Tensors of seeded random bytes are decoded by evaluating the format's formula as its descriptor
/// states it, bit by bit, with nothing of the compiler's lowering. Every device must decode the same
/// weights, to the bit, as f32 and as f16 (rounded to nearest even), whatever the bytes, infinite
/// and NaN scales included; and, where scales are finite, multiply with f32 activations to within
/// 1e-5 of Σ|w·x| of an f64 product, or where it rounds them to 8 bits or to f16 to within what that explains. Shapes have one row and many, one block and several, last units
/// that are not full, and of a format with sizes the handle's own, the least, and one in between.
///
/// Weights that are right but for subnormals, which a device may take for 0, are let pass and listed
/// in the report.
///
/// # Errors
/// [`Error::Differs`] with the first difference; [`Error::Missing`] where a device has no decoder or
/// kernel of the format, or where no device is given; [`Error::Format`] where the artifact does not
/// fit its descriptor.
pub fn verify(format: &Format, devices: &[Device]) -> Result<Report> {
    verify_with_seed(format, devices, 0)
}

/// [`verify`] with random bytes of another seed than 0.
///
/// # Errors
/// As those of [`verify`].
pub fn verify_with_seed(format: &Format, devices: &[Device], seed: u64) -> Result<Report> {
    let mut report = Report::new(format, devices)?;
    random_cases(format, seed)?.iter().try_for_each(|case| report.check(case, devices))?;
    Ok(report)
}

/// The tensors that [`verify`] checks devices with: to check each device in a test of its own, or,
/// with [`Case::compare`], an engine of one's own.
///
/// # Errors
/// [`Error::Format`] where the artifact does not fit its descriptor.
pub fn random_cases(format: &Format, seed: u64) -> Result<Vec<Case>> {
    let meaning = descriptor::parse(format)?;
    let own = format.own_sizes();
    let sizes = format.sizes.iter().zip(&own);
    let sizes: Vec<Size> =
        sizes.map(|(size, (_, own))| Size { default: *own, ..size.clone() }).collect();
    let mut cases = Vec::new();
    for sizes in random::sizes(&sizes, format.weights) {
        let shapes = if sizes == own { &SHAPES[..] } else { &SHAPES[..SIZED] };
        let sized = with_sizes(format, &sizes)?;
        for &shape in shapes {
            for finite in [false, true] {
                cases.push(random_case(&sized, &meaning, shape, finite, seed)?);
            }
        }
    }
    Ok(cases)
}

/// Weight rows, weights per row, activation rows: together they cover n and m beside, on and past
/// the edges of tiles, several workgroups, and k from one block on.
const SHAPES: [(usize, K, usize); 7] = [
    (1, K::Blocks(1), 1),
    (5, K::Blocks(7), 17),
    (129, K::Blocks(3), 5),
    (1, K::Blocks(2), 2),
    (3, K::Blocks(1), 3),
    (257, K::Blocks(1), 2),
    (33, K::About(512), 65),
];
/// So many of them, the first ones, for each further choice of sizes.
const SIZED: usize = 3;

/// Weights per row.
#[derive(Clone, Copy)]
enum K {
    Blocks(usize),
    About(usize),
}

/// No tensor has more weights, unless its first rows have.
const MOST: usize = 1 << 17;

/// A tensor of random bytes, and activations where every float is finite.
fn random_case(
    format: &Format,
    meaning: &quantloom_codegen::Format,
    (n, k, m): (usize, K, usize),
    finite: bool,
    seed: u64,
) -> Result<Case> {
    let block = format.weights as usize;
    let k = match k {
        K::Blocks(blocks) => blocks * block,
        K::About(k) => k.next_multiple_of(block),
    };
    let n = n.min((MOST / k).max(3));
    let dims = counted(format, n, k)?;
    let mut rng = Rng::new(seed, &format!("{} {n} {k} {m} {finite}", format.name));
    let streams = match finite {
        true => rng.finite_bytes(meaning, &dims)?,
        false => rng.tensor_bytes(meaning, &dims)?,
    };
    let weights = meaning::weights(meaning, &dims, &streams)?;
    let tensor = Tensor::new("random", format, n, k, streams)?;
    let case = Case::new(tensor, weights, Origin::Seed(seed));
    Ok(if finite { case.with_activations(m, &mut rng) } else { case })
}

/// A tensor `[n, k]` of random bytes whose floats are finite, for shapes of one's own.
///
/// # Errors
/// [`Error::Format`] where the artifact does not fit its descriptor, or 32 bits do not count the weights.
pub fn random_tensor(format: &Format, n: usize, k: usize, rng: &mut Rng) -> Result<Tensor> {
    let dims = counted(format, n, k)?;
    let streams = rng.finite_bytes(&descriptor::parse(format)?, &dims)?;
    Tensor::new("random", format, n, k, streams)
}

fn counted(format: &Format, n: usize, k: usize) -> Result<Dims> {
    format.dims(n, k).ok_or_else(|| Error::Format {
        format: format.name.to_string(),
        problem: format!("weights [{n}, {k}] are more than 32 bits count"),
    })
}

/// Bytes, and the weights that someone else decoded them to: golden vectors.
#[derive(Clone, Debug, Default)]
pub struct Vectors {
    /// How they are called in errors.
    pub name: String,
    /// Weight rows.
    pub n: usize,
    /// Weights per row, a multiple of the format's block.
    pub k: usize,
    /// Sizes that are not those of the format's handle: name and weights.
    pub sizes: Vec<(String, u32)>,
    /// The bytes of every stream of the format, in its order.
    pub streams: Vec<Vec<u8>>,
    /// The weights, `[n, k]` row-major.
    pub weights: Vec<f32>,
}

/// Checks that a format means what others know it to mean, and that every device computes it.
///
/// The formula, evaluated as the descriptor states it, and every device must give the weights of all
/// vectors, to the bit; NaN equals NaN. Blocks that stand alone are also decoded as a single row.
///
/// ```
/// use quantloom::{Device, Format, verify::{Vectors, verify_vectors}};
///
/// let descriptor = "
/// format: my_format
/// title: a byte less 128, in halves
/// weights: 4
/// block:
///   q: u8[4]
/// fields:
///   code: {from: q, bias: 128}
/// value: code / 2
/// ";
/// let format = Format::compile(descriptor, "my_format.yaml")?;
/// let vectors = Vectors {
///     name: "by hand".into(),
///     n: 2,
///     k: 4,
///     streams: vec![vec![128, 129, 130, 131, 0, 255, 127, 126]],
///     weights: vec![0.0, 0.5, 1.0, 1.5, -64.0, 63.5, -0.5, -1.0],
///     ..Vectors::default()
/// };
/// verify_vectors(&format, &[vectors], &[Device::reference()])?;
/// # Ok::<(), quantloom::Error>(())
/// ```
///
/// # Errors
/// As those of [`verify`]; [`Error::Tensor`] where the bytes or weights of vectors are not as many as
/// their shape says, and [`Error::Missing`] where there are no vectors.
pub fn verify_vectors(format: &Format, vectors: &[Vectors], devices: &[Device]) -> Result<Report> {
    let mut report = Report::new(format, devices)?;
    if vectors.is_empty() {
        return Err(missing(format, "vectors to be verified with", "name at least one set"));
    }
    let meaning = descriptor::parse(format)?;
    for vectors in vectors {
        let format = with_sizes(format, &vectors.sizes)?;
        let streams: Vec<Bytes> = vectors.streams.iter().cloned().map(Bytes::from).collect();
        let case = |n, k| {
            let tensor = Tensor::new(&*vectors.name, &format, n, k, streams.iter().cloned())?;
            let wanted = n * k;
            if vectors.weights.len() != wanted {
                let problem = format!("{} weights; [{n}, {k}] are {wanted}", vectors.weights.len());
                return Err(Error::Tensor { tensor: vectors.name.clone(), problem });
            }
            let origin = Origin::Vectors(vectors.name.clone());
            Ok(Case::new(tensor, vectors.weights.clone(), origin))
        };
        let whole = case(vectors.n, vectors.k)?;
        let meant = meaning::weights(&meaning, whole.tensor().layout(), whole.tensor().streams())?;
        whole.compare("the descriptor's meaning", Output::Weights(&meant))?;
        report.check(&whole, devices)?;
        if vectors.n > 1 && format.is_plain() {
            report.check(&case(1, vectors.n * vectors.k)?, devices)?;
        }
    }
    Ok(report)
}

impl Report {
    fn new(format: &Format, devices: &[Device]) -> Result<Report> {
        if devices.is_empty() {
            return Err(missing(format, "device to be verified on", "name at least one"));
        }
        let checks = |device: &Device| Checks { device: device.name(), ..Checks::default() };
        Ok(Report {
            format: format.name.to_string(),
            devices: devices.iter().map(checks).collect(),
        })
    }

    fn check(&mut self, case: &Case, devices: &[Device]) -> Result<()> {
        for (checks, device) in self.devices.iter_mut().zip(devices) {
            checks.add(case.check(device)?);
        }
        Ok(())
    }
}

fn missing(format: &Format, what: &str, hint: &str) -> Error {
    Error::Missing {
        format: format.name.to_string(),
        what: what.to_owned(),
        hint: format!("; {hint}"),
    }
}

fn with_sizes(format: &Format, sizes: &[(String, u32)]) -> Result<Format> {
    sizes
        .iter()
        .try_fold(format.clone(), |format, (name, weights)| format.with_size(name, *weights))
}
