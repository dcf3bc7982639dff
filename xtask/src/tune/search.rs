//! The search: every choice of numbers in turn with the compiler's own, until time is up.

use super::Args;
use super::compare::{Cases, Held, Verdict};
use super::plan::{Kernels, Plan};
use super::report::shown;
use crate::bench::Result;
use crate::bench::gpu::hip::HipMachine;
use crate::bench::gpu::machine::Machine;
use crate::bench::gpu::options::Api;
use crate::bench::gpu::wgpu::WgpuMachine;
use crate::bench::options::Shape;
use crate::failure::{Failure, Outcome};
use crate::files;
use crate::progress::Progress;
use clap::ValueEnum;
use quantloom::artifact::Backend;
use quantloom::hip::Hip;
use quantloom::tuning::{Columns, Entry, Numbers, Rows, Schedules, Table};
use std::path::Path;
use std::time::Instant;

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

/// Searches on every device that is asked for and there. The table is written after every choice.
pub fn run(args: &Args, path: &Path) -> Outcome<Found> {
    let table = if path.is_file() { Table::read(path)? } else { Table::default() };
    let mut search = Search::new(Plan::new(args).map_err(Failure::input)?, path, table);
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

/// A search that goes on with a table.
pub struct Search<'a> {
    plan: Plan,
    path: &'a Path,
    pub found: Found,
    /// Is told at once of each kernel that computed something wrong: what ends a search may leave it no time.
    pub told: &'a dyn Fn(&str) -> Result<()>,
}

/// A device that is searched, and until when.
struct Turn<'a, M> {
    backend: Backend,
    machine: &'a M,
    end: Instant,
    /// Preparation may take all the time there is: one choice is tried in any case.
    begun: bool,
    progress: Progress,
}

impl<M> Turn<'_, M> {
    fn is_over(&self) -> bool {
        self.begun && Instant::now() >= self.end
    }
}

