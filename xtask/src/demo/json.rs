//! The report for programs.

use super::measure::{Found, M, Measured, Report};
use quantloom::verify::compare::LIMIT;
use quantloom::verify::finite::NotFinite;
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
    let unusable = report.unusable.iter().map(|tensor| {
        json!({ "name": tensor.name, "type_number": tensor.type_number, "problem": tensor.problem })
    });
    let value = json!({
        "file": report.file,
        "agrees": report.differing() == 0,
        "limit": LIMIT,
        "activation_rows": M,
        "seconds": report.elapsed.as_secs_f64(),
        "engines": engines.collect::<Value>(),
        "missing_engines": missing.collect::<Value>(),
        "tensors": report.tensors.iter().map(|t| tensor(t, report)).collect::<Value>(),
        "unusable_tensors": unusable.collect::<Value>(),
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
        "not_finite": tensor.not_finite.as_ref().map(|(first, rows)| {
            let NotFinite { row, weight, field, value, .. } = first;
            json!({ "rows": rows, "row": row, "weight": weight, "field": field, "value": value.to_string() })
        }),
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
