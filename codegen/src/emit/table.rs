//! The table of kernels: a row for each that a format can have.

use crate::artifact::{Activations, Backend, Element, Kind, Row};

/// All rows, in the order of [`Artifact::kernels`](crate::artifact::Artifact::kernels).
pub const TABLE: [Row; 27] = [
    Row::exact(Backend::Wgsl, Kind::Dequant, Element::F32),
    Row::exact(Backend::Wgsl, Kind::Dequant, Element::F16),
    Row::exact(Backend::Wgsl, Kind::Matvec, Element::F32),
    Row::exact(Backend::Wgsl, Kind::Matmul, Element::F32),
    Row::exact(Backend::Wgsl, Kind::Gather, Element::F32),
    Row::exact(Backend::Wgsl, Kind::Gather, Element::F16),
    Row::exact(Backend::Wgsl, Kind::MatvecExperts, Element::F32),
    Row::exact(Backend::Wgsl, Kind::MatmulExperts, Element::F32),
    matrices(Backend::Wgsl, 16),
    matrices(Backend::Wgsl, 8),
    int8(Backend::Wgsl, Kind::Matvec),
    int8(Backend::Wgsl, Kind::Batch),
    Row { subgroups: true, ..int8(Backend::Wgsl, Kind::Matvec) },
    Row { subgroups: true, ..int8(Backend::Wgsl, Kind::Batch) },
    int8(Backend::Wgsl, Kind::Matmul),
    Row::exact(Backend::Hip, Kind::Dequant, Element::F32),
    Row::exact(Backend::Hip, Kind::Dequant, Element::F16),
    Row::exact(Backend::Hip, Kind::Matvec, Element::F32),
    Row::exact(Backend::Hip, Kind::Matmul, Element::F32),
    Row::exact(Backend::Hip, Kind::Gather, Element::F32),
    Row::exact(Backend::Hip, Kind::Gather, Element::F16),
    Row::exact(Backend::Hip, Kind::MatvecExperts, Element::F32),
    Row::exact(Backend::Hip, Kind::MatmulExperts, Element::F32),
    matrices(Backend::Hip, 16),
    int8(Backend::Hip, Kind::Matvec),
    int8(Backend::Hip, Kind::Batch),
    int8(Backend::Hip, Kind::Matmul),
];

const fn matrices(backend: Backend, matrix: u32) -> Row {
    let row = Row::exact(backend, Kind::Matmul, Element::F32);
    Row { activations: Activations::F16, matrix, ..row }
}

const fn int8(backend: Backend, kind: Kind) -> Row {
    Row { activations: Activations::Int8, ..Row::exact(backend, kind, Element::F32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_own_name() {
        let mut names: Vec<_> = TABLE.iter().map(|row| (row.backend.word(), row.word())).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
