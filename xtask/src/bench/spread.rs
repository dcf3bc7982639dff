//! Samples in a few numbers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Middle and spread of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub lower_quartile: f64,
    pub upper_quartile: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` without samples.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |part: f64| {
            let place = part * last as f64;
            let (below, share) = (place.floor() as usize, place.fract());
            sorted[below] * (1.0 - share) + sorted[(below + 1).min(last)] * share
        };
        Some(Spread {
            median: at(0.5),
            lower_quartile: at(0.25),
            upper_quartile: at(0.75),
            least: sorted[0],
            most: sorted[last],
        })
    }
}

/// The median, and quartiles in brackets, with as many digits as are asked for; with one where there
/// are to be none but the number is small.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { median, lower_quartile: lower, upper_quartile: upper, .. } = self;
        let digits = f.precision().unwrap_or(0);
        let digits = if digits == 0 && *median < 9.95 { 1 } else { digits };
        write!(f, "{median:.digits$} [{lower:.digits$} {upper:.digits$}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_samples() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.most), (1.0, 4.0));
        assert_eq!(
            (spread.lower_quartile, spread.median, spread.upper_quartile),
            (1.75, 2.5, 3.25)
        );
        assert_eq!(Spread::of([7.0]).unwrap().median, 7.0);
        assert_eq!(Spread::of([]), None);
    }
}
