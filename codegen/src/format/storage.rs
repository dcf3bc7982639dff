//! Members: where a block's bytes lie.

use super::build::{Builder, UNNAMED};
use super::names::{NAME_HELP, is_name};
use super::{Element, Member, Scalar, Stream};
use crate::artifact::{MOST_WEIGHTS, Units};
use crate::descriptor::{Descriptor, Params};
use crate::problem::{Part, Path, Problem};

const MAX_UNIT_BYTES: u32 = 1 << 16;

impl Builder {
    pub(super) fn storage(&mut self, descriptor: &Descriptor) {
        let help = format!("a block has 1 to {MOST_WEIGHTS} weights");
        match &descriptor.weights {
            Some(amount) => match self.amount(amount, &Path::of("weights")) {
                Some(weights @ 1..=MOST_WEIGHTS) => self.weights = weights,
                Some(weights) => {
                    let message = format!("a block of {weights} weights");
                    return self.refuse(Path::of("weights"), message, help);
                }
                None => return,
            },
            None => {
                let message = "the number of weights per block is missing";
                return self.refuse(Path::default(), message, "add `weights: 32`, say");
            }
        }
        self.sizes(descriptor);
        match (&descriptor.block, &descriptor.streams) {
            (Some(block), None) => {
                if let Some((name, _)) = descriptor.sizes.iter().next() {
                    let message = "a format of blocks has nothing that a size could measure";
                    let help = "sizes measure the tiles of streams: leave it out";
                    self.refuse(Path::of("sizes").key(name), message, help);
                }
                let bytes = self.unit(0, block.iter(), &Path::of("block"));
                let units = Units::BLOCKS;
                let name = UNNAMED.into();
                self.streams.push(Stream { name, bytes, copies: 1, unit: bytes, units });
            }
            (None, Some(streams)) => self.streams(streams),
            (Some(_), Some(_)) => self.refuse(
                Path::of("streams"),
                "the format has both a block and streams",
                "a block is one run of bytes; streams are several: keep one of them",
            ),
            (None, None) => self.refuse(
                Path::default(),
                "the format stores nothing",
                "add `block:` with the members in storage order",
            ),
        }
    }

    /// Places the members of a stream's unit and returns its bytes.
    pub(super) fn unit<'a>(
        &mut self,
        stream: usize,
        members: impl Iterator<Item = (&'a str, &'a String)>,
        path: &Path,
    ) -> u32 {
        let mut offset = 0u32;
        for (member, text) in members {
            let path = path.key(member);
            if !is_name(member) || self.members.iter().any(|other| other.name == member) {
                let message = format!("`{member}` cannot name a member, or names two");
                let problem = Problem::new(path.clone(), message, NAME_HELP);
                self.problems.push(problem.part(Part::Key));
            }
            let (element, count) = match parse_member(text, &self.params) {
                Ok(parsed) => parsed,
                Err(message) => {
                    let help = "write u8[16], i8[16], u16, i16, u32, i32, f16, bf16, f32 or pad[4]";
                    self.refuse(path, message, help);
                    continue;
                }
            };
            let bytes = element.as_ref().map_or(1, |element| element.bits / 8);
            let end = count.checked_mul(bytes).and_then(|bytes| offset.checked_add(bytes));
            let Some(end) = end.filter(|&end| end <= MAX_UNIT_BYTES) else {
                let message =
                    format!("`{member}` makes the unit longer than {MAX_UNIT_BYTES} bytes");
                self.refuse(path, message, "blocks are small structs: check the counts");
                return offset.max(1);
            };
            self.members.push(Member { name: member.into(), stream, offset, element, count });
            offset = end;
        }
        if offset == 0 && self.problems.is_empty() {
            self.refuse(path.clone(), "there is no member", "name at least one");
        }
        offset
    }
}

/// `u8[128]`, `f16`, `pad[4]`.
fn parse_member(text: &str, params: &Params) -> Result<(Option<Element>, u32), String> {
    let number = |count: &str| params.number(count.strip_suffix(']')?).ok();
    let (name, count) = match text.split_once('[') {
        None => (text, Some(1)),
        Some((name, count)) => (name, number(count)),
    };
    let count = count.and_then(|count| u32::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or_else(|| format!("`{text}` has no valid count"))?;
    let element = |scalar, bits| Ok((Some(Element { scalar, bits }), count));
    match name {
        "u8" => element(Scalar::Unsigned, 8),
        "i8" => element(Scalar::Signed, 8),
        "u16" => element(Scalar::Unsigned, 16),
        "i16" => element(Scalar::Signed, 16),
        "u32" => element(Scalar::Unsigned, 32),
        "i32" => element(Scalar::Signed, 32),
        "f16" => element(Scalar::F16, 16),
        "bf16" => element(Scalar::Bf16, 16),
        "f32" => element(Scalar::F32, 32),
        "pad" => Ok((None, count)),
        _ => Err(format!("`{name}` is not the type of a member")),
    }
}
