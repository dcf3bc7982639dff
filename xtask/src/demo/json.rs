//! The report for programs.

use super::measure::{Found, M, Measured, Report};
use quantloom::verify::compare::LIMIT;
use serde_json::{Map, Value, json};

/// One JSON object. Times are seconds; errors are relative to Σ|w·x|, null where they are not finite.
pub fn text(report: &Report) -> String {
    let engines = report.engines.iter().map(|present| {
        let preparation = present.preparation.as_secs_f64();
        let name = present.engine.name();
        json!({ "name": name, "device": present.device.name(), "preparation_seconds": preparation })
    });
    let missing = report
        .missing
        .iter()
        .map(|(engine, problem)| json!({ "name": engine.name(), "problem": problem }));
    let unknown =
        report.unknown.iter().map(|(name, number)| json!({ "name": name, "type_number": number }));
    let value = json!({
        "file": report.file,
        "agrees": report.differing() == 0,
        "limit": LIMIT,
        "activation_rows": M,
        "seconds": report.elapsed.as_secs_f64(),
        "engines": engines.collect::<Value>(),
        "missing_engines": missing.collect::<Value>(),
        "tensors": report.tensors.iter().map(|t| tensor(t, report)).collect::<Value>(),
        "unknown_tensors": unknown.collect::<Value>(),
    });
    format!("{value:#}\n")
}

fn tensor(tensor: &Measured, report: &Report) -> Value {
    let results = report.engines.iter().zip(&tensor.results);
    let results = results.map(|(present, found)| {
        let value = match found {
            Ok(found) => result(found),
            Err(problem) => json!({ "agrees": false, "problem": problem }),
        };
        (present.engine.name().to_owned(), value)
    });
    json!({
        "name": tensor.name,
        "format": tensor.format.name,
        "dims": tensor.dims,
        "n": tensor.n,
        "k": tensor.k,
        "bits_per_weight": tensor.format.bits_per_weight(),
        "bytes": tensor.bytes,
        "agrees": tensor.agrees(),
        "engines": results.collect::<Map<String, Value>>(),
    })
}

fn result(found: &Found) -> Value {
    let times = found.times;
    json!({
        "agrees": found.agrees(),
        "dequantize": {
            "different_weights": found.decoded.different,
            "flushed_subnormals": found.decoded.flushed,
            "seconds": times.dequantize.as_secs_f64(),
        },
        "matvec": { "error": found.matvec, "seconds": times.matvec.as_secs_f64() },
        "matmul": { "error": found.matmul, "seconds": times.matmul.as_secs_f64() },
    })
}
