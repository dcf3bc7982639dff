//! Mixtures of experts: a tensor `[n, k]` of several matrices, of which activation rows choose some.

use crate::arguments::check_activations;
use crate::artifact::Kind;
use crate::{Error, Result};

/// How activation rows `[m, k]` choose among the matrices that a tensor `[n, k]` is made of, one after
/// another, each of `n / matrices` rows. Outputs are `[m, used, n / matrices]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// Activation rows, at least 1.
    pub m: u32,
    /// Matrices that each of them chooses, at least 1.
    pub used: u32,
    /// Matrices of the tensor, which divide its rows.
    pub matrices: u32,
}

/// Outputs per matrix from which on, in the mean, it pays to collect those with the same one.
const MANY: u64 = 4;

impl Experts {
    /// The number of no matrix, for activation rows that choose fewer than `used`, or padding. Its product
    /// is 0 and has no bias: an output becomes 0, or stays as it is where the epilogue adds.
    pub const NONE: u32 = u32::MAX;

    /// Rows of a matrix of a tensor with `n` rows, and rows of the output.
    pub(crate) fn sizes(&self, tensor: &str, n: u64) -> Result<(u64, u64)> {
        let Experts { m, used, matrices } = *self;
        let error =
            |what, problem| Err(Error::Argument { what, tensor: tensor.to_owned(), problem });
        if m == 0 {
            return error("activations", "0 rows; m must be at least 1".to_owned());
        }
        if used == 0 {
            return error("experts", "0 for each activation row; it must be at least 1".to_owned());
        }
        if matrices == 0 || !n.is_multiple_of(matrices.into()) {
            let problem =
                format!("{matrices} matrices; {n} rows are to be a multiple of their number");
            return error("matrices", problem);
        }
        let outputs = u64::from(m) * u64::from(used);
        match outputs < 1 << 31 {
            true => Ok((n / u64::from(matrices), outputs)),
            false => error("experts", format!("{outputs} outputs; kernels count fewer than 2^31")),
        }
    }

    /// The kernel to launch.
    pub(crate) fn kind(&self) -> Kind {
        let outputs = u64::from(self.m) * u64::from(self.used);
        match outputs < MANY * u64::from(self.matrices) {
            true => Kind::MatvecExperts,
            false => Kind::MatmulExperts,
        }
    }

    /// Matrices of the grid of such a kernel: those of the outputs, or all of the tensor and one for those
    /// that are not there.
    pub(crate) fn covered(&self, kind: Kind) -> u64 {
        match kind {
            Kind::MatvecExperts => u64::from(self.m) * u64::from(self.used),
            _ => u64::from(self.matrices) + 1,
        }
    }
}

/// Activation rows and the numbers of their matrices, which are there, or [`Experts::NONE`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<'a> {
    pub x: &'a [f32],
    pub experts: &'a [u32],
    pub m: usize,
    pub used: usize,
    pub matrices: usize,
    /// Rows of a matrix.
    pub n: usize,
}

impl<'a> Chosen<'a> {
    /// Checks the arguments of a call for a tensor `[n, k]`.
    pub fn new(
        tensor: &str,
        [n, k]: [usize; 2],
        x: &'a [f32],
        experts: &'a [u32],
        matrices: usize,
    ) -> Result<Chosen<'a>> {
        let m = x.len().checked_div(k).unwrap_or_default();
        check_activations(tensor, x, m, k)?;
        let error =
            |what, problem| Err(Error::Argument { what, tensor: tensor.to_owned(), problem });
        if matrices == 0 || !n.is_multiple_of(matrices) {
            let problem =
                format!("{matrices} matrices; {n} rows are to be a multiple of their number");
            return error("matrices", problem);
        }
        if experts.is_empty() || !experts.len().is_multiple_of(m) {
            let problem = format!(
                "{} numbers; {m} activation rows need as many, or a multiple of it",
                experts.len()
            );
            return error("experts", problem);
        }
        let absent = |&&expert: &&u32| expert != Experts::NONE && expert as usize >= matrices;
        if let Some(expert) = experts.iter().find(absent) {
            let problem =
                format!("matrix {expert} of {matrices}; none at all is {}", Experts::NONE);
            return error("experts", problem);
        }
        let (used, n) = (experts.len() / m, n / matrices);
        Ok(Chosen { x, experts, m, used, matrices, n })
    }

    /// The first row of the matrix of an output row, unless that is none.
    pub fn first(&self, output: usize) -> Option<usize> {
        let expert = self.experts.get(output).filter(|&&expert| expert != Experts::NONE);
        expert.map(|&expert| expert as usize * self.n)
    }

    /// The same for kernels.
    pub fn told(&self, tensor: &str) -> Result<Experts> {
        let count = |count: usize| {
            u32::try_from(count).map_err(|_| Error::Argument {
                what: "experts",
                tensor: tensor.to_owned(),
                problem: format!("{count}; kernels count in 32 bits"),
            })
        };
        let (m, used, matrices) = (count(self.m)?, count(self.used)?, count(self.matrices)?);
        Ok(Experts { m, used, matrices })
    }
}
