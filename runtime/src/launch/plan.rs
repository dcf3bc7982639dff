//! Plans: the copies and launches of a call, with everything checked that a caller can get wrong.

use std::ops::Range;

use super::choice::{Task, covered};
use super::limits::padded;
use super::{Bound, Call, Launch, Memory, Operands, Plan, Planner, Scratch, Span, parts};
use crate::artifact::{Activations, CHUNK, CHUNK_BYTES, Element, Kernel, Kind, Role, Shape};
use crate::{Error, Experts, Result};

/// A plan that is being made.
struct Making<'p, 'm, M: Memory> {
    planner: &'p Planner,
    memory: &'m M,
    plan: Plan<'p, M::Buffer>,
}

type Given<M> = Operands<Span<<M as Memory>::Buffer>>;

impl Planner {
    /// The plan of a call.
    ///
    /// # Errors
    /// Where an operand is too short or cannot be bound, one that is written shares bytes with one that is
    /// read, numbers of the call do not fit the tensor, or the device has no kernel for it.
    pub fn plan<M: Memory>(
        &self,
        memory: &M,
        call: &Call,
        operands: &Given<M>,
    ) -> Result<Plan<'_, M::Buffer>> {
        let plan = Plan { copies: Vec::new(), launches: Vec::new() };
        let mut making = Making { planner: self, memory, plan };
        if !matches!(call, Call::Gather { rows: 0, .. }) {
            making.call(call, self.given(call, operands)?)?;
        }
        Ok(making.plan)
    }

    /// Blocks of a part that are decoded at once, into at most `room` bytes.
    pub(super) fn pieces(
        &self,
        rows: &Range<u64>,
        element: Element,
        room: u64,
    ) -> Result<Vec<Range<u64>>> {
        let blocks = (rows.end - rows.start) * u64::from(self.dims.blocks);
        let grid = self.kernel(&Call::Dequant { element }, false)?.grid;
        let limits = &self.choice.limits;
        let pieces = parts::pieces(blocks, &self.format, element.bytes(), room, grid, limits);
        pieces.map_err(|problem| self.unfit(problem))
    }

    /// Weights of some blocks.
    pub(super) fn decoded(&self, blocks: &Range<u64>) -> u64 {
        (blocks.end - blocks.start) * u64::from(self.format.weights)
    }

    /// A part of activations or an output, where it may be bound on its own.
    fn row<B>(&self, span: Option<Span<B>>, offset: u64, bytes: u64) -> Result<Option<Span<B>>> {
        let alignment = self.choice.limits.alignment_of(true);
        match offset.is_multiple_of(alignment) {
            true => Ok(span.map(|span| span.part(offset, bytes))),
            false => Err(self.unfit(format!(
                "it is computed in pieces, one of which begins at byte {offset} of its activations or output; that \
                 is not a multiple of {alignment}, as it must be; compute with slices of the host's memory instead, \
                 an activation row at a time"
            ))),
        }
    }
}

