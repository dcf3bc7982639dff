//! Loads of 4 bytes that lie in a row become one load of 16, which is what GPUs are fastest at.

use super::build::Builder;
use crate::ir::{Binary, Decoder, Op, Type, Value, Verified, VerifyError, by_strip};
use std::collections::BTreeMap;

/// Bytes of a wide load.
const WIDE: u32 = 16;
/// From so many loads on, whose places in 16 aligned bytes depend on the strip, one wide load is
/// better.
const SCATTERED: usize = 3;

/// The same program with wide loads: for four loads in a row, wherever they begin, and for several
/// loads that all stay in the same 16 aligned bytes of a unit, as those of a block's header do.
pub(super) fn joined(decoder: &Verified<Decoder>) -> Result<Verified<Decoder>, VerifyError> {
    let wide = Loads::of(decoder).wide();
    if wide.is_empty() {
        return Ok(decoder.clone());
    }
    Builder::rewritten(decoder, |b, value, number| {
        let place = wide.get(&value)?;
        let Op::Load { stream, unit, offset, .. } = decoder.get(value).op else { return None };
        let (unit, offset) = (number(unit), number(offset));
        let (offset, index) = match *place {
            Place::Word { moving, first, index, .. } => {
                let moving = moving.map_or_else(|| b.u32(0), number);
                (b.with(Binary::Add, moving, first), b.u32(index))
            }
            Place::Within { first } => {
                let index = match b.constant(offset) {
                    Some(byte) => b.u32((byte - first) / 4),
                    None => {
                        let byte = b.with(Binary::Sub, offset, first);
                        b.with(Binary::Shr, byte, 2)
                    }
                };
                (b.u32(first), index)
            }
        };
        let word = Op::Word { stream, unit, offset, index, align: place.align() };
        Some(b.push(word, Type::U32))
    })
}

/// What takes the place of a load.
#[derive(Clone, Copy)]
enum Place {
    /// Word `index` of the four that begin at byte `moving + first`.
    Word { moving: Option<Value>, first: u32, index: u32, align: u32 },
    /// One of the four words at byte `first`, an aligned one.
    Within { first: u32 },
}

impl Place {
    fn align(self) -> u32 {
        match self {
            Place::Word { align, .. } => align,
            Place::Within { .. } => WIDE,
        }
    }
}

/// The loads of 4 bytes of a program.
struct Loads<'a> {
    decoder: &'a Decoder,
    /// By stream, unit, and what is added to a number to give the offset: number and load.
    rows: BTreeMap<(u32, Value, Option<Value>), BTreeMap<u32, Value>>,
    unfixed: Vec<bool>,
    /// Every value that depends on the strip alone, in every strip.
    strips: Vec<Vec<u32>>,
}

impl Loads<'_> {
    fn of(decoder: &Verified<Decoder>) -> Loads<'_> {
        let mut rows: BTreeMap<_, BTreeMap<u32, Value>> = BTreeMap::new();
        for (index, stated) in decoder.lets.iter().enumerate() {
            if let Op::Load { stream, bits: 32, unit, offset, .. } = stated.op {
                let (moving, number) = parts(decoder, offset);
                let row = rows.entry((stream, unit, moving)).or_default();
                row.insert(number, Value(index as u32));
            }
        }
        Loads { decoder, rows, unfixed: decoder.unfixed(), strips: by_strip(decoder) }
    }

    /// Loads that become parts of wide ones.
    fn wide(&self) -> BTreeMap<Value, Place> {
        let mut places = BTreeMap::new();
        for (&(stream, _, moving), row) in &self.rows {
            for aligned in [true, false] {
                for &first in row.keys() {
                    let words = (0..4).map(|index| row.get(&(first + index * 4)).copied());
                    let words: Option<Vec<Value>> = words.collect();
                    let free =
                        |words: &Vec<Value>| words.iter().all(|word| !places.contains_key(word));
                    let Some(words) = words.filter(free) else { continue };
                    let align = self.align(stream, words[0]);
                    if aligned && align != WIDE {
                        continue;
                    }
                    let place = |index| Place::Word { moving, first, index, align };
                    places.extend(words.into_iter().zip((0..).map(place)));
                }
            }
        }
        let mut headers: BTreeMap<(u32, Value, u32), Vec<Value>> = BTreeMap::new();
        for (&(stream, unit, _), row) in &self.rows {
            for &load in row.values().filter(|load| !places.contains_key(load)) {
                if let Some(first) = self.within(stream, load) {
                    headers.entry((stream, unit, first)).or_default().push(load);
                }
            }
        }
        for ((_, _, first), loads) in headers {
            if loads.len() >= SCATTERED {
                places.extend(loads.into_iter().map(|load| (load, Place::Within { first })));
            }
        }
        places
    }

    /// How far the four words are aligned of which a load is the first.
    fn align(&self, stream: u32, load: Value) -> u32 {
        let Op::Load { offset, align, .. } = self.decoder.get(load).op else { return 1 };
        if self.unfixed[offset.0 as usize] {
            return align;
        }
        let bytes = self.decoder.streams[stream as usize].bytes;
        let offsets = self.strips.iter().map(|values| values[offset.0 as usize]);
        let zeros = offsets.chain([bytes, WIDE]).map(u32::trailing_zeros).min().unwrap_or(0);
        if zeros == 3 { 4 } else { 1 << zeros }
    }

    /// First of the 16 aligned bytes that a load stays in, whatever the strip.
    fn within(&self, stream: u32, load: Value) -> Option<u32> {
        let Op::Load { offset, .. } = self.decoder.get(load).op else { return None };
        let bytes = self.decoder.streams[stream as usize].bytes;
        if self.unfixed[offset.0 as usize] || !bytes.is_multiple_of(WIDE) {
            return None;
        }
        let offsets = self.strips.iter().map(|values| values[offset.0 as usize]);
        let mut firsts = offsets.map(|byte| (byte / WIDE * WIDE, byte % 4));
        let (first, skew) = firsts.next()?;
        (skew == 0 && firsts.all(|other| other == (first, 0))).then_some(first)
    }
}

/// An offset as what moves and a number.
fn parts(decoder: &Decoder, offset: Value) -> (Option<Value>, u32) {
    match decoder.get(offset).op {
        Op::U32(number) => (None, number),
        Op::Binary(Binary::Add, moving, number) => match decoder.get(number).op {
            Op::U32(number) => (Some(moving), number),
            _ => (Some(offset), 0),
        },
        _ => (Some(offset), 0),
    }
}
