//! The output of a product, written by many threads, each its own columns.

use std::marker::PhantomData;

/// Rows of outputs, `[m, n]`, of which every thread writes other columns.
#[derive(Clone, Copy)]
pub(super) struct Columns<'y> {
    values: *mut f32,
    m: usize,
    n: usize,
    lifetime: PhantomData<&'y mut [f32]>,
}

// SAFETY: columns are written through `write` alone, whose callers promise that no two threads write
// the same ones.
unsafe impl Send for Columns<'_> {}
// SAFETY: as above.
unsafe impl Sync for Columns<'_> {}

impl<'y> Columns<'y> {
    /// Outputs of `n` columns; a last row that is not whole is left alone.
    pub fn new(y: &'y mut [f32], n: usize) -> Columns<'y> {
        Columns { values: y.as_mut_ptr(), m: y.len() / n.max(1), n, lifetime: PhantomData }
    }

    /// Writes a run of values at `[row, column..]`, as far as the row goes.
    ///
    /// # Safety
    /// No other thread writes or reads these columns at this time.
    pub unsafe fn write(&self, row: usize, column: usize, values: &[f32]) {
        if row < self.m && column < self.n {
            let values = &values[..values.len().min(self.n - column)];
            let to = row * self.n + column;
            // SAFETY: `to + values.len()` is at most `m · n`, the length of the slice that `new` was
            // given and that is borrowed for as long as `self` lives; `values` is no part of it, or it
            // would be borrowed twice.
            unsafe {
                let to = self.values.add(to);
                to.copy_from_nonoverlapping(values.as_ptr(), values.len());
            }
        }
    }
}
