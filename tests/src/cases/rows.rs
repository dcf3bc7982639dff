//! Tensors of eight rows, which share words of packed zero points, without padding: what checkpoints have.

use crate::Failed;
use crate::engine::{ENGINES, trial};
use crate::subject::repository;
use libtest_mimic::Trial;
use quantloom::{Device, Format, Tensor};
use serde_json::Value;

pub fn trials() -> Vec<Trial> {
    let each = ENGINES.iter().map(|engine| {
        trial(format!("rows/eight/{}", engine.name), engine, |device| {
            let text = std::fs::read_to_string(repository("tests/data/eight_rows.json"))?;
            let tensors: Vec<Value> = serde_json::from_str(&text)?;
            tensors.iter().try_for_each(|tensor| decoded(tensor, device))
        })
    });
    each.collect()
}

/// A tensor whose weights are the same in all of a row.
fn decoded(own: &Value, device: &Device) -> Result<(), Failed> {
    let name = own["format"].as_str().ok_or("no format")?;
    let k = own["k"].as_u64().ok_or("no k")? as usize;
    let rows: Vec<f32> = serde_json::from_value(own["weights"].clone())?;
    let streams: Vec<(String, usize)> = serde_json::from_value(own["streams"].clone())?;
    let streams = streams.iter().map(|(digits, times)| Ok(bytes(digits)?.repeat(*times)));
    let streams = streams.collect::<Result<Vec<Vec<u8>>, Failed>>()?;
    let format = Format::named(name)?.with_size("g", k as u32)?;
    let tensor = Tensor::new(name, format, rows.len(), k, streams)?;
    let weights = tensor.upload(device)?.dequantize()?;
    let meant: Vec<f32> = rows.iter().flat_map(|&weight| vec![weight; k]).collect();
    match weights == meant {
        true => Ok(()),
        false => Err(format!("{name}: {weights:?}").into()),
    }
}

/// Bytes of hexadecimal digits.
fn bytes(digits: &str) -> Result<Vec<u8>, Failed> {
    let pairs = (0..digits.len()).step_by(2);
    let byte = |at: usize| Ok(u8::from_str_radix(digits.get(at..at + 2).unwrap_or("odd"), 16)?);
    pairs.map(byte).collect()
}
