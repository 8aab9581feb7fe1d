//! What belongs here: processes that end in every named place, in a life that trims a torn tail,
//! recovers, trades and rolls both logs. What was acknowledged is there, and the next life goes on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use engine::Engine;
use journal::fail_point::{BEHIND_A_SEAL, NAMES};
use rustix::process::Signal;
use tests::drive::Script;
use tests::oracle::{Heard, judge};
use tests::report::say;

use crate::life::{Life, ended_by, hear, shown};
use crate::scene::{COMMANDS, SEED, WINDOW, copy, folder, logs, nearly_full};

/// A place that is passed for every command is another one amid the load than at the start: these
/// are tried once more, so many times later.
const BUSY: [&str; 5] = ["core-", "group-", "journaler-", "publisher-", "sync-"];
const LATER: u64 = 40;
/// The event log is synced by the clock, where it does not grow fast: a longer life than others
/// need.
const BY_THE_CLOCK: &str = "event-log-sync";
const LONG: u64 = 100 * COMMANDS;
/// Places that a process comes to, once, when it has nothing to do.
const IDLE: [&str; 2] = ["journaler-before-idle", "journaler-after-idle"];
const PATIENCE: Duration = Duration::from_secs(10);

/// Places of a start, and at which times: it opens two logs, and each of them writes its control
/// file, three times where it removes a tail.
const OF_A_START: [(&str, &[u64]); 8] = [
    ("snapshot-loaded", &[1]),
    ("replay-done", &[1]),
    ("event-log-whole", &[1]),
    ("recovery-judged", &[1, 2]),
    ("recovery-repaired", &[1, 2]),
    ("recovery-counted", &[1, 2]),
    ("epoch-started", &[1]),
    ("ctl-written", &[1, 2]),
];
const OF_A_TRIM: [(&str, &[u64]); 6] = [
    ("trim-copied", &[1, 2]),
    ("trim-marked", &[1, 2]),
    ("trim-zeroed", &[1, 2]),
    ("trim-settled", &[1, 2]),
    ("ctl-written", &[3, 4, 5, 6]),
    ("ctl-synced", &[1, 2, 3, 4, 5, 6]),
];
/// Where a roll is left half done, first by one log and then by the other.
const ROLLS: [&str; 2] = ["roll-seal-synced", "roll-header-1"];

/// The beginning of a group that was never stored whole, in these of the two logs.
fn tear<S: Script>(dir: &Path, torn: &[&str]) {
    for ((segment, end), log) in logs::<S>(dir).into_iter().zip(["journal", "events"]) {
        if torn.contains(&log) {
            let path = dir.join(format!("{log}/jrnl-{segment:016x}.seg"));
            let file = OpenOptions::new().write(true).open(path).expect("a segment");
            file.write_all_at(b"MGRP and no more", end).expect("a torn group");
        }
    }
}

/// A life to its end, which is given nothing to do before it had the time to end by itself.
fn idle(life: &Life<'_>) -> Output {
    let life = Life { wait: true, ..life.clone() };
    let mut child = life.command().stdin(Stdio::piped()).spawn().expect("the process starts");
    let waits = child.stdin.take();
    let asked = Instant::now();
    while child.try_wait().expect("a process").is_none() && asked.elapsed() < PATIENCE {
        thread::yield_now();
    }
    drop(waits);
    child.wait_with_output().expect("an end")
}

/// A life under `group` that goes on with the commands that nobody has answered.
fn life<'a>(dir: &'a Path, machine: &'a str, heard: &Heard, arm: &'a str) -> Life<'a> {
    let (policy, seed, first, commands) = ("group", SEED, heard.first_unanswered(), COMMANDS);
    let (window, allow_fs, wait, snapshots, arm) = (WINDOW, true, false, false, Some(arm));
    Life { dir, machine, policy, seed, first, commands, window, allow_fs, wait, snapshots, arm }
}

/// Ends a life there; whether it came to that.
fn ends<S: Script>(machine: &str, (from, heard): (&Path, &Heard), name: &str, nth: u64) -> bool {
    let root = folder();
    let dir = root.path().join("data");
    copy(from, &dir);
    let mut heard = heard.clone();
    let arm = format!("{name}:{nth}");
    let commands = if name == BY_THE_CLOCK { LONG } else { COMMANDS };
    let life = Life { commands, snapshots: true, ..life(&dir, machine, &heard, &arm) };
    let output = if IDLE.contains(&name) {
        idle(&life)
    } else {
        life.command().output().expect("the process starts")
    };
    hear(&mut heard, &output);
    let has_fired = shown(&output).contains(&format!("fail point {name} fired"));
    assert_eq!(has_fired, ended_by(&output, Signal::ABORT), "{arm}: {}", shown(&output));
    assert_eq!(has_fired, !heard.is_done, "{arm}: {}", shown(&output));
    let first = heard.first_unanswered();
    Life { first, commands: COMMANDS, arm: None, ..life }.live(&mut heard);
    let verdict =
        judge::<S>(&dir, SEED, &heard).unwrap_or_else(|why| panic!("{machine}, {arm}: {why}"));
    let expected = (first + COMMANDS, 0);
    assert_eq!((verdict.commands, verdict.lost), expected, "{machine}, {arm}");
    has_fired
}

