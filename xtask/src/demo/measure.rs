//! The run itself: a file's tensors, some rows at a time, through every engine.

use crate::engine::Engine;
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use clap::ValueEnum;
use quantloom::verify::compare::{Decoded, Exact, LIMIT, worst};
use quantloom::verify::finite::{NotFinite, of_weights};
use quantloom::verify::random::Rng;
use quantloom::{Device, Format, Gguf, Tensor};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// Everything that was found.
pub struct Report {
    pub file: String,
    /// Engines that ran.
    pub engines: Vec<Present>,
    pub missing: Vec<Missing>,
    pub tensors: Vec<Measured>,
    /// Tensors of the file that cannot be taken.
    pub unusable: Vec<Unusable>,
    pub elapsed: Duration,
}

/// An engine that this machine lacks, and why.
pub type Missing = (Engine, String);

/// A tensor that its file lists and that cannot be taken, and why.
pub struct Unusable {
    pub name: String,
    pub type_number: u32,
    pub problem: String,
}

/// An engine that ran.
pub struct Present {
    pub engine: Engine,
    pub device: Device,
    /// Compiling its kernels for the formats of the file, and running them once.
    pub preparation: Duration,
}

/// A tensor, and what every engine of the report made of it, in the same order.
pub struct Measured {
    pub name: String,
    pub format: Format,
    /// `k` first.
    pub dims: Vec<usize>,
    pub n: usize,
    pub k: usize,
    pub bytes: usize,
    /// The first row that holds something that is not finite, and how many do.
    pub not_finite: Option<(NotFinite, usize)>,
    pub results: Vec<Result<Found, String>>,
}

/// What an engine made of a tensor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    pub decoded: Decoded,
    /// Worst error of each product.
    pub matvec: f64,
    pub matmul: f64,
    pub times: Times,
}

/// Time of each call, results brought back to the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    pub dequantize: Duration,
    pub matvec: Duration,
    pub matmul: Duration,
}

/// Activation rows of the matmul.
pub const M: usize = 5;
/// Weights taken at a time, which bounds memory.
const CHUNK: usize = 1 << 21;

impl Report {
    /// Tensors on which an engine failed or differs.
    pub fn differing(&self) -> usize {
        self.tensors.iter().filter(|tensor| !tensor.agrees()).count()
    }
}

impl Measured {
    /// Whether every engine got it right.
    pub fn agrees(&self) -> bool {
        self.results.iter().all(|result| result.as_ref().is_ok_and(Found::agrees))
    }
}

impl Found {
    /// Whether the engine got it right.
    pub fn agrees(&self) -> bool {
        self.decoded.different == 0 && self.error() <= LIMIT
    }

    /// The worst error of both products.
    pub fn error(&self) -> f64 {
        self.matvec.max(self.matmul)
    }

    /// Of two parts of a tensor.
    fn and(self, other: Found) -> Found {
        Found {
            decoded: self.decoded.and(other.decoded),
            matvec: self.matvec.max(other.matvec),
            matmul: self.matmul.max(other.matmul),
            times: self.times.and(other.times),
        }
    }
}

impl Times {
    /// One after the other.
    pub fn and(self, other: Times) -> Times {
        Times {
            dequantize: self.dequantize + other.dequantize,
            matvec: self.matvec + other.matvec,
            matmul: self.matmul + other.matmul,
        }
    }

    /// All three.
    pub fn total(&self) -> Duration {
        self.dequantize + self.matvec + self.matmul
    }
}

