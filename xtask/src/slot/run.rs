//! The run: devices in processes of their own, parts with their time, every result kept.

use super::clock::Clock;
use super::job::{Job, Part};
use super::line::{Line, Lines, Named, Outcome};
use super::process::{Answer, Asked, Process};
use super::{Args, plan};
use crate::bench::gpu::options::Api;
use crate::failure::{Failure, Outcome as Done};
use crate::files::cannot;
use crate::print;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Opening a device, its libraries and their first words.
const OPENING: Duration = Duration::from_secs(60);
/// Less time is not worth beginning a job in.
const LEAST: Duration = Duration::from_millis(500);
/// What the end of the run takes: to stop a process, and the report.
const END: Duration = Duration::from_secs(2);
/// Faults in a part, after which the device is left for that part.
const FAULTS: usize = 2;
/// A device that reads less in a second, in bytes, gets small tensors.
const FAST: f64 = 20e9;
/// A search is asked to end so long before its time: it ends what it has begun.
const ENDING: Duration = Duration::from_secs(4);
/// The file of the folder that a search keeps its table in.
pub const TABLE: &str = "tuning.yaml";

/// A run in the making.
struct Run<'a> {
    started: Instant,
    folder: &'a Path,
    limit: Duration,
    lines: Lines,
    log: File,
    clock: Option<Clock>,
}

/// A device that is there.
struct Held {
    api: Api,
    named: Named,
    process: Option<Process>,
    /// Whether it gets small tensors.
    small: bool,
}

/// Runs everything, until it is done or time is up.
pub fn run(args: &Args, folder: &Path) -> Done {
    let started = Instant::now();
    let lines = Lines::new(folder)?;
    let log = folder.join("log.txt");
    let log = File::create(&log).map_err(|error| cannot("create", &log, error))?;
    let (limit, clock) = (Duration::from_secs(args.limit), Clock::start());
    let mut run = Run { started, folder, limit, lines, log, clock };
    let end = started + Duration::from_secs(args.seconds).saturating_sub(END);
    let begun = Outcome::Begun {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        date: httpdate::fmt_http_date(SystemTime::now()),
        budget_seconds: args.seconds,
        machine: machine(),
    };
    run.keep(Part::Look, None, None, run.started, begun)?;
    let apis = match args.device.as_slice() {
        [] => &[Api::Cuda, Api::Amd, Api::Wgpu],
        given => given,
    };
    let mut devices = Vec::new();
    for &api in apis {
        devices.extend(run.open(api, end)?);
    }
    if devices.is_empty() {
        return Err(Failure::input(
            "there is no GPU that works; see the first lines of the results",
        ));
    }
    for first in 0..plan::SHARES.len() {
        let parts = &plan::SHARES[first..];
        let part_end = Instant::now() + plan::share(left(end), parts);
        for number in 0..devices.len() {
            let others = devices.len() - number - 1;
            let device_end = Instant::now() + plan::device_share(left(part_end), others);
            run.part(parts[0].0, &mut devices[number], device_end)?;
        }
    }
    Ok(())
}

fn hangs(limit: Duration) -> Outcome {
    Outcome::Fault { reason: format!("no answer within {}; it hangs", print::duration(limit)) }
}

fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

