//! The seed of a test run: random tests can be repeated.

use crate::Failed;
use quantloom::verify::random::Rng;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of this run: the environment's `SEED`, else the time. Failures name it.
pub static SEED: LazyLock<u64> = LazyLock::new(|| match std::env::var("SEED") {
    Ok(text) => text.parse().unwrap_or_else(|_| {
        eprintln!("SEED={text} is not a whole number");
        std::process::exit(2)
    }),
    Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs()),
});

/// A generator of its own for each purpose, all from [`SEED`].
pub fn rng(purpose: &str) -> Rng {
    Rng::new(*SEED, purpose)
}

/// One of the items, of which there are some.
pub fn pick<T: Clone>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.below(items.len())].clone()
}

/// Adds the seed to what went wrong.
pub fn with_seed(result: Result<(), Failed>) -> Result<(), Failed> {
    result.map_err(|error| {
        let message = error.message().unwrap_or("failed");
        format!("{message}\n(repeat with SEED={})", *SEED).into()
    })
}
