//! Every descriptor with one thing changed must be refused, or decode its golden vectors differently:
//! what the static checks let pass, the vectors catch.

use crate::subject::{Subject, dims_of, interpreted, subjects};
use crate::{Failed, test};
use libtest_mimic::Trial;
use quantloom::verify::compare::Decoded;
use quantloom_codegen::layout::Layout;
use quantloom_codegen::{Format, Params};
use serde_yaml::{Mapping, Value};

pub fn trials() -> Vec<Trial> {
    let golden = subjects().iter().filter(|subject| !subject.vectors.is_empty());
    golden
        .map(|subject| test(format!("mutation/{}", subject.name), move || survivors(subject)))
        .collect()
}

fn survivors(subject: &Subject) -> Result<(), Failed> {
    let original: Value = serde_yaml::from_str(&subject.text)?;
    let mutants = mutants(&original, &subject.params);
    let (mut refused, mut differ, mut alive) = (0, 0, Vec::new());
    for Mutant { what, value } in &mutants {
        let text = serde_yaml::to_string(value)?;
        match subject.parse(&text) {
            Err(_) => refused += 1,
            Ok(format) if differs(subject, &format)? => differ += 1,
            Ok(_) => alive.push(what.as_str()),
        }
    }
    if refused < 10 || differ == 0 {
        let all = mutants.len();
        return Err(
            format!("only {refused} refused and {differ} different of {all} mutants").into()
        );
    }
    match alive.len() {
        0 => Ok(()),
        count => {
            Err(format!("{count} of {} mutants survive:\n{}", mutants.len(), alive.join("\n"))
                .into())
        }
    }
}

