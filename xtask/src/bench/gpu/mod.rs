//! `bench gpu`: GPUs' kernels beside what the GPU can do.

#[cfg(feature = "engines")]
pub mod bench;
#[cfg(feature = "engines")]
pub mod call;
#[cfg(feature = "engines")]
pub mod case;
#[cfg(feature = "engines")]
pub mod ceiling;
#[cfg(feature = "engines")]
pub mod hip;
#[cfg(feature = "engines")]
pub mod machine;
pub mod options;
#[cfg(feature = "engines")]
pub mod plot;
#[cfg(feature = "engines")]
pub mod report;
#[cfg(feature = "engines")]
pub mod run;
#[cfg(feature = "engines")]
pub mod table;
#[cfg(feature = "engines")]
pub mod target;
#[cfg(all(test, feature = "engines"))]
mod tests;
#[cfg(feature = "engines")]
pub mod wgpu;

use crate::failure::Outcome;
pub use options::Gpu as Options;

/// Runs the command, in a process that is optimized: the host's time counts too.
#[cfg(not(feature = "engines"))]
pub fn run(_: &Options) -> Outcome {
    crate::engine::rerun(crate::engine::Profile::Release)
}

/// Runs the command.
#[cfg(feature = "engines")]
pub fn run(options: &Options) -> Outcome {
    use crate::failure::Failure;
    use crate::{files, print};

    let asked = run::Asked::new(options).map_err(Failure::input)?;
    let report = run::run(&asked).map_err(Failure::input)?;
    print::out(table::text(&report))?;
    let target = files::root().join("target");
    let json = options.json.clone().unwrap_or_else(|| target.join("bench-gpu.json"));
    let plot = options.plot.clone().unwrap_or_else(|| target.join("bench-gpu.svg"));
    let text = serde_json::to_vec_pretty(&report).map_err(Failure::input)?;
    for (path, text) in [(&json, text), (&plot, plot::draw(&report)?.into_bytes())] {
        files::write(path, &text)?;
    }
    print::out(format!("\nwritten: {}, {}\n", files::shown(&json), files::shown(&plot)))?;
    match report.problems() {
        0 => Ok(()),
        number => Err(Failure::Differs(format!(
            "{} wrong or not measured; see above",
            print::count(number, "row")
        ))),
    }
}
