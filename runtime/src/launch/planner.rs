//! A tensor as plans see it: where it is cut, and which kernels its device can run.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::choice::{self, Choice, Task};
use super::{Call, limits, parts};
use crate::artifact::{Activations, Dims, Element, Kernel, Kind, Role};
use crate::{Error, Experts, Format, Result, Tensor};

/// Makes plans of calls with one tensor `[n, k]` on one device.
pub(crate) struct Planner {
    device: Arc<str>,
    pub tensor: Arc<str>,
    pub format: Format,
    pub n: u64,
    pub k: u64,
    pub(super) dims: Dims,
    /// Bytes that kernels may read past the last block.
    pub padding: u32,
    /// The rows of each part, whose streams lie in buffers of their own.
    pub parts: Vec<Range<u64>>,
    pub(super) choice: Choice,
}

impl Planner {
    /// Plans for a tensor that is computed with kernels of `format` on a device of this name.
    ///
    /// # Errors
    /// Where the device's limits are 0, it cannot bind so few rows as can be cut off, or none of the kernels
    /// that the format has for some call runs on it.
    pub fn new(device: &str, choice: &Choice, tensor: &Tensor, format: Format) -> Result<Planner> {
        let sizes = [tensor.n() as u64, tensor.k() as u64];
        Planner::of(device, choice, tensor.name(), format, sizes, *tensor.layout())
    }

    pub(super) fn of(
        device: &str,
        choice: &Choice,
        tensor: &str,
        format: Format,
        [n, k]: [u64; 2],
        dims: Dims,
    ) -> Result<Planner> {
        // Nobody checks where matrix units read and write: their kernels are the compiler's.
        let matrix = if format.is_proven() { choice.matrix } else { 0 };
        let choice = Choice { matrix, ..*choice };
        let kernels = format.kernels.iter().filter(|kernel| kernel.backend == choice.backend);
        let padding = kernels.map(|kernel| kernel.padding).max().unwrap_or(0);
        let (device, tensor, parts) = (device.into(), tensor.into(), Vec::new());
        let mut planner = Planner { device, tensor, format, n, k, dims, padding, parts, choice };
        let limits = &planner.choice.limits;
        limits.check().map_err(|problem| planner.failed(problem))?;
        let parts = parts::parts(&planner.dims, k, &planner.format, padding, limits);
        planner.parts = parts.map_err(|problem| planner.unfit(problem))?;
        planner.check()?;
        Ok(planner)
    }

    /// Refuses a device that runs none of the kernels that the format has for some call.
    fn check(&self) -> Result<()> {
        let decoded = [Element::F32, Element::F16]
            .into_iter()
            .flat_map(|element| [Call::Dequant { element }, Call::Gather { rows: 1, element }]);
        let products = [1, 2, choice::FEW_ROWS + 1].map(|m| Call::Product { m });
        let experts = Call::Experts(Experts { m: 1, used: 1, matrices: 1 });
        let calls = decoded.chain(products).chain([experts]);
        calls.into_iter().try_for_each(|call| match self.kernel(&call, false) {
            // What a format has not is told to who asks for it.
            Err(Error::Missing { .. }) => Ok(()),
            chosen => chosen.map(drop),
        })
    }

    /// The kernel for a call: the best that does it on this device, with an epilogue or without.
    ///
    /// # Errors
    /// [`Error::Missing`] where the format has none, [`Error::Device`] where the device runs none.
    pub fn kernel(&self, call: &Call, epilogue: bool) -> Result<&Kernel> {
        let Planner { choice, format, .. } = self;
        let exact = |kind, element| format.kernel(choice.backend, kind, element).into_iter();
        match call {
            Call::Product { m } => self.first(choice.products(format, *m), call, epilogue),
            Call::Experts(experts) => self.first(choice.experts(format, experts), call, epilogue),
            Call::Gather { element, .. } => self.first(exact(Kind::Gather, *element), call, false),
            Call::Dequant { element } | Call::Piece { element, .. } => {
                self.first(exact(Kind::Dequant, *element), call, false)
            }
            Call::Rounding { .. } => {
                self.first(choice::quantizer(choice.backend).into_iter(), call, false)
            }
        }
    }

    /// The kernel that multiplies `m` activation rows.
    pub fn product_kernel(&self, m: u32) -> Result<&Kernel> {
        self.kernel(&Call::Product { m }, false)
    }

