//! Descriptors made at random: each compiles, for every backend, decodes to its meaning and multiplies
//! as the CPU does in all of its ways. `RANDOM_FORMATS` says how many, of a fixed list without end.

use super::lowering;
use crate::affine::codes;
use crate::engine::{ENGINES, trial};
use crate::interpreted::Interpreted;
use crate::products::{WAYS, multiply};
use crate::{Failed, descriptors, seed, test};
use libtest_mimic::Trial;
use quantloom::verify::random::Rng;
use quantloom_codegen::{compile, emit};

/// Formats that are tested unless the environment says otherwise.
const MANY: usize = 36;
/// Tests that share them.
const PARTS: usize = 4;
/// Formats that a GPU runs: a driver takes its time for their kernels.
const ON_GPUS: usize = 2;

pub fn trials() -> Vec<Trial> {
    let many = std::env::var("RANDOM_FORMATS").ok().and_then(|text| text.parse().ok());
    let many = many.unwrap_or(MANY);
    let parts = (0..PARTS).map(|part| {
        test(format!("random/formats/{part}"), move || {
            (part..many).step_by(PARTS).try_for_each(check)
        })
    });
    let found = FOUND.iter().map(|&(name, text)| {
        test(format!("random/found/{name}"), move || checked(text, &mut Rng::new(0, name)))
    });
    let wgsl = ENGINES.iter().filter(|engine| engine.name == "wgsl");
    let on_gpus = wgsl.flat_map(|engine| {
        (0..ON_GPUS).map(move |number| {
            let name = format!("random/{}/{number}", engine.name);
            trial(name, engine, move |device| {
                let text = descriptor(number);
                let format = quantloom::Format::compile(&text, FILE)?;
                let compiled = compile(&text, FILE)?;
                let mut rng = Rng::new(number as u64, "random format on a GPU");
                told(number, &text, multiply(&compiled.format, &format, &[device], &mut rng))
            })
        })
    });
    parts.chain(found).chain(on_gpus).collect()
}

const FILE: &str = "random.yaml";

/// Descriptors that were wrong once.
const FOUND: &[(&str, &str)] = &[
    ("names_that_languages_and_templates_have", descriptors::NAMES),
    (
        "loads_at_the_end_of_a_unit",
        "format: found\ntitle: two units of 3-bit codes in a block\nweights: 64\nstreams:\n  \
         codes: {tile: {k: 32}, view: columns, unit: {c: \"u8[12]\"}}\nfields:\n  \
         q: {from: c, bits: 3, k: \"32:3\"}\nvalue: q\n",
    ),
    (
        "tables_that_leave_no_room",
        "format: found\ntitle: 1-bit codes in no order\nweights: 160\nstreams:\n  \
         codes: {tile: {k: 160, n: 8}, unit: {c: \"u8[160]\"}}\n  \
         scales: {tile: {k: all, n: all}, unit: {s: f32}}\n  \
         zeros: {tile: {k: 320, n: 16}, unit: {zz: \"u8[4]\"}}\nfields:\n  \
         q: {from: c, bits: 1, at: 654, k: \"(5,2,2,8):(32,160,16,-2)\", n: \"(2,2,2):(320,-640,1)\"}\n  \
         z: {from: zz, bits: 2, n: \"16:2\"}\nvalue: (q - z) * s\n",
    ),
    (
        "flat_units_of_a_row",
        "format: found\ntitle: a scale for each row, one after another\nweights: 8\nstreams:\n  \
         codes: {tile: {k: 8}, unit: {q: \"i8[8]\"}}\n  \
         scales: {tile: {k: all}, view: flat, unit: {s: bf16}}\nvalue: q * s\n",
    ),
    (
        "a_scale_for_blocks_of_no_whole_runs",
        "format: found\ntitle: 48 codes in a block, a scale in a row\nweights: 48\nstreams:\n  \
         codes: {tile: {k: 48}, unit: {q: \"i8[48]\"}}\n  \
         scales: {tile: {k: all}, unit: {s: bf16}}\nvalue: (q - s) * s\n",
    ),
    (
        "codes_beyond_32_bits",
        "format: found\ntitle: floats that are large\nweights: 8\nblock: {s: f16, c: \"u8[4]\"}\n\
         fields: {q: {from: c, bits: 4, k: \"8:4\"}}\ntables:\n  \
         levels: {type: f32, values: [-1e30, 1e30, 0.5, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]}\n\
         value: s * levels[q]\n",
    ),
];

/// The descriptor of this number.
fn descriptor(number: usize) -> String {
    let mut rng = Rng::new(number as u64, "random format");
    match number % 4 {
        0 => lowering::descriptor(&mut rng),
        _ => descriptors::planar(&mut rng),
    }
}

fn check(number: usize) -> Result<(), Failed> {
    let text = descriptor(number);
    told(number, &text, checked(&text, &mut Rng::new(number as u64, "bytes of a random format")))
}

/// Adds the format to what went wrong.
fn told(number: usize, text: &str, result: Result<(), Failed>) -> Result<(), Failed> {
    result.map_err(|error| {
        format!("format {number}: {}\n{text}", error.message().unwrap_or_default()).into()
    })
}

fn checked(text: &str, rng: &mut Rng) -> Result<(), Failed> {
    let compiled = compile(text, FILE)?;
    emit::cpu::of_format(&compiled.format)?;
    lowering::any_bytes(FILE, &compiled.format)?;
    codes(&mut seed::rng(FILE), &compiled.format)?;
    let own = Interpreted::new(&compiled.format, text)?;
    multiply(&compiled.format, &own.format, &WAYS.iter().collect::<Vec<_>>(), rng)
}
