//! Programs in strips of several widths, each lowered once.

use crate::Error;

/// What was lowered, by the number of quads.
pub(super) struct Widths<T>(Vec<(u32, T)>);

impl<T> Default for Widths<T> {
    fn default() -> Widths<T> {
        Widths(Vec::new())
    }
}

impl<T> Widths<T> {
    /// With one that is known.
    pub fn of(quads: u32, own: T) -> Widths<T> {
        Widths(vec![(quads, own)])
    }

    /// With strips of so many quads at most.
    pub fn get(
        &mut self,
        quads: u32,
        lower: impl FnOnce(u32) -> Result<T, Error>,
    ) -> Result<&T, Error> {
        let known = self.0.iter().position(|(own, _)| *own == quads);
        let place = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push((quads, lower(quads)?));
        }
        Ok(&self.0[place].1)
    }
}
