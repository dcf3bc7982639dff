//! Streams and memory of the caller's.

use super::{Vendor, case, various};
use crate::{Failed, passed};
use quantloom::artifact::{Element, Kind};
use quantloom::hip::View;
use quantloom::verify::Output;
use quantloom::{Epilogue, Experts, f16};

/// The caller's stream, activations and outputs, as raw handles and addresses.
#[allow(unsafe_code)]
pub(super) fn streams_and_memory(vendor: &Vendor) -> Result<(), Failed> {
    let gpu = (vendor.open)(0)?;
    for subject in various() {
        let (n, m) = (37, 3);
        let case = case(subject, "streams_and_memory", n, m)?;
        let weights = gpu.upload(case.tensor())?;
        let k = case.tensor().k();
        let own = gpu.stream()?;
        // SAFETY: `own` outlives both, and buffers outlive the work on them, which is waited for.
        let stream = unsafe { gpu.stream_from_raw(own.as_raw()) };
        let whole = gpu.buffer(4 * (m * (n + k) + 8) as u64)?;
        let x: Vec<u8> = case.activations().iter().flat_map(|x| x.to_le_bytes()).collect();
        whole.write(&stream, &x)?;
        // SAFETY: as above.
        let all = unsafe { View::from_raw(whole.address(), whole.bytes()) };
        let after = (x.len() as u64).next_multiple_of(16);
        let x = all.slice(0..after).ok_or("no activations")?;
        let y = all.slice(after..whole.bytes()).ok_or("no output")?;
        weights.launch_matmul(&stream, x, y, m as u32)?;
        own.synchronize()?;
        let mut bytes = vec![0; whole.bytes() as usize];
        whole.read(&own, &mut bytes)?;
        let outputs = floats(&bytes[after as usize..], m * n);
        passed(case.compare("caller's memory, matmul", Output::Matmul(&outputs)))?;

        let one = gpu.buffer(4 * n as u64)?;
        weights.prepare(Kind::Matvec, Element::F32)?;
        weights.launch_matvec(&stream, x, &one)?;
        let mut bytes = vec![0; 4 * n];
        one.read(&own, &mut bytes)?;
        let outputs = floats(&bytes, n);
        passed(case.compare("caller's memory, matvec", Output::Matvec(&outputs)))?;

        // Added to what the matvec left; the bias begins where 4 floats could not.
        let bias: Vec<f32> = (0..=n).map(|row| row as f32 / 64.0 - 0.25).collect();
        let words: Vec<u8> = bias.iter().flat_map(|bias| bias.to_le_bytes()).collect();
        let from = gpu.buffer(words.len() as u64)?;
        from.write(&stream, &words)?;
        let view = View::from(&from).slice(4..words.len() as u64);
        let epilogue = Epilogue { scale: 0.5, bias: view, add: true };
        weights.launch_matvec_with(&stream, x, &one, epilogue)?;
        let mut bytes = vec![0; 4 * n];
        one.read(&own, &mut bytes)?;
        let y = &floats(&bytes, n)[..];
        let epilogue = Epilogue { scale: 0.5, bias: Some(&bias[1..]), add: true };
        let output = Output::Epilogue { m: 1, epilogue, before: &outputs, y };
        passed(case.compare("caller's memory, epilogue", output))?;

        // 37 matrices of a row each, some of which are not there; few outputs and many.
        for used in [2, 61] {
            let experts = Experts { m: m as u32, used, matrices: n as u32 };
            let indices: Vec<u32> = (0..m as u32 * used).map(|output| output * 7 % 38).collect();
            let words: Vec<u8> = indices.iter().flat_map(|index| index.to_le_bytes()).collect();
            let named = gpu.buffer(words.len() as u64)?;
            named.write(&stream, &words)?;
            let y = gpu.buffer(4 * indices.len() as u64)?;
            let epilogue = Epilogue { scale: 0.5, bias: view, add: false };
            weights.launch_matmul_experts_with(&stream, all, &named, &y, experts, epilogue)?;
            let mut bytes = vec![0; 4 * indices.len()];
            y.read(&own, &mut bytes)?;
            let (values, indices) = (floats(&bytes, indices.len()), &indices[..]);
            let epilogue = Epilogue { scale: 0.5, bias: Some(&bias[1..]), add: false };
            let (before, y) = (&[][..], &values[..]);
            let output = Output::Experts { indices, experts, epilogue, before, y };
            passed(case.compare("caller's memory, experts", output))?;
        }

        // Some rows are not there.
        let rows = [36, 0, 37, 5, u32::MAX];
        let indices: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
        let named = gpu.buffer(indices.len() as u64)?;
        named.write(&stream, &indices)?;
        let found = gpu.buffer(4 * (rows.len() * k) as u64)?;
        weights.launch_gather(&stream, &named, &found, rows.len() as u32, Element::F32)?;
        let mut bytes = vec![0; 4 * rows.len() * k];
        found.read(&own, &mut bytes)?;
        let values = floats(&bytes, rows.len() * k);
        passed(case.compare("caller's memory, rows", Output::Rows(&rows, &values)))?;

        let decoded = gpu.buffer(4 * (n * k) as u64)?;
        weights.launch_dequant(&stream, &decoded, Element::F32)?;
        let mut bytes = vec![0; 4 * n * k];
        decoded.read(&own, &mut bytes)?;
        let values = floats(&bytes, n * k);
        passed(case.compare("caller's memory, f32", Output::Weights(&values)))?;
        weights.launch_dequant(&stream, &decoded, Element::F16)?;
        drop(weights); // which waits for the work that reads them
        let mut bytes = vec![0; 2 * n * k];
        decoded.read(&own, &mut bytes)?;
        let values: Vec<f16> =
            bytes.as_chunks().0.iter().map(|two| f16::from_le_bytes(*two)).collect();
        passed(case.compare("caller's memory, f16", Output::Halves(&values)))?;
    }
    Ok(())
}

fn floats(bytes: &[u8], count: usize) -> Vec<f32> {
    bytes.as_chunks().0.iter().take(count).map(|four| f32::from_le_bytes(*four)).collect()
}
