//! One process: everything that is asked for, with one number of threads.

use crate::candle::Candle;
use crate::ceilings;
use crate::contender::{Contender, Engine, Held, Label};
use crate::formats::{Listed, listed};
use crate::ggml::Ggml;
use crate::options::{Cpu, Kind, Shape};
use crate::ours::Ours;
use crate::report::{Finding, Measured, Row};
use crate::timing::{Plan, measure};
use crate::weights::{Weights, nmse};
use crate::{Result, machine};
use quantloom::Format;
use quantloom::verify::random::Rng;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::time::Duration;

/// What is asked for, defaults filled in.
struct Asked {
    formats: Vec<Listed>,
    shapes: Vec<Shape>,
    m: Vec<usize>,
    kinds: Vec<Kind>,
    peers: bool,
    budget: Duration,
    threads: usize,
}

/// Measures with so many threads, and tells what it finds as it finds it. Environment variables have
/// told candle the number before.
pub fn run(options: &Cpu, threads: usize, tell: &mut Tell) -> Result<()> {
    let asked = asked(options, threads)?;
    let pools = Pools { all: pool(threads)?, one: pool(1)?, apart: ceilings::pool(threads)? };
    let ggml = Ggml::new(threads)?;
    let load = machine::Load::now();
    // Before and after: whatever else the machine does passes, and the better figure is what it can do.
    measure_machine(&asked, &pools, tell)?;
    for &shape in &asked.shapes {
        for format in &asked.formats {
            let weights = Weights::random(&Format::named(&format.name)?, shape)?;
            measure_tensor(&asked, format, &weights, &ggml, &pools, tell)?;
        }
    }
    measure_machine(&asked, &pools, tell)?;
    match load.and_then(|load| load.others_since()) {
        Some(others) => tell(Finding::Others(others)),
        None => Ok(()),
    }
}

/// Who hears of findings.
type Tell<'a> = dyn FnMut(Finding) -> Result<()> + 'a;

fn asked(options: &Cpu, threads: usize) -> Result<Asked> {
    let or = |given: &[usize], default: &[usize]| match given {
        [] => default.to_vec(),
        given => given.to_vec(),
    };
    let shapes: &[Shape] = &[Shape { n: 4096, k: 4096 }, Shape { n: 4096, k: 14336 }];
    let quick = options.quick;
    let seconds = options.seconds.unwrap_or(if quick { 0.5 } else { 2.5 });
    Ok(Asked {
        formats: listed(&options.format)?,
        shapes: match options.shape.as_slice() {
            [] if quick => shapes[..1].to_vec(),
            [] => shapes.to_vec(),
            given => given.to_vec(),
        },
        m: or(&options.m, if quick { &[1, 8, 128] } else { &[1, 8, 128, 512] }),
        kinds: options.kind.clone(),
        peers: !options.no_peers,
        budget: Duration::try_from_secs_f64(seconds)?,
        threads,
    })
}

