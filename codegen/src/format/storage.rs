//! Members and streams: where a block's bytes lie.

use super::build::{Builder, UNNAMED};
use super::names::{NAME_HELP, is_name};
use super::{Element, Member, Scalar, Stream, gcd};
use crate::descriptor::Descriptor;
use crate::problem::Path;

const MAX_WEIGHTS: u32 = 1 << 14;
const MAX_UNIT_BYTES: u32 = 1 << 16;

impl Builder {
    pub(super) fn storage(&mut self, descriptor: &Descriptor) {
        match (&descriptor.block, &descriptor.streams) {
            (Some(block), None) => {
                let help = format!("a block has 1 to {MAX_WEIGHTS} weights");
                match descriptor.weights {
                    Some(weights @ 1..=MAX_WEIGHTS) => self.weights = weights,
                    Some(weights) => {
                        let message = format!("a block of {weights} weights");
                        return self.refuse(Path::of("weights"), message, help);
                    }
                    None => {
                        let message = "the number of weights per block is missing";
                        return self.refuse(Path::default(), message, "add `weights: 32`, say");
                    }
                }
                self.stream(UNNAMED, self.weights, block.iter(), Path::of("block"));
            }
            (None, Some(streams)) => {
                if descriptor.weights.is_some() {
                    let help = "leave it out: it is the least common multiple of the tiles";
                    self.refuse(Path::of("weights"), "a format of streams derives its block", help);
                }
                self.weights = 1;
                for (name, stream) in streams {
                    let path = Path::of("streams").key(name);
                    let tile = stream.tile.k;
                    match lcm(self.weights, tile).filter(|&block| block <= MAX_WEIGHTS) {
                        Some(block) => self.weights = block,
                        None => {
                            let message = format!("a tile of {tile} weights");
                            let help = format!(
                                "tiles are at least 1 and fit a common block of at most {MAX_WEIGHTS}"
                            );
                            self.refuse(path.key("tile").key("k"), message, help);
                            continue;
                        }
                    }
                    if let Some(view) = stream.view.as_deref()
                        && !matches!(view, "flat" | "rows")
                    {
                        let message = format!("`{view}` is not a view");
                        self.refuse(path.key("view"), message, "write flat or rows");
                    }
                    if !is_name(name) || self.streams.iter().any(|other| other.name == *name) {
                        self.refuse(
                            path.clone(),
                            format!("`{name}` cannot name a stream"),
                            NAME_HELP,
                        );
                    }
                    self.stream(name, tile, stream.unit.iter(), path.key("unit"));
                }
                if self.streams.is_empty() && self.problems.is_empty() {
                    self.refuse(Path::of("streams"), "there is no stream", "name at least one");
                }
            }
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
        for stream in &mut self.streams {
            // `units` held the tile until the block was known.
            stream.units = self.weights / stream.units;
            stream.bytes *= stream.units;
        }
    }

    fn stream<'a>(
        &mut self,
        name: &str,
        tile: u32,
        members: impl Iterator<Item = (&'a str, &'a String)>,
        path: Path,
    ) {
        let stream = self.streams.len();
        let mut offset = 0u32;
        for (member, text) in members {
            let path = path.key(member);
            if !is_name(member) || self.members.iter().any(|other| other.name == member) {
                let message = format!("`{member}` cannot name a member, or names two");
                self.refuse(path.clone(), message, NAME_HELP);
            }
            let (element, count) = match parse_member(text) {
                Ok(parsed) => parsed,
                Err(message) => {
                    let help = "write u8[16], i8[16], u16, i16, u32, i32, f16, bf16, f32 or pad[4]";
                    self.refuse(path, message, help);
                    continue;
                }
            };
            let bytes = element.map_or(1, |element| element.bits / 8);
            let end = count.checked_mul(bytes).and_then(|bytes| offset.checked_add(bytes));
            let Some(end) = end.filter(|&end| end <= MAX_UNIT_BYTES) else {
                let message =
                    format!("`{member}` makes the unit longer than {MAX_UNIT_BYTES} bytes");
                return self.refuse(path, message, "blocks are small structs: check the counts");
            };
            self.members.push(Member { name: member.into(), stream, offset, element, count });
            offset = end;
        }
        if offset == 0 && self.problems.is_empty() {
            self.refuse(path, "there is no member", "name at least one");
        }
        self.streams.push(Stream { name: name.into(), bytes: offset, units: tile });
    }
}

/// `u8[128]`, `f16`, `pad[4]`.
fn parse_member(text: &str) -> Result<(Option<Element>, u32), String> {
    let (name, count) = match text.split_once('[') {
        None => (text, Some(1)),
        Some((name, count)) => (name, count.strip_suffix(']').and_then(|count| count.parse().ok())),
    };
    let count =
        count.filter(|&count| count > 0).ok_or_else(|| format!("`{text}` has no valid count"))?;
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

fn lcm(a: u32, b: u32) -> Option<u32> {
    a.checked_div(gcd(a, b))?.checked_mul(b).filter(|&lcm| lcm > 0)
}
