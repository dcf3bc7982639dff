//! One tensor and all that a device can be asked of it.

use super::compare::{Decoded, Exact};
use super::random::Rng;
use super::report::{Call, Checks, Difference, Fault, Flushed, Operation, Origin};
use crate::{Device, Error, Result, Tensor, Weights};

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

    /// Checks that a device decodes the weights to the bit, as f32 and as f16, and that it multiplies
    /// them with the activations, where there are any.
    ///
    /// # Errors
    /// [`Error::Differs`] with the first difference; what the device itself fails with.
    pub fn check(&self, device: &Device) -> Result<Checks> {
        let weights = self.tensor.upload(device)?;
        let mut checks = self.checks(device);
        self.decode(device, &weights, &mut checks)?;
        self.multiply(device, &weights, &mut checks)?;
        Ok(checks)
    }

    /// [`Case::check`] of the products alone.
    ///
    /// # Errors
    /// As those of [`Case::check`].
    pub fn check_products(&self, device: &Device) -> Result<Checks> {
        let weights = self.tensor.upload(device)?;
        let mut checks = self.checks(device);
        self.multiply(device, &weights, &mut checks)?;
        Ok(checks)
    }

    /// Checks weights that come from elsewhere than a device, `what`.
    ///
    /// # Errors
    /// [`Error::Differs`] with the first difference.
    pub fn check_weights(&self, what: &str, weights: &[f32]) -> Result<()> {
        let found = Decoded::compare(weights, &self.weights);
        let fault = Fault::of_weights(found, weights.len(), self.weights.len());
        self.differ(what, Operation::Dequantize, fault)
    }

    fn checks(&self, device: &Device) -> Checks {
        Checks { device: device.name(), tensors: 1, ..Checks::default() }
    }

    fn decode(&self, device: &Device, weights: &Weights, checks: &mut Checks) -> Result<()> {
        let (singles, halves) = (weights.dequantize()?, weights.dequantize_f16()?);
        let singles = (Decoded::compare(&singles, &self.weights), singles.len());
        let halves = (Decoded::compare_halves(&halves, &self.weights), halves.len());
        for (operation, (found, len)) in
            [(Operation::Dequantize, singles), (Operation::DequantizeF16, halves)]
        {
            let fault = Fault::of_weights(found, len, self.weights.len());
            self.differ(&device.name(), operation, fault)?;
            checks.weights += len as u64;
            if found.flushed > 0 {
                let call = self.call(&device.name(), operation);
                checks.flushed.push(Flushed { weights: found.flushed, call });
            }
        }
        Ok(())
    }

    fn multiply(&self, device: &Device, weights: &Weights, checks: &mut Checks) -> Result<()> {
        let Some(Product { m, x, y }) = &self.product else { return Ok(()) };
        let (n, k) = (self.tensor.n(), self.tensor.k());
        let first = weights.matvec(x.get(..k).unwrap_or_default())?;
        let all = weights.matmul(x, *m)?;
        let wanted = y.get(..n).unwrap_or_default();
        for (operation, got, wanted) in
            [(Operation::Matvec, first, wanted), (Operation::Matmul { m: *m }, all, y)]
        {
            self.differ(&device.name(), operation, Fault::of_outputs(&got, wanted))?;
            checks.outputs += got.len() as u64;
        }
        Ok(())
    }

    fn differ(&self, device: &str, operation: Operation, fault: Option<Fault>) -> Result<()> {
        let difference =
            fault.map(|fault| Difference { call: self.call(device, operation), fault });
        difference.map_or(Ok(()), |difference| Err(Error::Differs(Box::new(difference))))
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

impl Checks {
    /// Adds another tensor's.
    pub(super) fn add(&mut self, other: Checks) {
        self.tensors += other.tensors;
        self.weights += other.weights;
        self.outputs += other.outputs;
        self.flushed.extend(other.flushed);
    }
}