impl Asked {
    fn wants(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Kinds of product with their activation rows.
    fn products(&self) -> impl Iterator<Item = (Kind, usize)> {
        let kind = |&m: &usize| (if m == 1 { Kind::Matvec } else { Kind::Matmul }, m);
        self.m.iter().map(kind).filter(|&(kind, m)| m > 0 && self.wants(kind))
    }

    fn plan(&self, copies: usize) -> Plan {
        let warm = Duration::from_millis(if self.threads > 1 { 20 } else { 0 });
        Plan { budget: self.budget, warm, copies, behind: BEHIND }
    }
}

/// Times slower than the fastest: further samples of such a contender would say nothing.
const BEHIND: f64 = 5.0;

/// Threads for ours, one for ours, and threads that stay apart to find out what the machine can do.
struct Pools {
    all: ThreadPool,
    one: ThreadPool,
    apart: ThreadPool,
}

fn pool(threads: usize) -> Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

fn measure_machine(asked: &Asked, pools: &Pools, tell: &mut Tell) -> Result<()> {
    let (plan, threads) = (asked.plan(1), asked.threads);
    let bandwidth = || ceilings::bandwidth(&plan, machine::cache(), threads);
    for ceiling in pools.apart.install(bandwidth)? {
        tell(Finding::Ceiling(ceiling))?;
    }
    for &shape in &asked.shapes {
        // With few rows an f32 product reads weights and little else.
        for (_, m) in asked.products().filter(|(_, m)| *m >= 32) {
            let matmul = || ceilings::matmul(&plan, shape, m, threads);
            tell(Finding::Ceiling(pools.apart.install(matmul)?))?;
        }
    }
    Ok(())
}

fn measure_tensor(
    asked: &Asked,
    format: &Listed,
    weights: &Weights,
    ggml: &Ggml,
    pools: &Pools,
    tell: &mut Tell,
) -> Result<()> {
    // Together they are far larger than the last cache: who comes round finds it full of others.
    let copies = (4 * machine::cache()).div_ceil(weights.bytes()).max(2);
    let plan = asked.plan(copies);
    let ours = Ours::prepare(weights, copies, &pools.all)?;
    let alone = ours.share(&pools.one);
    let mut absent = Vec::new();
    let mut peers: Vec<Box<dyn Held + '_>> = Vec::new();
    if asked.peers {
        let candle = Candle::prepare(weights, copies, format.candle.as_deref(), asked.threads);
        let ggml = ggml.prepare(weights, copies);
        match candle {
            Ok(candle) => peers.push(Box::new(candle)),
            Err(reason) => absent.push(format!("{}: {reason}", Engine::Candle.name())),
        }
        match ggml {
            Ok(tensors) => peers.push(Box::new(tensors)),
            Err(reason) => absent.push(format!("{}: {reason}", Engine::Ggml.name())),
        }
    }
    let row = |kind, m, measured| {
        Finding::Row(Row {
            format: format.name.clone(),
            kind,
            shape: weights.shape,
            m,
            bytes: weights.bytes(),
            run: format.run,
            measured,
            absent: absent.clone(),
            verdicts: Vec::new(),
        })
    };
    for (kind, half) in [(Kind::Dequantize, false), (Kind::DequantizeF16, true)] {
        if asked.wants(kind) {
            let mut contenders = ours.dequantize(half)?;
            for peer in &peers {
                contenders.extend(peer.dequantize(half)?);
            }
            let expected = || weights.decoded().map(f64::from);
            tell(row(kind, 0, samples(contenders, &plan, expected)?))?;
        }
    }
    for (kind, m) in asked.products() {
        let x = Rng::new(m as u64, "activations").activations(m * weights.shape.k);
        let expected = weights.product(&x);
        let mut contenders = ours.product(&x, m)?;
        if asked.threads > 1 && kind == Kind::Matmul {
            contenders.extend(alone.product(&x, m)?);
        }
        for peer in &peers {
            contenders.extend(peer.product(&x, m)?);
        }
        tell(row(kind, m, samples(contenders, &plan, || expected.iter().copied())?))?;
    }
    Ok(())
}

/// Loose: what is measured must be the product that is meant, not the last bit of it.
const LIMIT: f64 = 1e-3;

/// Takes the samples of contenders, and compares what they computed last.
fn samples<I: Iterator<Item = f64>>(
    contenders: Vec<Contender>,
    plan: &Plan,
    expected: impl Fn() -> I,
) -> Result<Vec<Measured>> {
    let (labels, mut calls): (Vec<Label>, Vec<_>) =
        contenders.into_iter().map(|contender| (contender.label, contender.call)).unzip();
    let seconds = measure(&mut calls, plan)?;
    let measured = labels.into_iter().zip(calls).zip(seconds).map(|((label, call), seconds)| {
        let nmse = nmse(&call.output()?, expected());
        let right = nmse <= LIMIT;
        Ok(Measured { label, seconds, nmse: nmse.is_finite().then_some(nmse), right })
    });
    measured.collect()
}
