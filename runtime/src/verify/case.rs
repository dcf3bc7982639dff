//! One tensor and all that a device can be asked of it.

use super::compare::Exact;
use super::output::Output;
use super::random::Rng;
use super::report::{Checks, Origin};
use crate::artifact::Activations;
use crate::{Device, Epilogue, Error, Experts, Result, Tensor, Weights};

/// A tensor whose weights are known: what a device is checked with.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) tensor: Tensor,
    pub(super) weights: Vec<f32>,
    pub(super) origin: Origin,
    pub(super) product: Option<Product>,
}

/// Activations and what they must give.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub m: usize,
    pub x: Vec<f32>,
    pub y: Vec<Exact>,
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

    /// Checks that a device decodes the weights to the bit, all of them and single rows, as f32 and as
    /// f16, and that it multiplies them with the activations, where there are any, with and without
    /// epilogues, and as several matrices of which activation rows choose some.
    ///
    /// # Errors
    /// [`Error::Differs`] with the first difference; what the device itself fails with.
    pub fn check(&self, device: &Device) -> Result<Checks> {
        let weights = self.tensor.upload(device)?;
        let mut checks = self.decode(&device.name(), &weights)?;
        checks.add(self.gather(&device.name(), &weights)?);
        checks.add(self.multiply(&device.name(), &weights)?);
        checks.add(self.multiply_with(&device.name(), &weights)?);
        let n = self.tensor.n();
        let matrices = (2..=n).find(|&matrices| n.is_multiple_of(matrices)).unwrap_or(1);
        checks.add(self.choose(&device.name(), &weights, matrices, 2)?);
        Ok(Checks { tensors: 1, ..checks })
    }

    /// [`Case::check`] of products with matrices alone: the tensor is so many of them, and each
    /// activation row chooses `used`, some of them several times.
    ///
    /// # Errors
    /// As those of [`Case::check`]; [`Error::Argument`] where `matrices` does not divide the rows.
    pub fn check_experts(&self, device: &Device, matrices: usize, used: usize) -> Result<Checks> {
        let weights = self.tensor.upload(device)?;
        let checks = self.choose(&device.name(), &weights, matrices, used)?;
        Ok(Checks { tensors: 1, ..checks })
    }

    /// [`Case::check`] of the products alone, without epilogues.
    ///
    /// # Errors
    /// As those of [`Case::check`].
    pub fn check_products(&self, device: &Device) -> Result<Checks> {
        let checks = self.multiply(&device.name(), &self.tensor.upload(device)?)?;
        Ok(Checks { tensors: 1, ..checks })
    }

    /// [`Case::check`] of the products with epilogues alone.
    ///
    /// # Errors
    /// As those of [`Case::check`].
    pub fn check_epilogues(&self, device: &Device) -> Result<Checks> {
        let checks = self.multiply_with(&device.name(), &self.tensor.upload(device)?)?;
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
        let compare = Case::comparison(weights);
        let mut checks = compare(self, device, Output::Matvec(&weights.matvec(row)?))?;
        checks.add(compare(self, device, Output::Matmul(&weights.matmul(x, *m)?))?);
        Ok(checks)
    }

    /// How products of these weights are compared.
    fn comparison(weights: &Weights) -> fn(&Case, &str, Output) -> Result<Checks> {
        match weights.activations() {
            Activations::F32 => Case::compare,
            Activations::Int8 => Case::compare_rounded,
            Activations::F16 => Case::compare_halves,
        }
    }

    fn gather(&self, device: &str, weights: &Weights) -> Result<Checks> {
        let last = self.tensor.n().saturating_sub(1) as u32;
        let rows = [last, 0, last / 2, last];
        let mut checks = self.compare(device, Output::Rows(&rows, &weights.gather(&rows)?))?;
        // Of few rows too, as a token's look-up is.
        let row = [last / 3];
        let halves = weights.gather_f16(&row)?;
        checks.add(self.compare(device, Output::HalfRows(&row, &halves))?);
        let halves = weights.gather_f16(&rows)?;
        checks.add(self.compare(device, Output::HalfRows(&rows, &halves))?);
        Ok(checks)
    }

    fn choose(
        &self,
        device: &str,
        weights: &Weights,
        matrices: usize,
        used: usize,
    ) -> Result<Checks> {
        let Some(Product { m, x, .. }) = &self.product else { return Ok(Checks::default()) };
        let indices = chosen(*m, used, matrices);
        let y = weights.matmul_experts(x, &indices, matrices)?;
        let [m, used, matrices] = [*m, used, matrices].map(|count| count as u32);
        let experts = Experts { m, used, matrices };
        let (indices, epilogue, before) = (&*indices, Epilogue::default(), &[][..]);
        let output = Output::Experts { indices, experts, epilogue, before, y: &y };
        Case::comparison(weights)(self, device, output)
    }

    fn multiply_with(&self, device: &str, weights: &Weights) -> Result<Checks> {
        let Some(Product { m, x, .. }) = &self.product else { return Ok(Checks::default()) };
        let (n, k) = (self.tensor.n(), self.tensor.k());
        let mut rng = Rng::new(0, "epilogue");
        let bias = rng.activations(n);
        let before = rng.activations(m.saturating_mul(n));
        let compare = Case::comparison(weights);
        let mut checks = Checks::default();
        for (bias, add) in
            [(None, false), (Some(&*bias), false), (None, true), (Some(&*bias), true)]
        {
            let epilogue = Epilogue { scale: -0.75, bias, add };
            let mut y = before.clone();
            weights.matmul_with(x, *m, &mut y, epilogue)?;
            let output = Output::Epilogue { m: *m, epilogue, before: &before, y: &y };
            checks.add(compare(self, device, output)?);
            let (x, before) = (x.get(..k).unwrap_or_default(), before.get(..n).unwrap_or_default());
            let mut y = before.to_vec();
            weights.matvec_with(x, &mut y, epilogue)?;
            let output = Output::Epilogue { m: 1, epilogue, before, y: &y };
            checks.add(compare(self, device, output)?);
        }
        // As matrices of one row, two for each activation row.
        let indices = chosen(*m, 2, n);
        let epilogue = Epilogue { scale: -0.75, bias: Some(&*bias), add: true };
        let before = rng.activations(indices.len());
        let mut y = before.clone();
        match weights.matmul_experts_with(x, &indices, n, &mut y, epilogue) {
            // A device may bind fewer buffers than the kernels of some formats would need.
            Err(Error::Missing { .. }) => Ok(checks),
            stored => {
                stored?;
                let experts = Experts { m: *m as u32, used: 2, matrices: n as u32 };
                let (indices, before) = (&*indices, &*before);
                let output = Output::Experts { indices, experts, epilogue, before, y: &y };
                checks.add(compare(self, device, output)?);
                Ok(checks)
            }
        }
    }
}

/// Numbers of matrices, `[m, used]`, one of five of none.
fn chosen(m: usize, used: usize, matrices: usize) -> Vec<u32> {
    let mut rng = Rng::new(0, "experts");
    let number = |output| match output % 5 {
        4 => Experts::NONE,
        _ => rng.below(matrices) as u32,
    };
    (0..m.saturating_mul(used)).map(number).collect()
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