impl Run<'_> {
    /// Opens a device and sees how fast it reads; none where it is not there, which is kept.
    fn open(&mut self, api: Api, end: Instant) -> Done<Option<Held>> {
        let mut held = Held { api, named: Named::default(), process: None, small: false };
        for job in [Job::Open, Job::Probe] {
            let (started, limit) = (Instant::now(), OPENING.min(left(end)));
            let result = self.ask(Part::Look, &mut held, &job, limit)?;
            let result = result.unwrap_or_else(|| hangs(limit));
            let works = match result {
                Outcome::Found { .. } => true,
                Outcome::Reads { bytes_per_second } => {
                    held.small = bytes_per_second < FAST;
                    true
                }
                _ => false,
            };
            self.keep(Part::Look, Some(&held), Some(job), started, result)?;
            if !works {
                return Ok(None);
            }
        }
        Ok(Some(held))
    }

    /// One part of one device.
    fn part(&mut self, part: Part, held: &mut Held, end: Instant) -> Done {
        let mut jobs = match part {
            Part::Look => vec![],
            Part::Verify => plan::verify(held.small).map_err(Failure::input)?,
            Part::Bench => plan::bench(held.small).map_err(Failure::input)?,
            Part::Tune => vec![Job::Tune {
                seconds: left(end).saturating_sub(ENDING).as_secs_f64(),
                file: self.folder.join(TABLE),
                small: held.small,
            }],
        };
        jobs.reverse();
        let mut faults = 0;
        while let Some(job) = jobs.pop() {
            let reason = match faults {
                _ if left(end) < LEAST => Some("no time was left"),
                FAULTS.. => Some("the device failed twice"),
                _ => None,
            };
            if let Some(reason) = reason {
                let result = Outcome::NotBegun { jobs: jobs.len() + 1, reason: reason.to_owned() };
                return self.keep(part, Some(held), None, Instant::now(), result);
            }
            let own = match job {
                Job::Tune { seconds, .. } => Duration::from_secs_f64(seconds) + self.limit,
                _ => self.limit,
            };
            let (started, limit) = (Instant::now(), own.min(left(end)));
            let result = self.ask(part, held, &job, limit)?;
            let result = result.unwrap_or_else(|| match limit < own {
                true => Outcome::TimeUp,
                false => hangs(limit),
            });
            faults += usize::from(matches!(result, Outcome::Fault { .. }));
            self.keep(part, Some(held), Some(job), started, result)?;
        }
        Ok(())
    }

    /// Gives a device's process a job, in a new process where the last one ended. What it tells on the way is
    /// kept at once. None where there is no last answer within the limit: the process is ended then.
    fn ask(
        &mut self,
        part: Part,
        held: &mut Held,
        job: &Job,
        limit: Duration,
    ) -> Done<Option<Outcome>> {
        let started = Instant::now();
        let end = started + limit;
        let mut process = match held.process.take() {
            Some(process) => process,
            None => match Process::start(held.api, &self.log) {
                Ok(process) => process,
                Err(error) => return Ok(Some(Outcome::Fault { reason: error.to_string() })),
            },
        };
        let mut asked = process.ask(job, left(end));
        while let Asked::Answered(Answer { named, result, more: true }) = asked {
            held.named = named;
            self.keep(part, Some(held), Some(job.clone()), started, result)?;
            asked = process.hear(left(end));
        }
        Ok(match asked {
            Asked::Answered(Answer { named, result, .. }) => {
                held.named = named;
                // What a fault leaves behind in its process is left with it.
                held.process = Some(process).filter(|_| !matches!(result, Outcome::Fault { .. }));
                Some(result)
            }
            Asked::Silent => None,
            Asked::Ended(reason) => Some(Outcome::Fault { reason }),
        })
    }

    /// Keeps a result, and tells of it.
    fn keep(
        &mut self,
        part: Part,
        held: Option<&Held>,
        job: Option<Job>,
        started: Instant,
        result: Outcome,
    ) -> Done {
        let line = Line {
            at: (started - self.started).as_secs_f64(),
            seconds: started.elapsed().as_secs_f64(),
            part,
            device: held.map(|held| held.api),
            named: held.map(|held| held.named.clone()).unwrap_or_default(),
            gpu: self.clock.as_ref().and_then(Clock::take),
            job,
            result,
        };
        self.lines.add(&line)?;
        print::error(&super::report::line(&line));
        Ok(())
    }
}

/// The processor, its cores, the memory and the kernel, as Linux tells them.
fn machine() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: String, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let facts = [
        after(read("/proc/cpuinfo"), "model name"),
        Some(print::count(cores, "core")),
        after(read("/proc/meminfo"), "MemTotal").map(|total| format!("memory {total}")),
        Some(read("/proc/version").trim().to_owned()),
    ];
    facts.into_iter().flatten().filter(|fact| !fact.is_empty()).collect()
}