/// Runs every tensor of a file through the wanted engines, or through all.
pub fn run(gguf: &Gguf, file: String, wanted: &[Engine]) -> Outcome<Report> {
    let started = Instant::now();
    let (mut engines, missing) = open(wanted)?;
    let mut tensors = Vec::new();
    let mut unusable = Vec::new();
    for info in gguf.tensors() {
        match gguf.tensor(&info.name) {
            Ok(tensor) => tensors.push(tensor),
            Err(error) => unusable.push(Unusable {
                name: info.name.clone(),
                type_number: info.type_number,
                problem: match info.format {
                    Some(_) => error.to_string(),
                    None => format!("no known format has type number {}", info.type_number),
                },
            }),
        }
    }

    let weights = |tensor: &Tensor| (tensor.n() * tensor.k()) as u64;
    let progress = Progress::new(tensors.iter().map(weights).sum::<u64>() * engines.len() as u64);
    progress.at("compiling kernels");
    prepare(&mut engines, &tensors);
    let reference = Device::reference();
    let measure = |tensor: &Tensor| {
        progress.at(tensor.name());
        measure(tensor, &reference, &engines, &progress)
    };
    let tensors: quantloom::Result<Vec<Measured>> = tensors.iter().map(measure).collect();
    let tensors = tensors?;
    drop(progress);
    Ok(Report { file, engines, missing, tensors, unusable, elapsed: started.elapsed() })
}

/// Opens the wanted engines, all of which must be there, or all that are.
fn open(wanted: &[Engine]) -> Outcome<(Vec<Present>, Vec<Missing>)> {
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for &engine in Engine::value_variants() {
        if !wanted.is_empty() && !wanted.contains(&engine) {
            continue;
        }
        match engine.open() {
            Ok(device) => present.push(Present { engine, device, preparation: Duration::ZERO }),
            Err(error) if wanted.is_empty() => missing.push((engine, error.to_string())),
            Err(error) => {
                return Err(Failure::input(format!(
                    "engine {} is missing: {error}",
                    engine.name()
                )));
            }
        }
    }
    Ok((present, missing))
}

/// Runs a row of every format on every engine, so that times hold no compilation. What fails here
/// fails again, and is reported, where it counts.
fn prepare(engines: &mut [Present], tensors: &[Tensor]) {
    let mut samples: Vec<Tensor> = Vec::new();
    for tensor in tensors {
        let known = samples.iter().any(|sample| sample.format().name == tensor.format().name);
        if !known && let Ok(row) = rows(tensor, 0..1) {
            samples.push(row);
        }
    }
    engines.par_iter_mut().for_each(|present| {
        let started = Instant::now();
        samples.par_iter().for_each(|sample| {
            let x = activations(sample.k() * M);
            let _ = call(sample, &present.device, &x);
        });
        present.preparation = started.elapsed();
    });
}

/// Activations from -1 to 1, always the same.
fn activations(len: usize) -> Vec<f32> {
    Rng::new(0, "demo").activations(len)
}

fn measure(
    tensor: &Tensor,
    reference: &Device,
    engines: &[Present],
    progress: &Progress,
) -> quantloom::Result<Measured> {
    let (n, k) = (tensor.n(), tensor.k());
    let x = activations(k * M);
    let mut results: Vec<Result<Found, String>> = vec![Ok(Found::default()); engines.len()];
    let mut not_finite: Option<(NotFinite, usize)> = None;
    for rows in chunks(n, k) {
        let numbers: Vec<u32> = rows.clone().map(|row| row as u32).collect();
        let part = self::rows(tensor, rows)?;
        let weights = part.upload(reference)?.dequantize()?;
        let odd = of_weights(tensor, &numbers, &weights)?;
        not_finite = match (not_finite, odd.first()) {
            (None, Some(first)) => Some((first.clone(), odd.len())),
            (before, _) => before.map(|(first, count)| (first, count + odd.len())),
        };
        let exact = Exact::product(&weights, &x, k);
        for (present, result) in engines.iter().zip(&mut results) {
            if let Ok(before) = result {
                let found = call(&part, &present.device, &x).map(|called| {
                    let first = exact.get(..part.n()).unwrap_or_default();
                    before.and(Found {
                        decoded: Decoded::compare(&called.weights, &weights),
                        matvec: worst(&called.matvec, first),
                        matmul: worst(&called.matmul, &exact),
                        times: called.times,
                    })
                });
                *result = found.map_err(|error| error.to_string());
            }
            progress.advance((part.n() * k) as u64);
        }
    }
    Ok(Measured {
        name: tensor.name().to_owned(),
        format: tensor.format().clone(),
        dims: tensor.dims().to_vec(),
        n,
        k,
        bytes: tensor.bytes(),
        not_finite,
        results,
    })
}

