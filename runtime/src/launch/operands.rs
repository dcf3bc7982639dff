//! What a call reads and writes, and what it needs of that memory.

use super::{Call, Limits, Planner, Span};
use crate::artifact::Element;
use crate::{Epilogue, Result};

/// What a call reads and writes; `V` is a range of a device's memory.
#[derive(Clone, Copy)]
pub(crate) struct Operands<V> {
    pub x: Option<V>,
    pub indices: Option<V>,
    pub y: Option<V>,
    pub epilogue: Epilogue<V>,
}

impl<V> Default for Operands<V> {
    /// None.
    fn default() -> Operands<V> {
        Operands { x: None, indices: None, y: None, epilogue: Epilogue::default() }
    }
}

impl<V> Operands<V> {
    /// The same as something else, where each, with its name, can be that.
    pub fn try_map<W>(self, to: impl Fn(&'static str, V) -> Result<W>) -> Result<Operands<W>> {
        let of = |what, view: Option<V>| view.map(|view| to(what, view)).transpose();
        Ok(Operands {
            x: of("activations", self.x)?,
            indices: of("indices", self.indices)?,
            y: of("output", self.y)?,
            epilogue: self.epilogue.try_map(|bias| to("bias", bias))?,
        })
    }
}

/// What an operand must be.
#[derive(Clone, Copy)]
struct Need {
    rows: u64,
    columns: u64,
    element: Element,
    /// Whether kernels read or write four elements at once, so that it is rounded up to them.
    fours: bool,
    /// Whether a single binding must hold it.
    bound: bool,
}

impl Planner {
    /// The operands of a call, as long as it needs them, without others.
    ///
    /// # Errors
    /// Where one is missing, too short, longer than a binding, or begins where it cannot be bound.
    pub(super) fn given<B: Copy>(
        &self,
        call: &Call,
        operands: &Operands<Span<B>>,
    ) -> Result<Operands<Span<B>>> {
        let Planner { n, k, .. } = *self;
        let all =
            |rows, columns, element| Need { rows, columns, element, fours: true, bound: true };
        let f32s = |rows: u32, columns| Some(all(rows.into(), columns, Element::F32));
        let words = |count| Need { fours: false, ..all(count, 1, Element::F32) };
        let bias = operands.epilogue.bias.map(|_| words(n));
        let (x, indices, y) = match *call {
            Call::Product { m: 0 } => {
                let problem = "0 rows; m must be at least 1".to_owned();
                return Err(self.argument("activations", problem));
            }
            Call::Product { m } => (f32s(m, k), None, f32s(m, n)),
            Call::Experts(experts) => {
                let (n_each, outputs) = experts.sizes(&self.tensor, n)?;
                let y = all(outputs, n_each, Element::F32);
                (f32s(experts.m, k), Some(words(outputs)), Some(y))
            }
            Call::Gather { rows, element } => {
                (None, Some(words(rows.into())), Some(all(rows.into(), k, element)))
            }
            Call::Dequant { element } => {
                (None, None, Some(Need { bound: false, ..all(n, k, element) }))
            }
            Call::Piece { ref blocks, element, .. } => {
                (None, None, Some(all(1, self.decoded(blocks), element)))
            }
            Call::Rounding { m } => (f32s(m, k), None, None),
        };
        let limits = &self.choice.limits;
        let checked = |what, need: Option<Need>, span: Option<Span<B>>| {
            let checked = need.map(|need| need.of(span, limits)).transpose();
            checked.map_err(|problem| self.argument(what, problem))
        };
        Ok(Operands {
            x: checked("activations", x, operands.x)?,
            indices: checked("indices", indices, operands.indices)?,
            y: checked("output", y, operands.y)?,
            epilogue: operands.epilogue.with_bias(checked("bias", bias, operands.epilogue.bias)?),
        })
    }
}

impl Need {
    /// What of a span is needed.
    fn of<B>(&self, span: Option<Span<B>>, limits: &Limits) -> Result<Span<B>, String> {
        let span = span.ok_or("there are none")?;
        let Need { rows, columns, element, fours, bound } = *self;
        let count = u128::from(rows) * u128::from(columns);
        let rounded = if fours { count.next_multiple_of(4) } else { count };
        let needed = rounded.saturating_mul(element.bytes().into());
        let alignment = limits.alignment_of(fours);
        if u128::from(span.bytes) < needed {
            let wanted = if fours { "elements, rounded up to a multiple of 4," } else { "values" };
            return Err(format!(
                "a buffer of {} bytes; {count} {wanted} take {needed}",
                span.bytes
            ));
        }
        if !span.begin.is_multiple_of(alignment) {
            let begin = span.begin;
            return Err(format!(
                "begins at byte {begin}; it must begin at a multiple of {alignment}"
            ));
        }
        match limits.operand() {
            most if bound && needed > most.into() => Err(format!(
                "[{rows}, {columns}] take {needed} bytes; a binding holds {most}, so compute fewer rows at a time"
            )),
            _ => Ok(span.part(0, needed as u64)),
        }
    }
}
