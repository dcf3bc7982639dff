//! Products of weights and activations: the order in which panels and tiles meet.
//!
//! A task takes some groups of 16 weight rows. It walks over k in steps; in each it decodes a panel
//! per group, which then stays in the cache while every tile of activations passes by.

use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

use rayon::prelude::*;

use super::columns::Columns;
use super::isa::Isa;
use super::simd::{Floats, Kernel, ROWS, Simd};

/// Weight rows times activation rows.
#[derive(Clone, Copy)]
pub(super) struct Product<'a, A> {
    pub arithmetic: A,
    pub isa: Isa,
    /// Weights per row.
    pub k: usize,
    /// First weight row taken, and how many: a matrix of a tensor that may hold several.
    pub first: usize,
    pub n: usize,
    /// Activations `[_, k]`.
    pub x: &'a [f32],
    /// Rows of `x` that are taken, and of the output that are written.
    pub rows: Rows<'a>,
}

/// Which rows of activations and outputs a product is about.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    First(usize),
    /// These of the output, of which `used` belong to each activation row.
    These {
        rows: &'a [u32],
        used: usize,
    },
}

/// How weights and activations are multiplied: what a panel and a tile are.
pub(super) trait Arithmetic: Copy + Send + Sync {
    /// Some activation rows, side by side.
    type Tile: Default + Send + Sync + 'static;
    /// Some chunks of a group of weight rows.
    type Panel: Default + Send + 'static;

    /// Chunks of 32 weights in a row.
    fn chunks(&self) -> usize;
    /// Chunks after which a panel may begin.
    fn period(&self) -> usize;
    /// Packs activation rows; those up to `rows` that `x` has not are zeros.
    fn pack<'x>(&self, tile: &mut Self::Tile, rows: usize, x: impl Iterator<Item = &'x [f32]>);
    /// Decodes chunks of a group for the product with `m` rows.
    fn fill<S: Simd>(
        &self,
        simd: S,
        panel: &mut Self::Panel,
        group: usize,
        chunks: Range<usize>,
        m: usize,
    );
    /// `y[row of the tile]` += panel times tile.
    fn multiply<S: Simd>(
        &self,
        simd: S,
        panel: &Self::Panel,
        tile: &Self::Tile,
        chunks: Range<usize>,
        y: &mut [Floats],
    );
    /// What a thread keeps from one product to the next.
    fn workspace() -> &'static LocalKey<Cell<Workspace<Self::Tile, Self::Panel>>>;
}

/// Buffers of one thread.
pub(super) struct Workspace<T, P> {
    /// Activations, while the thread has a product computed.
    tiles: Vec<T>,
    task: Task<P>,
}

/// Buffers of a task.
struct Task<P> {
    panels: Vec<P>,
    /// `[group of the task, activation row]`.
    totals: Vec<Floats>,
}

impl<T, P> Default for Workspace<T, P> {
    fn default() -> Workspace<T, P> {
        Workspace { tiles: Vec::new(), task: Task { panels: Vec::new(), totals: Vec::new() } }
    }
}

/// Chunks of a step where one tile takes all activations: what follows is fetched meanwhile.
const SHORT: usize = 16;
/// Chunks of a step, and groups of a task, where panels are used again.
const LONG: usize = 32;
const GROUPS: usize = 4;

impl<A: Arithmetic> Product<'_, A> {
    /// Writes `[rows, n]`.
    pub fn compute(&self, y: &mut [f32]) {
        let m = self.rows.len();
        let Some(cut) = self.isa.run(CutRows(m)) else { return };
        let count = cut.tiles();
        let mut workspace = A::workspace().take();
        let mut tiles = std::mem::take(&mut workspace.tiles);
        A::workspace().set(workspace);
        if tiles.len() < count {
            tiles.resize_with(count, A::Tile::default);
        }
        let used = tiles.get_mut(..count).unwrap_or_default();
        let pack = |(number, to): (usize, &mut A::Tile)| {
            self.isa.run(Pack { product: self, tile: to, rows: cut.rows(number) });
        };
        match m * self.k > PARALLEL {
            true => used.par_iter_mut().enumerate().for_each(pack),
            false => used.iter_mut().enumerate().for_each(pack),
        }
        let columns = Columns::new(y, self.n);
        let groups = self.first / ROWS..(self.first + self.n).div_ceil(ROWS);
        let per_task = if count > 1 { GROUPS } else { 1 };
        let tasks = groups.len().div_ceil(per_task);
        let used = &*used;
        (0..tasks).into_par_iter().for_each(|task| {
            let first = groups.start + task * per_task;
            let groups = first..groups.end.min(first + per_task);
            let mut workspace = A::workspace().take();
            let buffers = &mut workspace.task;
            self.isa.run(Step { product: self, tiles: used, cut, groups: groups.clone(), buffers });
            for (number, group) in groups.enumerate() {
                let totals = buffers.totals.chunks_exact(cut.padded()).nth(number);
                self.write(&columns, group, totals.unwrap_or_default());
            }
            // A product computed meanwhile by this thread may have left its tiles.
            let kept = A::workspace().take();
            workspace.tiles = kept.tiles;
            A::workspace().set(workspace);
        });
        let mut workspace = A::workspace().take();
        workspace.tiles = tiles;
        A::workspace().set(workspace);
    }

    /// Hands out the totals of a group of weight rows, `[activation row]`.
    fn write(&self, columns: &Columns, group: usize, totals: &[Floats]) {
        let begin = (group * ROWS).max(self.first);
        let end = ((group + 1) * ROWS).min(self.first + self.n);
        for (number, total) in totals.iter().enumerate().take(self.rows.len()) {
            let values = total.0.get(begin - group * ROWS..end.max(begin) - group * ROWS);
            // SAFETY: groups are disjoint, and each belongs to one task.
            unsafe {
                columns.write(self.rows.at(number), begin - self.first, values.unwrap_or_default());
            }
        }
    }
}

