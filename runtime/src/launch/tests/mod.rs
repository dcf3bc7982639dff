//! Plans without a device: what launches cover, what is refused.

mod limits;

use std::cell::RefCell;

use super::*;
use crate::artifact::{Activations, Artifact, Backend, Dims, Kind, Role};
use crate::{Epilogue, Error, Format, formats};

/// A range of a numbered memory.
type Range = Span<usize>;

const STREAMS: usize = 1000;
const TABLES: usize = 2000;
const SCRATCH: usize = 3000;

/// A memory that only measures.
struct Measured<'p> {
    planner: &'p Planner,
    asked: RefCell<Vec<Scratch>>,
}

impl Memory for Measured<'_> {
    type Buffer = usize;

    fn stream(&self, part: usize, stream: usize) -> Option<Range> {
        let range = self.planner.streams(self.planner.parts.get(part)?).nth(stream)?;
        let bytes = self.planner.padded(range.len());
        Some(Span { buffer: STREAMS + 100 * part + stream, begin: 0, bytes })
    }

    fn tables(&self) -> Option<Range> {
        let bytes = self.planner.tables().len() as u64;
        (bytes > 0).then_some(Span { buffer: TABLES, begin: 0, bytes })
    }

    fn scratch(&self, purpose: Scratch, bytes: u64) -> Result<Range> {
        assert!(!self.asked.borrow().contains(&purpose), "{purpose:?} twice");
        self.asked.borrow_mut().push(purpose);
        Ok(scratch(purpose, bytes))
    }
}

const EVERYTHING: Limits = Limits { alignment: 256, addresses: false, ..Limits::ADDRESSES };

fn exact() -> Choice {
    Choice::new(Backend::Wgsl, EVERYTHING)
}

/// A built-in format of one stream of blocks, with kernels of every kind.
fn format() -> Format {
    let all = |artifact: &&Artifact| {
        artifact.is_plain()
            && artifact.streams.len() == 1
            && artifact.tables.is_empty()
            && artifact.f16_kernel(Backend::Wgsl, 16).is_some()
            && artifact.int8_kernel(Backend::Wgsl, Kind::Matmul, false).is_some()
    };
    Format::from(formats().iter().find(all).unwrap())
}

/// The same without kernels that `dropped` names.
fn without(dropped: impl Fn(&Kernel) -> bool) -> Format {
    let mut artifact = Artifact::clone(&format());
    artifact.kernels.to_mut().retain(|kernel| !dropped(kernel));
    Format::from(artifact)
}

fn planner(choice: &Choice, format: &Format, n: u32, blocks: u32) -> Result<Planner> {
    let sizes = [n.into(), u64::from(blocks) * u64::from(format.weights)];
    let dims = Dims { n, blocks, sizes: [1; 2] };
    Planner::of("a device", choice, "w", format.clone(), sizes, dims)
}

fn operands(planner: &Planner, outputs: u64, inputs: u64) -> Operands<Range> {
    let span = |buffer, bytes: u64| Some(Span { buffer, begin: 0, bytes: bytes + 16 });
    let indices = span(3, 4 << 32);
    let (x, y) = (span(1, 4 * inputs), span(2, 4 * outputs));
    let epilogue = Epilogue { bias: span(4, 4 * planner.n), ..Epilogue::default() };
    Operands { x, indices, y, epilogue }
}

/// The plan of a call, whose launches are as they should be.
fn plan<'p>(planner: &'p Planner, call: &Call, given: &Operands<Range>) -> Result<Plan<'p, usize>> {
    let memory = Measured { planner, asked: RefCell::default() };
    let plan = planner.plan(&memory, call, given)?;
    for Launch { kernel, shape, grid, bound } in &plan.launches {
        assert_eq!(bound.len(), kernel.bindings.len());
        for (bound, binding) in bound.iter().zip(kernel.bindings.iter()) {
            match (bound, binding.role) {
                (Bound::Written(_), Role::Output) | (Bound::Shape, Role::Shape) => {}
                (Bound::Read(view), role) => {
                    assert!(view.bytes > 0 && role != Role::Output, "{view:?} for {role:?}");
                }
                other => panic!("{other:?}"),
            }
        }
        let most = planner.choice.limits.workgroups;
        assert!(grid.iter().all(|&size| (1..=most).contains(&size)), "{grid:?}");
        assert!(shape.words().iter().all(|&word| word < 1 << 31), "{shape:?}");
    }
    Ok(plan)
}

