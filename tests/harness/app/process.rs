//! Owns one running process and its log. Knows nothing of what it serves.
//! Invariant: it ends with its owner, and whoever waits for it waits for so long and no longer.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No start and no end takes longer than this; one that does hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const POLL: Duration = Duration::from_millis(2);

/// How a process ended that was expected to end by itself.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stderr: String,
}

/// What the system says of a process's memory, KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All that is resident, mapped files included.
    pub resident: u64,
    /// The most that has ever been resident.
    pub peak: u64,
    /// What is of no file.
    pub anonymous: u64,
}

/// What processes said that is worth keeping, over all their lives.
#[derive(Clone, Debug, Default)]
pub struct Remarks(Arc<Mutex<Said>>);

#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Lines of level ERROR, and what is no entry of a log at all.
    pub errors: Vec<String>,
    /// Lines of level WARN.
    pub warnings: Vec<String>,
    /// The snapshot that each start began with; 0 for one that began at the beginning.
    pub bases: Vec<u64>,
}

impl Remarks {
    /// All of it until now.
    ///
    /// # Panics
    /// If a reader of a log has panicked.
    #[must_use]
    pub fn said(&self) -> Said {
        self.0.lock().expect("no reader panics").clone()
    }

    fn note(&self, line: &str) {
        let entry: Value = serde_json::from_str(line).unwrap_or_default();
        let mut said = self.0.lock().expect("no reader panics");
        if entry["level"] == "ERROR" || entry.is_null() {
            said.errors.push(line.to_owned());
        } else if entry["level"] == "WARN" {
            said.warnings.push(line.to_owned());
        } else if let Some(base) = entry["fields"]["snapshot"].as_u64() {
            said.bases.push(base);
        }
    }
}

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: Receiver<String>,
}

impl Process {
    /// Starts it and returns at once.
    pub(super) fn start(mut command: Command, remarks: &Remarks) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stderr = child.stderr.take().expect("a pipe");
        let (sender, log) = channel();
        let remarks = remarks.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                remarks.note(&line);
                // Whoever does not read the log any more has no use for it.
                let _ = sender.send(line);
            }
        });
        Self { child, log }
    }

    /// Reads the log up to the entry of which `pick` makes something.
    pub(super) fn wait_for<T>(&mut self, pick: impl Fn(&Value) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let found = self.read_log(&mut seen, pick);
        found.unwrap_or_else(|| panic!("ended with {:?} after {seen:#?}", self.child.wait()))
    }

    /// The same; `None` if the process ends before.
    pub(super) fn wait_for_or_end<T>(&mut self, pick: impl Fn(&Value) -> Option<T>) -> Option<T> {
        self.read_log(&mut Vec::new(), pick)
    }

    fn read_log<T>(&self, seen: &mut Vec<String>, pick: impl Fn(&Value) -> Option<T>) -> Option<T> {
        loop {
            let line = match self.log.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("no progress after {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            if let Some(found) = pick(&serde_json::from_str(&line).unwrap_or_default()) {
                return Some(found);
            }
            seen.push(line);
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Ends it with SIGKILL: it can do nothing about it.
    pub(super) fn kill(mut self) {
        assert!(self.is_alive(), "there is a process to kill");
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Ends it with SIGKILL, unless it has ended by itself.
    pub(super) fn bury(mut self) {
        // It may have ended a moment ago.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may have ended a moment ago.
        let _ = kill_process(pid.expect("a process id"), signal);
    }

    /// Waits until it has ended.
    pub(super) fn wait(&mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            if asked.elapsed() > PATIENCE {
                self.child.kill().expect("a child can be killed");
                panic!("the process does not end");
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it has ended, and takes the log that nobody has read.
    pub(super) fn ended(mut self) -> Ended {
        let code = self.wait().code();
        Ended { code, stderr: self.log.iter().collect::<Vec<_>>().join("\n") }
    }

    /// Stops it where it is, and waits until the system says that it stands; its connections stay.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
        let asked = Instant::now();
        while !self.is_frozen() {
            assert!(asked.elapsed() < PATIENCE, "the process does not stop");
            thread::sleep(POLL);
        }
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn is_frozen(&self) -> bool {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        status.lines().any(|line| line.starts_with("State:") && line.contains('T'))
    }

    pub(super) fn memory(&self) -> Memory {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("a running process");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            number.unwrap_or_else(|| panic!("{name} in {status}"))
        };
        let (resident, peak) = (field("VmRSS:"), field("VmHWM:"));
        Memory { resident, peak, anonymous: field("RssAnon:") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is stopped would never hear of its end.
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < PATIENCE {
            thread::sleep(POLL);
        }
        // It has ended, or has to: there is nobody left to tell if that fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
