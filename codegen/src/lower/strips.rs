//! Which weights a strip holds: an aligned word of the primary plane, turned back into weights.

use crate::format::Format;
use std::collections::BTreeMap;

/// A way to cut a block into strips of equal make.
#[derive(Debug)]
pub(super) struct Strips {
    /// Strips per block.
    pub count: u32,
    /// For each quad of a strip, the index of its first weight in every strip.
    pub starts: Vec<Vec<u32>>,
    /// Weights per quad.
    pub lanes: u32,
    /// Consecutive weights that a result stands for.
    pub run: u32,
    /// Whether loads are no wider than what they are for, so that few bytes are read.
    pub narrow: bool,
    /// Field and plane whose words the strips follow, if they do.
    pub primary: Option<(usize, usize)>,
    /// Whether addresses may be looked up by strip, where they are no arithmetic on it.
    pub lookups: bool,
}

/// Ways to cut the block, best first. The last always lowers.
pub(super) fn candidates(format: &Format, word: u32) -> Vec<Strips> {
    let words = [4, 8, 16].into_iter().filter(|&bytes| bytes >= word);
    let mut found: Vec<Strips> = words.filter_map(|bytes| by_words(format, bytes)).collect();
    let lanes = if format.weights.is_multiple_of(4) { 4 } else { 1 };
    for lookups in [false, true] {
        found.push(Strips {
            count: format.weights / lanes,
            starts: vec![(0..format.weights / lanes).map(|strip| strip * lanes).collect()],
            lanes,
            run: 1,
            narrow: false,
            primary: None,
            lookups,
        });
    }
    found
}

/// Ways to cut the block into strips as wide as can be, of up to `quads` quads. The last always
/// lowers.
pub(super) fn wide(format: &Format, quads: u32) -> Vec<Strips> {
    let words = [16, 8, 4].into_iter().filter_map(|bytes| by_words(format, bytes));
    let mut found: Vec<Strips> =
        words.filter(|strips| strips.starts.len() <= quads as usize).collect();
    found.extend(candidates(format, u32::MAX));
    found
}

/// Like [`wide`], with strips of twice as many bytes where they have no more quads either.
pub(super) fn long(format: &Format, quads: u32) -> Vec<Strips> {
    let twice = by_words(format, 32).filter(|strips| strips.starts.len() <= quads as usize);
    twice.into_iter().chain(wide(format, quads)).collect()
}

/// Ways to cut the block into runs of so many weights, one result each.
pub(super) fn runs(format: &Format, run: u32) -> Vec<Strips> {
    let count = format.weights / run;
    let starts = || vec![(0..count).map(|number| number * run).collect()];
    let narrow = format.is_plain();
    let strips =
        |lookups| Strips { count, starts: starts(), lanes: 1, run, narrow, primary: None, lookups };
    vec![strips(false), strips(true)]
}

/// A strip for each weight.
pub(super) fn singles(format: &Format) -> Vec<Strips> {
    let narrow = |strips| Strips { narrow: true, ..strips };
    runs(format, 1).into_iter().map(narrow).collect()
}

/// Strips that follow the words of the primary plane; `None` where a word does not hold the same
/// number of whole quads everywhere.
fn by_words(format: &Format, bytes: u32) -> Option<Strips> {
    if !format.weights.is_multiple_of(4) {
        return None;
    }
    let field = format.primary()?;
    let per = format.fields[field].per;
    if per > 1 && !per.is_multiple_of(4) {
        return None; // a quad would have two values
    }
    let planes = &format.fields[field].planes;
    let index = (0..planes.len()).max_by_key(|&i| (planes[i].bits, std::cmp::Reverse(i)))?;
    let plane = &planes[index];
    let member = &format.members[plane.member];
    let word_of = |weight: u32| -> Option<i64> {
        let bit = plane.position(weight / per) - i64::from(member.offset) * 8;
        let word = bit.div_euclid(i64::from(bytes) * 8);
        let last = (bit + i64::from(plane.bits) - 1).div_euclid(i64::from(bytes) * 8);
        (word == last).then_some(word)
    };
    let mut words: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for start in (0..format.weights).step_by(4) {
        let word = word_of(start)?;
        if (1..4).any(|lane| word_of(start + lane) != Some(word)) {
            return None;
        }
        words.entry(word).or_default().push(start);
    }
    let quads = words.values().next()?.len();
    if words.values().any(|starts| starts.len() != quads) || quads > 64 {
        return None;
    }
    let words: Vec<Vec<u32>> = words.into_values().collect();
    Some(Strips {
        count: words.len() as u32,
        starts: (0..quads).map(|quad| words.iter().map(|starts| starts[quad]).collect()).collect(),
        lanes: 4,
        run: 1,
        narrow: false,
        primary: Some((field, index)),
        lookups: false,
    })
}
