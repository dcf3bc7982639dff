//! A device's process: it takes jobs and gives answers, a line of JSON each.

use super::job::Job;
use super::line::{Named, Outcome};
use crate::bench::gpu::options::Api;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub named: Named,
    pub result: Outcome,
    /// Whether the job goes on, and another answer comes.
    pub more: bool,
}

/// What became of a question.
#[derive(Debug)]
pub enum Asked {
    Answered(Answer),
    /// There is no answer yet.
    Silent,
    /// The process has ended.
    Ended(String),
}

/// A running process.
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

/// For so long a process that was killed is waited for: a driver may hold it for ever.
const PATIENCE: Duration = Duration::from_secs(2);

impl Process {
    /// Starts this program again, as the worker of a device. What it prints goes to `log`.
    pub fn start(api: Api, log: &File) -> io::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["slot", "--worker", api.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone()?)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (stdin, stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, answers) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        Ok(Process { child, stdin, answers })
    }

    /// Gives it a job and waits for the first answer, for so long.
    pub fn ask(&mut self, job: &Job, limit: Duration) -> Asked {
        let asked = serde_json::to_vec(job).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            self.stdin.write_all(&text)
        });
        if asked.is_err() {
            return self.ended();
        }
        self.hear(limit)
    }

    /// Waits for the next answer, for so long.
    pub fn hear(&mut self, limit: Duration) -> Asked {
        match self.answers.recv_timeout(limit) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(answer) => Asked::Answered(answer),
                Err(error) => Asked::Ended(format!("its process says `{line}`: {error}")),
            },
            Err(RecvTimeoutError::Timeout) => Asked::Silent,
            Err(RecvTimeoutError::Disconnected) => self.ended(),
        }
    }

    fn ended(&mut self) -> Asked {
        Asked::Ended(match self.wait() {
            Some(status) => format!("its process ended: {status}"),
            None => "its process does not speak any more".to_owned(),
        })
    }

    fn wait(&mut self) -> Option<std::process::ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        self.wait();
    }
}
