//! Kernels that no device could take as the compiler would like them: with smaller numbers, else not
//! at all. A format without one of its kernels still has the others.

use super::Numbers;
use crate::Error;
use crate::artifact::{Activations, Backend, Kernel, Kind};

/// A kernel that a format does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The name it would have.
    pub name: String,
    /// The language it would be in.
    pub backend: Backend,
    /// Why there is none.
    pub problem: String,
}

/// The kernels of a format, and those it cannot have.
#[derive(Default)]
pub(crate) struct Kernels {
    pub all: Vec<Kernel>,
    pub missing: Vec<Missing>,
}

impl Kernels {
    /// Adds the first kernel that devices can take of those with `numbers` and, where these are the
    /// compiler's own, with smaller ones.
    ///
    /// # Errors
    /// Where numbers that were chosen are refused; what `make` fails with for another reason.
    pub fn add(
        &mut self,
        (name, backend): (String, Backend),
        tries: Vec<Numbers>,
        mut make: impl FnMut(&Numbers) -> Result<Kernel, Error>,
    ) -> Result<(), Error> {
        let mut first = None;
        for numbers in &tries {
            match make(numbers) {
                Ok(kernel) => {
                    self.all.push(kernel);
                    return Ok(());
                }
                Err(Error::Schedule { problem, .. }) if tries[0] == Numbers::NONE => {
                    first.get_or_insert(problem);
                }
                Err(error) => return Err(error),
            }
        }
        let problem = first.unwrap_or_default();
        self.missing.push(Missing { name, backend, problem });
        Ok(())
    }
}

/// The numbers to try, best first: those that were chosen, or the compiler's own and smaller ones.
pub(super) fn tries(
    backend: Backend,
    kind: Kind,
    activations: Activations,
    chosen: Numbers,
) -> Vec<Numbers> {
    if chosen != Numbers::NONE {
        return vec![chosen];
    }
    let own = Numbers::of(kind, activations);
    let given = |name: &str, number: u32| own.contains(&name).then_some(number);
    let rows = if (backend, activations) == (Backend::Wgsl, Activations::Int8) { 2 } else { 1 };
    let quads = |most: u32| Numbers {
        workgroup: given("workgroup", 32),
        rows: given("rows", rows),
        columns: given("columns", 4),
        quads: given("quads", most),
        ..Numbers::NONE
    };
    let smaller = match own.contains(&"quads") {
        true => vec![quads(4), quads(1)],
        false => Vec::new(), // their schedules look for tiles that fit themselves
    };
    [Numbers::NONE].into_iter().chain(smaller).collect()
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Rows;
    use super::*;

    #[test]
    fn smaller_numbers_are_those_of_the_kind() {
        for backend in [Backend::Wgsl, Backend::Hip] {
            for kind in
                [Kind::Dequant, Kind::Matvec, Kind::Matmul, Kind::Gather, Kind::MatvecExperts]
            {
                for numbers in tries(backend, kind, Activations::F32, Numbers::NONE) {
                    numbers.check(kind, Activations::F32).unwrap();
                }
            }
            for kind in [Kind::Matvec, Kind::Batch] {
                let all = tries(backend, kind, Activations::Int8, Numbers::NONE);
                assert_eq!(all.len(), 3);
                // What the compiler's own numbers leave no room for, the smallest do.
                let tight = (backend, kind) == (Backend::Wgsl, Kind::Batch);
                assert_eq!(Rows::new(backend, kind, 15000, &all[0]).is_err(), tight);
                Rows::new(backend, kind, 15000, &all[2]).unwrap();
            }
        }
        let chosen = Numbers { rows: Some(3), ..Numbers::NONE };
        assert_eq!(tries(Backend::Hip, Kind::Matvec, Activations::F32, chosen), [chosen]);
    }
}
