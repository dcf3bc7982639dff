//! `cargo xtask bench cpu`: the CPU kernels beside ggml, candle and what the machine can do.

mod candle;
mod ceilings;
mod contender;
mod formats;
mod ggml;
mod machine;
#[path = "../../src/bench/options.rs"]
mod options;
mod ours;
mod plot;
mod report;
mod run;
#[path = "../../src/bench/spread.rs"]
mod spread;
mod table;
#[path = "../../src/bench/timing.rs"]
mod timing;
mod verdict;
#[path = "../../src/bench/weights.rs"]
mod weights;

use clap::Parser;
use options::Cpu;
use report::{Finding, Report, Run};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use verdict::verdicts;

/// Anything that keeps it from measuring.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What follows `cargo xtask bench`.
#[derive(Parser)]
#[command(bin_name = "cargo xtask bench")]
enum Arguments {
    Cpu(Cpu),
}

/// Set in a process that measures: the number of its threads.
const THREADS: &str = "QUANTLOOM_BENCH_THREADS";

fn main() -> ExitCode {
    let Arguments::Cpu(options) = Arguments::parse();
    let outcome = match std::env::var(THREADS) {
        Ok(threads) => worker(&options, &threads).map(|()| ExitCode::SUCCESS),
        Err(_) => parent(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

/// Measures, and hands every finding to the parent at once.
fn worker(options: &Cpu, threads: &str) -> Result<()> {
    run::run(options, threads.parse()?, &mut |finding| {
        let mut line = serde_json::to_vec(&finding)?;
        line.push(b'\n');
        Ok(std::io::stdout().write_all(&line)?)
    })
}

/// Starts a process for each number of threads, since candle's is fixed with its first call, and
/// reports what they found.
fn parent(options: &Cpu) -> Result<ExitCode> {
    formats::check(&options.format)?;
    let counts = if options.threads.is_empty() { &[1, 2][..] } else { &options.threads };
    let root = std::env::var_os("QUANTLOOM_ROOT").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let file = |chosen: &Option<PathBuf>, name: &str| {
        chosen.clone().unwrap_or_else(|| root.join("target").join(name))
    };
    let (json, plot) =
        (file(&options.json, "bench-cpu.json"), file(&options.plot, "bench-cpu.svg"));
    if counts.contains(&0) {
        return Err("0 threads measure nothing".into());
    }
    let runs = counts.iter().map(|&threads| measure(threads)).collect::<Result<Vec<Run>>>()?;
    let report = Report { machine: machine::machine(), runs };
    print!("{}", table::text(&report));
    for path in [&json, &plot] {
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            std::fs::create_dir_all(folder)?;
        }
    }
    std::fs::write(&json, serde_json::to_vec_pretty(&report)?)?;
    plot::draw(&report, &plot)?;
    println!("\nwritten: {}, {}", json.display(), plot.display());
    let failures: Vec<&str> = report.runs.iter().filter_map(|run| run.failure.as_deref()).collect();
    match failures.as_slice() {
        [] => Ok(ExitCode::from(u8::from(report.ours_wrong()))),
        failures => Err(failures.join("; ").into()),
    }
}

/// The same arguments in a process that measures with so many threads. What it found counts even where
/// it fails later.
fn measure(threads: usize) -> Result<Run> {
    eprintln!("== {threads} thread{}", if threads == 1 { "" } else { "s" });
    let mut run = Run { threads, others: None, ceilings: vec![], rows: vec![], failure: None };
    let number = threads.to_string();
    let mut process = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(THREADS, &number)
        .env("RAYON_NUM_THREADS", &number)
        .env("CANDLE_NUM_THREADS", &number)
        .stdout(Stdio::piped())
        .spawn()?;
    for line in process.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        match serde_json::from_str(&line?)? {
            Finding::Others(others) => run.others = Some(others),
            Finding::Ceiling(ceiling) => {
                eprintln!("{}", table::ceiling(&ceiling));
                run.ceilings.push(ceiling);
            }
            Finding::Row(mut row) => {
                row.verdicts = verdicts(&row, &run.ceilings, threads);
                table::lines(&row).iter().for_each(|line| eprintln!("{line}"));
                run.rows.push(row);
            }
        }
    }
    let status = process.wait()?;
    if !status.success() {
        run.failure = Some(format!("the process with {number} threads failed: {status}"));
    }
    for row in &mut run.rows {
        row.verdicts = verdicts(row, &run.ceilings, threads);
    }
    Ok(run)
}
