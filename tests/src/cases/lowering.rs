//! The lowering against the meaning of a format, bit by bit: every strip width, blocks taken
//! together, packed codes; for the formats there are and for random ones.

use crate::affine::{WIDTHS, codes};
use crate::seed::{pick, rng, with_seed};
use crate::subject::{dims, dims_of, subjects};
use crate::{Failed, test};
use libtest_mimic::Trial;
use quantloom::verify::compare::Decoded;
use quantloom::verify::meaning;
use quantloom::verify::random::{Rng, sizes};
use quantloom_codegen::artifact::Dims;
use quantloom_codegen::ir::interpret;
use quantloom_codegen::{Format, lower};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for subject in subjects() {
        let name = format!("lowering/{}", subject.name);
        trials.push(test(name.clone(), move || golden(&name, subject)));
        let name = format!("lowering/{}/any_bytes", subject.name);
        trials.push(test(name.clone(), move || with_seed(any_bytes(&name, &subject.format))));
        let name = format!("lowering/{}/codes", subject.name);
        trials.push(test(name.clone(), move || with_seed(codes(&mut rng(&name), &subject.format))));
    }
    trials.extend((0..4).map(|part| {
        let name = format!("lowering/random_formats/{part}");
        test(name.clone(), move || with_seed(random_formats(&name)))
    }));
    trials
}

/// Every strip width decodes the golden vectors.
fn golden(name: &str, subject: &crate::subject::Subject) -> Result<(), Failed> {
    if !subject.has_golden_tables(&subject.format) {
        return Err("a table is not that of the golden file".into());
    }
    for vectors in &subject.vectors {
        let (name, dims) = (format!("{name}/{}", vectors.name), dims_of(&subject.format, vectors));
        widths(&name, &subject.format, &dims, &vectors.streams, &vectors.weights)?;
    }
    Ok(())
}

pub fn any_bytes(name: &str, format: &Format) -> Result<(), Failed> {
    let mut rng = rng(name);
    for sizes in sizes(&format.sizes, format.weights) {
        for (n, blocks) in [(1, 24), (9, 5)] {
            let dims = dims(format, n, blocks * format.weights as usize, &sizes);
            let streams = rng.any_bytes(format, &dims);
            let meant = meaning::weights(format, &dims, &streams)?;
            widths(name, format, &dims, &streams, &meant)?;
            for times in [2, 3, 8] {
                if format.is_plain() && blocks % times == 0 {
                    let name = format!("{name}, {times} blocks as one");
                    let together = format.repeated(times as u32);
                    let dims = Dims { blocks: dims.blocks / times as u32, ..dims };
                    widths(&name, &together, &dims, &streams, &meant)?;
                }
            }
        }
    }
    Ok(())
}

fn widths(
    name: &str,
    format: &Format,
    dims: &Dims,
    streams: &[Vec<u8>],
    expected: &[f32],
) -> Result<(), Failed> {
    let streams: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    for width in WIDTHS {
        let decoder = lower::weights(format, width)?;
        let mut weights = vec![f32::from_bits(0x7fc0_dead); expected.len()];
        interpret(&decoder, &streams, dims, 0, &mut weights);
        let found = Decoded::compare(&weights, expected);
        if found != Decoded::default() {
            return Err(format!("{name}, strips of {width} bytes: {found:?}").into());
        }
    }
    Ok(())
}

