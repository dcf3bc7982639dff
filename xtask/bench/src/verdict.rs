//! How ours does: beside the fastest peer, beside the machine, and beside what is wanted.

use crate::ceilings::{MATMUL, READ};
use crate::contender::{Activations, Engine};
use crate::options::Kind;
use crate::report::{Ceiling, Measured, Row, Spread};
use serde::{Deserialize, Serialize};

/// What the samples of a row say about one way of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Which of the row's contenders: ours, its fastest storage.
    pub ours: usize,
    /// GB/s or GFLOPS.
    pub rate: Spread,
    /// Which of the row's contenders is the fastest peer.
    pub peer: Option<usize>,
    /// The peer's time by ours, sample by sample: above 1 ours is faster.
    pub ratio: Option<Spread>,
    /// Part of what the machine can do.
    pub of_ceiling: Option<f64>,
    pub target: Option<Target>,
    /// The time of one thread by that of several, sample by sample.
    pub scaling: Option<Spread>,
    pub scaling_target: Option<f64>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// GB/s or GFLOPS.
    pub rate: f64,
    pub reason: String,
}

impl Verdict {
    /// Whether the rate is what is wanted; none without a target.
    pub fn met(&self) -> Option<bool> {
        self.target.as_ref().map(|target| self.rate.median >= target.rate)
    }

    /// Whether several threads are as much faster as is wanted; none without a target.
    pub fn scales(&self) -> Option<bool> {
        Some(self.scaling?.median >= self.scaling_target?)
    }

    /// Whether a peer is faster.
    pub fn behind(&self) -> bool {
        self.ratio.is_some_and(|ratio| ratio.median < 1.0)
    }
}

/// What to say about each way of ours that is right: int8 products before exact ones.
pub fn verdicts(row: &Row, ceilings: &[Ceiling], threads: usize) -> Vec<Verdict> {
    let ways = [Activations::None, Activations::Int8, Activations::F32];
    let ours = ways.map(|way| {
        fastest(row, |m| {
            let label = &m.label;
            label.engine == Engine::Ours && label.activations == way && label.threads == threads
        })
    });
    // Peers have no exact products: they are compared with int8 products wherever we have one.
    let judged = ours.into_iter().flatten().enumerate();
    judged.filter_map(|(place, ours)| verdict(row, ceilings, threads, ours, place == 0)).collect()
}

/// The fastest of some contenders, of those whose results are right.
fn fastest(row: &Row, among: impl Fn(&Measured) -> bool) -> Option<usize> {
    let median = |measured: &Measured| Some(Spread::of(measured.seconds.iter().copied())?.median);
    let all = row.measured.iter().enumerate().filter(|(_, m)| m.right && among(m));
    let timed = all.filter_map(|(number, measured)| Some((number, median(measured)?)));
    timed.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(number, _)| number)
}

fn verdict(
    row: &Row,
    ceilings: &[Ceiling],
    threads: usize,
    ours: usize,
    first: bool,
) -> Option<Verdict> {
    let measured = &row.measured[ours];
    let rate = Spread::of(measured.seconds.iter().map(|seconds| row.work() / seconds))?;
    let against = |other: &Measured| {
        Spread::of(other.seconds.iter().zip(&measured.seconds).map(|(theirs, ours)| theirs / ours))
    };
    let peer = fastest(row, |other| first && other.label.engine != Engine::Ours);
    let ratio = peer.and_then(|peer| against(&row.measured[peer]));
    let activations = measured.label.activations;
    let ceiling = ceiling(row, activations, ceilings);
    let peer_rate = ratio.map(|ratio| rate.median / ratio.median);
    let one = fastest(row, |other| {
        let same = |m: &Measured| (m.label.engine, m.label.activations);
        threads > 1 && other.label.threads == 1 && same(other) == same(measured)
    });
    let scaling = one.and_then(|one| against(&row.measured[one]));
    Some(Verdict {
        ours,
        rate,
        peer,
        ratio,
        of_ceiling: ceiling.map(|ceiling| rate.median / ceiling),
        target: (threads == 1)
            .then(|| target(row, activations, first, ceiling, peer_rate))
            .flatten(),
        scaling,
        scaling_target: scaling.map(|_| 0.9 * threads as f64),
    })
}

/// What the machine can do for this kind of call.
fn ceiling(row: &Row, activations: Activations, ceilings: &[Ceiling]) -> Option<f64> {
    let median = |ceiling: &Ceiling| Some(Spread::of(ceiling.rates.iter().copied())?.median);
    let best = |which: &dyn Fn(&Ceiling) -> bool| {
        ceilings.iter().filter(|c| which(c)).filter_map(median).reduce(f64::max)
    };
    match (row.kind, activations) {
        (Kind::Dequantize | Kind::DequantizeF16, _) => best(&|c| c.name.starts_with("write")),
        (Kind::Matvec, _) => best(&|c| c.name == READ),
        (Kind::Matmul, Activations::F32) => {
            best(&|c| c.name == MATMUL && c.shape == Some(row.shape) && c.m == row.m)
        }
        (Kind::Matmul, _) => None,
    }
}

