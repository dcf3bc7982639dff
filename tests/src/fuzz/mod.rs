//! Random inputs until time is up: descriptors, GGUF files, calls. Each is made from a number, so that
//! it can be made again; nothing may panic, hang or be wrong.

mod calls;
mod descriptors;
mod edit;
mod files;

use crate::Failed;
use quantloom::verify::random::Rng;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A kind of inputs.
pub struct Target {
    /// Its name in arguments and reports.
    pub name: &'static str,
    /// Stages that an input comes to, one after the other; the first is where all begin.
    stages: &'static [&'static str],
    /// The stage that is worth something: enough inputs should reach it.
    worth: usize,
    run: fn(&mut Rng, &mut Trace) -> Result<(), Failed>,
}

/// All kinds.
pub static TARGETS: [Target; 3] = [
    Target {
        name: "descriptors",
        stages: &["read", "valid", "lowered", "decoded to its meaning", "multiplied", "compiled"],
        worth: 2,
        run: descriptors::run,
    },
    Target {
        name: "files",
        stages: &["read", "opened", "a tensor taken", "decoded"],
        worth: 2,
        run: files::run,
    },
    Target {
        name: "calls",
        stages: &["made", "a tensor", "a result", "right"],
        worth: 1,
        run: calls::run,
    },
];

/// How far an input came, and what it is.
#[derive(Default)]
pub struct Trace {
    stage: usize,
    input: String,
}

impl Trace {
    /// The input, as a person should see it.
    fn input(&mut self, input: impl Into<String>) {
        self.input = input.into();
    }

