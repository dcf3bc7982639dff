//! What stands beside the picture: what streams, members and fields are.

use quantloom_codegen::artifact::Extent;
use quantloom_codegen::format::{Field, Format, Member, Scalar, Stream, Table};

/// `6-bit unsigned minus 32, for each 16 weights`.
pub fn field(format: &Format, field: &Field) -> String {
    if field.index.is_some() {
        return "computed from the weight's number, for each weight".to_owned();
    }
    let sort = match field.scalar {
        Scalar::Unsigned => "unsigned",
        Scalar::Signed => "signed",
        _ => "float",
    };
    let bias = match field.bias {
        0 => String::new(),
        bias if bias < 0 => format!(" plus {}", bias.unsigned_abs()),
        bias => format!(" minus {bias}"),
    };
    let wraps = if field.wrap { " within its bits" } else { "" };
    let by = field.gather.and_then(|by| format.fields.get(by));
    let shared = match (by, stream(format, field)) {
        (Some(by), _) => format!("from the unit that {} numbers", by.name),
        (None, Some(stream)) => shared(format, field, stream),
        (None, None) => String::new(),
    };
    format!("{}-bit {sort}{bias}{wraps}, {shared}", field.bits())
}

/// The weights that share a value of a field: `for each 16 weights`.
fn shared(format: &Format, field: &Field, stream: &Stream) -> String {
    let rows = if stream.units.rows == 0 { " of all rows" } else { "" };
    match (field.per, stream.units.blocks) {
        (1, _) => format!("for each weight{rows}"),
        (per, _) if per < format.weights => format!("for each {per} weights{rows}"),
        (_, Extent::Blocks(1)) if format.streams.len() == 1 => "for all weights".to_owned(),
        _ => format!("for each {}", covers(format, stream, stream.units.rows.min(1))),
    }
}

/// `256 stored f32`.
pub fn table(table: &Table) -> String {
    format!("table of {} stored f32", table.entries())
}

/// `Stream scales: a unit of 2 bytes for each g weights`.
pub fn heading(format: &Format, stream: &Stream) -> String {
    let bytes = stream.bytes / stream.copies.max(1);
    if format.streams.len() == 1 {
        return format!("One block: {bytes} bytes, {} weights", format.weights);
    }
    let noun = if bytes == 1 { "byte" } else { "bytes" };
    let apart = match stream.unit {
        word if word < bytes => format!(", in words of {word} that lie apart"),
        _ => String::new(),
    };
    let covers = covers(format, stream, stream.units.rows);
    format!("Stream {}: a unit of {bytes} {noun} for each {covers}{apart}", stream.name)
}

/// The weights that a unit covers along k, of so many rows.
fn covers(format: &Format, stream: &Stream, rows: u32) -> String {
    let weights = match stream.units.blocks {
        Extent::Blocks(blocks) => (blocks * format.weights / stream.copies.max(1)).to_string(),
        Extent::Sizes { size, times } => {
            let name = format.sizes.get(size as usize).map_or("?", |size| &*size.name);
            if times == 1 { name.to_owned() } else { format!("{times} · {name}") }
        }
        Extent::Row => String::new(),
    };
    match (weights.as_str(), rows) {
        ("", 0) => "tensor".to_owned(),
        ("", 1) => "row".to_owned(),
        ("", rows) => format!("{rows} rows"),
        ("1", 0) => "weight of all rows".to_owned(),
        ("1", 1) => "weight".to_owned(),
        ("1", rows) => format!("weight of {rows} rows"),
        (weights, 0) => format!("{weights} weights of all rows"),
        (weights, 1) => format!("{weights} weights"),
        (weights, rows) => format!("{weights} weights of {rows} rows"),
    }
}

/// The stream that a field is read from.
fn stream<'a>(format: &'a Format, field: &Field) -> Option<&'a Stream> {
    let member = format.members.get(field.planes.first()?.member)?;
    format.streams.get(member.stream)
}

/// A member's type, as the descriptor has it, and the bytes of an element.
pub fn member(member: &Member) -> (String, usize) {
    let Some(element) = &member.element else { return (format!("pad[{}]", member.count), 1) };
    let bits = element.bits;
    let word = match element.scalar {
        Scalar::Unsigned => format!("u{bits}"),
        Scalar::Signed => format!("i{bits}"),
        Scalar::Bf16 => "bf16".to_owned(),
        _ => format!("f{bits}"),
    };
    let count = if member.count == 1 { String::new() } else { format!("[{}]", member.count) };
    (word + &count, (bits / 8).max(1) as usize)
}