fn name(planner: &Planner, m: u32) -> String {
    let kernel = planner.product_kernel(m).unwrap();
    kernel.name.strip_prefix(&*planner.format.name).unwrap()[1..].to_owned()
}

#[test]
fn zeros_stand_in_for_chosen_matrices() {
    let no_matmul = without(|kernel| kernel.kind == Kind::Matmul);
    let planner = planner(&exact(), &no_matmul, 77, 3).unwrap();
    let given = operands(&planner, 5 * 77, 5 * planner.k);
    let plan = plan(&planner, &Call::Product { m: 5 }, &given).unwrap();
    let [launch] = &plan.launches[..] else { panic!("{} launches", plan.launches.len()) };
    let zeros = scratch(Scratch::Zeros, 20);
    assert!(launch.bound.contains(&Bound::Read(zeros)));
    let Shape { m, used, matrices, stride, .. } = launch.shape;
    assert_eq!((m, used, matrices, stride), (5, 1, 1, 77));
}

#[test]
fn every_call_covers_the_tensor_at_odd_sizes() {
    let format = format();
    let mut choice = Choice { subgroups: true, ..exact() };
    choice.activations = Activations::Int8;
    for (n, blocks, binding) in [
        (1, 1, u64::MAX),
        (2, 1, u64::MAX),
        (127, 3, 1 << 12),
        (8191, 7, 1 << 16),
        (65_537, 1, 1 << 20),
        (131_071, 33, 1 << 27),
        ((1 << 31) - 1, 1, u64::MAX),
        (1, (1 << 30) / format.weights, u64::MAX),
        (40_009, 40_009, u64::MAX),
    ] {
        choice.limits.binding = binding;
        let planner = planner(&choice, &format, n, blocks).unwrap();
        let mut at = 0;
        for part in &planner.parts {
            assert!(part.start == at && part.end > at, "{part:?}");
            at = part.end;
        }
        assert_eq!(at, n.into());
        for m in [1u32, 2, 16, 17, 100] {
            let (outputs, inputs) = (u64::from(m) * planner.n, u64::from(m) * planner.k);
            let given = operands(&planner, outputs, inputs);
            let call = Call::Product { m };
            let fits = 4 * outputs.max(inputs) + 16 < planner.choice.limits.bindable();
            match plan(&planner, &call, &given) {
                Ok(plan) => {
                    // All rows, once, after the launch that rounds.
                    let rows = plan.launches[1..].iter().map(|l| u64::from(l.shape.n)).sum::<u64>();
                    assert_eq!(rows, planner.n, "{call:?}");
                }
                Err(error) => assert!(!fits, "[{n}, {blocks}] {call:?}: {error}"),
            }
        }
        let given = operands(&planner, planner.n * planner.k, 0);
        if let Ok(plan) = plan(&planner, &Call::Dequant { element: Element::F32 }, &given) {
            let mut at = 0;
            for launch in &plan.launches {
                let Bound::Written(view) = launch.bound[1] else { panic!("{:?}", launch.bound) };
                assert_eq!(view.begin, at);
                at += 4 * u64::from(launch.shape.k);
            }
            assert_eq!(at, 4 * planner.n * planner.k);
        }
    }
}

#[test]
fn numbers_of_a_call_are_checked() {
    let planner = planner(&exact(), &format(), 12, 1).unwrap();
    let given = operands(&planner, 1 << 20, 1 << 20);
    let refused = |call: Call| plan(&planner, &call, &given).err().unwrap().to_string();
    assert!(refused(Call::Product { m: 0 }).contains("m must be at least 1"));
    let experts = |m, used, matrices| Call::Experts(Experts { m, used, matrices });
    assert!(refused(experts(0, 1, 1)).contains("m must be at least 1"));
    assert!(refused(experts(1, 0, 1)).contains("must be at least 1"));
    assert!(refused(experts(1, 1, 0)).contains("0 matrices"));
    assert!(refused(experts(1, 1, 5)).contains("a multiple of their number"));
    assert!(refused(experts(u32::MAX, u32::MAX, 1)).contains("fewer than 2^31"));
    assert!(refused(Call::Product { m: u32::MAX }).contains("rounded up to a multiple of 4"));
    let none = Call::Gather { rows: 0, element: Element::F32 };
    assert!(plan(&planner, &none, &given).unwrap().launches.is_empty());
    let missing = Operands { x: None, ..given };
    let error = plan(&planner, &Call::Product { m: 1 }, &missing).err().unwrap().to_string();
    assert!(error.contains("activations of tensor `w`: there are none"), "{error}");
}

