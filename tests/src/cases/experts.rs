//! Products with matrices that activation rows choose, on every engine.

use super::product;
use crate::engine::{ENGINES, Engine, trial};
use crate::passed;
use crate::seed::rng;
use crate::subject::{Subject, subjects};
use libtest_mimic::Trial;

/// Matrices, rows of each, activation rows, matrices that each uses: rows beside and past the edges of
/// tiles, few and many outputs per matrix, and more than a tile takes at a time.
const SHAPES: [(usize, usize, usize, usize); 4] =
    [(4, 1, 1, 2), (3, 129, 2, 3), (2, 3, 37, 2), (3, 129, 17, 1)];

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for subject in subjects() {
        // Of formats that share a descriptor one sees all shapes.
        let shapes = if subject.leads_family() { &SHAPES[..] } else { &SHAPES[1..2] };
        for (engine, &shape) in ENGINES.iter().flat_map(|e| shapes.iter().map(move |s| (e, s))) {
            let block = subject.format.weights as usize;
            trials.push(experts(subject, engine, shape, 100usize.div_ceil(block)));
        }
    }
    trials.extend(
        product::long(1 << 12)
            .map(|(subject, engine, blocks)| experts(subject, engine, (1, 1, 1200, 1), blocks)),
    );
    trials
}

fn experts(
    subject: &'static Subject,
    engine: &'static Engine,
    (matrices, n, m, used): (usize, usize, usize, usize),
    blocks: usize,
) -> Trial {
    let name = format!("experts/{}/{}/{matrices}x{n}x{m}x{used}", subject.name, engine.name);
    trial(name.clone(), engine, move |device| {
        let k = blocks * subject.format.weights as usize;
        let case = subject.case(matrices * n, k, m, &mut rng(&name))?;
        passed(case.check_experts(device, matrices, used))
    })
}
