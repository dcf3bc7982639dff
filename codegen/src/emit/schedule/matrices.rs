//! Schedules of matmuls by matrix units.

use super::{Numbers, refused};
use crate::Error;
use crate::artifact::{Activations, Backend, Kind};
use serde::Serialize;

/// Matrices of outputs that a subgroup adds up: activation rows by weight rows.
const OWN: [u32; 2] = [2, 4];
/// Subgroups along the two sides of a tile, activation rows first.
const SUBGROUPS: [u32; 2] = [4, 2];
/// Invocations of a subgroup, and of all of them at most.
const SUBGROUP: u32 = 32;
const WORKGROUP: u32 = 256;
/// Weights of a row in one step along k; more where a single strip has more.
const STEP: u32 = 32;
/// Rows lie so many f16 further apart than they are long: so 8 rows that are read at once begin in
/// different banks.
const APART: u32 = 8;

/// What a schedule is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::emit) struct MatrixProgram {
    pub backend: Backend,
    /// Side of the matrices.
    pub matrix: u32,
    /// Quads of a strip, and weights in each.
    pub quads: u32,
    pub lanes: u32,
    /// Bytes of its tables in workgroup memory.
    pub tables: u32,
}

/// How tiles are cut into matrices, and who brings what they are multiplied from.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::emit) struct Matrices {
    /// Side of the matrices: their outputs either way, and weights of k that they take at a time.
    pub matrix: u32,
    /// Invocations per workgroup.
    pub workgroup: u32,
    /// Outputs per workgroup: weight rows by activation rows.
    pub tile_n: u32,
    pub tile_m: u32,
    /// Subgroups that multiply, and how many of them share the tile's activation rows.
    pub subgroups: u32,
    pub subgroups_n: u32,
    /// Matrices of outputs of a subgroup.
    pub own_m: u32,
    pub own_n: u32,
    /// Strips of a row in one step along k, and matrices along k.
    pub chunk: u32,
    pub slices: u32,
    /// Weights in a quad.
    pub lanes: u32,
    /// Quads of a row in a matrix, and distance of two rows of a tile in quads.
    pub slice_quads: u32,
    pub pitch: u32,
    /// Strips of the two tiles that an invocation brings in one step.
    pub each_weights: u32,
    pub each_activations: u32,
    /// The invocations that do: all, or as many as there are strips. Where these are few, some bring
    /// weights and the next ones activations.
    pub weights_end: u32,
    pub activations_first: u32,
    pub activations_end: u32,
}

