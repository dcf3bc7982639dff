//! A headless Chromium with one page, driven through the DevTools protocol: messages of JSON over two
//! pipes. All tests share it. Debian: `apt-get install --no-install-recommends chromium`.

use crate::Failed;
use crate::engine::skip;
use libtest_mimic::{Completion, Trial};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running browser.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// Its profile and log, and files for pages to come from.
    folder: TempDir,
    /// Names the page in messages.
    session: Option<String>,
    calls: u64,
    /// Events that nothing has waited for yet.
    events: VecDeque<Value>,
    complaints: Vec<String>,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// Whether dark colours are preferred.
    pub dark: bool,
}

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Programs to try.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What it is started with. It shows only pages of ours: as root, as in containers, there is no
/// sandbox. WebGPU is that of SwiftShader, which computes on the CPU and is always there; it takes
/// seconds to compile the zeroing of workgroup memory, which kernels do not rely on.
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-dawn-features=disable_workgroup_init",
    "--remote-debugging-pipe",
];

/// A test in the browser. Without one the test is skipped with the reason, or fails where the
/// environment's `REQUIRE` names `browser`.
pub fn trial(
    name: String,
    test: impl FnOnce(&mut Browser) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || match &mut *shared() {
        Ok(browser) => test(browser).map(|()| Completion::Completed),
        Err(reason) => skip("browser", reason),
    })
}

type Shared = Result<Browser, String>;

fn shared() -> MutexGuard<'static, Shared> {
    BROWSER.lock().unwrap_or_else(PoisonError::into_inner)
}

static BROWSER: LazyLock<Mutex<Shared>> = LazyLock::new(|| Mutex::new(Browser::start()));

/// Ends the shared browser, where it was started.
pub fn close() {
    if let Some(browser) = LazyLock::get(&BROWSER) {
        let mut browser = browser.lock().unwrap_or_else(PoisonError::into_inner);
        *browser = Err("it was closed".to_owned());
    }
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// What to install, or what it said before it ended.
    pub fn start() -> Result<Browser, String> {
        let runs = |program: &&&str| {
            let version = Command::new(program).arg("--version").stderr(Stdio::null()).output();
            version.is_ok_and(|output| output.status.success())
        };
        let program = PROGRAMS.iter().find(runs).ok_or_else(|| {
            let tried = PROGRAMS.join(", ");
            format!("none of {tried} runs; apt-get install --no-install-recommends chromium")
        })?;
        Browser::with(program).map_err(|error| format!("{program}: {error}"))
    }

    fn with(program: &str) -> Result<Browser, String> {
        let failed = |error: std::io::Error| error.to_string();
        let folder = tempfile::tempdir().map_err(failed)?;
        let log = File::create(folder.path().join("log")).map_err(failed)?;
        // The browser reads messages from descriptor 3 and writes them to 4; a shell gives it ours.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>&2", "sh", program])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("it has no pipes".to_owned());
        };
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let message = message.ok().and_then(|text| serde_json::from_slice(&text).ok());
                if message.is_none_or(|message| sender.send(message).is_err()) {
                    break;
                }
            }
        });
        let mut browser = Browser {
            process,
            input,
            messages,
            folder,
            session: None,
            calls: 0,
            events: VecDeque::new(),
            complaints: Vec::new(),
        };
        browser.attach()?;
        Ok(browser)
    }

    /// Opens the page.
    fn attach(&mut self) -> Result<(), String> {
        let page = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", attach)?;
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(())
    }

    /// A folder for files that pages come from.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Chooses how pages are looked at.
    ///
    /// # Errors
    /// What the browser says.
    pub fn view(&mut self, view: View) -> Result<(), String> {
        let View { width, height, dark } = view;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media)?;
        Ok(())
    }

    /// Opens a file in the page and waits until all of it is there.
    ///
    /// # Errors
    /// What the browser says.
    pub fn open(&mut self, file: &Path) -> Result<(), String> {
        self.events.clear();
        let url = format!("file://{}", file.display());
        let started = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = started["errorText"].as_str() {
            return Err(format!("{url}: {error}"));
        }
        let until = Instant::now() + PATIENCE;
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let event = self.receive(until).map_err(|error| format!("{url}: {error}"))?;
            self.take(event);
        }
        self.events.clear();
        Ok(())
    }

    /// The value of a script, awaited.
    ///
    /// # Errors
    /// What it throws.
    pub fn evaluate(&mut self, script: &str) -> Result<Value, String> {
        let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", parameters)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(exception(details)),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Errors and warnings that pages have put on the console since the last call.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Calls a method of the protocol, of the page once it is there.
    fn call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.input.write_all(&bytes).and_then(|()| self.input.flush());
        sent.map_err(|error| format!("{method}: {error}\n{}", self.log()))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let mut answer = self.receive(until).map_err(|error| format!("{method}: {error}"))?;
            if answer["id"] != id {
                self.take(answer);
                continue;
            }
            return match answer.get("error") {
                Some(error) => Err(format!("{method}: {}", error["message"])),
                None => Ok(answer["result"].take()),
            };
        }
    }

    fn receive(&mut self, until: Instant) -> Result<Value, String> {
        let left = until.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("no answer in {} s", PATIENCE.as_secs()),
            RecvTimeoutError::Disconnected => format!("the browser ended\n{}", self.log()),
        })
    }

    /// Keeps an event, and what it complains of.
    fn take(&mut self, event: Value) {
        let parameters = &event["params"];
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(exception(&parameters["exceptionDetails"]));
            }
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"]
                    .iter()
                    .any(|kind| parameters["type"] == *kind) =>
            {
                let said = parameters["args"].as_array().into_iter().flatten();
                let said = said.map(|said| text(said.get("value").unwrap_or(&said["description"])));
                self.complaints.push(said.collect::<Vec<_>>().join(" "));
            }
            Some("Log.entryAdded")
                if ["error", "warning"].iter().any(|l| parameters["entry"]["level"] == *l) =>
            {
                let entry = &parameters["entry"];
                self.complaints.push(format!("{} {}", text(&entry["text"]), text(&entry["url"])));
            }
            Some(_) => self.events.push_back(event),
            None => {}
        }
    }

    /// The last lines of what it wrote to standard error.
    fn log(&self) -> String {
        let file = File::open(self.folder.path().join("log"));
        let lines = file.map(|file| BufReader::new(file).lines().map_while(Result::ok).collect());
        let lines: Vec<String> = lines.unwrap_or_default();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

fn exception(details: &Value) -> String {
    let description = details["exception"]["description"].as_str();
    description.or(details["text"].as_str()).unwrap_or("an exception").to_owned()
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, it ends all its processes; then the profile can be removed.
        self.session = None;
        let until = Instant::now() + Duration::from_secs(5);
        if self.call("Browser.close", json!({})).is_ok() {
            while Instant::now() < until && matches!(self.process.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
