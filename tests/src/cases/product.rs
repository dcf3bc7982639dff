//! matvec and matmul on every engine against an f64 product of the interpreter's weights.

use crate::Failed;
use crate::check::Product;
use crate::engine::{ENGINES, Engine, trial};
use crate::random::{Rng, with_seed};
use crate::subject::{Subject, dims, interpreted, subjects};
use libtest_mimic::Trial;
use quantloom::Device;
use quantloom_codegen::artifact::Dims;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Weight rows, weights per row (in blocks, or about so many), activation rows: together they cover
/// n and m beside, on and past the edges of tiles, and k from one block on.
const SHAPES: [(usize, K, usize); 8] = [
    (1, K::Blocks(1), 1),
    (3, K::Blocks(7), 17),
    (129, K::Blocks(2), 3),
    (257, K::Blocks(1), 64),
    (4097, K::Blocks(1), 2),
    (3, K::About(4096), 64),
    (129, K::About(4096), 1),
    (64, K::About(512), 64),
];

#[derive(Clone, Copy)]
enum K {
    Blocks(usize),
    About(usize),
}

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for subject in subjects() {
        let block = subject.format.weights as usize;
        // Of formats that share a descriptor one sees all shapes.
        for &(n, k, m) in &SHAPES[..if subject.leads_family() { SHAPES.len() } else { 3 }] {
            let blocks = match k {
                K::Blocks(blocks) => blocks,
                K::About(k) => k.div_ceil(block),
            };
            for engine in &ENGINES {
                trials.push(product(subject, engine, n, blocks, m));
            }
        }
    }
    trials
}

fn product(
    subject: &'static Subject,
    engine: &'static Engine,
    n: usize,
    blocks: usize,
    m: usize,
) -> Trial {
    let k = blocks * subject.format.weights as usize;
    let name = format!("product/{}/{}/{n}x{k}x{m}", subject.name, engine.name);
    trial(name.clone(), engine, move |device| {
        with_seed(check(&name, subject, &*problem(subject, n, blocks, m)?, device))
    })
}

fn check(name: &str, subject: &Subject, problem: &Problem, device: &Device) -> Result<(), Failed> {
    let Problem { k, m, .. } = *problem;
    let weights = subject.tensor(&problem.dims, &problem.streams)?.upload(device)?;
    let y = weights.matvec(&problem.x[..k])?;
    problem.product.check(&format!("{name}, matvec"), &y, 1)?;
    let y = weights.matmul(&problem.x, m)?;
    problem.product.check(&format!("{name}, matmul"), &y, m)
}

/// Random weights and activations, and their product; the same for every engine.
struct Problem {
    dims: Dims,
    k: usize,
    m: usize,
    streams: Vec<Vec<u8>>,
    x: Vec<f32>,
    product: Product,
}

/// Computed once per format and shape.
fn problem(subject: &Subject, n: usize, blocks: usize, m: usize) -> Result<Arc<Problem>, Failed> {
    type Cache = Mutex<HashMap<String, Arc<Problem>>>;
    static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);
    let key = format!("{}/{n}x{blocks}x{m}", subject.name);
    let cached = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(problem) = cached().get(&key) {
        return Ok(problem.clone());
    }
    let mut rng = Rng::new(&key);
    let k = blocks * subject.format.weights as usize;
    let dims = dims(&subject.format, n, k, &[]);
    let streams = rng.finite_bytes(&subject.format, &dims);
    let x = rng.activations(m * k);
    let product = Product::new(&interpreted(&subject.format, &dims, &streams)?, &x, k);
    let problem = Arc::new(Problem { dims, k, m, streams, x, product });
    cached().insert(key, problem.clone());
    Ok(problem)
}
