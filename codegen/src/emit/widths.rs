//! Programs in strips of several widths, each lowered once.

use crate::Error;

/// What `lower` makes of a number of quads.
pub(super) struct Widths<T, L> {
    lower: L,
    lowered: Vec<(u32, T)>,
}

impl<T, L: Fn(u32) -> Result<T, Error>> Widths<T, L> {
    pub fn new(lower: L) -> Widths<T, L> {
        Widths { lower, lowered: Vec::new() }
    }

    /// With strips of so many quads at most.
    pub fn of(&mut self, quads: u32) -> Result<&T, Error> {
        let known = self.lowered.iter().position(|(own, _)| *own == quads);
        let place = known.unwrap_or(self.lowered.len());
        if known.is_none() {
            self.lowered.push((quads, (self.lower)(quads)?));
        }
        Ok(&self.lowered[place].1)
    }
}
