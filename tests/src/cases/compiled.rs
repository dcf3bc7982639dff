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
    let all = engines.flat_map(|engine| {
        let random = (0..8).map(move |number| random(engine, number));
        random.chain([6, 7].map(|weights| short(engine, weights)))
    });
    all.collect()
}

/// Blocks that are no whole quads: their rows begin anywhere.
fn short(engine: &'static Engine, weights: u32) -> Trial {
    let name = format!("compiled/{}/blocks_of_{weights}", engine.name);
    trial(name, engine, move |device| {
        let text = format!(
            "format: short\ntitle: blocks that are no whole quads\nweights: {weights}\nblock:\n  d: f16\n  \
             q: u8[{weights}]\nfields:\n  q: {{from: q, bias: 128}}\nvalue: d * q\n"
        );
        let format = Format::compile(&text, "short.yaml")?;
        all_passed(verify_with_seed(&format, slice::from_ref(device), *SEED))
    })
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