/// Whether the format has another golden table, or decodes some golden vector to other weights.
fn differs(subject: &Subject, format: &Format) -> Result<bool, Failed> {
    if !subject.has_golden_tables(format) {
        return Ok(true);
    }
    for vectors in &subject.vectors {
        let dims = dims_of(&subject.format, vectors);
        let lengths = |format: &Format| -> Vec<Option<u64>> {
            format.streams.iter().map(|stream| stream.artifact().len(&dims)).collect()
        };
        let given = vectors.streams.iter().map(|bytes| Some(bytes.len() as u64));
        if format.weights != subject.format.weights || !given.eq(lengths(format)) {
            return Ok(true);
        }
    }
    for vectors in &subject.vectors {
        let dims = dims_of(&subject.format, vectors);
        let weights = interpreted(format, &dims, &vectors.streams)?;
        if Decoded::compare(&weights, &vectors.weights) != Decoded::default() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A changed descriptor.
struct Mutant {
    what: String,
    value: Value,
}

fn mutants(original: &Value, params: &Params) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    places(original, &mut Vec::new(), &mut |path, node| {
        for (what, changed) in changes(path, node, params) {
            let mut value = original.clone();
            if let Some(place) = at(&mut value, path) {
                *place = changed;
                let path: Vec<String> = path.iter().map(show).collect();
                mutants.push(Mutant { what: format!("{}: {what}", path.join(".")), value });
            }
        }
    });
    mutants
}

fn show(step: &Value) -> String {
    match step {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Calls `visit` with every node and its path.
fn places(node: &Value, path: &mut Vec<Value>, visit: &mut impl FnMut(&[Value], &Value)) {
    visit(path, node);
    let mut inner = |step: Value, node: &Value| {
        path.push(step);
        places(node, path, visit);
        path.pop();
    };
    match node {
        Value::Mapping(map) => map.iter().for_each(|(key, node)| inner(key.clone(), node)),
        Value::Sequence(list) => {
            list.iter().enumerate().for_each(|(index, node)| inner(index.into(), node));
        }
        _ => {}
    }
}

fn at<'a>(node: &'a mut Value, path: &[Value]) -> Option<&'a mut Value> {
    path.iter().try_fold(node, |node, step| match node {
        Value::Mapping(map) => map.get_mut(step),
        Value::Sequence(list) => list.get_mut(step.as_u64()? as usize),
        _ => None,
    })
}

/// Everything that may be wrong with one node.
fn changes(path: &[Value], node: &Value, params: &Params) -> Vec<(String, Value)> {
    let path: Vec<&str> = path.iter().map(|step| step.as_str().unwrap_or("#")).collect();
    match (path.as_slice(), node) {
        (["block"] | ["streams", _, "unit"], Value::Mapping(map)) => orders(map),
        (["block", _] | ["streams", _, "unit", _], Value::String(ty)) => types(ty),
        (["fields", _] | ["fields", _, "planes", "#"], Value::Mapping(map)) => field(map, params),
        (["fields", _, "planes"], Value::Sequence(planes)) => {
            let mut reversed = planes.clone();
            reversed.reverse();
            vec![("reversed".into(), Value::Sequence(reversed))]
        }
        ([.., "tile", "k" | "n"] | ["weights"], Value::Number(number)) => {
            numbers(number.as_i64(), &[|k| k * 2, |k| k / 2, |k| k + 1, |k| k - 1])
        }
        ([.., "tile", "k" | "n"], Value::String(text)) => {
            let others = ["all", "1", "2 * b", "2 * g", "g", "b"].into_iter();
            others.filter(|other| other != text).map(|other| (other.into(), other.into())).collect()
        }
        (["streams", _], Value::Mapping(map)) => views(map),
        (["fields", _, "type", "exponent" | "mantissa" | "bias"], Value::Number(number)) => {
            numbers(number.as_i64(), &[|part| part + 1, |part| part - 1])
        }
        (["tables", _, "lanes"], Value::Number(number)) => {
            numbers(number.as_i64(), &[|k| k * 2, |k| k / 2, |k| k + 1, |k| k - 1])
        }
        (["tables", _, "levels"], Value::Sequence(values)) => table(values),
        (["tables", _, "digits"], Value::String(text)) => digits(text),
        (["tables", _, "values"], Value::Sequence(values)) => table(values),
        (["value"], Value::String(text)) => formulas(text),
        _ => Vec::new(),
    }
}

/// Members in another order.
fn orders(map: &Mapping) -> Vec<(String, Value)> {
    let entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let swap = |(i, j): (usize, usize)| {
        let mut entries = entries.clone();
        entries.swap(i, j);
        (format!("members {i} and {j} swapped"), Value::Mapping(entries.into_iter().collect()))
    };
    pairs(entries.len()).map(swap).collect()
}

/// Another element type or count of a member.
fn types(ty: &str) -> Vec<(String, Value)> {
    let (name, count) = ty.trim_end_matches(']').split_once('[').unwrap_or((ty, "1"));
    let mut texts = Vec::new();
    if let Ok(count) = count.parse::<i64>() {
        texts.extend([count - 1, count + 1, count * 2].map(|count| format!("{name}[{count}]")));
    }
    let others = ["u8", "i8", "f16", "bf16", "u16", "i16", "f32", "u32", "pad"];
    // How codes are typed in storage is no part of the meaning where a plane is narrower.
    let others =
        others.into_iter().filter(|&other| other != name && !matches!(other, "i8" | "i16"));
    texts.extend(others.map(|other| ty.replace(name, other)));
    texts.into_iter().map(|text| (text.clone(), text.into())).collect()
}

/// One key of a field or plane changed.
fn field(map: &Mapping, params: &Params) -> Vec<(String, Value)> {
    let mut changed = Vec::new();
    let mut put = |what: String, key: &str, value: Value| {
        let mut map = map.clone();
        map.insert(key.into(), value);
        changed.push((what, Value::Mapping(map)));
    };
    let number = |key: &str| map.get(key).and_then(Value::as_i64);
    if map.contains_key("from") {
        let bits = number("bits").unwrap_or(8);
        let at = number("at").unwrap_or(0);
        for by in [-bits, -1, 1, bits, 8] {
            put(format!("at {by:+}"), "at", (at + by).into());
        }
        for by in [-1, 1] {
            put(format!("bits {by:+}"), "bits", (bits + by).into());
        }
        let bits = map.get("bits").and_then(Value::as_str);
        for other in ["1", "2 * b"].into_iter().filter(|_| bits.is_some()) {
            put(format!("bits {other}"), "bits", other.into());
        }
        let wraps = map.get("wrap").and_then(Value::as_bool).unwrap_or(false);
        if map.contains_key("bias") {
            put(format!("wrap {}", !wraps), "wrap", (!wraps).into());
        }
    }
    for key in ["k", "n", "index"] {
        if let Some(text) = map.get(key).and_then(Value::as_str) {
            for layout in layouts(text, params) {
                put(format!("{key}: {layout} for {text}"), key, layout.into());
            }
        }
    }
    if map.contains_key("per") || map.contains_key("planes") || map.contains_key("k") {
        let per = number("per").unwrap_or(1);
        for other in [per * 2, per / 2, per + 1] {
            put(format!("per {other} for {per}"), "per", other.into());
        }
        let bias = number("bias").unwrap_or(0);
        for by in [-1, 1] {
            put(format!("bias {by:+}"), "bias", (bias + by).into());
        }
        if bias != 0 {
            put("no bias".into(), "bias", 0.into());
        }
    }
    changed
}

/// Layouts that differ from `text` in one digit, or in the order of two parts.
fn layouts(text: &str, params: &Params) -> Vec<String> {
    let Ok(layout) = Layout::parse(text, params) else { return Vec::new() };
    let [piece] = layout.pieces() else { return Vec::new() };
    let digits: Vec<(i64, i64)> =
        piece.digits.iter().map(|digit| (digit.radix.into(), digit.stride)).collect();
    let mut found: Vec<Vec<(i64, i64)>> = Vec::new();
    for index in 0..digits.len() {
        let changes: [fn(i64) -> i64; 6] =
            [|s| s + 1, |s| s - 1, |s| s * 2, |s| s / 2, |s| -s, |_| 0];
        for change in changes {
            let mut digits = digits.clone();
            digits[index].1 = change(digits[index].1);
            found.push(digits);
        }
        for change in [|r| r + 1, |r| r - 1, |r| r * 2] {
            let mut digits = digits.clone();
            digits[index].0 = change(digits[index].0);
            found.push(digits);
        }
    }
    for (i, j) in pairs(digits.len()) {
        let mut both = digits.clone();
        both.swap(i, j);
        let (mut shape, mut stride) = (digits.clone(), digits.clone());
        (shape[i].0, shape[j].0) = (digits[j].0, digits[i].0);
        (stride[i].1, stride[j].1) = (digits[j].1, digits[i].1);
        found.extend([both, shape, stride]);
    }
    let list =
        |numbers: Vec<i64>| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let text = |digits: Vec<(i64, i64)>| {
        let (shape, stride) = digits.into_iter().unzip();
        format!("({}):({})", list(shape), list(stride))
    };
    // Some changes write the same map differently: they are no mutants.
    let same = |text: &str| {
        Layout::parse(text, params).is_ok_and(|other| {
            other.size() == layout.size() && (0..other.size()).all(|i| other.at(i) == layout.at(i))
        })
    };
    found.into_iter().map(text).filter(|text| !same(text)).collect()
}

/// Other orders of units and words.
fn views(map: &Mapping) -> Vec<(String, Value)> {
    let view = map.get("view").and_then(Value::as_str).unwrap_or("rows");
    let mut changed = Vec::new();
    // Units of a single row or for all rows, and flat ones that fill rows, lie in one order only.
    let other = if view == "columns" { "rows" } else { "columns" };
    if !map
        .get("tile")
        .is_some_and(|tile| tile["k"].as_str() == Some("all") || tile["n"].as_str() == Some("all"))
    {
        let mut map = map.clone();
        map.insert("view".into(), other.into());
        map.remove("word");
        changed.push((format!("view {other}"), Value::Mapping(map)));
    }
    if map.contains_key("word") {
        let mut map = map.clone();
        map.remove("word");
        changed.push(("no word".into(), Value::Mapping(map)));
    }
    changed
}

/// Digits changed and missing; large tables in places only.
fn digits(text: &str) -> Vec<(String, Value)> {
    let places: Vec<usize> =
        text.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let step = places.len().div_ceil(24).max(1);
    let mut changed: Vec<(String, Value)> = Vec::new();
    for &at in places.iter().step_by(step) {
        let mut text = text.to_owned();
        let other = if text[at..].starts_with('1') { "0" } else { "1" };
        text.replace_range(at..=at, other);
        changed.push((format!("digit {at}"), text.into()));
    }
    changed.push(("one digit less".into(), text[1..].into()));
    changed
}

/// Entries changed, swapped, missing.
fn table(values: &[Value]) -> Vec<(String, Value)> {
    let mut changed: Vec<(String, Value)> = (0..values.len())
        .filter_map(|index| {
            let mut values = values.to_vec();
            let value = values[index].as_f64()?;
            values[index] = (if value < 0.0 { value + 1.0 } else { value - 1.0 }).round().into();
            Some((format!("entry {index}"), Value::Sequence(values)))
        })
        .collect();
    changed.extend((1..values.len()).filter(|&i| values[i] != values[i - 1]).map(|index| {
        let mut values = values.to_vec();
        values.swap(index - 1, index);
        (format!("entries {} and {index} swapped", index - 1), Value::Sequence(values))
    }));
    changed.push(("one entry less".into(), Value::Sequence(values[1..].to_vec())));
    changed
}

/// One operator or name changed.
fn formulas(text: &str) -> Vec<(String, Value)> {
    let mut texts = vec![format!("-({text})"), format!("({text}) * 2"), format!("({text}) + 1")];
    for (index, operator) in text.char_indices().filter(|(_, c)| "+-*/".contains(*c)) {
        for other in "+-*/".chars().filter(|&other| other != operator) {
            let mut text = text.to_owned();
            text.replace_range(index..=index, &other.to_string());
            texts.push(text);
        }
    }
    texts.into_iter().map(|text| (text.clone(), text.into())).collect()
}

fn numbers(number: Option<i64>, changes: &[fn(i64) -> i64]) -> Vec<(String, Value)> {
    let changed = changes.iter().filter_map(|change| number.map(change));
    changed.map(|number| (number.to_string(), number.into())).collect()
}

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |i| (i + 1..count).map(move |j| (i, j)))
}