/// Descriptors made at random, all of which must be accepted and decode as they mean.
fn random_formats(name: &str) -> Result<(), Failed> {
    let mut rng = rng(name);
    for _ in 0..40 {
        let text = descriptor(&mut rng);
        let format =
            Format::parse(&text, "random.yaml").map_err(|error| format!("{error}\n{text}"))?;
        any_bytes(name, &format)
            .and_then(|()| codes(&mut rng, &format))
            .map_err(|error| format!("{}\n{text}", error.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// A block of codes in one or two planes, scales of any kind and perhaps a table: the code's layout
/// walks its bytes in a random order, nibbles and pairs of bits in any order within them.
pub fn descriptor(rng: &mut Rng) -> String {
    let weights: usize = pick(rng, &[8, 12, 16, 24, 32, 64, 96, 128, 256]);
    let plane = |rng: &mut Rng, bits: usize| {
        // Digits within a byte, and digits over the bytes, in a random order.
        let mut digits = vec![(8 / bits, bits)];
        let (mut bytes, mut stride) = (weights * bits / 8, 8);
        while bytes > 1 {
            let factors: Vec<usize> = (2..=bytes).filter(|f| bytes.is_multiple_of(*f)).collect();
            let radix = pick(rng, &factors);
            digits.push((radix, stride));
            (bytes, stride) = (bytes / radix, stride * radix);
        }
        digits.retain(|(radix, _)| *radix > 1);
        for last in (1..digits.len()).rev() {
            digits.swap(last, rng.below(last + 1));
        }
        let mut at = 0;
        let mut list = (Vec::new(), Vec::new());
        for (radix, stride) in digits {
            list.0.push(radix.to_string());
            let backwards = rng.below(4) == 0;
            at += if backwards { (radix - 1) * stride } else { 0 };
            list.1.push(format!("{}{stride}", if backwards { "-" } else { "" }));
        }
        format!("at: {at}, k: \"({}):({})\"", list.0.join(","), list.1.join(","))
    };
    let mut members = Vec::new();
    let mut planes = Vec::new();
    let widths: &[usize] =
        pick(rng, &[&[8][..], &[4], &[2], &[1], &[4, 1], &[4, 2], &[2, 1], &[2, 2]]);
    for (number, &bits) in widths.iter().enumerate() {
        if !(weights * bits).is_multiple_of(8) {
            return descriptor(rng);
        }
        members.push(format!("  c{number}: u8[{}]\n", weights * bits / 8));
        planes.push(format!("      - {{from: c{number}, bits: {bits}, {}}}\n", plane(rng, bits)));
    }
    let total: usize = widths.iter().sum();
    let pers: Vec<usize> = (4..=weights).filter(|per| weights.is_multiple_of(*per)).collect();
    let mut fields = String::new();
    let mut shared = |name: &str, rng: &mut Rng| {
        let per = pick(rng, &pers);
        let kind = pick(rng, &["f16", "bf16", "f32", "u8", "i8"]);
        members.push(format!("  {name}: {kind}[{}]\n", weights / per));
        fields += &format!("  {name}_v: {{from: {name}, per: {per}}}\n");
    };
    shared("scale", rng);
    shared("low", rng);
    if rng.below(2) == 0 {
        members.push(format!("  gap: pad[{}]\n", 1 + rng.below(4)));
    }
    for last in (1..members.len()).rev() {
        members.swap(last, rng.below(last + 1));
    }
    let (mut tables, mut code) = (String::new(), "q");
    if total <= 4 && rng.below(3) == 0 {
        let values: Vec<String> =
            (0..1 << total).map(|_| (rng.below(256) as i32 - 128).to_string()).collect();
        tables = format!("tables:\n  levels: {{type: i8, values: [{}]}}\n", values.join(", "));
        code = "levels[q]";
    }
    let (ty, bias) = match tables.is_empty() {
        true => (pick(rng, &["u", "i"]), format!("    bias: {}\n", rng.below(1 << total))),
        false => ("u", String::new()),
    };
    let value = pick(
        rng,
        &[
            "scale_v * {q} + low_v",
            "{q} * scale_v - low_v",
            "low_v - scale_v * {q}",
            "({q} - low_v) * scale_v / 4",
        ],
    )
    .replace("{q}", code);
    format!(
        "format: random\ntitle: made at random\nweights: {weights}\nblock:\n{}fields:\n{fields}  q:\n    type: {ty}\n{bias}    planes:\n{}{tables}value: {value}\n",
        members.concat(),
        planes.concat(),
    )
}
