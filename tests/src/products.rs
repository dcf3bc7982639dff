//! Products of any format by the CPU in all of its ways, and by the interpreter of the IR, against its meaning.

use crate::seed::pick;
use crate::subject::dims;
use crate::{Failed, passed};
use quantloom::cpu::Cpu;
use quantloom::verify::random::{Rng, sizes};
use quantloom::verify::{Case, Origin, meaning};
use quantloom::{Device, Tensor};
use quantloom_codegen::Format;
use std::sync::LazyLock;

/// The interpreter, and the CPU with both storages and both arithmetics.
pub static WAYS: LazyLock<Vec<Device>> = LazyLock::new(|| {
    let int8 = Cpu::new().int8();
    let ways = [Cpu::new(), Cpu::new().interleaved(), int8, int8.interleaved()];
    [Device::reference()].into_iter().chain(ways.map(Device::from)).collect()
});

/// Decodes and multiplies tensors whose last units are not full.
///
/// # Errors
/// Where a device differs from the formula.
pub fn multiply(
    meant: &Format,
    format: &quantloom::Format,
    devices: &[&Device],
    rng: &mut Rng,
) -> Result<(), Failed> {
    for sizes in sizes(&meant.sizes, meant.weights) {
        let (n, blocks, m) = pick(rng, &[(1, 1, 1), (19, 7, 3), (5, 3, 9), (33, 2, 2)]);
        let mut sized = format.clone();
        for (name, weights) in &sizes {
            sized = sized.with_size(name, *weights)?;
        }
        let k = blocks * meant.weights as usize;
        let dims = dims(meant, n, k, &sizes);
        let streams = rng.finite_bytes(meant, &dims)?;
        let weights = meaning::weights(meant, &dims, &streams)?;
        // A product says nothing where a formula leaves the range.
        let finite = weights.iter().all(|weight| weight.abs() < 1e30);
        let tensor = Tensor::new("random", sized, n, k, streams)?;
        let case = Case::new(tensor, weights, Origin::Seed(0));
        let case = if finite { case.with_activations(m, rng) } else { case };
        devices.iter().try_for_each(|device| passed(case.check(device)))?;
    }
    Ok(())
}
