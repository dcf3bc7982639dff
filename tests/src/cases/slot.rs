//! The command that uses a few minutes on a GPU: on software Vulkan, and on a stand-in for CUDA some of whose
//! kernels are wrong or never end.

use crate::engine::{ENGINES, skip, trial};
use crate::stand_in::StandIn;
use crate::{Failed, test};
use libtest_mimic::{Completion, Trial};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::ignorable_test("slot/faults_are_named_and_left", || match StandIn::make()? {
            Ok(stand_in) => faults(&stand_in).map(|()| Completion::Completed),
            Err(reason) => skip("hip", &reason),
        }),
        test("slot/says_what_is_missing", says_what_is_missing),
    ];
    let wgsl = ENGINES.iter().find(|engine| engine.name == "wgsl");
    trials.extend(wgsl.map(|engine| trial("slot/wgsl".to_owned(), engine, |_| wgsl_slot())));
    trials
}

/// Results of a folder.
fn lines(folder: &Path) -> Result<Vec<Value>, Failed> {
    let text = std::fs::read_to_string(folder.join("rows.jsonl"))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The results of one part that are of this kind.
fn of<'a>(lines: &'a [Value], part: &str, kind: &str) -> Vec<&'a Value> {
    let own = lines.iter().filter(|line| line["part"] == part);
    own.map(|line| &line["result"][kind]).filter(|result| !result.is_null()).collect()
}

fn said(output: &Output) -> String {
    let [out, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{errors}")
}

/// The arguments of a run into a folder.
fn arguments<'a>(command: &'a mut Command, seconds: u64, folder: &Path) -> &'a mut Command {
    command.args(["slot", "--seconds", &seconds.to_string(), "--out"]).arg(folder)
}

/// Kernels that never end are left, one that computes nothing is named, the next part runs; and a run that
/// is killed then has all that, for a report.
fn faults(stand_in: &StandIn) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("made/when/needed");
    let mut command = stand_in.command()?;
    arguments(&mut command, 600, &out).args(["--device", "cuda", "--limit", "10"]);
    command.env("STAND_IN_NEVER", "dequant_f16").env("STAND_IN_WRONG", "matvec_i8");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let started = Instant::now();
    let measured = || lines(&out).is_ok_and(|lines| !of(&lines, "bench", "measured").is_empty());
    while !measured() && started.elapsed() < Duration::from_secs(150) {
        sleep(Duration::from_millis(50));
    }
    child.kill()?;
    child.wait()?;
    let lines = lines(&out)?;
    let faults = of(&lines, "verify", "fault");
    let hang = |fault: &&Value| fault["reason"].as_str().is_some_and(|text| text.contains("hangs"));
    let left = of(&lines, "verify", "not-begun").len();
    let (code, report) = report(&out)?;
    match faults.len() == 2
        && faults.iter().all(hang)
        && left == 1
        && report.contains("matvec, int8: WRONG: NMSE")
        && report.contains("the device failed twice")
        && code == Some(1)
    {
        true => only_whole_lines(&out),
        false => Err(report.into()),
    }
}

/// What was being written when a run ended is no result, and another run needs another folder.
fn only_whole_lines(folder: &Path) -> Result<(), Failed> {
    let path = folder.join("rows.jsonl");
    let text = std::fs::read_to_string(&path)? + "{\"at\": 1.0, \"sec";
    std::fs::write(&path, &text)?;
    let (code, report) = report(folder)?;
    let mut again = Command::new(std::env::current_exe()?);
    let again = arguments(&mut again, 5, folder).output()?;
    let refused = again.status.code() == Some(2) && said(&again).contains("is there already");
    match code == Some(1) && refused && std::fs::read_to_string(&path)? == text {
        true => Ok(()),
        false => Err((report + &said(&again)).into()),
    }
}

/// The report of a folder, and the exit code.
fn report(folder: &Path) -> Result<(Option<i32>, String), Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["slot", "--report"]).arg(folder).output()?;
    Ok((output.status.code(), said(&output)))
}

/// Every part has results on software Vulkan.
fn wgsl_slot() -> Result<(), Failed> {
    const SECONDS: u64 = 25;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    let started = Instant::now();
    let output =
        arguments(&mut command, SECONDS, folder.path()).args(["--device", "wgpu"]).output()?;
    let took = started.elapsed();
    let lines = lines(folder.path())?;
    let has = |part, kind| !of(&lines, part, kind).is_empty();
    let drawn = std::fs::read_to_string(folder.path().join("report.svg"))?.contains("<rect");
    match output.status.success()
        && took < Duration::from_secs(SECONDS + 10)
        && has("look", "found")
        && has("verify", "right")
        && has("bench", "measured")
        && lines.iter().any(|line| line["part"] == "tune")
        && drawn
    {
        true => Ok(()),
        false => Err(format!("{took:?}\n{}", said(&output)).into()),
    }
}

/// Without a device there is an error that names what was looked for, and lines that say the same.
fn says_what_is_missing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    let amd = arguments(&mut command, 10, folder.path()).args(["--device", "amd"]).output()?;
    let there = quantloom::hip::Hip::amd(0).is_ok();
    let says = said(&amd).contains("libamdhip64") && amd.status.code() == Some(2);
    match there || says && of(&lines(folder.path())?, "look", "skipped").len() == 1 {
        true => Ok(()),
        false => Err(said(&amd).into()),
    }
}
