//! Formats that are compiled at run time: descriptors made at random, on every engine that can.

use crate::Failed;
use crate::check::{Product, same_halves, same_weights};
use crate::engine::{ENGINES, Engine, trial};
use crate::naive;
use crate::random::{Rng, with_seed};
use crate::subject::{dims, tensor};
use libtest_mimic::Trial;
use quantloom::Device;
use quantloom_codegen::compile;

pub fn trials() -> Vec<Trial> {
    let engines = ENGINES.iter().filter(|engine| engine.name != "cpu");
    engines.flat_map(|engine| (0..8).map(move |number| random(engine, number))).collect()
}

fn random(engine: &'static Engine, number: u32) -> Trial {
    let name = format!("compiled/{}/random_format_{number}", engine.name);
    trial(name.clone(), engine, move |device| {
        let mut rng = Rng::new(&format!("compiled {number}"));
        let text = super::lowering::descriptor(&mut rng);
        let checked = check(&name, &text, &mut rng, device);
        let described = |error: Failed| format!("{}\n{text}", error.message().unwrap_or_default());
        with_seed(checked.map_err(|error| described(error).into()))
    })
}

fn check(name: &str, text: &str, rng: &mut Rng, device: &Device) -> Result<(), Failed> {
    let compiled = compile(text, "random.yaml")?;
    let format = quantloom::Format::from(compiled.artifact);
    for (n, blocks, m) in [(3, 1, 1), (37, 3, 17)] {
        let dims = dims(&compiled.format, n, blocks * format.weights as usize, &[]);
        let streams = rng.finite_bytes(&compiled.format, &dims);
        let weights = tensor(format.clone(), &dims, &streams)?.upload(device)?;
        let x = rng.activations(m * weights.k());
        let expected = naive::decode(&compiled.format, &dims, &streams);
        same_weights(name, &weights.dequantize()?, &expected)?;
        same_halves(name, &weights.dequantize_f16()?, &expected)?;
        let product = Product::new(&expected, &x, weights.k());
        product.check(&format!("{name}, matvec"), &weights.matvec(&x[..weights.k()])?, 1)?;
        product.check(&format!("{name}, matmul"), &weights.matmul(&x, m)?, m)?;
    }
    Ok(())
}
