//! `bench gpu`: GPUs' kernels beside what the GPU can do.

#[cfg(feature = "engines")]
mod call;
#[cfg(feature = "engines")]
mod ceiling;
#[cfg(feature = "engines")]
mod hip;
#[cfg(feature = "engines")]
mod machine;
mod options;
#[cfg(feature = "engines")]
mod plot;
#[cfg(feature = "engines")]
mod report;
#[cfg(feature = "engines")]
mod run;
#[cfg(feature = "engines")]
mod table;
#[cfg(feature = "engines")]
mod target;
#[cfg(all(test, feature = "engines"))]
mod tests;
#[cfg(feature = "engines")]
mod wgpu;

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
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let written = folder.and_then(|()| std::fs::write(path, text));
        written.map_err(|error| files::cannot("write", path, error))?;
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
