//! Products with matrices that activation rows choose, on every engine.

use crate::engine::{ENGINES, trial};
use crate::passed;
use crate::seed::rng;
use crate::subject::subjects;
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
            let (matrices, n, m, used) = shape;
            let name =
                format!("experts/{}/{}/{matrices}x{n}x{m}x{used}", subject.name, engine.name);
            trials.push(trial(name.clone(), engine, move |device| {
                let block = subject.format.weights as usize;
                let k = 100usize.div_ceil(block) * block;
                let case = subject.case(matrices * n, k, m, &mut rng(&name))?;
                passed(case.check_experts(device, matrices, used))
            }));
        }
    }
    trials
}