/// Rows taken at a time.
fn chunks(n: usize, k: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let rows = (CHUNK / k.max(1)).max(1);
    (0..n).step_by(rows).map(move |first| first..n.min(first + rows))
}

/// Some rows of a tensor, sharing its bytes.
fn rows(tensor: &Tensor, rows: std::ops::Range<usize>) -> quantloom::Result<Tensor> {
    let per_row = tensor.k() / tensor.format().weights as usize;
    let streams = tensor.streams().iter().zip(tensor.format().streams.iter());
    let streams = streams.map(|(bytes, stream)| {
        let row = per_row * stream.bytes as usize;
        bytes.slice(rows.start * row..rows.end * row).unwrap_or_else(|| Vec::new().into())
    });
    Tensor::new(tensor.name(), tensor.format(), rows.len(), tensor.k(), streams)
}

/// What an engine returned.
struct Called {
    weights: Vec<f32>,
    matvec: Vec<f32>,
    matmul: Vec<f32>,
    times: Times,
}

/// Uploads, dequantizes and multiplies; `x` is `[M, k]`.
fn call(tensor: &Tensor, device: &Device, x: &[f32]) -> quantloom::Result<Called> {
    let uploaded = tensor.upload(device)?;
    let row = x.get(..tensor.k()).unwrap_or_default();
    let (weights, dequantize) = timed(|| uploaded.dequantize())?;
    let (matvec, matvec_time) = timed(|| uploaded.matvec(row))?;
    let (matmul, matmul_time) = timed(|| uploaded.matmul(x, M))?;
    let times = Times { dequantize, matvec: matvec_time, matmul: matmul_time };
    Ok(Called { weights, matvec, matmul, times })
}

fn timed<T>(call: impl FnOnce() -> quantloom::Result<T>) -> quantloom::Result<(T, Duration)> {
    let started = Instant::now();
    call().map(|result| (result, started.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of f32 tensors: `w` of two rows, of which the second has no number, and an empty one.
    fn odd_file() -> Gguf {
        let mut bytes = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        for (name, rows) in [(b"w", 2u64), (b"e", 0)] {
            bytes.extend(1u64.to_le_bytes());
            bytes.extend(name);
            bytes.extend(2u32.to_le_bytes());
            bytes.extend([4, rows].map(u64::to_le_bytes).concat());
            // Type number and offset.
            bytes.extend([0; 12]);
        }
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        let weights = [1.0, 2.0, 3.0, 4.0, 1.0, f32::NAN, 3.0, f32::INFINITY];
        bytes.extend(weights.map(f32::to_le_bytes).concat());
        Gguf::from_bytes(bytes).unwrap()
    }

    #[test]
    fn what_is_not_finite_is_named_and_odd_tensors_are_listed() {
        let report = run(&odd_file(), "odd".into(), &[Engine::Reference]).unwrap();
        assert_eq!(report.differing(), 0);
        let [tensor] = report.tensors.as_slice() else { panic!("one tensor") };
        let (first, rows) = tensor.not_finite.as_ref().unwrap();
        assert_eq!((first.row, first.weight, *rows), (1, 1, 1));
        let text = super::super::table::text(&report);
        assert!(text.contains("\nw, row 1: a weight is NaN"), "{text}");
        assert!(
            text.contains("\ne: not run: ") && text.contains("[4, 0] hold no weight"),
            "{text}"
        );
        let json = super::super::json::text(&report);
        assert!(json.contains("\"value\": \"NaN\"") && json.contains("\"name\": \"e\""), "{json}");
    }

    #[test]
    fn chunks_cover_all_rows_and_stay_small() {
        for (n, k) in [(1, 1), (3, CHUNK), (3, CHUNK * 2), (1000, 9999), (CHUNK * 2 + 1, 1)] {
            let chunks: Vec<_> = chunks(n, k).collect();
            assert_eq!(chunks.first().map(|rows| rows.start), Some(0));
            assert_eq!(chunks.last().map(|rows| rows.end), Some(n));
            assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(chunks.iter().all(|rows| rows.len() == 1 || rows.len() * k <= CHUNK));
        }
    }
}
