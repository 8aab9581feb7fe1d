//! What belongs here: disks that answer with an error, or late. A sync that fails ends the process
//! at once: nothing is acknowledged after it, and nothing that it may have lost is believed later.

use std::fs;
use std::path::Path;
use std::process::Command;

use engine::Engine;
use rustix::process::Signal;
use tests::oracle::{Heard, judge};
use tests::report::say;

use crate::life::{Life, ended_by, hear, shown};
use crate::scene::folder;
use crate::syscalls::{has_strace, live_watched};

const SEED: u64 = 23;
const COMMANDS: u64 = 60;
/// Syncs of one thread that fail in turn: those of a recovery, and so many of the journaler.
const SYNCS: u64 = 24;

fn life(dir: &Path, first: u64, window: u64) -> Life<'_> {
    let (machine, policy, seed) = ("engine", "group", SEED);
    let commands = COMMANDS - first;
    let (allow_fs, wait, snapshots, arm) = (true, false, false, None);
    Life { dir, machine, policy, seed, first, commands, window, allow_fs, wait, snapshots, arm }
}

/// The process below strace, which injects this and writes down the calls.
fn strace(life: &Life<'_>, log: &Path, inject: &str) -> Command {
    let arguments = ["-f", "-e", "trace=fdatasync,fsync,write", "-e", inject, "-o"];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).into();
    arguments.push(log.display().to_string());
    life.below(Command::new("strace"), &arguments)
}

/// Goes on after a process that ended, and judges what all have left.
fn goes_on(dir: &Path, heard: &mut Heard) {
    life(dir, heard.first_unanswered(), 8).live(heard);
    let verdict = judge::<Engine>(dir, SEED, heard).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((verdict.commands, verdict.lost), (COMMANDS, 0), "{verdict:?}");
}

/// Answers that may still be on their way when a sync fails: one command at a time is under way,
/// and its answer may be said while the group that proves its own is synced.
const LATE_MAX: usize = 1;

fn fails(call: &str, nth: u64) -> bool {
    let root = folder();
    let (dir, log) = (root.path().join("data"), root.path().join("calls"));
    let mut heard = Heard::default();
    let inject = format!("inject={call}:error=EIO:when={nth}");
    let output = strace(&life(&dir, 0, 1), &log, &inject).output().expect("strace starts");
    let calls = fs::read_to_string(&log).expect("a list of calls");
    hear(&mut heard, &output);
    let Some((before, after)) = calls.split_once("(INJECTED)") else {
        assert!(heard.is_done, "{}", shown(&output));
        return false;
    };
    let thread = before.lines().next_back().and_then(|line| line.split(' ').next());
    let thread = thread.expect("a line begins with its thread");
    let is_retry = |line: &str| line.starts_with(thread) && line.contains(&format!("{call}("));
    assert!(ended_by(&output, Signal::ABORT), "{call} {nth}: {}", shown(&output));
    let late = after.matches("\"ack ").count();
    assert!(late <= LATE_MAX, "{call} {nth} failed, and then:\n{after}");
    assert!(
        !after.lines().any(is_retry),
        "{call} {nth}, and again:
{after}"
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("fatal: ") && told.contains("os error 5"), "{call} {nth}: {told}");
    goes_on(&dir, &mut heard);
    true
}

#[test]
fn a_sync_that_fails_ends_the_process_and_nothing_is_acknowledged_after_it() {
    if !has_strace() {
        return;
    }
    for call in ["fdatasync", "fsync"] {
        let failed = (1..=SYNCS).take_while(|nth| fails(call, *nth)).count();
        say(&format!("{call}: {failed} failed"));
        assert!(failed > 5, "{call}: {failed}");
    }
}

/// The first sync behind that of a start, which takes its time: nothing was answered before it.
#[test]
fn a_group_whose_sync_fails_is_never_acknowledged() {
    if !has_strace() {
        return;
    }
    let root = folder();
    let dir = root.path().join("data");
    let inject = ["-e", "inject=fdatasync:error=EIO:delay_enter=50000:when=1+"].map(str::to_owned);
    let output = live_watched(&life(&dir, 0, 8), ("matchring-jrnl", 0), &inject);
    let mut heard = Heard::default();
    hear(&mut heard, &output);
    assert!(ended_by(&output, Signal::ABORT), "{}", shown(&output));
    assert!(heard.acks.is_empty(), "acknowledged: {:?}", heard.acks);
    goes_on(&dir, &mut heard);
}

#[test]
fn a_slow_disk_makes_everything_slow_and_nothing_else() {
    if !has_strace() {
        return;
    }
    // Each sync 20 ms; then one of them two seconds.
    for (delay, when) in [(20_000, "1+"), (2_000_000, "9")] {
        let root = folder();
        let (dir, log) = (root.path().join("data"), root.path().join("calls"));
        let mut heard = Heard::default();
        let inject = format!("inject=fdatasync:delay_enter={delay}:when={when}");
        let output = strace(&life(&dir, 0, 4), &log, &inject).output().expect("strace starts");
        hear(&mut heard, &output);
        assert!(heard.is_done, "{}", shown(&output));
        let verdict = judge::<Engine>(&dir, SEED, &heard).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((verdict.commands, verdict.repeats), (COMMANDS, 0), "{verdict:?}");
        let calls = fs::read_to_string(&log).expect("a list of calls");
        let delayed = calls.matches("(DELAYED)").count() as u64;
        assert!(delayed > 0, "no sync was late");
    }
}
