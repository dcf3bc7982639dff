//! A tensor whose HIP kernels run on the CPU.

use std::cell::RefCell;
use std::mem::take;

use bytemuck::cast_slice;

use super::kernel::{Argument, HostKernel};
use super::memory::Buffer;
use super::{DEVICE, HipHost, Kernels};
use crate::artifact::Kernel;
use crate::launch::{Bound, Launch, Memory, Operands, Planner, Runs, Scratch, Span, Step};
use crate::{Error, Result};

/// A tensor, its padded bytes, its format's tables and kernels.
pub(super) struct HostWeights {
    pub host: HipHost,
    pub planner: Planner,
    /// A buffer for each stream of each part.
    pub parts: Vec<Vec<Buffer>>,
    pub tables: Buffer,
    pub kernels: Kernels,
}

/// Memory of a call, which later ones use again: operands, and after them what a plan asks for.
pub(super) type Staging = [Buffer; SCRATCH + Scratch::COUNT];

const X: usize = 0;
const INDICES: usize = 1;
const BIAS: usize = 2;
const Y: usize = 3;
const SCRATCH: usize = 4;

/// Where memory of the device is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Stream { part: usize, stream: usize },
    Tables,
    Staged(usize),
}

/// What a plan may bind.
struct Places<'a> {
    weights: &'a HostWeights,
    staging: RefCell<&'a mut Staging>,
}

impl Runs for HostWeights {
    fn planner(&self) -> &Planner {
        &self.planner
    }

    fn run(&self, step: Step<'_>) -> Result<()> {
        self.host.kept.with(|staging| self.compute(step, staging))
    }
}

impl HostWeights {
    /// Runs a step in this memory.
    fn compute(&self, step: Step<'_>, staging: &mut Staging) -> Result<()> {
        let bytes = step.bytes();
        let Step { call, x, indices, epilogue, y } = step;
        let bias = epilogue.bias.map(cast_slice);
        let before: &[u8] = if epilogue.add { y } else { &[] };
        let held = [cast_slice(x), cast_slice(indices), bias.unwrap_or_default(), before];
        for (buffer, from) in staging.iter_mut().zip(held) {
            buffer.hold(from.len() as u64)?;
            buffer.fill(from);
        }
        staging[Y].hold(bytes)?;
        let whole = |place: usize| Some(staging[place].span(Place::Staged(place)));
        let epilogue = epilogue.with_bias(bias.and_then(|_| whole(BIAS)));
        let operands = Operands { x: whole(X), indices: whole(INDICES), y: whole(Y), epilogue };
        let places = Places { weights: self, staging: RefCell::new(staging) };
        let plan = self.planner.plan(&places, &call, &operands)?;
        plan.launches.iter().try_for_each(|launch| self.launch(staging, launch))?;
        let output = staging[Y].bytes().get(..y.len());
        y.copy_from_slice(output.ok_or_else(nowhere)?);
        Ok(())
    }

    fn launch(&self, staging: &mut Staging, launch: &Launch<'_, Place>) -> Result<()> {
        let written = launch.bound.iter().find_map(|bound| match bound {
            Bound::Written(Span { buffer: Place::Staged(place), .. }) => Some(*place),
            _ => None,
        });
        let written = written.ok_or_else(nowhere)?;
        // It is not among those that are read meanwhile.
        let mut output = take(&mut staging[written]);
        let launched = self.launch_to(&mut output, staging, launch);
        staging[written] = output;
        launched
    }

    fn launch_to(
        &self,
        output: &mut Buffer,
        staging: &Staging,
        launch: &Launch<'_, Place>,
    ) -> Result<()> {
        let words = launch.shape.words();
        let mut output = Some(output.bytes_mut());
        let arguments = launch.bound.iter().map(|bound| match bound {
            Bound::Read(span) => self.bytes(staging, span).map(Argument::Read),
            Bound::Written(span) => {
                output.take()?.get_mut(span.begin as usize..).map(Argument::Write)
            }
            Bound::Shape => Some(Argument::Value(cast_slice(&words))),
        });
        let arguments = arguments.collect::<Option<Vec<_>>>().ok_or_else(nowhere)?;
        let kernel = self.kernel(launch.kernel)?;
        // SAFETY: `upload` saw that the format is proven or vouched for: the text's loads lie in the blocks
        // and the padding after them. Streams hold all blocks of the tensor, as `Tensor` checked, and
        // the padding; operands hold what the shape says, as `Planner::given` saw.
        #[allow(unsafe_code)]
        unsafe {
            kernel.launch(launch.grid, arguments)
        }
    }

    /// The memory of a span, to the end of its buffer.
    fn bytes<'a>(&'a self, staging: &'a Staging, span: &Span<Place>) -> Option<&'a [u8]> {
        let buffer = match span.buffer {
            Place::Stream { part, stream } => self.parts.get(part)?.get(stream)?,
            Place::Tables => &self.tables,
            Place::Staged(place) => staging.get(place)?,
        };
        buffer.bytes().get(span.begin as usize..)
    }

    /// A kernel of the format or the one that rounds activations, compiled.
    fn kernel(&self, wanted: &Kernel) -> Result<&HostKernel> {
        let kernel = self.kernels.iter().find(|kernel| kernel.facts().name == wanted.name);
        kernel.ok_or_else(|| Error::Missing {
            format: self.planner.format.name.to_string(),
            what: format!("kernel `{}`", wanted.name),
            hint: String::new(),
        })
    }
}

impl Memory for Places<'_> {
    type Buffer = Place;

    fn stream(&self, part: usize, stream: usize) -> Option<Span<Place>> {
        let buffer = self.weights.parts.get(part)?.get(stream)?;
        Some(buffer.span(Place::Stream { part, stream }))
    }

    fn tables(&self) -> Option<Span<Place>> {
        Some(self.weights.tables.span(Place::Tables))
    }

    fn scratch(&self, purpose: Scratch, bytes: u64) -> Result<Span<Place>> {
        let place = SCRATCH + purpose as usize;
        let buffer = &mut self.staging.borrow_mut()[place];
        buffer.hold(bytes)?;
        Ok(buffer.span(Place::Staged(place)).part(0, bytes))
    }
}

/// A span of memory that is not there.
fn nowhere() -> Error {
    Error::Device {
        device: DEVICE.to_owned(),
        during: "launching a kernel".to_owned(),
        problem: "it binds memory that is not there".to_owned(),
    }
}