/// Activations that are worth a thread of their own.
const PARALLEL: usize = 1 << 16;

/// How activation rows are cut into tiles: all of equal size but the last, and each of a size that
/// there is a kernel for.
#[derive(Clone, Copy)]
struct Cut {
    m: usize,
    tile: usize,
}

impl Cut {
    /// Sizes of tiles, for all instructions.
    const SIZES: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];

    /// The size that holds so many rows.
    fn size(rows: usize) -> usize {
        Cut::SIZES.into_iter().find(|&size| size >= rows).unwrap_or(12)
    }

    fn tiles(&self) -> usize {
        self.m.div_ceil(self.tile)
    }

    /// Activation rows of a tile, some of which may not be there.
    fn rows(&self, tile: usize) -> Range<usize> {
        let first = tile * self.tile;
        first..first + Cut::size(self.tile.min(self.m - first))
    }

    /// Rows of all tiles.
    fn padded(&self) -> usize {
        self.rows(self.tiles() - 1).end
    }
}

/// Cuts so many rows; `None` for none.
struct CutRows(usize);

impl Kernel for CutRows {
    type Output = Option<Cut>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Option<Cut> {
        let tiles = self.0.div_ceil(S::TILE);
        (tiles > 0).then(|| Cut { m: self.0, tile: Cut::size(self.0.div_ceil(tiles)) })
    }
}

/// Packs a tile.
struct Pack<'a, 'p, A: Arithmetic> {
    product: &'a Product<'p, A>,
    tile: &'a mut A::Tile,
    rows: Range<usize>,
}

impl<A: Arithmetic> Kernel for Pack<'_, '_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Product { x, k, rows, .. } = self.product;
        let wanted = self.rows.len();
        let present = self.rows.start..self.rows.end.min(rows.len());
        let rows = present.map(|number| {
            let at = rows.of_x(number).saturating_mul(*k);
            x.get(at..at.saturating_add(*k)).unwrap_or_default()
        });
        self.product.arithmetic.pack(self.tile, wanted, rows);
    }
}

/// All steps of a task.
struct Step<'a, 'p, A: Arithmetic> {
    product: &'a Product<'p, A>,
    tiles: &'a [A::Tile],
    cut: Cut,
    groups: Range<usize>,
    buffers: &'a mut Task<A::Panel>,
}

impl<A: Arithmetic> Kernel for Step<'_, '_, A> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Step { product, tiles, cut, groups, buffers } = self;
        let m = cut.padded();
        let Task { panels, totals } = buffers;
        if panels.len() < groups.len() {
            panels.resize_with(groups.len(), A::Panel::default);
        }
        totals.clear();
        totals.resize(groups.len() * m, Floats::ZERO);
        let arithmetic = product.arithmetic;
        let chunks = arithmetic.chunks();
        let wanted = if tiles.len() > 1 { LONG } else { SHORT };
        let step = wanted.next_multiple_of(arithmetic.period());
        for first in (0..chunks).step_by(step) {
            let step = first..chunks.min(first + step);
            for (panel, group) in panels.iter_mut().zip(groups.clone()) {
                arithmetic.fill(simd, panel, group, step.clone(), m);
            }
            for (number, x) in tiles.iter().enumerate() {
                let rows = cut.rows(number);
                for (panel, totals) in panels.iter().zip(totals.chunks_exact_mut(m)) {
                    let totals = totals.get_mut(rows.clone()).unwrap_or_default();
                    arithmetic.multiply(simd, panel, x, step.clone(), totals);
                }
            }
        }
    }
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        match self {
            Rows::First(m) => *m,
            Rows::These { rows, .. } => rows.len(),
        }
    }

    /// Row of the output.
    pub fn at(&self, number: usize) -> usize {
        match self {
            Rows::First(_) => number,
            Rows::These { rows, .. } => rows.get(number).map_or(usize::MAX, |&row| row as usize),
        }
    }

    /// Row of the activations.
    pub fn of_x(&self, number: usize) -> usize {
        match self {
            Rows::First(_) => number,
            Rows::These { used, .. } => self.at(number) / (*used).max(1),
        }
    }
}
