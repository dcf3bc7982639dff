//! Formats that are compiled at run time: descriptors made at random, on every engine that can.

use crate::engine::{ENGINES, Engine, trial};
use crate::seed::{SEED, rng};
use crate::{Failed, all_passed};
use libtest_mimic::Trial;
use quantloom::Format;
use quantloom::verify::verify_with_seed;
use std::slice;

pub fn trials() -> Vec<Trial> {
    let engines = ENGINES.iter().filter(|engine| engine.name != "cpu");
    engines.flat_map(|engine| (0..8).map(move |number| random(engine, number))).collect()
}

fn random(engine: &'static Engine, number: u32) -> Trial {
    let name = format!("compiled/{}/random_format_{number}", engine.name);
    trial(name, engine, move |device| {
        let text = super::lowering::descriptor(&mut rng(&format!("compiled {number}")));
        let described = |error: Failed| format!("{}\n{text}", error.message().unwrap_or_default());
        let format = Format::compile(&text, "random.yaml")?;
        let report = verify_with_seed(&format, slice::from_ref(device), *SEED);
        all_passed(report).map_err(|error| described(error).into())
    })
}
