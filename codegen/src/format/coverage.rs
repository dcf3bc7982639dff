//! Every bit of a unit is read exactly once, or declared padding, or declared shared.

use super::build::Builder;
use crate::problem::{Path, Problem};

/// Who reads a bit.
#[derive(Clone, Copy, PartialEq)]
enum Reader {
    Nobody,
    /// The member is padding.
    Padding,
    Shared,
    /// Index of the field.
    One(usize),
}

/// Reports overlapping planes and bits that nothing reads.
pub(super) fn check(builder: &Builder) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut bits: Vec<Vec<Reader>> = builder
        .streams
        .iter()
        .map(|stream| vec![Reader::Nobody; (stream.bytes / stream.units) as usize * 8])
        .collect();
    for member in builder.members.iter().filter(|member| member.element.is_none()) {
        let first = member.offset as usize * 8;
        bits[member.stream][first..first + member.count as usize * 8].fill(Reader::Padding);
    }
    for (index, (field, origin)) in builder.fields.iter().zip(&builder.origins).enumerate() {
        for (plane, path) in field.planes.iter().zip(&origin.planes) {
            let stream = builder.members[plane.member].stream;
            let values = plane.layout.size() / builder.streams[stream].units;
            let overlap = (0..values).find_map(|value| {
                let first = plane.position(value) as usize;
                (first..first + plane.bits as usize).find_map(|bit| {
                    let reader = &mut bits[stream][bit];
                    let clash = match *reader {
                        Reader::Nobody => None,
                        Reader::Shared if origin.shared => None,
                        other => Some((bit, other)),
                    };
                    *reader = if origin.shared { Reader::Shared } else { Reader::One(index) };
                    clash
                })
            });
            if let Some((bit, other)) = overlap {
                let other = match other {
                    Reader::One(other) if other == index => "another index of it".into(),
                    Reader::One(other) => format!("`{}`", builder.fields[other].name),
                    _ => "a shared field".to_string(),
                };
                problems.push(Problem::new(
                    path.clone(),
                    format!("`{}` reads {}, which {other} reads too", field.name, place(builder, stream, bit)),
                    "every bit is read once: check the layout, or write `shared: true` on all that read it",
                ));
            }
        }
    }
    if !problems.is_empty() {
        return problems; // an overlap leaves its own bits unread: say one thing
    }
    for (stream, bits) in bits.iter().enumerate() {
        let mut first = 0;
        while let Some(start) = (first..bits.len()).find(|&bit| bits[bit] == Reader::Nobody) {
            let run = bits[start..].iter().take_while(|&&reader| reader == Reader::Nobody).count();
            let member = member_at(builder, stream, start);
            // Name one member's bits at a time.
            let end = (start + run).min(member.map_or(usize::MAX, |(_, end)| end));
            problems.push(Problem::new(
                member.map_or_else(Path::default, |(index, _)| builder.member_path(index)),
                format!("nothing reads {} of {} bits", place(builder, stream, start), end - start),
                "let a plane read them, or declare them: a member pad[n], a field with `type: pad`",
            ));
            first = end;
            if problems.len() >= 8 {
                break;
            }
        }
    }
    problems
}

/// The member that holds a bit, and the bit after its last.
fn member_at(builder: &Builder, stream: usize, bit: usize) -> Option<(usize, usize)> {
    let member = builder
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.stream == stream && member.offset as usize * 8 <= bit)
        .max_by_key(|(_, member)| member.offset)?;
    let next = builder
        .members
        .iter()
        .filter(|other| other.stream == stream && other.offset > member.1.offset)
        .map(|other| other.offset as usize * 8)
        .min();
    Some((member.0, next.unwrap_or(usize::MAX)))
}

fn place(builder: &Builder, stream: usize, bit: usize) -> String {
    match member_at(builder, stream, bit) {
        Some((index, _)) => {
            let member = &builder.members[index];
            format!("bit {} of `{}`", bit - member.offset as usize * 8, member.name)
        }
        None => format!("bit {bit}"),
    }
}
