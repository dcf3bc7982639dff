//! Every bit of a unit is read exactly once, or declared padding, or declared shared.

use super::build::Builder;
use super::{Member, TableValues};
use crate::problem::{Part, Problem};

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
        .map(|stream| vec![Reader::Nobody; (stream.bytes / stream.copies) as usize * 8])
        .collect();
    for member in builder.members.iter().filter(|member| member.element.is_none()) {
        let first = member.offset as usize * 8;
        bits[member.stream][first..first + member.count as usize * 8].fill(Reader::Padding);
    }
    for table in &builder.tables {
        if let TableValues::Stored { member, .. } = table.values {
            let Member { stream, offset, count, .. } = builder.members[member];
            let first = offset as usize * 8;
            bits[stream][first..first + count as usize * 32].fill(Reader::Shared);
        }
    }
    for (index, (field, origin)) in builder.fields.iter().zip(&builder.origins).enumerate() {
        for (plane, path) in field.planes.iter().zip(&origin.planes) {
            let stream = builder.members[plane.member].stream;
            let copies = if origin.gather.is_some() { 1 } else { builder.streams[stream].copies };
            let values = plane.layout.size() / copies;
            let places = (0..values).flat_map(|v| (0..plane.rows.size()).map(move |row| (v, row)));
            let overlap = places.into_iter().find_map(|(value, row)| {
                let first = plane.in_row(value, row) as usize;
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
    // Members fill their stream: every bit belongs to one.
    for (index, member) in builder.members.iter().enumerate() {
        let first = member.offset as usize * 8;
        let size = member.count as usize * member.element.as_ref().map_or(8, |e| e.bits as usize);
        let unread = |bit: &usize| bits[member.stream][first + bit] == Reader::Nobody;
        let unread: Vec<usize> = (0..size).filter(unread).collect();
        if !unread.is_empty() {
            let problem = Problem::new(
                builder.member_path(index),
                format!("nothing reads {} of `{}`", ranges(&unread), member.name),
                "let a plane read them, or declare them: a member pad[n], a field with `type: pad`",
            );
            problems.push(problem.part(Part::Key));
        }
    }
    problems
}

/// `bit 7`, or `bits 0..=3, 8..=11 and 5 more`; the bits rise.
fn ranges(bits: &[usize]) -> String {
    const MOST: usize = 4;
    let runs: Vec<&[usize]> = bits.chunk_by(|a, b| a + 1 == *b).collect();
    let shown: Vec<String> = runs
        .iter()
        .take(MOST)
        .map(|run| match run {
            [first, .., last] => format!("{first}..={last}"),
            bits => bits.iter().map(usize::to_string).collect(),
        })
        .collect();
    let word = if bits.len() == 1 { "bit" } else { "bits" };
    let more: usize = runs.iter().skip(MOST).map(|run| run.len()).sum();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{word} {}{more}", shown.join(", "))
}

/// A bit of a stream, by the member that holds it.
fn place(builder: &Builder, stream: usize, bit: usize) -> String {
    let before = |member: &&Member| member.stream == stream && member.offset as usize * 8 <= bit;
    match builder.members.iter().filter(before).max_by_key(|member| member.offset) {
        Some(member) => {
            format!("bit {} of `{}`", bit - member.offset as usize * 8, member.name)
        }
        None => format!("bit {bit}"),
    }
}
