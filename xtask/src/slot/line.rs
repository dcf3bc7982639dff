//! Results as they come: a line of JSON each, flushed, and read again for the report.

use super::clock::Reading;
use super::job::{Job, Part};
use crate::bench::gpu::machine::Clock;
use crate::bench::gpu::options::Api;
use crate::bench::gpu::report::Row;
use crate::failure::{Failure, Outcome as Done};
use crate::files::{cannot, shown};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One result.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// Seconds from the start of the run to that of this.
    pub at: f64,
    /// Seconds that it took.
    pub seconds: f64,
    pub part: Part,
    /// None of what concerns the machine as a whole.
    pub device: Option<Api>,
    /// The device's name and its driver, once it is open.
    #[serde(flatten)]
    pub named: Named,
    /// Clocks, memory and the driver of NVIDIA's GPU meanwhile, where nvidia-smi tells.
    pub gpu: Option<Reading>,
    /// What was asked for.
    pub job: Option<Job>,
    pub result: Outcome,
}

/// Who a device is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Named {
    pub name: Option<String>,
    pub driver: Option<String>,
}

/// What became of a job.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The run began.
    Begun {
        version: String,
        date: String,
        /// For the whole run.
        budget_seconds: u64,
        machine: Vec<String>,
    },
    /// What there is.
    Found { facts: Vec<String> },
    /// Everything that was compared is right.
    Right {
        tensors: u64,
        weights: u64,
        outputs: u64,
        /// Where subnormals were taken for 0, as devices may.
        flushed: Vec<String>,
    },
    /// Bytes per second that a plain kernel reads.
    Reads { bytes_per_second: f64 },
    /// Samples and verdicts, or what is wrong with the result.
    Measured {
        clock: Clock,
        /// Bytes that copies of a tensor take together, at least.
        rotated_bytes: u64,
        row: Box<Row>,
    },
    /// A search ended; its table has what it found. Kernels of other schedules that are wrong have lines of
    /// their own.
    Tuned,
    /// It computes something else than it should.
    Wrong { reason: String },
    /// It could not be done.
    Failed { reason: String },
    /// The device cannot go on: it hung, ended its process, or fails whatever it is asked.
    Fault { reason: String },
    /// There is nothing to do.
    Skipped { reason: String },
    /// The time of its part ended while it ran.
    TimeUp,
    /// So many jobs of the part had no time left.
    NotBegun { jobs: usize, reason: String },
}

/// The file that lines are kept in.
const FILE: &str = "rows.jsonl";

/// A folder's lines, in the making.
pub struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Begins them in a folder that has none.
    pub fn new(folder: &Path) -> Done<Lines> {
        fs::create_dir_all(folder).map_err(|error| cannot("create", folder, error))?;
        let path = folder.join(FILE);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::input(format!(
                "{} is there already; name another folder with --out, or see what it has with --report",
                shown(&path)
            )),
            _ => cannot("create", &path, error),
        })?;
        Ok(Lines { path, file })
    }

    /// Keeps one.
    pub fn add(&mut self, line: &Line) -> Done {
        let mut text = serde_json::to_vec(line).map_err(Failure::input)?;
        text.push(b'\n');
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        written.map_err(|error| cannot("write", &self.path, error))
    }
}

/// All lines of a folder. What was being written when the run was ended is no line.
pub fn read(folder: &Path) -> Done<Vec<Line>> {
    let path = folder.join(FILE);
    let text = fs::read_to_string(&path).map_err(|error| cannot("read", &path, error))?;
    let mut whole = text.as_str();
    if let Some(end) = text.rfind('\n') {
        whole = &text[..end];
    }
    let lines = whole.lines().zip(1..).map(|(line, number)| {
        serde_json::from_str(line).map_err(|error| {
            Failure::input(format!(
                "{}:{number}: not a result of this version: {error}",
                shown(&path)
            ))
        })
    });
    lines.collect()
}
