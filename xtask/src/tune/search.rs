//! The search: every choice of numbers in turn with the compiler's own, until time is up.

use super::{Args, Kind};
use crate::bench::Result;
use crate::bench::gpu::case::Case;
use crate::bench::gpu::hip::HipMachine;
use crate::bench::gpu::machine::{Machine, What};
use crate::bench::gpu::options::{Api, Precision};
use crate::bench::gpu::run::formats;
use crate::bench::gpu::wgpu::WgpuMachine;
use crate::bench::options::Shape;
use crate::bench::spread::Spread;
use crate::bench::timing::{Call, Plan, measure};
use crate::bench::weights::Weights;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::progress::Progress;
use clap::ValueEnum;
use quantloom::artifact::{Backend, Element};
use quantloom::hip::Hip;
use quantloom::tuning::{self, Columns, Entry, Numbers, Rows, Schedules, Table};
use quantloom::{Format, Tensor};
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// What was found.
pub struct Found {
    pub table: Table,
    /// Names of the devices that were searched.
    pub devices: Vec<String>,
    /// Devices that are not there, and why.
    pub missing: Vec<String>,
    /// Kernels that computed something wrong.
    pub wrong: Vec<String>,
}

/// How much faster numbers must be to replace the compiler's, beyond the noise.
const GAIN: f64 = 1.02;
/// Time of one choice with one format, after preparation.
const BUDGET: Duration = Duration::from_millis(60);

/// Searches on every device that is asked for and there. The table is written after every choice.
pub fn run(args: &Args, path: &Path) -> Outcome<Found> {
    let table = if path.is_file() { Table::read(path)? } else { Table::default() };
    let mut search = Search {
        args,
        path,
        formats: chosen(&args.format).map_err(Failure::input)?,
        found: Found { table, devices: vec![], missing: vec![], wrong: vec![] },
    };
    let wanted = if args.device.is_empty() { Api::value_variants() } else { &args.device };
    for &api in wanted {
        let searched = match api {
            Api::Wgpu => quantloom::gpu::Gpu::new()
                .map(|gpu| search.device(Backend::Wgsl, &WgpuMachine::new(gpu))),
            Api::Amd => Hip::amd(0).map(|hip| search.device(Backend::Hip, &HipMachine::new(hip)?)),
            Api::Cuda => {
                Hip::cuda(0).map(|hip| search.device(Backend::Hip, &HipMachine::new(hip)?))
            }
        };
        match searched {
            Ok(searched) => searched.map_err(Failure::input)?,
            Err(error) if args.device.is_empty() => {
                search.found.missing.push(format!("{} is missing: {error}", api.name()));
            }
            Err(error) => {
                return Err(Failure::input(format!("{} is missing: {error}", api.name())));
            }
        }
    }
    match search.found.devices.is_empty() {
        true => Err(Failure::input(search.found.missing.join("\n"))),
        false => Ok(search.found),
    }
}

/// The formats of these names; without any, a few that differ.
fn chosen(names: &[String]) -> Result<Vec<Format>> {
    let mut formats = formats(names)?;
    if names.is_empty() {
        formats.truncate(3);
    }
    Ok(formats)
}

struct Search<'a> {
    args: &'a Args,
    path: &'a Path,
    formats: Vec<Format>,
    found: Found,
}

/// A tensor with copies that have the compiler's own schedules.
struct Held<M: Machine> {
    weights: Weights,
    tensor: Tensor,
    copies: Vec<M::Weights>,
}