impl Matrices {
    /// The schedule of a program's kernel.
    ///
    /// # Errors
    /// Where a number that is given is out of its range, or tiles need more workgroup memory than there
    /// is; also for the compiler's own numbers, where strips are long.
    pub fn new(program: &MatrixProgram, numbers: &Numbers) -> Result<Matrices, Error> {
        let (kind, activations) = (Kind::Matmul, Activations::F16);
        numbers.check(kind, activations)?;
        let problem = |problem: String| Err(refused(kind, activations, problem));
        let MatrixProgram { backend, matrix, quads, lanes, tables } = *program;
        let subgroups_m = numbers.subgroups_m.unwrap_or(SUBGROUPS[0]);
        let subgroups_n = numbers.subgroups_n.unwrap_or(SUBGROUPS[1]);
        let (own_m, own_n) =
            (numbers.matrices_m.unwrap_or(OWN[0]), numbers.matrices_n.unwrap_or(OWN[1]));
        let subgroups = subgroups_m * subgroups_n;
        let workgroup = subgroups * SUBGROUP;
        if workgroup > WORKGROUP {
            return problem(format!(
                "`subgroups_n` x `subgroups_m` is {subgroups}; it must be 1 to {}",
                WORKGROUP / SUBGROUP
            ));
        }
        if backend == Backend::Hip && !subgroups_m.is_multiple_of(2) {
            return problem(format!("`subgroups_m` is {subgroups_m}; in HIP it must be even"));
        }
        let (tile_m, tile_n) = (subgroups_m * own_m * matrix, subgroups_n * own_n * matrix);
        let (strip, wanted) = (quads * lanes, numbers.step.unwrap_or(STEP));
        // Every invocation brings as many strips, or one or none.
        let even = |strips: u32| strips < workgroup || strips.is_multiple_of(workgroup);
        let fits = |chunk: &u32| {
            (chunk * strip).is_multiple_of(matrix) && even(chunk * tile_n) && even(chunk * tile_m)
        };
        let Some(chunk) = (wanted.div_ceil(strip)..=wanted.max(matrix)).find(fits) else {
            return problem(format!("no step along k is made of strips of {strip} weights"));
        };
        let step = chunk * strip;
        let pitch = (step + APART) / lanes;
        let bytes = (tile_m + tile_n) * pitch * lanes * 2;
        let bytes = match backend {
            // With a matrix of each subgroup on its way to the edge of the output.
            Backend::Wgsl => bytes + subgroups * matrix * matrix * 4 + tables,
            // While one pair of tiles is multiplied, the other is filled.
            Backend::Hip => 2 * bytes + tables,
        };
        super::within(backend.workgroup_bytes(true), bytes, kind, activations)?;
        let (weights, brought) = (tile_n * chunk, tile_m * chunk);
        let apart = weights + brought <= workgroup;
        let activations_first = if apart { weights } else { 0 };
        Ok(Matrices {
            matrix,
            workgroup,
            tile_n,
            tile_m,
            subgroups,
            subgroups_n,
            own_m,
            own_n,
            chunk,
            slices: step / matrix,
            lanes,
            slice_quads: matrix / lanes,
            pitch,
            each_weights: weights.div_ceil(workgroup),
            each_activations: brought.div_ceil(workgroup),
            weights_end: weights.min(workgroup),
            activations_first,
            activations_end: (activations_first + brought).min(workgroup),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(backend: Backend, quads: u32) -> MatrixProgram {
        MatrixProgram { backend, matrix: 16, quads, lanes: 4, tables: 0 }
    }

    #[test]
    fn numbers_replace_the_compilers() {
        let none = Numbers::NONE;
        let own = Matrices::new(&of(Backend::Wgsl, 2), &none).unwrap();
        assert_eq!((own.tile_n, own.tile_m, own.workgroup, own.chunk), (128, 128, 256, 4));
        assert_eq!((own.each_weights, own.weights_end, own.activations_first), (2, 256, 0));
        // A strip a row: some bring weights, the others activations.
        let apart = Matrices::new(&of(Backend::Wgsl, 8), &none).unwrap();
        assert_eq!(
            (apart.weights_end, apart.activations_first, apart.activations_end),
            (128, 128, 256)
        );
        let numbers = Numbers {
            subgroups_n: Some(1),
            subgroups_m: Some(2),
            matrices_n: Some(8),
            matrices_m: Some(1),
            step: Some(64),
            ..none
        };
        let other = Matrices::new(&of(Backend::Hip, 4), &numbers).unwrap();
        assert_eq!((other.tile_n, other.tile_m, other.workgroup, other.chunk), (128, 32, 64, 4));
        assert_eq!((other.each_weights, other.each_activations), (8, 2));
    }

    /// Every strip of both tiles is brought by one invocation.
    #[test]
    fn tiles_are_brought_whole_or_refused() {
        let numbers = |i: u32| Numbers {
            subgroups_n: Some(1 + i % 4),
            subgroups_m: Some(1 + i / 4 % 4),
            matrices_n: Some(1 + i / 16 % 4),
            matrices_m: Some(1 + i / 64 % 4),
            step: Some(16 << (i / 256)),
            ..Numbers::NONE
        };
        let mut made = 0;
        for quads in 1..=16 {
            for (backend, matrix) in [(Backend::Wgsl, 16), (Backend::Wgsl, 8), (Backend::Hip, 16)] {
                let program = MatrixProgram { matrix, tables: 64, ..of(backend, quads) };
                for own in (0..768).filter_map(|i| Matrices::new(&program, &numbers(i)).ok()) {
                    let weights = own.weights_end * own.each_weights;
                    assert_eq!(weights, own.tile_n * own.chunk, "{own:?}");
                    let others = own.activations_end - own.activations_first;
                    assert_eq!(others * own.each_activations, own.tile_m * own.chunk, "{own:?}");
                    assert_eq!(own.slices * matrix, own.chunk * quads * 4, "{own:?}");
                    assert!(own.workgroup <= 256 && own.activations_end <= own.workgroup);
                    made += 1;
                }
            }
        }
        assert!(made > 1000, "{made}");
    }

    #[test]
    fn what_no_device_takes_is_refused() {
        let none = Numbers::NONE;
        let odd = Numbers { subgroups_m: Some(1), ..none };
        let refusals = [
            (Backend::Wgsl, 2, Numbers { subgroups_n: Some(3), ..none }, "is 12"),
            (Backend::Hip, 2, odd, "must be even"),
            (Backend::Wgsl, 2, Numbers { matrices_n: Some(8), ..none }, "there may be 32768"),
            (Backend::Hip, 2, Numbers { step: Some(64), ..none }, "there may be 49152"),
            (Backend::Wgsl, 16, none, "bytes of workgroup memory"),
        ];
        for (backend, quads, numbers, says) in refusals {
            let error = Matrices::new(&of(backend, quads), &numbers).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("f16"), "{error}");
        }
        assert!(Matrices::new(&of(Backend::Wgsl, 2), &odd).is_ok());
        // Tables take of the same memory.
        let tight = MatrixProgram { tables: 4096, ..of(Backend::Wgsl, 2) };
        assert!(Matrices::new(&tight, &none).is_ok());
        let error = Matrices::new(&MatrixProgram { tables: 4112, ..tight }, &none).unwrap_err();
        assert!(error.to_string().contains("32784 bytes"), "{error}");
    }
}
