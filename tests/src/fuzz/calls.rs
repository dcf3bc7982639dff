//! Calls with sizes, shapes, lengths and numbers of any kind: a result that is right, or an error.

use super::{Trace, told};
use crate::Failed;
use crate::products::WAYS;
use crate::seed::pick;
use crate::subject::{Subject, dims, subjects};
use quantloom::artifact::Dims;
use quantloom::verify::meaning;
use quantloom::verify::random::Rng;
use quantloom::verify::{Case, Origin};
use quantloom::{Device, Format, Tensor, Weights};

/// Tensors of more weights than that are made and not computed with.
const MOST: usize = 1 << 17;
/// Weights of a long row, about.
const LONG: usize = 1 << 16;

pub fn run(rng: &mut Rng, trace: &mut Trace) -> Result<(), Failed> {
    let subject = &subjects()[rng.below(subjects().len())];
    let block = subject.format.weights as usize;
    let mut format = subject.built_in()?;
    let (mut said, mut sizes) = (subject.name.clone(), Vec::new());
    for size in &subject.format.sizes {
        if rng.below(3) > 0 {
            let weights = match rng.below(3) {
                0 => number(rng) as u32,
                _ => (block * (1 + rng.below(40))) as u32,
            };
            said += &format!(", {} = {weights}", size.name);
            trace.input(said.as_str());
            match format.with_size(&size.name, weights) {
                Ok(sized) => {
                    format = sized;
                    sizes.push((size.name.to_string(), weights));
                }
                Err(error) => return told(&error),
            }
        }
    }
    let (n, k) = match rng.below(24) {
        // A single output of many products.
        0 => (1, block * (LONG.div_ceil(block) + rng.below(4))),
        1..6 => (number(rng), number(rng)),
        6..12 => (1 + rng.below(40), number(rng)),
        _ => (1 + rng.below(40), block * (1 + rng.below(4))),
    };
    said += &format!(", [{n}, {k}]");
    trace.input(said.as_str());
    let can_be = n > 0 && k > 0 && k.is_multiple_of(block) && n.saturating_mul(k) <= MOST;
    let (streams, whole) = match can_be {
        true => {
            let dims = dims(&subject.format, n, k, &sizes);
            let mut streams = rng.finite_bytes(&subject.format, &dims)?;
            let damaged = match rng.below(6) {
                0 => cut(rng, &mut streams),
                1 | 2 => misnumbered(rng, &format, &dims, &mut streams),
                _ => None,
            };
            if let Some(damage) = damaged {
                return match Tensor::new("some", &format, n, k, streams) {
                    Ok(_) => Err(format!("a tensor, in spite of {damage}").into()),
                    Err(error) => told(&error),
                };
            }
            (streams, Some(dims))
        }
        // As long as it may be: nothing reads past the end of what is too short.
        false => (subject.format.streams.iter().map(|_| vec![0; rng.below(5000)]).collect(), None),
    };
    let tensor = match Tensor::new("some", &format, n, k, streams.clone()) {
        Ok(tensor) => tensor,
        Err(error) if whole.is_none() => return told(&error),
        Err(error) => return Err(error.into()),
    };
    trace.reached(1);
    if n.saturating_mul(k) > MOST {
        return Ok(());
    }
    let device = &WAYS[rng.below(WAYS.len())];
    let weights = tensor.upload(device)?;
    wrong_arguments(rng, &weights)?;
    trace.reached(2);
    if let Some(dims) = whole {
        right(rng, subject, tensor, &meaning::weights(&subject.format, &dims, &streams)?, device)?;
        trace.reached(3);
    }
    Ok(())
}

/// Makes a stream shorter or longer.
fn cut(rng: &mut Rng, streams: &mut [Vec<u8>]) -> Option<String> {
    let at = rng.below(streams.len());
    let length = streams[at].len();
    let other = pick(rng, &[0, length / 2, length.saturating_sub(1), length + 1]);
    streams[at].resize(other, 0);
    Some(format!("{other} bytes for {length} in stream {at}"))
}

/// Stores a number past the last unit, where a format has numbers of units in words of their own.
fn misnumbered(
    rng: &mut Rng,
    format: &Format,
    dims: &Dims,
    streams: &mut [Vec<u8>],
) -> Option<String> {
    let index = format.indices.first()?;
    let plane = index.planes.first().filter(|plane| plane.bits == u32::BITS)?;
    let units = format.streams.get(index.of as usize)?.units_per_row(dims);
    let past = pick(rng, &[units, units + 1, 1 << 31, u32::MAX.into()]) as u32;
    let (words, _) = streams.get_mut(plane.stream as usize)?.as_chunks_mut();
    let at = rng.below(words.len());
    *words.get_mut(at)? = past.to_le_bytes();
    Some(format!("the number {past} of {units} units"))
}

/// A number at which something may wrap, or any small one.
fn number(rng: &mut Rng) -> usize {
    let edge = pick(rng, &[0, 1, 8, 16, 24, 31, 32, 33, 40, 63]);
    match rng.below(4) {
        0 => rng.below(5000),
        1 => 1usize << edge,
        2 => (1usize << edge) - 1,
        _ => (1usize << edge).wrapping_add(8),
    }
}

/// Calls whose arguments do not fit are errors, whatever they are.
fn wrong_arguments(rng: &mut Rng, weights: &Weights) -> Result<(), Failed> {
    let (n, k) = (weights.n(), weights.k());
    let (m, x) =
        (pick(rng, &[0, 1, 2, 3, usize::MAX]), vec![1.0; pick(rng, &[0, 1, k, k + 1, 2 * k])]);
    let fits = m > 0 && m.checked_mul(k) == Some(x.len());
    if weights.matmul(&x, m).is_ok() != fits {
        return Err(format!("matmul of {} activations with m = {m}", x.len()).into());
    }
    if weights.matvec(&x).is_ok() != (x.len() == k) {
        return Err(format!("matvec of {} activations", x.len()).into());
    }
    let rows: Vec<u32> = (0..rng.below(3)).map(|_| number(rng) as u32).collect();
    let there = rows.iter().all(|&row| (row as usize) < n);
    if weights.gather(&rows).is_ok() != there {
        return Err(format!("gather of {rows:?}").into());
    }
    let matrices = pick(rng, &[0, 1, 2, n, n + 1, usize::MAX]);
    let experts: Vec<u32> = (0..rng.below(4)).map(|_| rng.below(3) as u32).collect();
    // Right or refused: the numbers may fit.
    let _ = weights.matmul_experts(&x, &experts, matrices);
    Ok(())
}

/// Everything that a device can be asked, against the meaning.
fn right(
    rng: &mut Rng,
    subject: &Subject,
    tensor: Tensor,
    weights: &[f32],
    device: &Device,
) -> Result<(), Failed> {
    let finite = weights.iter().all(|weight| weight.abs() < 1e30);
    let case = Case::new(tensor, weights.to_vec(), Origin::Seed(0));
    let m = if weights.len() < LONG { 1 + rng.below(20) } else { 1 };
    let case = if finite { case.with_activations(m, rng) } else { case };
    case.check(device).map_err(|error| format!("{}: {error}", subject.name))?;
    Ok(())
}