impl Search<'_> {
    /// Searches until time is up.
    fn device<M: Machine>(&mut self, backend: Backend, machine: &M) -> Result<()> {
        let args = self.args;
        self.found.devices.push(machine.name());
        let seconds = args.seconds.unwrap_or(if args.quick { 60.0 } else { 300.0 });
        let end = Instant::now() + Duration::try_from_secs_f64(seconds)?;
        let shapes = [(1024, 4096), (4096, 4096), (4096, 14336), (16384, 14336)];
        let shapes = shapes.map(|(n, k)| Shape { n, k });
        let shapes = match args.shape.as_slice() {
            [] if args.quick => &shapes[..1],
            [] => &shapes[..],
            given => given,
        };
        let kinds = if args.kind.is_empty() { Kind::value_variants() } else { &args.kind };
        let all: usize = kinds.iter().map(|kind| kind.choices().len()).sum();
        // Preparation may take all the time there is: one choice is tried in any case.
        let mut begun = false;
        let progress = Progress::new((all * shapes.len()) as u64);
        for &shape in shapes {
            let left =
                kinds.iter().any(|&kind| self.place(machine, backend, kind, shape).1.is_some());
            if !left || begun && Instant::now() >= end {
                progress.advance(all as u64);
                continue;
            }
            progress.at(&format!("{shape}: preparing"));
            let rotate = u64::from(args.rotate.unwrap_or(if args.quick { 64 } else { 512 })) << 20;
            let held = self.formats.iter().map(|format| held(machine, format, shape, rotate));
            let held = held.collect::<Result<Vec<_>>>()?;
            for &kind in kinds {
                let what = match kind {
                    Kind::Dequant => What::Dequantize(Element::F32),
                    Kind::Matvec => What::Matvec,
                    Kind::Matmul => What::Matmul(args.m),
                };
                let cases = held.iter().map(|held| Case::new(machine, &held.weights, what, rotate));
                let cases = cases.collect::<Result<Vec<_>>>()?;
                let both: Vec<_> = held.iter().zip(&cases).collect();
                while (!begun || Instant::now() < end)
                    && let (entry, Some(numbers)) = self.place(machine, backend, kind, shape)
                {
                    begun = true;
                    progress.at(&format!("{shape} {}", kind.kernel().word()));
                    let schedules = Schedules::default().with(backend, kind.kernel(), numbers);
                    let gain = self.gain(machine, &schedules, &both)?;
                    let entry = &mut self.found.table.schedules[entry];
                    entry.tried += 1;
                    if let Some(gain) = gain
                        && gain > entry.gain
                    {
                        (entry.gain, entry.numbers) = ((gain * 1e3).round() / 1e3, numbers);
                    }
                    self.write()?;
                    progress.advance(1);
                }
            }
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        let text = self.found.table.text()?;
        let written = files::write(self.path, text.as_bytes());
        Ok(written.map_err(|failure| failure.text(false).unwrap_or_default())?)
    }

    /// The entry of a class, made where there is none, and what is to be tried next.
    fn place<M: Machine>(
        &mut self,
        machine: &M,
        backend: Backend,
        kind: Kind,
        shape: Shape,
    ) -> (usize, Option<Numbers>) {
        let choices = kind.choices();
        let fresh = Entry {
            device: machine.name(),
            backend: backend.word().to_owned(),
            kind: kind.kernel().word().to_owned(),
            precision: tuning::Precision::Exact,
            rows: Rows::of(shape.n),
            columns: Columns::of(shape.k),
            numbers: Numbers::default(),
            gain: 1.0,
            tried: 0,
            choices: choices.len(),
        };
        let entries = &mut self.found.table.schedules;
        let class = |entry: &Entry| Entry {
            numbers: Numbers::default(),
            gain: 1.0,
            tried: 0,
            choices: choices.len(),
            ..entry.clone()
        };
        let known = entries.iter().position(|entry| class(entry) == fresh);
        let place = known.unwrap_or_else(|| {
            entries.push(fresh.clone());
            entries.len() - 1
        });
        if entries[place].choices != choices.len() {
            // There was something else to try then.
            entries[place] = fresh;
        }
        (place, choices.get(entries[place].tried).copied())
    }

    /// By how much these schedules are faster, as a mean over formats; none where it may be noise, or no
    /// format has kernels of such schedules.
    fn gain<M: Machine>(
        &mut self,
        machine: &M,
        schedules: &Schedules,
        held: &[(&Held<M>, &Case<'_, M>)],
    ) -> Result<Option<f64>> {
        let (mut gains, mut least) = (vec![], vec![]);
        for (held, case) in held {
            let Ok(format) = held.tensor.format().scheduled(schedules) else { continue };
            let (n, k) = (held.tensor.n(), held.tensor.k());
            let tensor = Tensor::new("weights", &format, n, k, held.tensor.streams().to_vec())?;
            let copies = held.copies.iter().map(|_| machine.upload(&tensor, Precision::Exact));
            let copies = copies.collect::<Result<Vec<_>>>()?;
            let mut call = case.call(&copies, false);
            if let Some(problem) = case.check(&mut call, Precision::Exact).problem {
                self.found.wrong.push(format!("{} with {schedules:?}: {problem}", format.name));
                return Ok(None);
            }
            let own = case.call(&held.copies, false);
            let mut timed: [Box<dyn Call + '_>; 2] = [Box::new(own), Box::new(call)];
            let plan = Plan {
                budget: BUDGET,
                warm: Duration::ZERO,
                copies: case.turns(copies.len()),
                behind: 2.0,
            };
            let samples = measure(&mut timed, &plan)?;
            let ratios = samples[0].iter().zip(&samples[1]).map(|(own, other)| own / other);
            let ratio = Spread::of(ratios).ok_or("no samples")?;
            gains.push(ratio.median);
            least.push(ratio.lower_quartile);
        }
        let mean = |ratios: &[f64]| {
            (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
        };
        Ok((!gains.is_empty() && mean(&least) > GAIN).then(|| mean(&gains)))
    }
}

fn held<M: Machine>(machine: &M, format: &Format, shape: Shape, rotate: u64) -> Result<Held<M>> {
    let weights = Weights::random(format, shape)?;
    let tensor = weights.tensor()?;
    let copies = 0..rotate.div_ceil(weights.bytes() as u64).max(2);
    let copies = copies.map(|_| machine.upload(&tensor, Precision::Exact));
    Ok(Held { copies: copies.collect::<Result<_>>()?, tensor, weights })
}

/// What the table has for the devices that were searched.
pub fn text(found: &Found) -> String {
    let mut text = String::new();
    for missing in &found.missing {
        let _ = writeln!(text, "{missing}");
    }
    for device in &found.devices {
        let _ = writeln!(text, "\n== {device}");
        for entry in found.table.schedules.iter().filter(|entry| entry.device == *device) {
            let class = format!("{:?} rows, {:?} columns", entry.rows, entry.columns);
            let numbers = match entry.numbers == Numbers::default() {
                true => "the compiler's numbers".to_owned(),
                false => format!("{:.2} times as fast with {}", entry.gain, shown(&entry.numbers)),
            };
            let Entry { backend, kind, tried, choices, .. } = entry;
            let _ = writeln!(
                text,
                "{backend} {kind}, {}: {numbers}; {tried} of {choices} tried",
                class.to_lowercase()
            );
        }
    }
    text
}

fn shown(numbers: &Numbers) -> String {
    let all = [
        ("workgroup", numbers.workgroup),
        ("rows", numbers.rows),
        ("threads_n", numbers.threads_n),
        ("threads_m", numbers.threads_m),
        ("each_n", numbers.each_n),
        ("each_m", numbers.each_m),
        ("step", numbers.step),
    ];
    let given = all.iter().filter_map(|(name, number)| Some(format!("{name} {}", (*number)?)));
    given.collect::<Vec<_>>().join(", ")
}
