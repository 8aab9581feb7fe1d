//! Belongs here: failures that end the process. Each runs in a child of this test binary.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Child, Output};
use std::sync::Arc;

use engine::{Frame, StateMachine};
use journal::{GroupSink, SyncHandle, SyncPolicy};
use pipeline::{ManualClock, Outlet, SystemClock, recover, start};

use crate::harness::{Desk, Outlets, bare, options, running_with, submit};
use crate::toy::{Command, Event, Sum};

const DIR_VARIABLE: &str = "PIPELINE_TEST_CHILD_DIR";
const SIGABRT: i32 = 6;

/// Runs one of the ignored tests below in a process of its own.
fn child(test: &str, dir: &Path) -> Output {
    Child::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("failure::{test}"), "--ignored", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .output()
        .unwrap()
}

/// The directory given by the parent; `None` when the test is not run as a child.
fn child_dir() -> Option<PathBuf> {
    std::env::var_os(DIR_VARIABLE).map(PathBuf::from)
}

fn assert_aborted(test: &str, message: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let output = child(test, dir.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGABRT), "{test}: {said}");
    assert!(said.contains(message), "{test}: {said}");
    assert!(!said.contains("was answered"), "{test}: {said}");
    dir
}

#[test]
fn a_panic_in_the_core_ends_the_process() {
    let dir = assert_aborted("child_core", "fatal: stage core: panicked");
    let options = options(dir.path(), SyncPolicy::Os);
    let journaled = crate::harness::journal_records(&options.data_dir).len();
    assert!(journaled >= 2, "what was answered before is still there: {journaled}");
}

#[test]
#[ignore = "child of a_panic_in_the_core_ends_the_process"]
fn child_core() {
    let Some(dir) = child_dir() else { return };
    let options = options(&dir, SyncPolicy::Os);
    let running = running_with(&options, Vec::new(), Arc::new(SystemClock::new()));
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(1), &desk);
    assert_eq!(desk.wait(1).len(), 1);
    submit(&running.ingress(), Command::Panic, &desk);
    panic!("{:?} was answered", desk.wait(1));
}

struct Bomb;

impl Outlet<Sum> for Bomb {
    fn section(&self) -> Option<&'static str> {
        None
    }

    fn publish(&mut self, _frame: &Frame<Command>, events: &[Event]) {
        assert!(events.is_empty(), "bomb");
    }
}

#[test]
fn a_panic_in_an_outlet_ends_the_process() {
    assert_aborted("child_publisher", "fatal: stage publisher: panicked");
}

#[test]
#[ignore = "child of a_panic_in_an_outlet_ends_the_process"]
fn child_publisher() {
    let Some(dir) = child_dir() else { return };
    let outlets: Outlets = vec![Box::new(Bomb)];
    let options = options(&dir, SyncPolicy::Os);
    let running = running_with(&options, outlets, Arc::new(SystemClock::new()));
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(1), &desk);
    panic!("{:?} was answered", desk.wait(1));
}

/// Lets so many syncs and stores pass, then fails.
struct Failing {
    below: Box<dyn GroupSink>,
    puts_left: u32,
    syncs_left: u32,
}

impl GroupSink for Failing {
    fn put(&mut self, offset: u64, group: &[u8]) -> io::Result<()> {
        self.puts_left =
            self.puts_left.checked_sub(1).ok_or_else(|| io::Error::other("injected store"))?;
        self.below.put(offset, group)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs_left =
            self.syncs_left.checked_sub(1).ok_or_else(|| io::Error::other("injected sync"))?;
        self.below.sync()
    }

    fn sync_handle(&self) -> io::Result<Box<dyn SyncHandle>> {
        self.below.sync_handle()
    }
}

/// Answers one command, then loses the disk under the journal or under the event log.
fn lose_the_disk(dir: &Path, under_journal: bool) {
    let options = options(dir, SyncPolicy::Group);
    let mut recovered = recover(&options, bare).unwrap();
    let (journal, events) = recovered.writers_mut();
    if under_journal {
        // One sync for the epoch, one for the first command.
        journal.layer_sinks(|_, below| {
            Box::new(Failing { below, puts_left: u32::MAX, syncs_left: 2 })
        });
    } else {
        events.layer_sinks(|_, below| {
            Box::new(Failing { below, puts_left: 1, syncs_left: u32::MAX })
        });
    }
    // Time stands still, so no idle group takes a store or a sync.
    let running = start(recovered, &options, Arc::new(ManualClock::new(5))).unwrap();
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(1), &desk);
    assert_eq!(desk.wait(1).len(), 1);
    submit(&running.ingress(), Command::Add(1), &desk);
    panic!("{:?} was answered", desk.wait(1));
}

#[test]
fn a_failed_sync_ends_the_process_unanswered() {
    let dir = assert_aborted("child_sync", "injected sync");
    // The group was stored: the next start finds it, with its event.
    let options = options(dir.path(), SyncPolicy::Group);
    let recovered = recover(&options, bare).unwrap();
    assert_eq!(recovered.instance.machine.last_sequence(), 3);
    assert_eq!(recovered.report.last_event_sequence, 2);
}

#[test]
#[ignore = "child of a_failed_sync_ends_the_process_unanswered"]
fn child_sync() {
    let Some(dir) = child_dir() else { return };
    lose_the_disk(&dir, true);
}

#[test]
fn a_failed_event_log_ends_the_process_unanswered() {
    let dir = assert_aborted("child_event_log", "fatal: stage publisher: ");
    let options = options(dir.path(), SyncPolicy::Group);
    let recovered = recover(&options, bare).unwrap();
    let report = &recovered.report;
    assert_eq!((report.events_compared, report.events_appended), (1, 1));
}

#[test]
#[ignore = "child of a_failed_event_log_ends_the_process_unanswered"]
fn child_event_log() {
    let Some(dir) = child_dir() else { return };
    lose_the_disk(&dir, false);
}
