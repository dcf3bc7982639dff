//! Executes plans: adds their launches to a stream of the caller's.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::context::Function;
use super::{Buffer, HipWeights, Stream, View};
use crate::artifact::Element;
use crate::launch::{Bound, Call, Launch, Memory, Operands, Scratch, Span, calls, locked};
use crate::{Epilogue, Experts, Result};

calls!(
    HipWeights, "Launches", (stream: &Stream), enqueue,
    [launch_matvec, launch_matvec_with, launch_matmul, launch_matmul_with],
    [launch_matmul_experts, launch_matmul_experts_with], launch_gather, launch_dequant, launch_rounding
);

/// What calls leave to one another on a stream.
pub(super) type Scratches = [Option<Buffer>; Scratch::COUNT];

/// What a plan may bind: the weights, and what the stream keeps.
struct Addresses<'a> {
    weights: &'a HipWeights,
    scratch: RefCell<&'a mut Scratches>,
}

impl HipWeights {
    /// Launches a call on a stream; nothing where it fails before the driver is asked.
    pub(super) fn enqueue(
        &self,
        stream: &Stream,
        call: &Call,
        operands: Operands<View<'_>>,
    ) -> Result<()> {
        stream.check(&self.hip.context)?;
        let operands = operands.try_map(|what, view| match view.context {
            Some(owner) if !Arc::ptr_eq(owner, &self.hip.context) => {
                let problem = "a buffer of another device, or of a device opened twice".to_owned();
                Err(self.planner.argument(what, problem))
            }
            _ => Ok(view.into()),
        })?;
        // While this is held nobody else uses what the stream keeps.
        let mut scratch = locked(&stream.scratch);
        let memory = Addresses { weights: self, scratch: RefCell::new(&mut scratch) };
        let plan = self.planner.plan(&memory, call, &operands)?;
        let launches = plan.launches.iter();
        let launches = launches.map(|launch| Ok((self.function(launch.kernel)?, launch)));
        let launches = launches.collect::<Result<Vec<_>>>()?;
        launches.iter().try_for_each(|(function, launch)| self.launch(stream, function, launch))
    }

    fn launch(&self, stream: &Stream, function: &Function, launch: &Launch<'_, ()>) -> Result<()> {
        let Launch { kernel, grid, bound, .. } = launch;
        let mut shape = launch.shape.words();
        let addresses = bound.iter().map(|bound| match bound {
            Bound::Read(span) | Bound::Written(span) => span.begin,
            Bound::Shape => 0,
        });
        let mut addresses: Vec<u64> = addresses.collect();
        let arguments = bound.iter().zip(&mut addresses).map(|(bound, address)| match bound {
            Bound::Shape => (&raw mut shape).cast::<c_void>(),
            _ => ptr::from_mut(address).cast(),
        });
        let mut arguments: Vec<_> = arguments.collect();
        let during = || format!("launching `{}`", kernel.name);
        // SAFETY: the plan has an argument for each that the facts of the kernel list, addresses and one shape.
        // `upload` saw that the format is proven or vouched for: the text's loads lie in the blocks and the
        // padding after them, which the streams hold; operands hold what the shape says, as `Planner::given` saw,
        // and who owns them keeps them: buffers wait for the device, views are vouched for.
        self.hip.context.call(during, |driver| unsafe {
            driver.launch(function.handle, *grid, kernel.workgroup, &mut arguments, stream.handle())
        })
    }
}

impl Memory for Addresses<'_> {
    /// Addresses are those of the whole device.
    type Buffer = ();

    fn stream(&self, part: usize, stream: usize) -> Option<Span<()>> {
        self.weights.parts.get(part)?.get(stream).map(span)
    }

    fn tables(&self) -> Option<Span<()>> {
        self.weights.tables.as_ref().map(span)
    }

    fn scratch(&self, purpose: Scratch, bytes: u64) -> Result<Span<()>> {
        let slot = &mut self.scratch.borrow_mut()[purpose as usize];
        let held = slot.as_ref().map_or(0, Buffer::bytes);
        let buffer = self.weights.hip.sized(slot, bytes)?;
        if purpose == Scratch::Zeros && buffer.bytes() > held {
            buffer.fill(&[])?;
        }
        Ok(span(buffer))
    }
}

fn span(buffer: &Buffer) -> Span<()> {
    View::from(buffer).into()
}

impl From<View<'_>> for Span<()> {
    fn from(view: View<'_>) -> Span<()> {
        Span { buffer: (), begin: view.address, bytes: view.bytes }
    }
}