#[test]
fn what_lies_in_the_buffer_of_the_output_is_copied_or_refused() {
    let (k, n) = (u64::from(format().weights), 12);
    let one = |begin, bytes| Some(Span { buffer: 7, begin, bytes });
    let aligned = (4 * k).next_multiple_of(256);
    let call = Call::Product { m: 1 };
    let bias = one(aligned + 256, 64);
    let epilogue = Epilogue { bias, ..Epilogue::default() };
    let given = Operands { x: one(0, 4 * k), y: one(aligned, 64), indices: None, epilogue };
    let exact_planner = planner(&exact(), &format(), n, 1).unwrap();
    let copied = plan(&exact_planner, &call, &given).unwrap();
    let copies = [
        [given.x.unwrap().part(0, 4 * k), scratch(Scratch::Activations, 4 * k)],
        [bias.unwrap().part(0, 48), scratch(Scratch::Bias, 48)],
    ];
    assert_eq!(copied.copies, copies);
    for [from, to] in copies {
        let bound = &copied.launches[0].bound;
        assert!(bound.contains(&Bound::Read(to)) && !bound.contains(&Bound::Read(from)));
    }
    // Rounding reads them in a launch of its own.
    let int8 = Choice { activations: Activations::Int8, ..exact() };
    let int8 = planner(&int8, &format(), n, 1).unwrap();
    let given = Operands { epilogue: Epilogue::default(), ..given };
    let rounded = plan(&int8, &call, &given).unwrap();
    assert!(rounded.copies.is_empty() && rounded.launches.len() == 2);

    for y in [one(0, 64), one(aligned - 256, 512)] {
        let error =
            plan(&exact_planner, &call, &Operands { y, ..given }).err().unwrap().to_string();
        assert!(error.contains("it shares bytes with the activations"), "{error}");
    }
}

fn scratch(purpose: Scratch, bytes: u64) -> Range {
    Span { buffer: SCRATCH + purpose as usize, begin: 0, bytes }
}

#[test]
fn host_memory_comes_in_steps_that_fit() {
    let mut choice = exact();
    choice.limits.binding = 1 << 14;
    let planner = planner(&choice, &format(), 1009, 2).unwrap();
    let (n, k) = (1009, planner.k as usize);
    for m in [1, 3, 4, 5, 997] {
        let (x, mut y) = (vec![0.0; m * k], vec![0.0f32; m * n]);
        let (mut rows, mut outputs) = (0, 0);
        for step in planner.products(&x, m, &mut y, Epilogue::default()) {
            let Call::Product { m } = step.call else { panic!("{:?}", step.call) };
            assert_eq!((step.x.len(), step.y.len()), (m as usize * k, 4 * m as usize * n));
            assert!(step.bytes() <= 1 << 14);
            (rows, outputs) = (rows + m as usize, outputs + step.y.len());
        }
        assert_eq!((rows, outputs), (m, 4 * m * n));
    }
    let mut y = vec![0.0f32; n * k];
    let steps = planner.weights(&mut y, Element::F32).unwrap();
    assert_eq!(steps.iter().map(|step| step.y.len()).sum::<usize>(), 4 * n * k);
    assert!(steps.len() > 1 && steps.iter().all(|step| step.bytes() <= 1 << 14));
    let rows: Vec<u32> = (0..1000).collect();
    let mut y = vec![0.0f32; 1000 * k];
    let steps = planner.rows(&rows, &mut y, Element::F32).map(|step| step.indices.len());
    assert_eq!(steps.sum::<usize>(), 1000);
}
