//! What becomes of the sums of a product before they are stored.

use crate::artifact::{Kernel, Role, Shape};
use crate::memory::zeros;
use crate::{Error, Format, Result};

/// Stores `scale · sum + bias`, or adds that to what the output holds. `B` is where the bias lies:
/// `&[f32]`, or a view of a device's memory.
///
/// ```
/// use quantloom::Epilogue;
///
/// let bias = [0.5, 1.0];
/// let epilogue = Epilogue { bias: Some(&bias[..]), ..Epilogue::default() };
/// let residual: Epilogue<&[f32]> = Epilogue { add: true, ..Epilogue::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epilogue<B> {
    /// What sums are multiplied with.
    pub scale: f32,
    /// A value for each of the tensor's `n` rows.
    pub bias: Option<B>,
    /// Whether the result is added to what the output holds.
    pub add: bool,
}

impl<B> Default for Epilogue<B> {
    /// Sums are stored as they are.
    fn default() -> Epilogue<B> {
        Epilogue { scale: 1.0, bias: None, add: false }
    }
}

impl<B> Epilogue<B> {
    /// Whether sums are stored as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.scale == 1.0 && self.bias.is_none() && !self.add
    }

    /// Refuses an epilogue that a kernel has not.
    pub(crate) fn check(&self, kernel: &Kernel, format: &Format) -> Result<()> {
        let binds = kernel.bindings.iter().any(|binding| binding.role == Role::Bias);
        match self.is_plain() || binds {
            true => Ok(()),
            false => Err(Error::Missing {
                format: format.name.to_string(),
                what: format!("epilogue in kernel `{}`", kernel.name),
                hint: String::new(),
            }),
        }
    }

    /// Tells a kernel.
    pub(crate) fn tell(&self, shape: Shape) -> Shape {
        let bias = if self.bias.is_some() { Shape::BIAS } else { 0 };
        let add = if self.add { Shape::ADD } else { 0 };
        Shape { scale: self.scale.to_bits(), flags: bias | add, ..shape }
    }

    /// The same, with the bias elsewhere, where that can be.
    pub(crate) fn try_map<C, E>(
        self,
        move_to: impl FnOnce(B) -> Result<C, E>,
    ) -> Result<Epilogue<C>, E> {
        let Epilogue { scale, bias, add } = self;
        Ok(Epilogue { scale, bias: bias.map(move_to).transpose()?, add })
    }

    /// The same with another bias.
    pub(crate) fn with_bias<C>(&self, bias: Option<C>) -> Epilogue<C> {
        Epilogue { scale: self.scale, bias, add: self.add }
    }
}

/// An epilogue whose bias lies in the host's memory.
pub(crate) type OnHost<'a> = Epilogue<&'a [f32]>;

impl OnHost<'_> {
    /// Stores the sums that `compute` writes, `n` for each output row; `first` is where the bias of an
    /// output row begins, or `None` for one that nothing is computed for.
    pub(crate) fn store(
        &self,
        y: &mut [f32],
        n: usize,
        first: impl Fn(usize) -> Option<usize>,
        compute: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<()> {
        if self.is_plain() {
            return compute(y);
        }
        let mut sums = zeros(y.len(), "sums")?;
        compute(&mut sums)?;
        let rows = y.chunks_mut(n.max(1)).zip(sums.chunks(n.max(1))).enumerate();
        for (row, (y, sums)) in rows {
            let Some(first) = first(row) else {
                if !self.add {
                    y.fill(0.0);
                }
                continue;
            };
            let bias = self.bias.and_then(|bias| bias.get(first..)).unwrap_or_default();
            let biases = bias.iter().copied().chain(std::iter::repeat(0.0));
            for ((y, sum), bias) in y.iter_mut().zip(sums).zip(biases) {
                let value = self.scale * sum + bias;
                *y = if self.add { *y + value } else { value };
            }
        }
        Ok(())
    }
}