impl<'p, M: Memory> Making<'p, '_, M> {
    fn call(&mut self, call: &Call, mut given: Given<M>) -> Result<()> {
        let planner = self.planner;
        match *call {
            Call::Rounding { m } => return self.rounding(m, &given).map(drop),
            Call::Piece { part, ref blocks, element } => {
                return self.piece(part, blocks.clone(), element, &given);
            }
            Call::Dequant { element } => return self.dequant(element, &given),
            _ => {}
        }
        let kernel = planner.kernel(call, !given.epilogue.is_plain())?;
        given.epilogue.check(kernel, &planner.format)?;
        let rounds = kernel.activations == Activations::Int8;
        self.separate(&mut given, rounds)?;
        let task = planner.task(call);
        // Rows and columns are below 2^31: `parts`; `Tensor` counts all rows in 32 bits.
        let shape = Shape { stride: planner.n as u32, ..Shape::default() };
        let shape = given.epilogue.tell(match *call {
            Call::Experts(Experts { m, used, matrices }) => {
                Shape { m, used, matrices, stride: task.n as u32, ..shape }
            }
            _ => Shape { m: task.m as u32, ..shape },
        });
        if let Call::Product { m } = *call {
            if rounds {
                given.x = Some(self.rounding(m, &given)?);
            }
            match kernel.kind {
                Kind::Matvec => return self.one_by_one(kernel, shape, &task, &given),
                // The whole tensor is the one matrix that all rows choose.
                Kind::MatvecExperts | Kind::MatmulExperts => {
                    given.indices = Some(self.memory.scratch(Scratch::Zeros, 4 * u64::from(m))?);
                }
                _ => {}
            }
        }
        self.parts(kernel, shape, &task, &given)
    }

    /// Activation rows, each in a launch of its own.
    fn one_by_one(
        &mut self,
        kernel: &'p Kernel,
        shape: Shape,
        task: &Task,
        given: &Given<M>,
    ) -> Result<()> {
        if task.m == 1 {
            return self.parts(kernel, shape, task, given);
        }
        (0..task.m).try_for_each(|row| {
            let [x, y] = [(given.x, task.k), (given.y, task.n)]
                .map(|(span, columns)| self.planner.row(span, row * 4 * columns, 4 * columns));
            let given = Operands { x: x?, y: y?, ..*given };
            self.parts(kernel, Shape { m: 1, ..shape }, task, &given)
        })
    }

    fn dequant(&mut self, element: Element, given: &Given<M>) -> Result<()> {
        let planner = self.planner;
        for (part, rows) in planner.parts.iter().enumerate() {
            for blocks in planner.pieces(rows, element, u64::MAX)? {
                let first = rows.start * planner.k + planner.decoded(&(0..blocks.start));
                let bytes = parts::rounded(planner.decoded(&blocks)) * element.bytes();
                let y = planner.row(given.y, first * element.bytes(), bytes)?;
                self.piece(part, blocks, element, &Operands { y, ..*given })?;
            }
        }
        Ok(())
    }

    /// Decodes some blocks of a part.
    fn piece(
        &mut self,
        part: usize,
        blocks: Range<u64>,
        element: Element,
        given: &Given<M>,
    ) -> Result<()> {
        let planner = self.planner;
        let call = Call::Dequant { element };
        let kernel = planner.kernel(&call, false)?;
        let (decoded, count) = (planner.decoded(&blocks), blocks.end - blocks.start);
        let rows = planner.parts.get(part).map_or(0, |rows| rows.end - rows.start);
        // All numbers are below 2^31: `parts`.
        let ([n, k, first, stride], cut) = match planner.format.is_plain() {
            // A piece may begin and end within rows: to the kernel it is one row.
            true => {
                let units = decoded.div_ceil(parts::unit(kernel.grid, &planner.format));
                ([1, decoded, 0, units], Some(blocks))
            }
            false => ([rows, planner.k, blocks.start, count], None),
        };
        let [n, k, first, stride] = [n, k, first, stride].map(|number| number as u32);
        let shape = Shape { n, k, m: 1, first, stride, ..Shape::default() };
        let task = Task { k: decoded, ..planner.task(&call) };
        self.launch(kernel, shape, &task, Some((part, cut)), given)
    }

    /// Rounds activations, and says where to.
    fn rounding(&mut self, m: u32, given: &Given<M>) -> Result<Span<M::Buffer>> {
        let (call, k) = (Call::Rounding { m }, self.planner.k);
        let y = self.memory.scratch(Scratch::Rounded, rounded_bytes(m.into(), k))?;
        let shape = Shape { k: k as u32, m, ..Shape::default() };
        let given = Operands { x: given.x, y: Some(y), ..Operands::default() };
        let kernel = self.planner.kernel(&call, false)?;
        self.launch(kernel, shape, &self.planner.task(&call), None, &given)?;
        Ok(y)
    }

    /// Refuses what shares bytes with the output. Copies what a kernel cannot read beside it; activations
    /// that are rounded first are read by a kernel of their own.
    fn separate(&mut self, given: &mut Given<M>, rounds: bool) -> Result<()> {
        let Operands { x, indices, y, epilogue } = given;
        let Some(y) = *y else { return Ok(()) };
        let end = |span: &Span<M::Buffer>| span.begin.saturating_add(span.bytes);
        let read = [
            (x, "activations", Scratch::Activations),
            (indices, "indices", Scratch::Indices),
            (&mut epilogue.bias, "bias", Scratch::Bias),
        ];
        for (slot, what, purpose) in read {
            let Some(span) = slot.filter(|span| span.buffer == y.buffer) else { continue };
            if span.begin < end(&y) && y.begin < end(&span) {
                let problem = format!("it shares bytes with the {what}; it must lie apart");
                return Err(self.planner.argument("output", problem));
            }
            let beside = self.planner.choice.limits.addresses;
            if !(beside || rounds && purpose == Scratch::Activations) {
                let copy = self.memory.scratch(purpose, span.bytes)?;
                self.plan.copies.push([span, copy]);
                *slot = Some(copy);
            }
        }
        Ok(())
    }

    /// A launch for every part of the tensor.
    fn parts(
        &mut self,
        kernel: &'p Kernel,
        shape: Shape,
        task: &Task,
        given: &Given<M>,
    ) -> Result<()> {
        for (part, Range { start, end }) in self.planner.parts.iter().enumerate() {
            let [n, k, first] = [end - start, task.k, *start].map(|number| number as u32);
            let task = Task { rows: end - start, ..*task };
            self.launch(kernel, Shape { n, k, first, ..shape }, &task, Some((part, None)), given)?;
        }
        Ok(())
    }

    /// A launch that reads a part of the tensor, or some blocks of one, or no weights.
    fn launch(
        &mut self,
        kernel: &'p Kernel,
        shape: Shape,
        task: &Task,
        weights: Option<(usize, Option<Range<u64>>)>,
        given: &Given<M>,
    ) -> Result<()> {
        let planner = self.planner;
        let [n, k, m] = covered(kernel.kind, task);
        let grid = kernel.grid.launch(n, k, m, planner.choice.limits.workgroups);
        let grid = grid.ok_or_else(|| {
            planner.failed(planner.choice.obstacle(kernel, task).unwrap_or_default())
        })?;
        let stream = |number: u32| {
            let (part, blocks) = weights.as_ref()?;
            let whole = self.memory.stream(*part, number as usize)?;
            let bytes = u64::from(planner.format.streams.get(number as usize)?.bytes);
            let cut = blocks.as_ref().map(|Range { start, end }| {
                whole.part(start * bytes, padded((end - start) * bytes, planner.padding))
            });
            Some(cut.unwrap_or(whole))
        };
        let bound = kernel.bindings.iter().map(|binding| {
            let bound = match binding.role {
                Role::Weights(number) => stream(number).map(Bound::Read),
                Role::Tables => self.memory.tables().map(Bound::Read),
                Role::Activations => given.x.map(Bound::Read),
                Role::Output => given.y.map(Bound::Written),
                Role::Shape => Some(Bound::Shape),
                // Without a bias nothing is read there.
                Role::Bias => given.epilogue.bias.or(given.x).map(Bound::Read),
                Role::Indices => given.indices.map(Bound::Read),
            };
            bound.ok_or_else(|| Error::Format {
                format: planner.format.name.to_string(),
                problem: format!(
                    "kernel `{}` binds `{}` as {:?}, which such a call has not",
                    kernel.name, binding.name, binding.role
                ),
            })
        });
        let bound = bound.collect::<Result<_>>()?;
        let shape = Shape { sizes: planner.dims.sizes, ..shape };
        self.plan.launches.push(Launch { kernel, shape, grid, bound });
        Ok(())
    }
}

/// Bytes of `m` rows of `k` activations once they are rounded to 8 bits.
pub(super) fn rounded_bytes(m: u64, k: u64) -> u64 {
    m.saturating_mul(k.div_ceil(CHUNK.into())).saturating_mul(CHUNK_BYTES.into())
}
