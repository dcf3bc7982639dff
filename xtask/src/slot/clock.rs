//! Clocks and memory of NVIDIA's GPU while something runs, as nvidia-smi tells them.

use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What was read, over some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub name: String,
    pub driver: String,
    /// Least and most, of the multiprocessors.
    pub sm_mhz: [f64; 2],
    /// Least and most, of the memory.
    pub memory_mhz: [f64; 2],
    /// Most.
    pub used_mib: f64,
    pub total_mib: f64,
    /// Highest.
    pub celsius: f64,
    /// Highest.
    pub watts: f64,
}

/// What is asked for, in the order of [`parse`].
const QUERY: &str = "--query-gpu=name,driver_version,clocks.sm,clocks.mem,memory.used,memory.total,\
                     temperature.gpu,power.draw";

/// nvidia-smi, which goes on reading.
pub struct Clock {
    child: Child,
    readings: Arc<Mutex<Readings>>,
}

#[derive(Default)]
struct Readings {
    last: Option<Reading>,
    /// Since somebody took them.
    since: Option<Reading>,
}

impl Clock {
    /// None where there is no nvidia-smi.
    pub fn start() -> Option<Clock> {
        let mut child = Command::new("nvidia-smi")
            .args([QUERY, "--format=csv,noheader,nounits", "--id=0", "--loop-ms=200"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let readings = Arc::new(Mutex::new(Readings::default()));
        let (stdout, shared) = (child.stdout.take()?, readings.clone());
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(reading) = parse(&line) {
                    let mut readings = lock(&shared);
                    let before = readings.since.take();
                    readings.since = Some(before.map_or(reading.clone(), |own| own.and(&reading)));
                    readings.last = Some(reading);
                }
            }
        });
        Some(Clock { child, readings })
    }

    /// What was read since the last call, or the last reading before it.
    pub fn take(&self) -> Option<Reading> {
        let mut readings = lock(&self.readings);
        readings.since.take().or_else(|| readings.last.clone())
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(readings: &Mutex<Readings>) -> MutexGuard<'_, Readings> {
    readings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of nvidia-smi's. What a GPU does not tell is "[N/A]" there, and 0 here.
fn parse(line: &str) -> Option<Reading> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [name, driver, sm, memory, used, total, celsius, watts] = fields.as_slice() else {
        return None;
    };
    let number = |text: &str| text.parse().unwrap_or(0.0);
    Some(Reading {
        name: (*name).to_owned(),
        driver: (*driver).to_owned(),
        sm_mhz: [number(sm); 2],
        memory_mhz: [number(memory); 2],
        used_mib: number(used),
        total_mib: number(total),
        celsius: number(celsius),
        watts: number(watts),
    })
}

impl Reading {
    /// Both together.
    fn and(self, other: &Reading) -> Reading {
        let span = |[a, b]: [f64; 2], [c, d]: [f64; 2]| [a.min(c), b.max(d)];
        Reading {
            sm_mhz: span(self.sm_mhz, other.sm_mhz),
            memory_mhz: span(self.memory_mhz, other.memory_mhz),
            used_mib: self.used_mib.max(other.used_mib),
            celsius: self.celsius.max(other.celsius),
            watts: self.watts.max(other.watts),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_spans() {
        let line = "NVIDIA H200, 580.159.04, 345, 3201, 4, 143771, 27, 75.21";
        let idle = parse(line).unwrap();
        let busy = parse("NVIDIA H200, 580.159.04, 1980, 3201, 9000, 143771, 44, [N/A]").unwrap();
        let both = idle.and(&busy);
        assert_eq!((both.sm_mhz, both.memory_mhz), ([345.0, 1980.0], [3201.0; 2]));
        assert_eq!((both.used_mib, both.celsius, both.watts), (9000.0, 44.0, 75.21));
        assert_eq!(parse("No devices were found"), None);
    }
}
