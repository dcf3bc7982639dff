//! Descriptors: valid ones made at random, and damaged ones. What is refused is refused with a place and
//! for a reason; what is not compiles, decodes to its meaning and is multiplied so by the CPU in all of its
//! ways.

use super::{Trace, edit};
use crate::affine::codes;
use crate::interpreted::Interpreted;
use crate::products::{WAYS, multiply};
use crate::seed::pick;
use crate::subject::{dims, subjects};
use crate::{Failed, descriptors};
use quantloom::verify::compare::Decoded;
use quantloom::verify::meaning;
use quantloom::verify::random::{Rng, sizes};
use quantloom_codegen::{Error, Format, Problems, choices, compile_with, ir, lower};

const FILE: &str = "some.yaml";
/// Of so many inputs one is multiplied by the CPU, whose functions are interpreted.
const MULTIPLIED: usize = 4;
/// Of so many inputs one is compiled for every backend, which takes longer than all else.
const COMPILED: usize = 8;
/// Formats with more weights a block, or strips, are lowered and not decoded bit by bit.
const MOST: u32 = 2048;

pub fn run(rng: &mut Rng, trace: &mut Trace) -> Result<(), Failed> {
    let (text, made) = input(rng);
    trace.input(text.as_str());
    let params = match choices(&text, FILE) {
        Ok(all) => pick(rng, &all),
        Err(problems) => return refused(made, &problems),
    };
    let format = match Format::parse_with(&text, FILE, &params) {
        Ok(format) => format,
        Err(problems) => return refused(made, &problems),
    };
    trace.reached(1);
    // What is valid has no problem any more.
    let mut programs = Vec::new();
    for bytes in [4, 8, 16] {
        programs.push(lower::weights(&format, bytes)?);
    }
    lower::coded(&format, 16).transpose()?;
    trace.reached(2);
    if format.weights <= MOST {
        decoded(rng, &format, &programs)?;
        codes(rng, &format)?;
        trace.reached(3);
        if rng.below(MULTIPLIED) == 0 {
            let own = Interpreted::new(&format, &text)?;
            multiply(&format, &own.format, &WAYS.iter().collect::<Vec<_>>(), rng)?;
            trace.reached(4);
        }
    }
    if rng.below(COMPILED) == 0 {
        match compile_with(&text, FILE, &params) {
            Ok(_) => trace.reached(5),
            Err(Error::Problems(problems)) => {
                return Err(format!("valid, and then refused: {}", problems.render(false)).into());
            }
            Err(error) => return Err(error.to_string().into()),
        }
    }
    Ok(())
}

/// A descriptor, and whether it must be valid.
fn input(rng: &mut Rng) -> (String, bool) {
    let subjects = subjects();
    let base = match rng.below(2) {
        0 => subjects[rng.below(subjects.len())].text.clone(),
        _ => descriptors::planar(rng),
    };
    match rng.below(3) {
        0 => (descriptors::planar(rng), true),
        _ => {
            let other = subjects[rng.below(subjects.len())].text.as_str();
            (edit::text(rng, &base, &[&base, other]), false)
        }
    }
}

/// Refused with a place in the text, unless it was valid.
fn refused(valid: bool, problems: &Problems) -> Result<(), Failed> {
    let text = problems.render(false);
    match !valid && text.starts_with("error") && text.contains(FILE) {
        true => Ok(()),
        false => Err(format!("refused: {text}").into()),
    }
}

/// Programs of every width give the weights that the formula means, bit by bit.
fn decoded(
    rng: &mut Rng,
    format: &Format,
    programs: &[ir::Verified<ir::Decoder>],
) -> Result<(), Failed> {
    let (n, blocks) = pick(rng, &[(1, 1), (1, 3), (5, 2), (3, 7)]);
    let sizes = pick(rng, &sizes(&format.sizes, format.weights));
    let dims = dims(format, n, blocks * format.weights as usize, &sizes);
    let streams = match rng.below(2) {
        0 => rng.any_bytes(format, &dims),
        _ => rng.finite_bytes(format, &dims)?,
    };
    let meant = meaning::weights(format, &dims, &streams)?;
    let streams: Vec<&[u8]> = streams.iter().map(Vec::as_slice).collect();
    for program in programs {
        let mut weights = vec![f32::NAN; meant.len()];
        ir::interpret(program, &streams, &dims, 0, &mut weights);
        let found = Decoded::compare(&weights, &meant);
        if found.different > 0 {
            return Err(format!("{dims:?}: {found:?}").into());
        }
    }
    Ok(())
}
