//! Comparing what a device computes with what a format means.

use super::job::Check;
use super::line::Outcome;
use crate::bench::Result;
use crate::bench::gpu::options::Precision;
use crate::golden;
use quantloom::verify::random::Rng;
use quantloom::verify::{Case, Checks, Origin, random_cases, random_tensor, verify_vectors};
use quantloom::{Device, Error, Format};
use std::slice;

/// The random tensors of the format that was asked for last: several checks use them.
#[derive(Default)]
pub struct Last(Option<(String, Vec<Case>)>);

/// A device as it is compared.
#[derive(Clone, Copy)]
pub struct Devices<'a> {
    pub by_precision: &'a [(Precision, Device)],
    /// With grids so small that there are two dimensions.
    pub grids: &'a Device,
}

/// Runs one check; with smaller tensors where the device is slow.
///
/// # Errors
/// Where the device fails; a difference is no error.
pub fn check(
    devices: &Devices<'_>,
    format: &str,
    check: Check,
    small: bool,
    last: &mut Last,
) -> Result<Outcome> {
    let compared = compare(devices, format, check, small, last);
    match compared {
        Err(Stopped::Nothing(reason)) => Ok(Outcome::Skipped { reason }),
        Err(Stopped::Error(Error::Differs(difference))) => {
            Ok(Outcome::Wrong { reason: difference.to_string() })
        }
        Err(Stopped::Error(error)) => Err(error.into()),
        Ok(all) => Ok(Outcome::Right {
            tensors: all.iter().map(|checks| checks.tensors).sum(),
            weights: all.iter().map(|checks| checks.weights).sum(),
            outputs: all.iter().map(|checks| checks.outputs).sum(),
            flushed: all
                .iter()
                .flat_map(|checks| &checks.flushed)
                .map(ToString::to_string)
                .collect(),
        }),
    }
}

/// Why nothing was compared to the end.
enum Stopped {
    /// There is nothing to compare.
    Nothing(String),
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Error(error)
    }
}

fn compare(
    devices: &Devices<'_>,
    name: &str,
    check: Check,
    small: bool,
    last: &mut Last,
) -> std::result::Result<Vec<Checks>, Stopped> {
    let format = Format::named(name)?;
    let of = |precision: Precision| {
        let device = devices.by_precision.iter().find(|(own, _)| *own == precision);
        let mut kernels = format.kernels.iter();
        let has = kernels.any(|kernel| kernel.activations == precision.activations());
        let nothing =
            |who: &str| Stopped::Nothing(format!("{who} has no {} kernels", precision.name()));
        let (_, device) = device.ok_or_else(|| nothing("the device"))?;
        has.then_some(device).ok_or_else(|| nothing("the format"))
    };
    let exact = of(Precision::Exact)?;
    let products = |device: &Device, case: &Case| -> quantloom::Result<[Checks; 2]> {
        Ok([case.check_products(device)?, case.check_epilogues(device)?])
    };
    Ok(match check {
        Check::Golden => {
            let vectors = golden::of(&format).map_err(Stopped::Nothing)?;
            verify_vectors(&format, &vectors, slice::from_ref(exact))?.devices
        }
        Check::Exact => all(last.cases(&format)?, |case| case.check(exact))?,
        Check::Int8 | Check::F16 => {
            let precision = if check == Check::F16 { Precision::F16 } else { Precision::Int8 };
            let device = of(precision)?;
            all(last.cases(&format)?, |case| products(device, case))?.concat()
        }
        Check::Grids => {
            let cases = last.cases(&format)?.iter().filter(|case| case.tensor().n() > 32);
            all(cases, |case| case.check(devices.grids))?
        }
        Check::Experts => {
            let case = large(&format, EXPERTS * 24, 256, 24)?;
            all([2, EXPERTS / 2], |used| case.check_experts(exact, EXPERTS, used))?
        }
        Check::Large => {
            let mut checks = vec![];
            for (n, k, m) in LARGE {
                let case =
                    if small { large(&format, n / 8, k / 8, m)? } else { large(&format, n, k, m)? };
                let own = devices.by_precision.iter().filter(|(own, _)| of(*own).is_ok());
                checks.extend(all(own, |(_, device)| products(device, &case))?.concat());
            }
            checks
        }
    })
}

/// Each of these, until one fails.
fn all<T, C>(
    items: impl IntoIterator<Item = T>,
    check: impl FnMut(T) -> quantloom::Result<C>,
) -> std::result::Result<Vec<C>, Stopped> {
    Ok(items.into_iter().map(check).collect::<quantloom::Result<_>>()?)
}

impl Last {
    fn cases(&mut self, format: &Format) -> quantloom::Result<&[Case]> {
        let name = &*format.name;
        if self.0.as_ref().is_none_or(|(own, _)| own != name) {
            self.0 = Some((name.to_owned(), random_cases(format, 0)?));
        }
        Ok(self.0.as_ref().map_or(&[], |(_, cases)| cases))
    }
}

/// Matrices of a tensor of experts.
const EXPERTS: usize = 8;
/// Weight rows, weights per row at least, activation rows: beside edges of tiles, for each kind of product.
const LARGE: [(usize, usize, usize); 2] = [(4099, 14_000, 7), (1031, 4096, 65)];

/// A random tensor with finite scales, whose weights the CPU's decoder tells: what each means bit by bit
/// would take too long.
fn large(format: &Format, n: usize, k: usize, m: usize) -> quantloom::Result<Case> {
    let k = k.next_multiple_of(format.weights as usize);
    let mut rng = Rng::new(0, "large");
    let tensor = random_tensor(format, n, k, &mut rng)?;
    let weights = tensor.upload(&Device::cpu())?.dequantize()?;
    Ok(Case::new(tensor, weights, Origin::Seed(0)).with_activations(m, &mut rng))
}
