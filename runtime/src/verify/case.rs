//! One tensor and all that a device can be asked of it.

use super::compare::{Decoded, Exact, Float};
use super::meaning;
use super::random::Rng;
use super::report::{Call, Checks, Difference, Fault, Flushed, Operation, Origin};
use super::rounded::{Rounded, has_codebook};
use crate::artifact::Activations;
use crate::{Device, Error, Result, Tensor, Weights, descriptor, f16};

/// A tensor whose weights are known: what a device is checked with.
#[derive(Clone, Debug)]
pub struct Case {
    tensor: Tensor,
    weights: Vec<f32>,
    origin: Origin,
    product: Option<Product>,
}

/// Activations and what they must give.
#[derive(Clone, Debug)]
struct Product {
    m: usize,
    x: Vec<f32>,
    y: Vec<Exact>,
}

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
}

impl Case {
    /// A tensor and the weights `[n, k]` that it must decode to.
    pub fn new(tensor: Tensor, weights: Vec<f32>, origin: Origin) -> Case {
        Case { tensor, weights, origin, product: None }
    }

    /// Adds `m` random activation rows, to be multiplied too. The weights should be finite.
    pub fn with_activations(mut self, m: usize, rng: &mut Rng) -> Case {
        let k = self.tensor.k();
        let x = rng.activations(m.saturating_mul(k));
        let y = Exact::product(&self.weights, &x, k);
        self.product = Some(Product { m, x, y });
        self
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The activations `[m, k]`; empty without any.
    pub fn activations(&self) -> &[f32] {
        self.product.as_ref().map_or(&[], |product| &product.x)
    }

    /// Checks that a device decodes the weights to the bit, as f32 and as f16, and that it multiplies
    /// them with the activations, where there are any.
    ///
    /// # Errors
    /// [`Error::Differs`] with the first difference; what the device itself fails with.
    pub fn check(&self, device: &Device) -> Result<Checks> {
        let weights = self.tensor.upload(device)?;
        let mut checks = self.decode(&device.name(), &weights)?;
        checks.add(self.multiply(&device.name(), &weights)?);
        Ok(Checks { tensors: 1, ..checks })
    }

    /// [`Case::check`] of the products alone.
    ///
    /// # Errors
    /// As those of [`Case::check`].
    pub fn check_products(&self, device: &Device) -> Result<Checks> {
        let checks = self.multiply(&device.name(), &self.tensor.upload(device)?)?;
        Ok(Checks { tensors: 1, ..checks })
    }

    fn decode(&self, device: &str, weights: &Weights) -> Result<Checks> {
        let mut checks = self.compare(device, Output::Weights(&weights.dequantize()?))?;
        checks.add(self.compare(device, Output::Halves(&weights.dequantize_f16()?))?);
        Ok(checks)
    }

    fn multiply(&self, device: &str, weights: &Weights) -> Result<Checks> {
        let Some(Product { m, x, .. }) = &self.product else { return Ok(Checks::default()) };
        let row = x.get(..self.tensor.k()).unwrap_or_default();
        let compare = match weights.activations() {
            Activations::F32 => Case::compare,
            Activations::Int8 => Case::compare_rounded,
            Activations::F16 => Case::compare_halves,
        };
        let mut checks = compare(self, device, Output::Matvec(&weights.matvec(row)?))?;
        checks.add(compare(self, device, Output::Matmul(&weights.matmul(x, *m)?))?);
        Ok(checks)
    }

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
            Output::Weights(got) => self.compare_weights(got, call(Operation::Dequantize)),
            Output::Halves(got) => self.compare_weights(got, call(Operation::DequantizeF16)),
            Output::Matvec(got) => {
                let row = y.get(..self.tensor.n()).unwrap_or_default();
                compare_outputs(got, row, call(Operation::Matvec))
            }
            Output::Matmul(got) => compare_outputs(got, y, call(Operation::Matmul { m: *m })),
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
            Output::Matmul(_) => self.compare_with(device, output, Rounded::product_of_halves),
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
        let (got, x, operation) = match output {
            Output::Weights(_) | Output::Halves(_) => return self.compare(device, output),
            Output::Matvec(got) => (got, x.get(..k).unwrap_or_default(), Operation::Matvec),
            Output::Matmul(got) => (got, &**x, Operation::Matmul { m: *m }),
        };
        let outputs = product(&self.weights, x, k);
        agree(Rounded::fault(got, &outputs, k), self.call(device, operation))?;
        Ok(Checks { device: device.to_owned(), outputs: got.len() as u64, ..Checks::default() })
    }

    fn compare_weights<T: Float>(&self, got: &[T], call: Call) -> Result<Checks> {
        let mut found = Decoded::compare(got, &self.weights);
        if found.different > 0 {
            found = Decoded::compare_flushed(got, &self.weights, &self.flushed()?);
        }
        let device = call.device.clone();
        let flushed =
            (found.flushed > 0).then(|| Flushed { weights: found.flushed, call: call.clone() });
        agree(Fault::of_weights(found, got.len(), self.weights.len()), call)?;
        let flushed = flushed.into_iter().collect();
        Ok(Checks { device, weights: got.len() as u64, flushed, ..Checks::default() })
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

impl Checks {
    /// Adds more of the same device.
    pub(super) fn add(&mut self, other: Checks) {
        self.tensors += other.tensors;
        self.weights += other.weights;
        self.outputs += other.outputs;
        self.flushed.extend(other.flushed);
    }
}
