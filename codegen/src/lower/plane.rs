//! Bits of a plane, out of the block: one lane at a time, or four at once.

use super::build::Builder;
use super::strips::Strips;
use super::units::Along;
use crate::format::{Field, Format, Plane};
use crate::ir::{Binary, Value};

/// Reads the planes of one format for one way of cutting it into strips.
pub(super) struct Reader<'a> {
    pub format: &'a Format,
    pub strips: &'a Strips,
}

/// Where to load from and how far to shift, for every place.
struct LoadPlan {
    bits: u32,
    /// First byte in the stream's block.
    bytes: Vec<u32>,
    shifts: Vec<u32>,
    /// Loads begin at multiples of their size from this byte on; `None`: at any byte that is not past
    /// the last one a load may begin at.
    origin: Option<u32>,
}

impl Reader<'_> {
    /// Bit positions of a plane for one lane of a quad, for every row of a tile and strip.
    fn positions(&self, field: &Field, plane: &Plane, quad: usize, lane: u32) -> Vec<u32> {
        let rows = if plane.rows.size() > 1 { self.format.rows() } else { 1 };
        let starts = &self.strips.starts[quad];
        let value = |start: u32| match field.gather {
            Some(_) => 0,
            None => (start + lane) / field.per,
        };
        let position =
            |row: u32, start: u32| plane.in_row(value(start), row % plane.rows.size()) as u32;
        (0..rows).flat_map(|row| starts.iter().map(move |&start| position(row, start))).collect()
    }

    /// The stored integer of a field for one lane of a quad: its planes joined, u32.
    pub fn stored(&self, b: &mut Builder, field: usize, quad: usize, lane: u32) -> Option<Value> {
        let stated = &self.format.fields[field];
        let mut joined = None;
        let mut low = 0;
        for (index, plane) in stated.planes.iter().enumerate() {
            let positions = self.positions(stated, plane, quad, lane);
            let primary = self.strips.primary == Some((field, index));
            let unit = self.gathered(b, stated, quad, lane)?;
            let place = Place { plane, unit, primary };
            let bits = self.extract(b, &place, &positions, plane.bits)?;
            let part = b.with(Binary::Shl, bits, low);
            joined = Some(match joined {
                Some(joined) => b.binary(Binary::Or, joined, part),
                None => part,
            });
            low += plane.bits;
        }
        joined
    }

    /// The number of the unit that holds a gathered field's value.
    fn gathered(
        &self,
        b: &mut Builder,
        field: &Field,
        quad: usize,
        lane: u32,
    ) -> Option<Option<Value>> {
        match field.gather {
            None => Some(None),
            Some(by) => {
                let number = self.stored(b, by, quad, lane)?;
                b.name(number, &self.format.fields[by].name);
                Some(Some(number))
            }
        }
    }

    /// The stored integers of all four lanes of a quad in the bytes of a u32. `None` where some plane
    /// lies neither a byte apart nor side by side, or where a value has more than 8 bits.
    pub fn stored_quad(&self, b: &mut Builder, field: usize, quad: usize) -> Option<Value> {
        let stated = &self.format.fields[field];
        if self.strips.lanes != 4 || stated.bits() > 8 || stated.gather.is_some() {
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
                    let place = Place { plane, unit: None, primary };
                    let together = self.extract(b, &place, &lanes[0], plane.bits * 4)?;
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
        let unit = self.format.streams[self.format.members[plane.member].stream].unit;
        let plan = LoadPlan {
            bits: 32,
            bytes: positions.iter().map(|bit| bit / 8).collect(),
            shifts: positions.iter().map(|bit| bit % 8).collect(),
            origin: None,
        };
        if plan.bytes.iter().any(|byte| byte % unit + 4 > unit) {
            return None;
        }
        let word = self.load(b, &Place { plane, unit: None, primary: false }, &plan, positions)?;
        let mask = ((1 << plane.bits) - 1) * 0x0101_0101;
        Some(b.with(Binary::And, word, mask))
    }

    /// `bits` bits from `positions`, whatever lies around them.
    fn extract(
        &self,
        b: &mut Builder,
        place: &Place,
        positions: &[u32],
        bits: u32,
    ) -> Option<Value> {
        let Some(plan) = self.plan(place, positions, bits) else {
            // No load holds them all: take the halves.
            let upper: Vec<u32> = positions.iter().map(|bit| bit + bits / 2).collect();
            let place = Place { primary: false, ..*place };
            let low = self.extract(b, &place, positions, bits / 2)?;
            let high = self.extract(b, &place, &upper, bits - bits / 2)?;
            let high = b.with(Binary::Shl, high, bits / 2);
            return Some(b.binary(Binary::Or, low, high));
        };
        let word = self.load(b, place, &plan, positions)?;
        let topmost = plan.shifts.iter().all(|shift| shift + bits == plan.bits);
        Some(if topmost {
            word
        } else {
            b.with(Binary::And, word, (1u64 << bits).wrapping_sub(1) as u32)
        })
    }

    /// The load that holds all wanted bits in every place. The primary plane is read by the words its
    /// strips are made of; others by whole aligned words where the unit is aligned (they are
    /// shared), else, or where strips ask for it, by the smallest load that will do.
    fn plan(&self, place: &Place, positions: &[u32], bits: u32) -> Option<LoadPlan> {
        let member = &self.format.members[place.plane.member];
        let size = self.format.streams[member.stream].unit;
        let granules = |granule: u32, origin: u32| {
            let plan = LoadPlan {
                bits: granule,
                bytes: positions
                    .iter()
                    .map(|bit| (bit - origin) / granule * (granule / 8) + origin / 8)
                    .collect(),
                shifts: positions.iter().map(|bit| (bit - origin) % granule).collect(),
                origin: Some(origin / 8),
            };
            let holds = plan.shifts.iter().all(|shift| shift + bits <= granule)
                && plan.bytes.iter().all(|byte| byte % size + granule / 8 <= size);
            holds.then_some(plan)
        };
        let words = || match (place.primary, size % 4) {
            _ if self.strips.narrow => None,
            (true, _) => granules(32, member.offset * 8),
            (false, 0) => granules(32, 0),
            (false, _) => None,
        };
        let anywhere = |granule: u32| {
            let last = size.checked_sub(granule / 8)?;
            let byte = |bit: &u32| bit / 8 / size * size + (bit / 8 % size).min(last);
            let bytes: Vec<u32> = positions.iter().map(byte).collect();
            let shifts: Vec<u32> =
                positions.iter().zip(&bytes).map(|(bit, byte)| bit - byte * 8).collect();
            let holds = shifts.iter().all(|shift| shift + bits <= granule);
            holds.then_some(LoadPlan { bits: granule, bytes, shifts, origin: None })
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
    fn load(
        &self,
        b: &mut Builder,
        place: &Place,
        plan: &LoadPlan,
        positions: &[u32],
    ) -> Option<Value> {
        let member = &self.format.members[place.plane.member];
        let stream = &self.format.streams[member.stream];
        let zeros = plan
            .bytes
            .iter()
            .fold(stream.unit.trailing_zeros(), |zeros, byte| zeros.min(byte.trailing_zeros()));
        let align = (1 << zeros.min(2)).min(plan.bits / 8);
        let (number, offset, shift) = match self.tabulated(b, plan, stream.unit) {
            Some(address) => address,
            None => self.computed(b, plan, positions, stream.unit)?,
        };
        let along = match place.unit {
            Some(number) => Along::Gathered(number),
            None => Along::Block(number),
        };
        let unit = b.unit(&stream.units, along);
        b.name(unit, &format!("{}_unit", stream.name));
        let word = b.load(member.stream, plan.bits, unit, offset, align);
        b.name(word, &member.name);
        Some(b.binary(Binary::Shr, word, shift))
    }

    /// Unit in the block, byte in the unit and shift, each as arithmetic on the place.
    fn tabulated(&self, b: &mut Builder, plan: &LoadPlan, unit: u32) -> Option<Address> {
        let numbers: Vec<u32> = plan.bytes.iter().map(|byte| byte / unit).collect();
        let offsets: Vec<u32> = plan.bytes.iter().map(|byte| byte % unit).collect();
        Some((
            b.digits_of_place(&numbers)?,
            b.digits_of_place(&offsets)?,
            b.digits_of_place(&plan.shifts)?,
        ))
    }

    /// The same from the bit's position, where its parts are no arithmetic on the place.
    fn computed(
        &self,
        b: &mut Builder,
        plan: &LoadPlan,
        positions: &[u32],
        unit: u32,
    ) -> Option<Address> {
        let position = b.of_place(positions)?;
        let single = plan.bytes.iter().all(|&byte| byte < unit);
        let (number, within, byte) = match plan.origin {
            Some(origin) => {
                let origin_bits = b.u32(origin * 8);
                let rest = b.binary(Binary::Sub, position, origin_bits);
                let granule = b.divide(rest, plan.bits);
                let bytes = b.with(Binary::Mul, granule, plan.bits / 8);
                let byte = b.with(Binary::Add, bytes, origin);
                match single {
                    true => (b.u32(0), byte, byte),
                    false => (b.divide(byte, unit), b.remainder(byte, unit), byte),
                }
            }
            None if single => {
                let byte = b.divide(position, 8);
                let last = plan.bytes.iter().max()?;
                let byte = b.with(Binary::Min, byte, *last);
                (b.u32(0), byte, byte)
            }
            None => {
                // The last bytes that a load may begin at are those of each unit.
                let byte = b.divide(position, 8);
                let number = b.divide(byte, unit);
                let within = b.remainder(byte, unit);
                let within = b.with(Binary::Min, within, unit.checked_sub(plan.bits / 8)?);
                let first = b.with(Binary::Mul, number, unit);
                (number, within, b.binary(Binary::Add, first, within))
            }
        };
        let bits = b.with(Binary::Mul, byte, 8);
        let shift = b.binary(Binary::Sub, position, bits);
        Some((number, within, shift))
    }
}

/// Unit in the block, byte in the unit, shift.
type Address = (Value, Value, Value);

/// What is read, and from which unit.
struct Place<'a> {
    plane: &'a Plane,
    /// Number of the unit along k, where it is not the block's own.
    unit: Option<Value>,
    /// Whether the strips follow this plane's words.
    primary: bool,
}

/// Moves four values of `bits` bits, side by side, into the four bytes of a u32.
fn spread(b: &mut Builder, together: Value, bits: u32) -> Value {
    // `low` covers the lower half of each pair, `width` bits; the upper one moves up by `by`.
    let mut halves = |value, width: u32, by: u32, low: u32| {
        if by >= width {
            // What is moved does not reach what stays: one mask for both.
            let moved = b.with(Binary::Shl, value, by);
            let both = b.binary(Binary::Or, value, moved);
            return b.with(Binary::And, both, low | low << (width + by));
        }
        let stays = b.with(Binary::And, value, low);
        let upper = b.with(Binary::And, value, low << width);
        let moved = b.with(Binary::Shl, upper, by);
        b.binary(Binary::Or, stays, moved)
    };
    let pairs = halves(together, 2 * bits, 16 - 2 * bits, (1 << (2 * bits)) - 1);
    halves(pairs, bits, 8 - bits, ((1 << bits) - 1) * 0x0001_0001)
}
