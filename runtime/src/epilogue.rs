//! What becomes of the sums of a product before they are stored.

use crate::artifact::{Kernel, Role, Shape};
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

    /// The same, with the bias elsewhere.
    pub(crate) fn try_map<C, E>(
        self,
        move_to: impl FnOnce(B) -> Result<C, E>,
    ) -> Result<Epilogue<C>, E> {
        let Epilogue { scale, bias, add } = self;
        Ok(Epilogue { scale, bias: bias.map(move_to).transpose()?, add })
    }
}

impl Epilogue<&[f32]> {
    /// Stores sums `[m, n]`.
    pub(crate) fn store(&self, sums: &[f32], n: usize, y: &mut [f32]) {
        for (y, sums) in y.chunks_mut(n.max(1)).zip(sums.chunks(n.max(1))) {
            for (column, (y, sum)) in y.iter_mut().zip(sums).enumerate() {
                let bias = self.bias.and_then(|bias| bias.get(column)).copied();
                let value = self.scale * sum + bias.unwrap_or_default();
                *y = if self.add { *y + value } else { value };
            }
        }
    }
}
