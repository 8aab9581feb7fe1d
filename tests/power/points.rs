//! What belongs here: processes that end in every named place, in a life that trims a torn tail,
//! recovers, trades and rolls both logs. What was acknowledged is there, and the next life goes on.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use engine::Engine;
use journal::fail_point::NAMES;
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
/// The event log is synced by the clock: a longer life than others need.
const BY_THE_CLOCK: &str = "event-log-sync";
const LONG: u64 = 100 * COMMANDS;
/// Places that a process comes to, once, when it has nothing to do.
const IDLE: [&str; 2] = ["journaler-before-idle", "journaler-after-idle"];
const PATIENCE: Duration = Duration::from_secs(10);

/// The beginning of a group that was never stored whole.
fn tear<S: Script>(dir: &Path) {
    let [(segment, end), _] = logs::<S>(dir);
    let path = dir.join(format!("journal/jrnl-{segment:016x}.seg"));
    let file = OpenOptions::new().write(true).open(path).expect("a segment");
    file.write_all_at(b"MGRP and no more", end).expect("a torn group");
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

/// Ends a life there; whether it came to that.
fn ends<S: Script>(machine: &str, (from, heard): (&Path, &Heard), name: &str, nth: u64) -> bool {
    let root = folder();
    let dir = root.path().join("data");
    copy(from, &dir);
    let mut heard = heard.clone();
    let arm = format!("{name}:{nth}");
    let life = Life {
        dir: &dir,
        machine,
        policy: "group",
        seed: SEED,
        first: heard.first_unanswered(),
        commands: if name == BY_THE_CLOCK { LONG } else { COMMANDS },
        window: WINDOW,
        allow_fs: true,
        wait: false,
        snapshots: true,
        arm: Some(&arm),
    };
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
    tear::<S>(&from);
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
    tear::<Engine>(&dir);
    let life = Life {
        dir: &dir,
        machine: "engine",
        policy: "group",
        seed: SEED,
        first: heard.first_unanswered(),
        commands: COMMANDS,
        window: WINDOW,
        allow_fs: true,
        wait: false,
        snapshots: false,
        arm: Some("trim-zeroed:1"),
    };
    let output = life.command().output().expect("the process starts");
    assert!(ended_by(&output, Signal::ABORT), "{}", shown(&output));
    let is_marked = || journal::stat(&dir.join("journal")).expect("a log").trim_pending;
    assert!(is_marked(), "{}", shown(&output));
    Life { arm: None, ..life }.live(&mut heard);
    assert!(!is_marked());
}

#[test]
fn the_engine_ends_in_every_place() {
    in_every_place::<Engine>("engine");
}

#[test]
fn the_ledger_ends_in_every_place() {
    in_every_place::<wallet::ledger::Ledger>("ledger");
}
