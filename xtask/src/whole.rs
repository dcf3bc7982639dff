//! `gen --whole`: every kernel's text by itself, for tools and people who compile by hand.

use crate::failure::Outcome;
use crate::files;
use crate::print;
use quantloom_codegen::Compiled;
use quantloom_codegen::artifact::{
    Activations, Artifact, Backend, Binding, Grid, Kernel, Kind, Role,
};
use serde_json::{Value, json};
use std::path::Path;

/// Writes `{backend}/{kernel}.{backend}` for every kernel, and `{backend}/kernels.json` with their facts.
pub fn write(compiled: &[Compiled], quantizers: &[Kernel], folder: &Path) -> Outcome {
    let of_formats = compiled.iter().flat_map(|Compiled { artifact, .. }| {
        artifact.kernels.iter().map(move |kernel| (Some(artifact), kernel))
    });
    let all: Vec<(Option<&Artifact>, &Kernel)> =
        of_formats.chain(quantizers.iter().map(|kernel| (None, kernel))).collect();
    for backend in [Backend::Wgsl, Backend::Hip] {
        let folder = folder.join(backend.word());
        let own = || all.iter().filter(|(_, kernel)| kernel.backend == backend);
        for (_, kernel) in own() {
            files::write(&folder.join(file(kernel)), kernel.source().as_bytes())?;
        }
        let facts: Vec<Value> = own().map(|(format, kernel)| facts(*format, kernel)).collect();
        files::write(&folder.join("kernels.json"), format!("{:#}\n", json!(facts)).as_bytes())?;
    }
    print::out(format!("{} in {}\n", print::count(all.len(), "kernel"), files::shown(folder)))
}

fn file(kernel: &Kernel) -> String {
    format!("{}.{}", kernel.name, kernel.backend.word())
}

/// Of the kernel of a format, or of one that belongs to none.
fn facts(format: Option<&Artifact>, kernel: &Kernel) -> Value {
    let activations = match kernel.activations {
        Activations::Int8 => "int8",
        own => own.word(),
    };
    let mut facts = json!({
        "file": file(kernel),
        "name": kernel.name,
        "format": format.map_or("quantize", |format| &format.name),
        "kind": kernel.kind.word(),
        "activations": activations,
        "output": kernel.output.word(),
        "backend": kernel.backend.word(),
        "workgroup": kernel.workgroup,
        "grid": grid(kernel.grid),
        "bindings": kernel.bindings.iter().map(binding).collect::<Vec<Value>>(),
        "subgroups": kernel.subgroups,
        "padding": kernel.padding,
    });
    if let Some(format) = format {
        facts["bits"] = json!(format.bits_per_weight());
        if !format.tables.is_empty() {
            facts["tables"] = json!(format.tables);
        }
    }
    match kernel.grid {
        Grid::Rows { per_workgroup } => facts["rows"] = json!(per_workgroup),
        Grid::Tiles { n, .. } if !matches!(kernel.kind, Kind::Matmul | Kind::MatmulExperts) => {
            facts["rows"] = json!(n);
        }
        _ => {}
    }
    facts
}

fn grid(grid: Grid) -> Value {
    match grid {
        Grid::Strips { weights, strips, per_workgroup } => {
            json!({"kind": "strips", "weights": weights, "strips": strips, "per_workgroup": per_workgroup})
        }
        Grid::Rows { per_workgroup } => json!({"kind": "rows", "per_workgroup": per_workgroup}),
        Grid::Tiles { n, m } => json!({"kind": "tiles", "n": n, "m": m}),
        Grid::Chunks { per_workgroup } => json!({"kind": "chunks", "per_workgroup": per_workgroup}),
    }
}

fn binding(binding: &Binding) -> Value {
    let role = match binding.role {
        Role::Weights(stream) => {
            return json!({"name": binding.name, "role": "weights", "stream": stream});
        }
        Role::Tables => "tables",
        Role::Activations => "activations",
        Role::Output => "output",
        Role::Shape => "shape",
        Role::Bias => "bias",
        Role::Indices => "indices",
    };
    json!({"name": binding.name, "role": role})
}