fn in_every_place<S: Script>(machine: &str) {
    let root = folder();
    let from = root.path().join("torn");
    let heard = nearly_full::<S>(machine, &from);
    tear::<S>(&from, &["journal"]);
    let mut fired = 0;
    for name in NAMES {
        assert!(ends::<S>(machine, (&from, &heard), name, 1), "{machine}: {name} never fires");
        if BUSY.iter().any(|busy| name.starts_with(busy)) && !IDLE.contains(&name) {
            fired += u64::from(ends::<S>(machine, (&from, &heard), name, LATER));
        }
    }
    say(&format!("{machine}: ended in {} places, {fired} of them once more later", NAMES.len()));
    assert!(fired > 5, "{machine}: {fired} places are passed for every command");
}

/// What is left of a tail must not be judged by itself: a start that dies while it removes one says
/// before what it is about to do.
#[test]
fn a_tail_is_marked_before_it_is_removed() {
    let root = folder();
    let dir = root.path().join("data");
    let mut heard = nearly_full::<Engine>("engine", &dir);
    tear::<Engine>(&dir, &["journal"]);
    let life = life(&dir, "engine", &heard, "trim-zeroed:1");
    let output = life.command().output().expect("the process starts");
    assert!(ended_by(&output, Signal::ABORT), "{}", shown(&output));
    let is_marked = || journal::stat(&dir.join("journal")).expect("a log").trim_pending;
    assert!(is_marked(), "{}", shown(&output));
    Life { arm: None, ..life }.live(&mut heard);
    assert!(!is_marked());
}

/// Ends the start that takes up what is there, in each of these places; how many fired.
fn nested<S: Script>(
    machine: &str,
    (from, heard): (&Path, &Heard),
    places: &[(&str, &[u64])],
) -> usize {
    let mut fired = 0;
    for (name, times) in places {
        for nth in *times {
            let fires = ends::<S>(machine, (from, heard), name, *nth);
            assert!(fires, "{machine}: {name} does not fire for the {nth}th time");
            fired += 1;
        }
    }
    fired
}

/// A start that removes the tails of both logs dies, wherever it is, and another one goes on.
fn while_tails_are_removed<S: Script>(machine: &str) {
    let root = folder();
    let from = root.path().join("torn");
    let heard = nearly_full::<S>(machine, &from);
    tear::<S>(&from, &["journal", "events"]);
    let places = [&OF_A_START[..], &OF_A_TRIM].concat();
    let fired = nested::<S>(machine, (&from, &heard), &places);
    say(&format!("{machine}: {fired} starts ended while they removed tails"));
}

#[test]
fn a_start_that_removes_tails_may_end_anywhere() {
    while_tails_are_removed::<Engine>("engine");
    while_tails_are_removed::<wallet::ledger::Ledger>("ledger");
}

/// The same of a start that finishes what a roll has left.
#[test]
fn a_start_that_finishes_a_roll_may_end_anywhere() {
    let mut fired = 0;
    for (name, nth) in ROLLS.into_iter().flat_map(|name| [(name, 1), (name, 2)]) {
        let root = folder();
        let from = root.path().join("rolling");
        let mut heard = nearly_full::<Engine>("engine", &from);
        let arm = format!("{name}:{nth}");
        let output =
            life(&from, "engine", &heard, &arm).command().output().expect("the process starts");
        assert!(ended_by(&output, Signal::ABORT), "{arm}: {}", shown(&output));
        hear(&mut heard, &output);
        let state = (from.as_path(), &heard);
        fired += nested::<Engine>("engine", state, &OF_A_START);
        // The header that the roll has stored is in the page cache: the segment is in use.
        if name == "roll-seal-synced" {
            fired += nested::<Engine>("engine", state, &[(BEHIND_A_SEAL[0], &[1])]);
        }
    }
    say(&format!("{fired} starts ended while they finished a roll"));
}

#[test]
fn the_engine_ends_in_every_place() {
    in_every_place::<Engine>("engine");
}

#[test]
fn the_ledger_ends_in_every_place() {
    in_every_place::<wallet::ledger::Ledger>("ledger");
}
