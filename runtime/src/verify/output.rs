//! What was computed of a tensor, and whether it is right.

use super::case::{Case, Product};
use super::compare::{Decoded, Exact, Float};
use super::meaning;
use super::report::{Call, Checks, Difference, Fault, Flushed, Operation};
use super::rounded::{Rounded, has_codebook};
use crate::{Epilogue, Error, Experts, Result, descriptor, f16};

/// What was computed of a case.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// All weights as f32.
    Weights(&'a [f32]),
    /// All weights as f16.
    Halves(&'a [f16]),
    /// The product with the first activation row.
    Matvec(&'a [f32]),
    /// The product with all activation rows.
    Matmul(&'a [f32]),
    /// The weight rows of these numbers as f32; NaN where there is none.
    Rows(&'a [u32], &'a [f32]),
    /// The same as f16.
    HalfRows(&'a [u32], &'a [f16]),
    /// The product with the first `m` activation rows, with an epilogue.
    Epilogue {
        /// Activation rows.
        m: usize,
        /// The epilogue.
        epilogue: Epilogue<&'a [f32]>,
        /// What the output held.
        before: &'a [f32],
        /// What it holds.
        y: &'a [f32],
    },
    /// The product of the first `experts.m` activation rows with the matrices of these numbers: nothing
    /// for [`Experts::NONE`], NaN where there is none of a number.
    Experts {
        /// Numbers of matrices, `[m, used]`.
        indices: &'a [u32],
        /// How they are meant.
        experts: Experts,
        /// The epilogue.
        epilogue: Epilogue<&'a [f32]>,
        /// What the output held, where the epilogue adds to it.
        before: &'a [f32],
        /// What it holds, `[m, used, n / matrices]`.
        y: &'a [f32],
    },
}

impl Case {
    /// Checks what something that is no [`Device`] has computed. Weights pass too that are right where
    /// every subnormal is taken for 0.
    ///
    /// # Errors
    /// [`Error::Differs`] with the first difference.
    pub fn compare(&self, device: &str, output: Output) -> Result<Checks> {
        let call = |operation| self.call(device, operation);
        let empty = Product { m: 0, x: Vec::new(), y: Vec::new() };
        let Product { m, y, .. } = self.product.as_ref().unwrap_or(&empty);
        match output {
            Output::Weights(got) => self.compare_weights(got, None, call(Operation::Dequantize)),
            Output::Halves(got) => self.compare_weights(got, None, call(Operation::DequantizeF16)),
            Output::Rows(rows, got) => {
                let operation = Operation::Gather { rows: rows.len() };
                self.compare_weights(got, Some(rows), call(operation))
            }
            Output::HalfRows(rows, got) => {
                let operation = Operation::GatherF16 { rows: rows.len() };
                self.compare_weights(got, Some(rows), call(operation))
            }
            Output::Matvec(got) => {
                let row = y.get(..self.tensor.n()).unwrap_or_default();
                compare_outputs(got, row, call(Operation::Matvec))
            }
            Output::Matmul(got) => compare_outputs(got, y, call(Operation::Matmul { m: *m })),
            Output::Epilogue { m, epilogue, before, y: got } => {
                let (bias, add) = (epilogue.bias.is_some(), epilogue.add);
                let columns = (0..self.tensor.n()).cycle();
                let expected = y.iter().zip(before).zip(columns).take(got.len());
                let expected: Vec<Exact> = expected
                    .map(|((exact, before), column)| exact.stored(&epilogue, column, *before))
                    .collect();
                compare_outputs(got, &expected, call(Operation::Epilogue { m, bias, add }))
            }
            Output::Experts { indices, experts, epilogue, before, y: got } => {
                let expected = self.chosen(indices, experts).zip(before_or_zeros(before));
                let expected = expected.map(|((wanted, row), before)| match wanted {
                    Wanted::Nothing => Exact::default().stored(&nothing_of(epilogue), row, before),
                    Wanted::Missing => Exact::MISSING,
                    Wanted::Output(output) => {
                        y.get(output).unwrap_or(&Exact::MISSING).stored(&epilogue, row, before)
                    }
                });
                let expected: Vec<Exact> = expected.collect();
                compare_outputs(got, &expected, call(experts_operation(experts)))
            }
        }
    }

    /// [`Case::compare`] of products with activations in 8 bits.
    ///
    /// # Errors
    /// As those of [`Case::compare`].
    pub fn compare_rounded(&self, device: &str, output: Output) -> Result<Checks> {
        let codebook = has_codebook(self.tensor.format())?;
        self.compare_with(device, output, |weights, x, k| Rounded::product(weights, x, k, codebook))
    }

    /// [`Case::compare`] of products of many activation rows, rounded to f16.
    ///
    /// # Errors
    /// As those of [`Case::compare`].
    pub fn compare_halves(&self, device: &str, output: Output) -> Result<Checks> {
        match output {
            Output::Matmul(_) | Output::Epilogue { m: 2.., .. } => {
                self.compare_with(device, output, Rounded::product_of_halves)
            }
            exact => self.compare(device, exact),
        }
    }

    fn compare_with(
        &self,
        device: &str,
        output: Output,
        product: impl Fn(&[f32], &[f32], usize) -> Vec<Rounded>,
    ) -> Result<Checks> {
        let empty = Product { m: 0, x: Vec::new(), y: Vec::new() };
        let Product { m, x, .. } = self.product.as_ref().unwrap_or(&empty);
        let k = self.tensor.k();
        let product = |m: usize| {
            let x = x.get(..m.saturating_mul(k)).unwrap_or_default();
            product(&self.weights, x, k)
        };
        let (got, outputs, operation) = match output {
            Output::Weights(_) | Output::Halves(_) | Output::Rows(..) | Output::HalfRows(..) => {
                return self.compare(device, output);
            }
            Output::Matvec(got) => (got, product(1), Operation::Matvec),
            Output::Matmul(got) => (got, product(*m), Operation::Matmul { m: *m }),
            Output::Epilogue { m, epilogue, before, y } => {
                let columns = (0..self.tensor.n()).cycle();
                let outputs = product(m).into_iter().zip(before).zip(columns);
                let outputs = outputs
                    .map(|((rounded, before), column)| rounded.stored(&epilogue, column, *before));
                let (bias, add) = (epilogue.bias.is_some(), epilogue.add);
                (y, outputs.collect(), Operation::Epilogue { m, bias, add })
            }
            Output::Experts { indices, experts, epilogue, before, y } => {
                let all = product(*m);
                let outputs = self.chosen(indices, experts).zip(before_or_zeros(before));
                let outputs = outputs.map(|((wanted, row), before)| match wanted {
                    Wanted::Nothing => {
                        Rounded::default().stored(&nothing_of(epilogue), row, before)
                    }
                    Wanted::Missing => Rounded::MISSING,
                    Wanted::Output(output) => {
                        all.get(output).unwrap_or(&Rounded::MISSING).stored(&epilogue, row, before)
                    }
                });
                (y, outputs.collect(), experts_operation(experts))
            }
        };
        agree(Rounded::fault(got, &outputs), self.call(device, operation))?;
        Ok(Checks { device: device.to_owned(), outputs: got.len() as u64, ..Checks::default() })
    }

    /// Which outputs of a product with all rows those with these matrices are, and the number of the
    /// weight row.
    fn chosen(&self, indices: &[u32], experts: Experts) -> impl Iterator<Item = (Wanted, usize)> {
        let (rows, used) = (self.tensor.n(), experts.used as usize);
        let n = rows.checked_div(experts.matrices as usize).unwrap_or_default();
        indices.iter().enumerate().flat_map(move |(output, &matrix)| {
            let x = output.checked_div(used).unwrap_or_default();
            (0..n).map(move |column| {
                let row = (matrix as usize).saturating_mul(n).saturating_add(column);
                let wanted = match matrix {
                    Experts::NONE => Wanted::Nothing,
                    matrix if matrix >= experts.matrices => Wanted::Missing,
                    _ => Wanted::Output(x * rows + row),
                };
                (wanted, row)
            })
        })
    }

    /// Compares all weights, or some rows.
    fn compare_weights<T: Float>(
        &self,
        got: &[T],
        rows: Option<&[u32]>,
        call: Call,
    ) -> Result<Checks> {
        let chosen = |weights: &[f32]| match rows {
            None => weights.to_vec(),
            Some(rows) => rows.iter().flat_map(|&row| self.row(weights, row)).collect(),
        };
        let expected = chosen(&self.weights);
        let mut found = Decoded::compare(got, &expected);
        if found.different > 0 {
            found = Decoded::compare_flushed(got, &expected, &chosen(&self.flushed()?));
        }
        let device = call.device.clone();
        let flushed =
            (found.flushed > 0).then(|| Flushed { weights: found.flushed, call: call.clone() });
        agree(Fault::of_weights(found, got.len(), expected.len()), call)?;
        let flushed = flushed.into_iter().collect();
        Ok(Checks { device, weights: got.len() as u64, flushed, ..Checks::default() })
    }

    /// A row of weights; NaN where there is none.
    fn row(&self, weights: &[f32], row: u32) -> Vec<f32> {
        let k = self.tensor.k();
        let start = (row as usize).saturating_mul(k);
        let row = weights.get(start..start.saturating_add(k));
        row.map_or_else(|| vec![f32::NAN; k], <[f32]>::to_vec)
    }

    /// The weights where every subnormal is taken for 0; the same where the format means others.
    fn flushed(&self) -> Result<Vec<f32>> {
        let format = descriptor::parse(self.tensor.format())?;
        let (dims, streams) = (self.tensor.layout(), self.tensor.streams());
        let meant = meaning::weights(&format, dims, streams)?;
        let flushed = meaning::flushed_weights(&format, dims, streams)?;
        let both = meant.into_iter().zip(flushed).zip(&self.weights);
        let own = both.map(|((meant, flushed), &own)| if meant.is(own) { flushed } else { own });
        Ok(own.collect())
    }

    fn call(&self, device: &str, operation: Operation) -> Call {
        let format = self.tensor.format();
        Call {
            format: format.name.to_string(),
            device: device.to_owned(),
            operation,
            n: self.tensor.n(),
            k: self.tensor.k(),
            sizes: format.own_sizes(),
            origin: self.origin.clone(),
        }
    }
}

/// What a product with chosen matrices must give.
enum Wanted {
    /// This output of the product with all rows.
    Output(usize),
    /// 0: no matrix was chosen.
    Nothing,
    /// NaN: there is no such matrix.
    Missing,
}

/// What remains of an epilogue where no matrix was chosen.
fn nothing_of(epilogue: Epilogue<&[f32]>) -> Epilogue<&[f32]> {
    Epilogue { add: epilogue.add, ..Epilogue::default() }
}

/// What an output held, and zeros after it.
fn before_or_zeros(before: &[f32]) -> impl Iterator<Item = f32> {
    before.iter().copied().chain(std::iter::repeat(0.0))
}

fn experts_operation(Experts { m, used, matrices }: Experts) -> Operation {
    let [m, used, matrices] = [m, used, matrices].map(|count| count as usize);
    Operation::Experts { m, used, matrices }
}

fn compare_outputs(got: &[f32], expected: &[Exact], call: Call) -> Result<Checks> {
    let device = call.device.clone();
    agree(Fault::of_outputs(got, expected), call)?;
    Ok(Checks { device, outputs: got.len() as u64, ..Checks::default() })
}

fn agree(fault: Option<Fault>, call: Call) -> Result<()> {
    match fault {
        Some(fault) => Err(Error::Differs(Box::new(Difference { call, fault }))),
        None => Ok(()),
    }
}
