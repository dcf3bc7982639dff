//! The sizes that a format's tensors are stored with.

use super::{Format, list};
use crate::artifact::Dims;
use crate::{Error, Result};

impl Format {
    /// The same format with another's sizes, which has as many.
    #[cfg(all(feature = "tune", any(feature = "hip", feature = "wgpu", feature = "web")))]
    pub(crate) fn sized_like(&self, other: &Format) -> Format {
        Format { sizes: other.sizes, ..self.clone() }
    }

    /// The same format with another size, in weights: tensors made with this handle are stored with
    /// it. Kernels serve all sizes.
    ///
    /// # Errors
    /// [`Error::Format`] where the format has no such size, or the value is no multiple of its block or
    /// more than [`Artifact::largest_size`]: tiles have at most 2^30 weights.
    pub fn with_size(mut self, name: &str, weights: u32) -> Result<Format> {
        let error = |problem: String| Error::Format { format: self.name.to_string(), problem };
        let Some(index) = self.artifact().sizes.iter().position(|size| size.name == name) else {
            let known = list(self.artifact().sizes.iter().map(|size| size.name.to_string()));
            return Err(error(format!("it has no size `{name}`; sizes are {known}")));
        };
        self.check_size(index, weights).map_err(error)?;
        if let Some(size) = self.sizes.get_mut(index) {
            *size = weights;
        }
        Ok(self)
    }

    /// Name and weights of each size that tensors made with this handle are stored with.
    #[cfg(feature = "verify")]
    pub(crate) fn own_sizes(&self) -> Vec<(String, u32)> {
        let names = self.artifact().sizes.iter().map(|size| size.name.to_string());
        names.zip(self.sizes).collect()
    }

    /// Refuses what one of the sizes cannot be, in weights.
    pub(super) fn check_size(&self, index: usize, weights: u32) -> Result<(), String> {
        let (block, largest) = (self.weights, self.largest_size(index));
        if (1..=largest).contains(&weights) && weights.is_multiple_of(block) {
            return Ok(());
        }
        let name = self.artifact().sizes.get(index).map_or("", |size| &*size.name);
        Err(format!(
            "a size `{name}` of {weights} weights; it must be a multiple of the block's {block}, from \
             {block} to {largest}"
        ))
    }

    /// The sizes of a tensor of this format; `None` where a row is no multiple of the block, or it has
    /// more rows, blocks or units than [`Dims::check`] allows.
    pub(crate) fn dims(&self, n: usize, k: usize) -> Option<Dims> {
        let block = self.weights as usize;
        let blocks = k.is_multiple_of(block).then(|| k / block)?;
        let sizes = self.sizes.map(|weights| weights / self.weights);
        let dims = Dims { n: n.try_into().ok()?, blocks: blocks.try_into().ok()?, sizes };
        dims.check(&self.streams).ok().map(|()| dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::check::tests::sized;
    use crate::format::formats;

    #[test]
    fn sizes_end_where_units_could_wrap() {
        for (times, largest) in [(1, 1 << 30), (256, 1 << 22), (65535, 16384), (1 << 27, 8)] {
            let format = Format::from(sized(times, 8));
            assert!(format.check().is_ok());
            assert!(format.clone().with_size("g", largest).is_ok(), "{times}");
            for size in [0, 7, largest + 8, 1 << 31, u32::MAX - 7] {
                let error = format.clone().with_size("g", size).unwrap_err().to_string();
                assert!(error.contains(&format!("from 8 to {largest}")), "{error}");
            }
        }
        assert!(Format::from(sized(1 << 28, 8)).with_size("g", 8).is_err());
    }

    #[test]
    fn tensors_have_no_more_units_than_can_be_numbered() {
        let format = Format::from(sized(1, 8));
        let (n, k) = (1 << 16, 8 << 15);
        assert!(format.dims(n, k).is_some());
        assert!(format.dims(n, k + 8).is_none() && format.dims(n + 1, k).is_none());
        // Parts of a tensor of blocks are numbered on their own.
        assert!(
            formats()
                .iter()
                .find(|own| own.is_plain())
                .map(Format::from)
                .unwrap()
                .dims(1 << 31, 1 << 20)
                .is_some()
        );
    }
}
