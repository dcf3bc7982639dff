//! The two arithmetics of products: activations as signed bytes, and as they are.

use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

use super::decoded::Decoded;
use super::exact::{self, Indices, Packed};
use super::panel::{Buffers, Bytes, Source};
use super::product::{Arithmetic, Workspace};
use super::quantize::{CHUNK, Packing, QUADS, Quantized};
use super::simd::{Floats, Simd};
use super::{storage, tile};

/// Activations in 8 bits, codes as integers.
#[derive(Clone, Copy)]
pub(super) struct Int8<'a>(pub Source<'a>);

impl Arithmetic for Int8<'_> {
    type Tile = Quantized;
    type Panel = Buffers;

    fn chunks(&self) -> usize {
        self.0.coded.chunks()
    }

    fn period(&self) -> usize {
        self.0.coded.period()
    }

    #[inline(always)]
    fn pack<'x>(&self, tile: &mut Quantized, rows: usize, x: impl Iterator<Item = &'x [f32]>) {
        let coded = self.0.coded;
        let codebook = &coded.codebook;
        let (zero, unit) = (codebook.zero(), codebook.unit());
        let packing = Packing { k: coded.k, runs: coded.runs(), zero, unit };
        tile.pack(packing, rows, x);
    }

    #[inline(always)]
    fn fill<S: Simd>(
        &self,
        simd: S,
        panel: &mut Buffers,
        group: usize,
        chunks: Range<usize>,
        m: usize,
    ) {
        panel.fill(simd, &self.0, (m > 1 || !S::DIRECT).then_some(Bytes::Integers), group, chunks);
    }

    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        panel: &Buffers,
        x: &Quantized,
        chunks: Range<usize>,
        y: &mut [Floats],
    ) {
        let x = x.tile(chunks.clone());
        match (panel.stored(&self.0, chunks), y) {
            (Some(stored), [y]) if S::DIRECT => {
                storage::multiply_int8(simd, stored, self.0.coded.codebook.bytes(), x, y);
            }
            (_, y) => tile::multiply(simd, panel.panel(self.0.coded), x, y),
        }
    }

    fn workspace() -> &'static LocalKey<Cell<Workspace<Quantized, Buffers>>> {
        thread_local! {
            static WORKSPACE: Cell<Workspace<Quantized, Buffers>> = Cell::default();
        }
        &WORKSPACE
    }
}

/// Activations in f32, weights from interleaved codes.
#[derive(Clone, Copy)]
pub(super) struct Codes<'a>(pub Source<'a>);

/// A panel of codes, and of weights where they are used more than once.
#[derive(Debug, Default)]
pub(super) struct Both {
    codes: Buffers,
    weights: Vec<Floats>,
}

impl Codes<'_> {
    fn indices<'b>(&'b self, panel: &'b Buffers) -> Indices<'b> {
        let coded = self.0.coded;
        let panel = panel.panel(coded);
        Indices {
            codes: panel.codes,
            scales: panel.scales,
            offsets: panel.offsets,
            quads: QUADS / panel.runs,
            codebook: &coded.codebook,
        }
    }
}

impl Arithmetic for Codes<'_> {
    type Tile = Packed;
    type Panel = Both;

    fn chunks(&self) -> usize {
        self.0.coded.chunks()
    }

    fn period(&self) -> usize {
        self.0.coded.period()
    }

    #[inline(always)]
    fn pack<'x>(&self, tile: &mut Packed, rows: usize, x: impl Iterator<Item = &'x [f32]>) {
        tile.pack(self.chunks(), self.0.coded.runs(), rows, x);
    }

    #[inline(always)]
    fn fill<S: Simd>(
        &self,
        simd: S,
        panel: &mut Both,
        group: usize,
        chunks: Range<usize>,
        m: usize,
    ) {
        let weights = chunks.len() * CHUNK;
        panel.codes.fill(
            simd,
            &self.0,
            (m > 1 || !S::DIRECT).then_some(Bytes::Indices),
            group,
            chunks,
        );
        if m > exact::FEW {
            panel.weights.resize(weights, Floats::ZERO);
            let Both { codes, weights } = panel;
            exact::decode(simd, self.indices(codes), weights);
        } else {
            panel.weights.clear();
        }
    }

    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        panel: &Both,
        x: &Packed,
        chunks: Range<usize>,
        y: &mut [Floats],
    ) {
        let stored = panel.codes.stored(&self.0, chunks.clone());
        match (stored, y) {
            (Some(stored), [y]) if S::DIRECT => {
                let values = self.0.coded.codebook.values();
                storage::multiply_f32(simd, stored, &values, x, chunks.start, y);
            }
            (_, y) if panel.weights.is_empty() => {
                exact::multiply_codes(simd, self.indices(&panel.codes), x, chunks, y);
            }
            (_, y) => exact::multiply(simd, &panel.weights, x, chunks, y),
        }
    }

    fn workspace() -> &'static LocalKey<Cell<Workspace<Packed, Both>>> {
        thread_local! {
            static WORKSPACE: Cell<Workspace<Packed, Both>> = Cell::default();
        }
        &WORKSPACE
    }
}

/// Activations in f32, weights as the format's decoder hands them out.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a>(pub Decoded<'a>);

/// Weights of a group of rows, and those of a single row on their way there.
#[derive(Debug, Default)]
pub(super) struct Plain {
    weights: Vec<Floats>,
    row: Vec<f32>,
}

impl Arithmetic for Weights<'_> {
    type Tile = Packed;
    type Panel = Plain;

    fn chunks(&self) -> usize {
        self.0.k.div_ceil(CHUNK)
    }

    fn period(&self) -> usize {
        self.0.period()
    }

    #[inline(always)]
    fn pack<'x>(&self, tile: &mut Packed, rows: usize, x: impl Iterator<Item = &'x [f32]>) {
        tile.pack(self.chunks(), 0, rows, x);
    }

    #[inline(always)]
    fn fill<S: Simd>(&self, _: S, panel: &mut Plain, group: usize, chunks: Range<usize>, _: usize) {
        self.0.panel(group, chunks, &mut panel.row, &mut panel.weights);
    }

    #[inline(always)]
    fn multiply<S: Simd>(
        &self,
        simd: S,
        panel: &Plain,
        x: &Packed,
        chunks: Range<usize>,
        y: &mut [Floats],
    ) {
        exact::multiply(simd, &panel.weights, x, chunks, y);
    }

    fn workspace() -> &'static LocalKey<Cell<Workspace<Packed, Plain>>> {
        thread_local! {
            static WORKSPACE: Cell<Workspace<Packed, Plain>> = Cell::default();
        }
        &WORKSPACE
    }
}