    /// The first of some kernels that serves a call on this device; one without an epilogue only where no
    /// other has it.
    fn first<'k>(
        &self,
        kernels: impl Iterator<Item = &'k Kernel>,
        call: &Call,
        epilogue: bool,
    ) -> Result<&'k Kernel> {
        let task = self.task(call);
        let (mut obstacle, mut plain) = (None, None);
        for kernel in kernels {
            match self.choice.obstacle(kernel, &task) {
                None if epilogue && !has_epilogue(kernel) => plain = plain.or(Some(kernel)),
                None => return Ok(kernel),
                // That of the plainest is the one to tell of.
                Some(problem) => obstacle = Some(problem),
            }
        }
        plain.ok_or_else(|| match obstacle {
            Some(problem) => self.failed(format!("no kernel for {call} runs there: {problem}")),
            None => Error::Missing {
                format: self.format.name.to_string(),
                what: format!("{:?} kernel for {call}", self.choice.backend),
                hint: String::new(),
            },
        })
    }

    /// What a kernel must do for a call, in the largest part of the tensor.
    pub(super) fn task(&self, call: &Call) -> Task {
        let rows = self.parts.first().map_or(0, |rows| rows.end - rows.start);
        let task = Task { n: self.n, rows, k: self.k, m: 1, experts: None };
        match *call {
            Call::Product { m } | Call::Gather { rows: m, .. } | Call::Rounding { m } => {
                Task { m: m.into(), ..task }
            }
            Call::Experts(experts) => {
                let n = self.n / u64::from(experts.matrices.max(1));
                let m = u64::from(experts.m) * u64::from(experts.used);
                Task { n, m, experts: Some(experts), ..task }
            }
            // As many launches as it takes.
            Call::Dequant { .. } | Call::Piece { .. } => {
                Task { k: self.format.weights.into(), ..task }
            }
        }
    }

    /// Kernels of decoding to `element`, of products of one activation row ([`Kind::Matvec`]) or of more
    /// ([`Kind::Matmul`]), and of those before them, to compile ahead of use.
    pub fn kernels(&self, kind: Kind, element: Element) -> Result<Vec<&Kernel>> {
        let few = choice::FEW_ROWS + 1;
        let calls = match kind {
            Kind::Dequant => vec![Call::Dequant { element }],
            Kind::Gather => vec![Call::Gather { rows: 1, element }],
            Kind::MatvecExperts => vec![Call::Experts(Experts { m: 1, used: 1, matrices: 1 })],
            Kind::MatmulExperts => vec![Call::Experts(Experts { m: few, used: 1, matrices: 1 })],
            Kind::Matvec => vec![Call::Product { m: 1 }],
            Kind::Batch | Kind::Matmul => {
                vec![Call::Product { m: 2 }, Call::Product { m: few }]
            }
            Kind::Quantize => vec![Call::Rounding { m: 1 }],
        };
        let kernels = calls.iter().map(|call| self.kernel(call, false));
        let mut kernels = kernels.collect::<Result<Vec<_>>>()?;
        if kernels.iter().any(|kernel| kernel.activations == Activations::Int8) {
            kernels.push(self.kernel(&Call::Rounding { m: 1 }, false)?);
        }
        Ok(kernels)
    }

    /// How products read activations, of enough rows at least.
    pub fn activations(&self) -> Activations {
        let units = self.choice.activations == Activations::F16;
        let m = if units { choice::FEW_ROWS + 1 } else { 1 };
        let kernel = self.kernel(&Call::Product { m }, false);
        kernel.map_or(Activations::F32, |kernel| kernel.activations)
    }

    /// Bytes of each stream that a part has, in the tensor's own.
    pub fn streams(&self, rows: &Range<u64>) -> impl Iterator<Item = Range<usize>> {
        let streams = self.format.streams.iter();
        let ranges = streams.map(|stream| parts::range(stream, &self.dims, rows));
        ranges.map(|range| range.start as usize..range.end as usize)
    }

    /// A buffer for each stream of each part, which `filled` makes of bytes and a size.
    pub fn bring<B>(
        &self,
        tensor: &Tensor,
        filled: impl Fn(&[u8], u64) -> Result<B>,
    ) -> Result<Vec<Vec<B>>> {
        let part = |rows| {
            let streams = tensor.streams().iter().zip(self.streams(rows));
            let bytes = streams.map(|(bytes, range)| bytes.get(range).unwrap_or_default());
            bytes.map(|bytes| filled(bytes, self.padded(bytes.len()))).collect()
        };
        self.parts.iter().map(part).collect()
    }

    /// Bytes of a buffer for `bytes` of weights.
    pub fn padded(&self, bytes: usize) -> u64 {
        limits::padded(bytes as u64, self.padding)
    }

    /// The format's tables as bytes, none where it has none.
    pub fn tables(&self) -> Vec<u8> {
        self.format.tables.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// What the device cannot do.
    pub(super) fn failed(&self, problem: String) -> Error {
        let during = format!("computing with tensor `{}`", self.tensor);
        Error::Device { device: self.device.to_string(), during, problem }
    }

    /// What cannot be done with such a tensor.
    pub(super) fn unfit(&self, problem: String) -> Error {
        Error::Tensor { tensor: self.tensor.to_string(), problem }
    }

    /// What an argument should be.
    pub fn argument(&self, what: &'static str, problem: String) -> Error {
        Error::Argument { what, tensor: self.tensor.to_string(), problem }
    }
}

/// Whether a kernel does more than store sums.
fn has_epilogue(kernel: &Kernel) -> bool {
    kernel.bindings.iter().any(|binding| binding.role == Role::Bias)
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Product { m: 1 } => write!(f, "products of one activation row"),
            Call::Product { m } => write!(f, "products of {m} activation rows"),
            Call::Experts(experts) => write!(f, "{}", experts.kind().word()),
            Call::Gather { element, .. } => write!(f, "gather to {}", element.word()),
            Call::Dequant { element } | Call::Piece { element, .. } => {
                write!(f, "dequant to {}", element.word())
            }
            Call::Rounding { .. } => write!(f, "rounding activations to 8 bits"),
        }
    }
}
