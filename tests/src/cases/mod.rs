//! Every test, by subject.

mod browser;
mod compiled;
mod cpu;
mod decode;
mod drivers;
mod experts;
mod facts;
mod fuzz;
mod generated;
mod gguf;
mod int8;
mod kernels;
mod lowering;
mod matrices;
mod messages;
mod mutation;
mod names;
mod product;
mod quantize;
mod random;
mod recorded;
mod rows;
mod schedules;
mod slot;
mod splitting;
mod verifier;

use crate::engine::without_absent;
pub use kernels::LEVELS;
use libtest_mimic::Trial;

/// All of them.
pub fn all() -> Vec<Trial> {
    let trials = [
        names::trials(),
        facts::trials(),
        fuzz::trials(),
        messages::trials(),
        verifier::trials(),
        lowering::trials(),
        mutation::trials(),
        generated::trials(),
        gguf::trials(),
        decode::trials(),
        kernels::trials(),
        cpu::trials(),
        product::trials(),
        recorded::trials(),
        rows::trials(),
        experts::trials(),
        int8::trials(),
        quantize::trials(),
        drivers::trials(),
        matrices::trials(),
        schedules::trials(),
        slot::trials(),
        splitting::trials(),
        compiled::trials(),
        random::trials(),
        browser::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    without_absent(trials)
}
