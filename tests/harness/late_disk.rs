//! Owns a disk that is late for some threads of a running process: strace, which holds up their
//! next sync, or all. Knows nothing of what they sync. Invariant: it lets go of the process when it
//! is dropped, and the process goes on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::report::say;

/// Syncs of the threads are late.
#[derive(Debug)]
pub struct LateDisk {
    strace: Child,
    calls: PathBuf,
}

impl LateDisk {
    /// Holds up the next sync of every thread of this name; `None` where there is no strace, which
    /// is said. The calls are written down in a file of `folder`.
    ///
    /// # Panics
    /// If there is no such thread, or it cannot be watched; where `CI` is set also without strace.
    #[must_use]
    pub fn of(process: u32, thread: &str, by: Duration, folder: &Path) -> Option<Self> {
        Self::at(process, thread, by, "1", folder)
    }

    /// The same for every sync from now on.
    ///
    /// # Panics
    /// As [`Self::of`].
    #[must_use]
    pub fn throughout(process: u32, thread: &str, by: Duration, folder: &Path) -> Option<Self> {
        Self::at(process, thread, by, "1+", folder)
    }

    fn at(process: u32, thread: &str, by: Duration, when: &str, folder: &Path) -> Option<Self> {
        if Command::new("strace").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "strace is missing");
            say("SKIPPED: strace is missing");
            return None;
        }
        let threads = named(process, thread);
        assert!(!threads.is_empty(), "no thread {thread}");
        let calls = folder.join("calls");
        let delay = format!("inject=fdatasync:delay_enter={}:when={when}", by.as_micros());
        let mut strace = Command::new("strace");
        strace.args(["-e", "trace=fdatasync", "-e", &delay, "-o"]).arg(&calls);
        for thread in &threads {
            strace.args(["-p", thread]);
        }
        let mut strace = strace.stderr(Stdio::piped()).spawn().expect("strace starts");
        let mut said = BufReader::new(strace.stderr.take().expect("a pipe"));
        for _ in &threads {
            let mut attached = String::new();
            said.read_line(&mut attached).expect("text");
            assert!(attached.contains("attached"), "{attached:?}");
        }
        Some(Self { strace, calls })
    }

    /// Syncs that were late.
    ///
    /// # Panics
    /// If the list of calls cannot be read.
    #[must_use]
    pub fn delayed(&self) -> usize {
        fs::read_to_string(&self.calls).expect("a list of calls").matches("(DELAYED)").count()
    }
}

impl Drop for LateDisk {
    fn drop(&mut self) {
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It has ended if the process has.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.strace.wait();
    }
}

/// The threads of this name.
fn named(process: u32, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    tasks
        .map(|entry| entry.expect("a thread").path())
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|c| c.trim() == name))
        .filter_map(|task| Some(task.file_name()?.to_str()?.to_owned()))
        .collect()
}
