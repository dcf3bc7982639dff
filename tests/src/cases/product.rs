//! matvec and matmul on every engine against an f64 product of the interpreter's weights.

use crate::engine::{ENGINES, Engine, trial};
use crate::seed::rng;
use crate::subject::{Subject, subjects};
use crate::{Failed, passed};
use libtest_mimic::Trial;
use quantloom::verify::Case;
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
    trials.extend(
        long(1 << 17).map(|(subject, engine, blocks)| product(subject, engine, 1, blocks, 33)),
    );
    trials
}

/// Rows of so many weights, for GPUs through wgpu: some end the loops of a shader after 2^16 turns.
pub fn long(k: usize) -> Option<(&'static Subject, &'static Engine, usize)> {
    let subject = subjects()
        .iter()
        .find(|subject| subject.format.is_plain() && subject.format.weights == 32)?;
    let engine = ENGINES.iter().find(|engine| engine.name == "wgsl")?;
    Some((subject, engine, k / 32))
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
    trial(name, engine, move |device| passed(case(subject, n, blocks, m)?.check_products(device)))
}

/// Computed once per format and shape, for every engine.
fn case(subject: &Subject, n: usize, blocks: usize, m: usize) -> Result<Arc<Case>, Failed> {
    type Cache = Mutex<HashMap<String, Arc<Case>>>;
    static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);
    let key = format!("{}/{n}x{blocks}x{m}", subject.name);
    let cached = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(case) = cached().get(&key) {
        return Ok(case.clone());
    }
    let k = blocks * subject.format.weights as usize;
    let case = Arc::new(subject.case(n, k, m, &mut rng(&key))?);
    cached().insert(key, case.clone());
    Ok(case)
}
