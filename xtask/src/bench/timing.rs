//! Contenders in turn: one sample of each, then the next of each. `bench cpu` and `bench gpu` share it.

use super::Result;
use std::time::{Duration, Instant};

/// A call that can be timed.
pub trait Call {
    /// Computes once, with the weights of this copy.
    fn run(&mut self, copy: usize) -> Result<()>;

    /// Computes so many times, with one of these copies after another. Seconds per call.
    fn time(&mut self, copies: &mut dyn ExactSizeIterator<Item = usize>) -> Result<f64> {
        let calls = copies.len();
        let started = Instant::now();
        for copy in copies {
            self.run(copy)?;
        }
        Ok(started.elapsed().as_secs_f64() / calls as f64)
    }

    /// What the last run computed: `[m, n]` of a product, `[n, k]` weights.
    fn output(&self) -> Result<Vec<f32>>;
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What all contenders share, after preparation.
    pub budget: Duration,
    /// For so long a contender runs untimed before each sample: until idle threads of the one before
    /// have stopped spinning, and its own run on processors of their own. Never a pause: virtual
    /// machines wake threads on the processor that wakes them, and take long to part them.
    pub warm: Duration,
    /// Copies of the weights, which take turns.
    pub copies: usize,
    /// Times slower than the fastest that is hopeless: such a contender is dropped after three samples.
    pub behind: f64,
}

/// Samples of each, whatever the budget.
const LEAST: usize = 5;
/// Samples of each, however much is left.
const MOST: usize = 41;
/// Samples after which a contender that is hopelessly behind is timed no more.
const TRIAL: usize = 3;
/// Time of a sample at least: short calls are repeated.
const SAMPLE: f64 = 6e-3;

/// Seconds per call, by contender. Those far behind have fewer samples; the n-th ones were taken one
/// right after the other.
pub fn measure(calls: &mut [Box<dyn Call + '_>], plan: &Plan) -> Result<Vec<Vec<f64>>> {
    let mut entries: Vec<Entry> = calls.iter_mut().map(Entry::new).collect();
    entries.iter_mut().try_for_each(|entry| entry.prepare(plan))?;
    let started = Instant::now();
    for round in 0..MOST {
        if round >= LEAST && started.elapsed() > plan.budget {
            break;
        }
        let best = |entry: &Entry| entry.samples.iter().copied().fold(f64::INFINITY, f64::min);
        let fastest = entries.iter().map(best).fold(f64::INFINITY, f64::min);
        for entry in &mut entries {
            if round < TRIAL || best(entry) <= fastest * plan.behind {
                entry.sample(plan)?;
            }
        }
    }
    Ok(entries.into_iter().map(|entry| entry.samples).collect())
}

struct Entry<'a, 'b> {
    call: &'a mut Box<dyn Call + 'b>,
    /// Calls per sample.
    repeat: usize,
    /// Whether one call takes so long that what comes before does not matter.
    long: bool,
    next: usize,
    samples: Vec<f64>,
}

impl<'a, 'b> Entry<'a, 'b> {
    fn new(call: &'a mut Box<dyn Call + 'b>) -> Entry<'a, 'b> {
        Entry { call, repeat: 1, long: true, next: 0, samples: Vec::new() }
    }

    /// Touches all memory once and finds out how often to repeat the call.
    fn prepare(&mut self, plan: &Plan) -> Result<()> {
        let first = self.time(1, plan)?;
        if first < SAMPLE * 10.0 {
            self.long = false;
            let seconds = self.time(plan.copies, plan)?;
            self.repeat = (SAMPLE / seconds).ceil().clamp(1.0, 1e6) as usize;
        }
        Ok(())
    }

    fn sample(&mut self, plan: &Plan) -> Result<()> {
        let started = Instant::now();
        let mut warm = self.long;
        while !warm {
            self.time(1, plan)?;
            warm = started.elapsed() >= plan.warm;
        }
        let seconds = self.time(self.repeat, plan)?;
        self.samples.push(seconds);
        Ok(())
    }

    /// Seconds per call of so many.
    fn time(&mut self, calls: usize, plan: &Plan) -> Result<f64> {
        let first = self.next;
        self.next += calls;
        self.call.time(&mut (first..self.next).map(|call| call % plan.copies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sleeper(Duration, Vec<usize>);

    impl Call for Sleeper {
        fn run(&mut self, copy: usize) -> Result<()> {
            self.1.push(copy);
            std::thread::sleep(self.0);
            Ok(())
        }

        fn output(&self) -> Result<Vec<f32>> {
            Ok(self.1.iter().map(|&copy| copy as f32).collect())
        }
    }

    #[test]
    fn who_is_far_behind_is_dropped_and_copies_take_turns() -> Result<()> {
        let sleeper =
            |ms| -> Box<dyn Call> { Box::new(Sleeper(Duration::from_millis(ms), vec![])) };
        let mut calls = [sleeper(2), sleeper(3), sleeper(20)];
        let plan = Plan { budget: Duration::ZERO, warm: Duration::ZERO, copies: 3, behind: 5.0 };
        let samples = measure(&mut calls, &plan)?;
        assert_eq!(samples.iter().map(Vec::len).collect::<Vec<_>>(), [LEAST, LEAST, TRIAL]);
        assert!(samples.iter().flatten().all(|&seconds| seconds > 1.9e-3));
        for call in &calls {
            let copies = call.output()?;
            assert!(copies.windows(2).all(|pair| pair[1] == (pair[0] + 1.0) % 3.0));
        }
        Ok(())
    }
}
