//! What is tried: the same numbers in the same order, so that a search can go on.

use super::Kind;
use quantloom::artifact;
use quantloom::tuning::Numbers;

impl Kind {
    /// The compiler's.
    pub fn kernel(self) -> artifact::Kind {
        match self {
            Kind::Dequant => artifact::Kind::Dequant,
            Kind::Matvec => artifact::Kind::Matvec,
            Kind::Matmul => artifact::Kind::Matmul,
        }
    }

    /// All that is tried instead of the compiler's own numbers.
    pub fn choices(self) -> Vec<Numbers> {
        let none = Numbers::default();
        let workgroups = [32, 64, 128, 256].map(Some);
        match self {
            Kind::Dequant => {
                workgroups.map(|workgroup| Numbers { workgroup, ..none }).into_iter().collect()
            }
            Kind::Matvec => {
                let rows = [1, 2, 4, 8].map(Some);
                let with = |workgroup| rows.map(|rows| Numbers { workgroup, rows, ..none });
                workgroups.into_iter().flat_map(with).collect()
            }
            Kind::Matmul => tiles(),
        }
    }
}

/// Outputs that an invocation holds in registers, at most.
const HELD: u32 = 32;

fn tiles() -> Vec<Numbers> {
    let mut tiles = Vec::new();
    for step in [32, 64] {
        for (threads_n, threads_m) in [(8, 8), (8, 16), (16, 8), (16, 16), (32, 8)] {
            for each_n in [2, 4, 8] {
                for each_m in [2, 4, 8].into_iter().filter(|each_m| each_n * each_m <= HELD) {
                    tiles.push(Numbers {
                        threads_n: Some(threads_n),
                        threads_m: Some(threads_m),
                        each_n: Some(each_n),
                        each_m: Some(each_m),
                        step: Some(step),
                        ..Numbers::default()
                    });
                }
            }
        }
    }
    tiles
}