/// What one thread is wanted to reach, on the machine that the figures of integer products were chosen
/// for. A matvec is judged by the `first` of our ways alone.
fn target(
    row: &Row,
    activations: Activations,
    first: bool,
    ceiling: Option<f64>,
    peer: Option<f64>,
) -> Option<Target> {
    let target = |rate, reason: &str| Some(Target { rate, reason: reason.to_owned() });
    let lower = |times: f64, part: f64, what: &str| {
        let peer = peer.map(|peer| (peer * times, format!("{times} times the fastest peer")));
        let ceiling = ceiling.map(|all| (all * part, format!("{}% of {what}", part * 100.0)));
        let all = peer.into_iter().chain(ceiling);
        let (rate, reason) = all.min_by(|a, b| a.0.total_cmp(&b.0))?;
        target(rate, &reason)
    };
    match (row.kind, activations, row.m) {
        (Kind::Dequantize, ..) => lower(2.0, 0.8, "write bandwidth"),
        (Kind::DequantizeF16, ..) => None,
        (Kind::Matvec, ..) if first => lower(1.2, 0.9, "read bandwidth"),
        (Kind::Matmul, Activations::F32, 128..) => target(ceiling? * 0.6, "60% of f32 matmul"),
        (Kind::Matmul, Activations::Int8, 8) => target(200.0, "m = 8"),
        (Kind::Matmul, Activations::Int8, 128) => match row.run? {
            32.. => target(350.0, "m = 128, runs of 32 or more"),
            _ => target(300.0, "m = 128, runs of 16"),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Label;
    use crate::options::Shape;

    fn measured(
        engine: Engine,
        activations: Activations,
        threads: usize,
        seconds: f64,
    ) -> Measured {
        let label =
            Label { engine, storage: String::new(), activations, kernel: String::new(), threads };
        Measured { label, seconds: vec![seconds; 3], nmse: Some(0.0), right: true }
    }

    fn row(kind: Kind, m: usize, measured: Vec<Measured>) -> Row {
        let shape = Shape { n: 1000, k: 1000 };
        Row {
            format: "made_up".to_owned(),
            kind,
            shape,
            m,
            bytes: 500_000,
            run: Some(32),
            measured,
            absent: vec![],
            verdicts: vec![],
        }
    }

    fn ceiling(name: &str, rate: f64) -> Ceiling {
        Ceiling { name: name.to_owned(), shape: None, m: 0, rates: vec![rate] }
    }

    #[test]
    fn the_lower_of_peer_and_bandwidth_is_wanted() {
        // Ours 25 GB/s, the peer 20.
        let contenders = || {
            vec![
                measured(Engine::Ours, Activations::Int8, 1, 20e-6),
                measured(Engine::Ggml, Activations::Int8, 1, 25e-6),
                measured(Engine::Candle, Activations::Int8, 1, 50e-6),
            ]
        };
        let row = row(Kind::Matvec, 1, contenders());
        let judged = |read| verdicts(&row, &[ceiling(READ, read)], 1).remove(0);
        let far = judged(50.0);
        assert_eq!((far.peer, far.ratio.unwrap().median), (Some(1), 1.25));
        assert_eq!(far.target.as_ref().unwrap().rate.round(), 24.0);
        assert_eq!((far.met(), far.behind()), (Some(true), false));
        let near = judged(20.0);
        assert_eq!(near.target.unwrap().rate, 18.0);
        assert!(verdicts(&row, &[ceiling(READ, 50.0)], 2).is_empty(), "no way of two threads");
    }

    #[test]
    fn wrong_results_do_not_count() {
        let mut wrong = measured(Engine::Ggml, Activations::Int8, 1, 1e-6);
        wrong.right = false;
        let ours = measured(Engine::Ours, Activations::Int8, 1, 20e-6);
        let verdict = verdicts(&row(Kind::Matmul, 128, vec![ours, wrong]), &[], 1).remove(0);
        assert_eq!((verdict.peer, verdict.target.unwrap().rate), (None, 350.0));
    }

    #[test]
    fn two_threads_are_compared_with_one_of_the_same_process() {
        let contenders = vec![
            measured(Engine::Ours, Activations::Int8, 1, 20e-6),
            measured(Engine::Ours, Activations::Int8, 2, 11e-6),
            measured(Engine::Ggml, Activations::Int8, 2, 10e-6),
        ];
        let verdict = verdicts(&row(Kind::Matmul, 8, contenders), &[], 2).remove(0);
        assert_eq!((verdict.ours, verdict.target.is_none()), (1, true));
        assert_eq!((verdict.scales(), verdict.behind()), (Some(true), true));
    }
}
