//! Bits of a plane, out of the block: one lane at a time, or four at once.

use super::build::Builder;
use super::strips::Strips;
use crate::format::{Field, Format, Plane};
use crate::ir::{Binary, Value};

/// Reads the planes of one format for one way of cutting it into strips.
pub(super) struct Reader<'a> {
    pub format: &'a Format,
    pub strips: &'a Strips,
}

/// Where to load from and how far to shift, for every strip.
struct LoadPlan {
    bits: u32,
    bytes: Vec<u32>,
    shifts: Vec<u32>,
}

impl Reader<'_> {
    /// Indices of the values that weights `starts + lane` use, for every strip.
    fn values(&self, field: &Field, quad: usize, lane: u32) -> Vec<u32> {
        self.strips.starts[quad].iter().map(|start| (start + lane) / field.per).collect()
    }

    /// Bit positions of a plane for one lane of a quad, for every strip.
    fn positions(&self, field: &Field, plane: &Plane, quad: usize, lane: u32) -> Vec<u32> {
        let values = self.values(field, quad, lane);
        values.into_iter().map(|value| plane.position(value) as u32).collect()
    }

    /// The stored integer of a field for one lane of a quad: its planes joined, u32.
    pub fn stored(&self, b: &mut Builder, field: usize, quad: usize, lane: u32) -> Option<Value> {
        let stated = &self.format.fields[field];
        let mut joined = None;
        let mut low = 0;
        for (index, plane) in stated.planes.iter().enumerate() {
            let positions = self.positions(stated, plane, quad, lane);
            let primary = self.strips.primary == Some((field, index));
            let bits = self.extract(b, plane, &positions, plane.bits, primary)?;
            let part = b.with(Binary::Shl, bits, low);
            joined = Some(match joined {
                Some(joined) => b.binary(Binary::Or, joined, part),
                None => part,
            });
            low += plane.bits;
        }
        joined
    }

    /// The stored integers of all four lanes of a quad in the bytes of a u32. `None` where some plane
    /// lies neither a byte apart nor side by side, or where a value has more than 8 bits.
    pub fn stored_quad(&self, b: &mut Builder, field: usize, quad: usize) -> Option<Value> {
        let stated = &self.format.fields[field];
        if self.strips.lanes != 4 || stated.bits() > 8 {
            return None;
        }
        let mut joined = None;
        let mut low = 0;
        for (index, plane) in stated.planes.iter().enumerate() {
            let primary = self.strips.primary == Some((field, index));
            let lanes: Vec<Vec<u32>> =
                (0..4).map(|lane| self.positions(stated, plane, quad, lane)).collect();
            let bytes = match self.stride(&lanes)? {
                8 if lanes[0].iter().all(|bit| bit % 8 + plane.bits <= 8) => {
                    self.byte_apart(b, plane, &lanes[0])?
                }
                stride if stride == i64::from(plane.bits) && plane.bits < 8 => {
                    let together = self.extract(b, plane, &lanes[0], plane.bits * 4, primary)?;
                    spread(b, together, plane.bits)
                }
                _ => return None,
            };
            let part = b.with(Binary::Shl, bytes, low);
            joined = Some(match joined {
                Some(joined) => b.binary(Binary::Or, joined, part),
                None => part,
            });
            low += plane.bits;
        }
        joined
    }

    /// Distance in bits between the lanes of a quad, where it is the same everywhere.
    fn stride(&self, lanes: &[Vec<u32>]) -> Option<i64> {
        let distance = |lane: usize, strip: usize| {
            i64::from(lanes[lane + 1][strip]) - i64::from(lanes[lane][strip])
        };
        let stride = distance(0, 0);
        let all =
            (0..3).all(|lane| (0..lanes[0].len()).all(|strip| distance(lane, strip) == stride));
        all.then_some(stride)
    }

    /// Four values a byte apart: one shift and one mask for all of them.
    fn byte_apart(&self, b: &mut Builder, plane: &Plane, positions: &[u32]) -> Option<Value> {
        let stream = self.format.members[plane.member].stream;
        let plan = LoadPlan {
            bits: 32,
            bytes: positions.iter().map(|bit| bit / 8).collect(),
            shifts: positions.iter().map(|bit| bit % 8).collect(),
        };
        if plan.bytes.iter().any(|byte| byte + 4 > self.format.streams[stream].bytes) {
            return None;
        }
        let word = self.load(b, plane, &plan)?;
        let mask = ((1 << plane.bits) - 1) * 0x0101_0101;
        Some(b.with(Binary::And, word, mask))
    }

    /// `bits` bits from `positions`, whatever lies around them.
    fn extract(
        &self,
        b: &mut Builder,
        plane: &Plane,
        positions: &[u32],
        bits: u32,
        primary: bool,
    ) -> Option<Value> {
        let Some(plan) = self.plan(plane, positions, bits, primary) else {
            // No load holds them all: take the halves.
            let upper: Vec<u32> = positions.iter().map(|bit| bit + bits / 2).collect();
            let low = self.extract(b, plane, positions, bits / 2, false)?;
            let high = self.extract(b, plane, &upper, bits - bits / 2, false)?;
            let high = b.with(Binary::Shl, high, bits / 2);
            return Some(b.binary(Binary::Or, low, high));
        };
        let word = self.load(b, plane, &plan)?;
        let topmost = plan.shifts.iter().all(|shift| shift + bits == plan.bits);
        Some(if topmost {
            word
        } else {
            b.with(Binary::And, word, (1u64 << bits).wrapping_sub(1) as u32)
        })
    }

    /// The load that holds all wanted bits in every strip. The primary plane is read by the words its
    /// strips are made of; others by whole aligned words where the block is aligned (they are
    /// shared), else by the smallest load that will do.
    fn plan(&self, plane: &Plane, positions: &[u32], bits: u32, primary: bool) -> Option<LoadPlan> {
        let member = &self.format.members[plane.member];
        let size = self.format.streams[member.stream].bytes;
        let granules = |granule: u32, origin: u32| {
            let plan = LoadPlan {
                bits: granule,
                bytes: positions
                    .iter()
                    .map(|bit| (bit - origin) / granule * (granule / 8) + origin / 8)
                    .collect(),
                shifts: positions.iter().map(|bit| (bit - origin) % granule).collect(),
            };
            let holds = plan.shifts.iter().all(|shift| shift + bits <= granule)
                && plan.bytes.iter().all(|byte| byte + granule / 8 <= size);
            holds.then_some(plan)
        };
        let words = || match (primary, size % 4) {
            (true, _) => granules(32, member.offset * 8),
            (false, 0) => granules(32, 0),
            (false, _) => None,
        };
        let anywhere = |granule: u32| {
            let last = size.checked_sub(granule / 8)?;
            let bytes: Vec<u32> = positions.iter().map(|bit| (bit / 8).min(last)).collect();
            let shifts: Vec<u32> =
                positions.iter().zip(&bytes).map(|(bit, byte)| bit - byte * 8).collect();
            let holds = shifts.iter().all(|shift| shift + bits <= granule);
            holds.then_some(LoadPlan { bits: granule, bytes, shifts })
        };
        words()
            .or_else(|| {
                [8, 16, 32]
                    .into_iter()
                    .filter(|g| size.is_multiple_of(g / 8))
                    .find_map(|g| granules(g, 0))
            })
            .or_else(|| [16, 32].into_iter().find_map(anywhere))
    }

    /// The planned load, shifted right.
    fn load(&self, b: &mut Builder, plane: &Plane, plan: &LoadPlan) -> Option<Value> {
        let member = &self.format.members[plane.member];
        let size = self.format.streams[member.stream].bytes;
        let zeros = plan
            .bytes
            .iter()
            .fold(size.trailing_zeros(), |zeros, byte| zeros.min(byte.trailing_zeros()));
        let align = (1 << zeros.min(2)).min(plan.bits / 8);
        let offset = b.of_strip(&plan.bytes)?;
        let shift = b.of_strip(&plan.shifts)?;
        let word = b.load(member.stream, plan.bits, offset, align);
        b.name(word, &member.name);
        Some(b.binary(Binary::Shr, word, shift))
    }
}

/// Moves four values of `bits` bits, side by side, into the four bytes of a u32.
fn spread(b: &mut Builder, together: Value, bits: u32) -> Value {
    let mut halves = |value, by: u32, mask: u32| {
        let moved = b.with(Binary::Shl, value, by);
        let both = b.binary(Binary::Or, value, moved);
        b.with(Binary::And, both, mask)
    };
    let pairs = halves(together, 16 - 2 * bits, ((1 << (2 * bits)) - 1) * 0x0001_0001);
    halves(pairs, 8 - bits, ((1 << bits) - 1) * 0x0101_0101)
}
