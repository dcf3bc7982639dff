//! What is tried: the same numbers in the same order, so that a search can go on.

use super::Kind;
use quantloom::artifact::{self, Backend};
use quantloom::tuning::{Numbers, Precision};

impl Kind {
    /// The compiler's.
    pub fn kernel(self) -> artifact::Kind {
        match self {
            Kind::Dequant => artifact::Kind::Dequant,
            Kind::Matvec => artifact::Kind::Matvec,
            Kind::Batch => artifact::Kind::Batch,
            Kind::Matmul => artifact::Kind::Matmul,
        }
    }

    /// All that is tried instead of the compiler's own numbers; nothing where there are no such kernels.
    pub fn choices(self, precision: Precision, backend: Backend) -> Vec<Numbers> {
        match (precision, self) {
            (Precision::Exact, Kind::Dequant) => decoding(),
            (Precision::Exact, Kind::Matvec) => rows(&[1, 2, 4, 8], &[4, 8, 16]),
            (Precision::Exact, Kind::Matmul) => tiles(),
            (Precision::Int8, Kind::Matvec) => {
                let all = rows(rows_of_bytes(backend), &[4, 8, 16]);
                with_and_without_subgroups(all, backend)
            }
            (Precision::Int8, Kind::Batch) => batches(backend),
            (Precision::Int8, Kind::Matmul) => tiles_of_bytes(),
            (Precision::F16, Kind::Matmul) => matrices(backend),
            _ => vec![],
        }
    }
}

/// Invocations of a workgroup.
const WORKGROUPS: [u32; 4] = [32, 64, 128, 256];
/// Workgroup memory that there may be, in bytes; without matrix units.
const WORKGROUP_BYTES: u32 = Backend::Wgsl.workgroup_bytes(false);
/// Outputs of a matmul that an invocation holds in registers, at most.
const HELD: u32 = 32;

fn decoding() -> Vec<Numbers> {
    let mut all = Vec::new();
    for quads in [2, 4, 8] {
        for workgroup in WORKGROUPS {
            all.push(Numbers { workgroup: Some(workgroup), quads: Some(quads), ..Numbers::NONE });
        }
    }
    all
}

fn rows(rows: &[u32], widths: &[u32]) -> Vec<Numbers> {
    let mut all = Vec::new();
    for &quads in widths {
        for workgroup in WORKGROUPS {
            for &rows in rows {
                all.push(Numbers {
                    workgroup: Some(workgroup),
                    rows: Some(rows),
                    quads: Some(quads),
                    ..Numbers::NONE
                });
            }
        }
    }
    all
}

/// Weight rows of kernels with 8-bit activations, whose sums are vectors in WGSL.
fn rows_of_bytes(backend: Backend) -> &'static [u32] {
    match backend {
        Backend::Wgsl => &[2, 4],
        Backend::Hip => &[1, 2, 4, 8],
    }
}

fn batches(backend: Backend) -> Vec<Numbers> {
    let mut all = Vec::new();
    for columns in [4, 8, 16] {
        let fits = |numbers: &Numbers| {
            let (workgroup, rows) = (numbers.workgroup.unwrap_or(0), numbers.rows.unwrap_or(0));
            match backend {
                // Tables take a few bytes.
                Backend::Wgsl => 4 * workgroup * rows * columns < WORKGROUP_BYTES,
                Backend::Hip => rows * columns <= workgroup,
            }
        };
        let own = rows(rows_of_bytes(backend), &[8, 16]).into_iter().filter(fits);
        all.extend(own.map(|numbers| Numbers { columns: Some(columns), ..numbers }));
    }
    with_and_without_subgroups(all, backend)
}

/// HIP's kernels know no other way.
fn with_and_without_subgroups(all: Vec<Numbers>, backend: Backend) -> Vec<Numbers> {
    let without = all.iter().map(|&numbers| Numbers { subgroups: Some(false), ..numbers });
    let without: Vec<Numbers> = without.filter(|_| backend == Backend::Wgsl).collect();
    all.into_iter().chain(without).collect()
}

fn tiles() -> Vec<Numbers> {
    // Quads in floats, and one more so that their number is odd.
    cut(&[32, 64], |step| (step / 4 + 1) * 16)
}

fn tiles_of_bytes() -> Vec<Numbers> {
    // Words of 16 and one more, likewise a scale or a sum for each; of long runs it is less.
    cut(&[32, 64, 128], |step| (step / 16 + 1) * 24)
}

/// All tiles of these steps that fit, where a row of them takes so many bytes.
fn cut(steps: &[u32], row_bytes: impl Fn(u32) -> u32) -> Vec<Numbers> {
    let mut tiles = Vec::new();
    for &step in steps {
        let rows = WORKGROUP_BYTES / row_bytes(step);
        for (threads_n, threads_m) in [(8, 8), (8, 16), (16, 8), (16, 16), (32, 8)] {
            for (each_n, each_m) in [2, 4, 8].into_iter().flat_map(|n| [2, 4, 8].map(|m| (n, m))) {
                let fits = threads_n * each_n + threads_m * each_m <= rows;
                if fits && each_n * each_m <= HELD {
                    tiles.push(Numbers {
                        threads_n: Some(threads_n),
                        threads_m: Some(threads_m),
                        each_n: Some(each_n),
                        each_m: Some(each_m),
                        step: Some(step),
                        ..Numbers::NONE
                    });
                }
            }
        }
    }
    tiles
}

fn matrices(backend: Backend) -> Vec<Numbers> {
    // Memory of matrices of 16 x 16.
    let bytes = |along_n: u32, along_m: u32, subgroups: u32, step: u32| {
        let tiles = 16 * (along_n + along_m) * (step + 8) * 2;
        match backend {
            Backend::Wgsl => tiles + subgroups * 1024,
            Backend::Hip => 2 * tiles,
        }
    };
    let most = backend.workgroup_bytes(true);
    let mut matrices = Vec::new();
    for step in [32, 64] {
        for (subgroups_n, subgroups_m) in [(2, 4), (4, 2), (2, 2), (1, 4)] {
            for (matrices_n, matrices_m) in [(4, 2), (2, 4), (4, 4), (2, 2)] {
                let (along_n, along_m) = (subgroups_n * matrices_n, subgroups_m * matrices_m);
                if bytes(along_n, along_m, subgroups_n * subgroups_m, step) < most {
                    matrices.push(Numbers {
                        subgroups_n: Some(subgroups_n),
                        subgroups_m: Some(subgroups_m),
                        matrices_n: Some(matrices_n),
                        matrices_m: Some(matrices_m),
                        step: Some(step),
                        ..Numbers::NONE
                    });
                }
            }
        }
    }
    matrices
}