impl Search<'_> {
    /// Of what is asked for, in a file.
    pub fn new(plan: Plan, path: &Path, table: Table) -> Search<'_> {
        let found = Found { table, devices: vec![], missing: vec![], wrong: vec![] };
        Search { plan, path, found, told: &|_| Ok(()) }
    }

    /// Searches until time is up.
    pub fn device<M: Machine>(&mut self, backend: Backend, machine: &M) -> Result<()> {
        self.found.devices.push(machine.name());
        let end = Instant::now() + self.plan.time;
        let kernels = self.plan.kernels(&machine.precisions());
        if kernels.is_empty() {
            return Err(format!("{} has no kernels in these precisions", machine.name()).into());
        }
        let mut turn = Turn { backend, machine, end, begun: false, progress: Progress::new(0) };
        let shapes = self.plan.shapes.clone();
        let of_shape = |&shape: &Shape| -> usize {
            kernels.iter().map(|&kernels| self.left(&turn, kernels, shape).len()).sum()
        };
        turn.progress = Progress::new(shapes.iter().map(of_shape).sum::<usize>() as u64);
        shapes.into_iter().try_for_each(|shape| self.shape(&mut turn, &kernels, shape))
    }

    /// Searches what is left of a class of shapes.
    fn shape<M: Machine>(
        &mut self,
        turn: &mut Turn<'_, M>,
        kernels: &[Kernels],
        shape: Shape,
    ) -> Result<()> {
        let mut held: Vec<Held<M>> = vec![];
        for way in turn.machine.precisions() {
            let own = kernels
                .iter()
                .copied()
                .filter(|&own| own.way() == way && !self.left(turn, own, shape).is_empty());
            let own: Vec<Kernels> = own.collect();
            if own.is_empty() || turn.is_over() {
                continue;
            }
            turn.progress.at(&format!("{shape}: preparing"));
            if held.is_empty() {
                let all = self.plan.formats.iter().map(|format| Held::new(format, shape));
                held = all.collect::<Result<_>>()?;
            }
            for held in &mut held {
                held.upload(turn.machine, way, self.plan.rotate)?;
            }
            for kernels in own {
                self.kernels(turn, kernels, shape, &held)?;
            }
        }
        Ok(())
    }

    /// Tries what is left of one kind and precision.
    fn kernels<M: Machine>(
        &mut self,
        turn: &mut Turn<'_, M>,
        kernels: Kernels,
        shape: Shape,
        held: &[Held<M>],
    ) -> Result<()> {
        let Turn { backend, machine, .. } = *turn;
        if turn.is_over() {
            return Ok(());
        }
        let of = held.iter().filter(|held| kernels.are_of(held.format(), backend));
        let cases = Cases::new(machine, of, &self.plan.cases(kernels), self.plan.rotate)?;
        let place = self.place(turn, kernels, shape);
        for numbers in self.left(turn, kernels, shape) {
            if turn.is_over() {
                break;
            }
            turn.begun = true;
            turn.progress.at(&format!("{shape} {}", kernels.name()));
            let activations = kernels.precision.activations();
            let kind = kernels.kind.kernel();
            let schedules = Schedules::default().with(backend, kind, activations, numbers);
            let verdict = cases.compare(machine, kernels, &schedules)?;
            let entry = &mut self.found.table.schedules[place];
            entry.tried += 1;
            match verdict {
                Verdict::Faster(gain) if gain > entry.gain => {
                    (entry.gain, entry.numbers) = ((gain * 1e3).round() / 1e3, numbers);
                }
                Verdict::Faster(_) | Verdict::Not => {}
                Verdict::Wrong(problem) => {
                    let (name, numbers) = (kernels.name(), shown(&numbers));
                    let wrong = format!("{name} with {numbers}, {problem}");
                    (self.told)(&wrong)?;
                    self.found.wrong.push(wrong);
                }
            }
            self.write()?;
            turn.progress.advance(1);
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        let text = self.found.table.text()?;
        let written = files::write(self.path, text.as_bytes());
        Ok(written.map_err(|failure| failure.text(false).unwrap_or_default())?)
    }

    /// What is left to be tried of a class.
    fn left<M: Machine>(&self, turn: &Turn<'_, M>, kernels: Kernels, shape: Shape) -> Vec<Numbers> {
        let fresh = fresh(turn, kernels, shape);
        let known = self.found.table.schedules.iter().find(|entry| is_of(entry, &fresh));
        let tried = known.map_or(0, |entry| entry.tried);
        kernels.choices(turn.backend).into_iter().skip(tried).collect()
    }

    /// The entry of a class, made where there is none.
    fn place<M: Machine>(&mut self, turn: &Turn<'_, M>, kernels: Kernels, shape: Shape) -> usize {
        let fresh = fresh(turn, kernels, shape);
        let entries = &mut self.found.table.schedules;
        if let Some(place) = entries.iter().position(|entry| is_of(entry, &fresh)) {
            return place;
        }
        // What was found when there was something else to try is worth nothing.
        entries.retain(|entry| !is_of(&Entry { choices: fresh.choices, ..entry.clone() }, &fresh));
        entries.push(fresh);
        entries.len() - 1
    }
}

/// An entry of which nothing is tried.
fn fresh<M: Machine>(turn: &Turn<'_, M>, kernels: Kernels, shape: Shape) -> Entry {
    Entry {
        device: turn.machine.name(),
        backend: turn.backend.word().to_owned(),
        kind: kernels.kind.kernel().word().to_owned(),
        precision: kernels.precision,
        rows: Rows::of(shape.n),
        columns: Columns::of(shape.k),
        numbers: Numbers::NONE,
        gain: 1.0,
        tried: 0,
        choices: kernels.choices(turn.backend).len(),
    }
}

/// Whether an entry is for the class that a fresh one is for, with as much to try.
fn is_of(entry: &Entry, fresh: &Entry) -> bool {
    let Entry { numbers, gain, tried, .. } = fresh.clone();
    Entry { numbers, gain, tried, ..entry.clone() } == *fresh
}
