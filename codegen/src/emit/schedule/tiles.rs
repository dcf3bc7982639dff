//! Schedules of exact kernels.

use super::{Numbers, WORKGROUP_BYTES, within};
use crate::Error;
use crate::artifact::{Activations, Kind};
use serde::Serialize;

/// Numbers that the templates of all kinds draw from.
#[derive(Clone, Copy, Debug, Serialize)]
pub(in crate::emit) struct Schedule {
    /// Invocations per workgroup.
    pub workgroup: u32,
    /// Weight rows per workgroup of a matvec.
    pub rows: u32,
    /// Outputs per workgroup of a matmul: weight rows by activation rows.
    pub tile_n: u32,
    pub tile_m: u32,
    /// Invocations along the two sides of a tile.
    pub threads_n: u32,
    pub threads_m: u32,
    /// Strips of a row in one step along k.
    pub chunk: u32,
    /// Distance of two rows of a tile in quads.
    pub pitch: u32,
}

/// Weights of a row in one step along k; more where a single strip has more.
const STEP: u32 = 32;
/// Invocations along activation rows and outputs of each, the best first: less where strips are so long
/// that the tiles would not fit.
const ALONG_M: [(u32, u32); 4] = [(16, 2), (16, 1), (8, 1), (4, 1)];
/// Outputs of an invocation along weight rows, at most.
const EACH_N: u32 = 8;

/// What a schedule is for.
#[derive(Clone, Copy, Debug)]
pub(in crate::emit) struct Program {
    pub kind: Kind,
    /// Quads of a strip, and weights in each.
    pub quads: u32,
    pub lanes: u32,
    /// Bytes of its tables in workgroup memory.
    pub tables: u32,
}

impl Schedule {
    /// The schedule of a program's kernel.
    ///
    /// # Errors
    /// Where a number that is given is out of its range, or needs more workgroup memory than there is.
    pub fn new(program: &Program, numbers: &Numbers) -> Result<Schedule, Error> {
        let Program { kind, quads, lanes, tables } = *program;
        numbers.check(kind, Activations::F32)?;
        let strip = quads * lanes;
        let chunk = (numbers.step.unwrap_or(STEP) / strip).max(1);
        let own = Schedule {
            workgroup: numbers.workgroup.unwrap_or(64),
            rows: numbers.rows.unwrap_or(4),
            tile_n: 0,
            tile_m: 0,
            threads_n: numbers.threads_n.unwrap_or(8),
            threads_m: 0,
            chunk,
            pitch: (chunk * quads) | 1,
        };
        match kind {
            Kind::Matmul | Kind::MatmulExperts => own.tiled(program, numbers),
            Kind::Matvec | Kind::MatvecExperts => {
                let bytes = own.workgroup * own.rows * 4 + tables;
                within(WORKGROUP_BYTES, bytes, kind, Activations::F32).map(|()| own)
            }
            Kind::Dequant | Kind::Gather | Kind::Batch | Kind::Quantize => {
                within(WORKGROUP_BYTES, tables, kind, Activations::F32).map(|()| own)
            }
        }
    }

    /// With the largest tiles that fit.
    fn tiled(self, program: &Program, numbers: &Numbers) -> Result<Schedule, Error> {
        let Numbers { threads_m, each_m, each_n, .. } = *numbers;
        let threads = [self.threads_n, threads_m.unwrap_or(ALONG_M[0].0)];
        super::threads(threads, program.kind, Activations::F32)?;
        let along_m =
            ALONG_M.map(|(threads, each)| (threads_m.unwrap_or(threads), each_m.unwrap_or(each)));
        let along_n = match each_n {
            Some(each) => each..=each,
            None => 1..=EACH_N,
        };
        let all = along_m.into_iter().flat_map(|(threads_m, each_m)| {
            along_n.clone().rev().map(move |each_n| Schedule {
                workgroup: self.threads_n * threads_m,
                tile_n: each_n * self.threads_n,
                tile_m: each_m * threads_m,
                threads_m,
                ..self
            })
        });
        let all = all.filter(|tiles| tiles.workgroup >= 32);
        let bytes = |tiles: &Schedule| {
            let lists = match program.kind {
                // A count of every invocation and all of them, and what is chosen.
                Kind::MatmulExperts => 4 * (tiles.workgroup + 1 + tiles.tile_m).next_multiple_of(4),
                _ => 0,
            };
            let row = tiles.pitch * program.lanes * 4;
            (tiles.tile_n + tiles.tile_m) * row + lists + program.tables
        };
        super::largest(all, bytes, program.kind, Activations::F32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Numbers = Numbers::NONE;
    const TILES: Numbers = Numbers {
        threads_n: Some(16),
        threads_m: Some(16),
        each_n: Some(4),
        each_m: Some(4),
        step: Some(32),
        ..NONE
    };

    fn of(kind: Kind, quads: u32) -> Program {
        Program { kind, quads, lanes: 4, tables: 0 }
    }

    #[test]
    fn numbers_replace_the_compilers() {
        let own = Schedule::new(&of(Kind::Matmul, 2), &NONE).unwrap();
        assert_eq!((own.workgroup, own.tile_n, own.tile_m, own.chunk), (128, 64, 32, 4));
        let other = Numbers { each_n: Some(2), ..TILES };
        let other = Schedule::new(&of(Kind::Matmul, 2), &other).unwrap();
        assert_eq!((other.workgroup, other.tile_n, other.tile_m, other.chunk), (256, 32, 64, 4));
        let rows = Numbers { workgroup: Some(128), rows: Some(4), ..NONE };
        let matvec = Schedule::new(&of(Kind::Matvec, 2), &rows).unwrap();
        assert_eq!((matvec.workgroup, matvec.rows), (128, 4));
    }

    #[test]
    fn what_no_device_takes_is_refused() {
        let most = Numbers { workgroup: Some(256), rows: Some(16), ..NONE };
        let refusals = [
            (Kind::Matmul, Numbers { threads_n: Some(2), threads_m: Some(8), ..NONE }, "is 16"),
            (Kind::Matmul, Numbers { step: Some(256), each_n: Some(16), ..TILES }, "16384"),
            (Kind::Matvec, Numbers { rows: Some(17), ..NONE }, "1 to 16"),
        ];
        for (kind, numbers, says) in refusals {
            let error = Schedule::new(&of(kind, 2), &numbers).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        // Tables take of the same memory.
        let matvec = of(Kind::Matvec, 2);
        assert!(Schedule::new(&matvec, &most).is_ok());
        let error = Schedule::new(&Program { tables: 64, ..matvec }, &most).unwrap_err();
        assert!(error.to_string().contains("16448 bytes"), "{error}");
    }

    #[test]
    fn tiles_of_every_program_fit() {
        for kind in [Kind::Matmul, Kind::MatmulExperts] {
            for (quads, lanes) in (1..=64).flat_map(|quads| [(quads, 4), (quads, 1)]) {
                for tables in [0, 64, 1024] {
                    let program = Program { kind, quads, lanes, tables };
                    let own = Schedule::new(&program, &NONE).unwrap();
                    let tiles = (own.tile_n + own.tile_m) * own.pitch * lanes * 4;
                    assert!(tiles + tables <= WORKGROUP_BYTES, "{program:?}: {own:?}");
                    assert!(own.tile_n >= own.threads_n && own.tile_m >= own.threads_m);
                    assert_eq!(own.workgroup, own.threads_n * own.threads_m);
                }
            }
        }
    }
}