    /// The next stage is reached.
    fn reached(&mut self, stage: usize) {
        self.stage = self.stage.max(stage);
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// For all targets together, which share it evenly.
    pub time: Duration,
    /// Inputs of another seed are others.
    pub seed: u64,
    /// Names of targets; all where there is none.
    pub only: &'a [String],
    /// A single input of each target.
    pub number: Option<u64>,
}

/// An input may take so long; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);
/// Part of all inputs that must reach the stage that is worth something, and how many inputs tell.
const WORTH: f64 = 0.3;
const ENOUGH: u64 = 1000;

/// Runs until time is up. A table of inputs by the stage that they reached.
///
/// # Errors
/// The first finding, with its input and how to make it again; a target of which too few inputs came far;
/// a name that is no target's.
pub fn run(options: &Options<'_>) -> Result<String, Failed> {
    let known = |name: &&String| !TARGETS.iter().any(|target| target.name == name.as_str());
    if let Some(name) = options.only.iter().find(known) {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        return Err(format!("`{name}` is no target; there are {}", names.join(", ")).into());
    }
    let chosen = TARGETS.iter().filter(|target| {
        options.only.is_empty() || options.only.iter().any(|name| name == target.name)
    });
    let chosen: Vec<&Target> = chosen.collect();
    let time = options.time / chosen.len().max(1) as u32;
    let mut text = String::new();
    for target in chosen {
        let reached = target.until(Instant::now() + time, options)?;
        text += &target.report(&reached);
        let all: u64 = reached.values().sum();
        let far: u64 = reached.range(target.worth..).map(|(_, count)| count).sum();
        if all >= ENOUGH && (far as f64) < WORTH * all as f64 {
            return Err(format!("{text}\ntoo few {} came far", target.name).into());
        }
    }
    Ok(text)
}

/// What the threads share.
struct Shared {
    next: AtomicU64,
    /// Inputs by the last stage that they reached.
    reached: Mutex<BTreeMap<usize, u64>>,
    found: Mutex<Option<String>>,
    /// What each thread is at, since when.
    running: Vec<Mutex<Option<(u64, Instant)>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Target {
    fn until(
        &'static self,
        end: Instant,
        options: &Options<'_>,
    ) -> Result<BTreeMap<usize, u64>, Failed> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads = if options.number.is_some() { 1 } else { threads };
        // Threads that hang are left, and what they share with them.
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            next: AtomicU64::new(options.number.unwrap_or(0)),
            reached: Mutex::default(),
            found: Mutex::default(),
            running: (0..threads).map(|_| Mutex::default()).collect(),
        }));
        let (seed, single) = (options.seed, options.number.is_some());
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                thread::spawn(move || {
                    while locked(&shared.found).is_none() && (single || Instant::now() < end) {
                        let number = shared.next.fetch_add(1, Ordering::Relaxed);
                        *locked(&shared.running[thread]) = Some((number, Instant::now()));
                        self.one(seed, number, shared);
                        *locked(&shared.running[thread]) = None;
                        if single {
                            break;
                        }
                    }
                })
            })
            .collect();
        while !workers.iter().all(thread::JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(20));
            let slow = shared.running.iter().filter_map(|running| *locked(running));
            let mut slow = slow.filter(|(_, since)| since.elapsed() > LIMIT);
            if let Some((number, _)) = slow.next() {
                let what = format!("no end after {} s", LIMIT.as_secs());
                return Err(self.finding(seed, number, &what, "").into());
            }
        }
        match locked(&shared.found).take() {
            Some(finding) => Err(finding.into()),
            None => Ok(locked(&shared.reached).clone()),
        }
    }

    /// Makes one input and runs it.
    fn one(&self, seed: u64, number: u64, shared: &Shared) {
        let mut rng = Rng::new(seed ^ number.rotate_left(32), self.name);
        let mut trace = Trace::default();
        let ran = catch_unwind(AssertUnwindSafe(|| (self.run)(&mut rng, &mut trace)));
        let what = match ran {
            Ok(Ok(())) => {
                *locked(&shared.reached).entry(trace.stage).or_default() += 1;
                return;
            }
            Ok(Err(error)) => error.message().unwrap_or("failed").to_owned(),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                format!("panic: {}", text.unwrap_or("of no text"))
            }
        };
        let finding = self.finding(seed, number, &what, &trace.input);
        locked(&shared.found).get_or_insert(finding);
    }

    fn finding(&self, seed: u64, number: u64, what: &str, input: &str) -> String {
        format!(
            "{} {number}: {what}\n{input}\n(again: cargo xtask fuzz --only {} --seed {seed} --number {number})",
            self.name, self.name
        )
    }

    /// How many inputs reached each stage.
    fn report(&self, reached: &BTreeMap<usize, u64>) -> String {
        let all: u64 = reached.values().sum();
        let mut text = format!("{}: {all} inputs", self.name);
        for (number, stage) in self.stages.iter().enumerate().skip(1) {
            let so_far: u64 = reached.range(number..).map(|(_, count)| count).sum();
            let part = 100.0 * so_far as f64 / all.max(1) as f64;
            let _ = write!(text, ", {stage} {so_far} ({part:.0}%)");
        }
        text + "\n"
    }
}

/// An error says more than that there is one.
fn told(error: &quantloom::Error) -> Result<(), Failed> {
    match error.to_string() {
        text if text.len() < 30 => Err(format!("says only `{text}`").into()),
        _ => Ok(()),
    }
}

/// The program: `--seconds N`, `--seed N`, `--only NAMES`, `--number N`, as `cargo xtask fuzz` gives them.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut seconds, mut seed, mut only, mut number) = (60, *crate::seed::SEED, Vec::new(), None);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        let parsed = value.parse().ok();
        match (name.as_str(), parsed) {
            ("--seconds", Some(value)) => seconds = value,
            ("--seed", Some(value)) => seed = value,
            ("--number", value) => number = value,
            ("--only", _) => only = value.split(',').map(str::to_owned).collect(),
            _ => {
                eprintln!("error: {name} {value}");
                return ExitCode::from(2);
            }
        }
    }
    // What panics is told with its input, once.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            eprintln!("panic at {place}");
        }
    }));
    let options = Options { time: Duration::from_secs(seconds), seed, only: &only, number };
    match run(&options) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(finding) => {
            println!("{}", finding.message().unwrap_or("failed"));
            ExitCode::FAILURE
        }
    }
}
