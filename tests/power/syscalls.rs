//! What belongs here: SIGKILL at every system call that changes a file or syncs one, of every
//! thread, in a first life and in one whose logs both roll. What was acknowledged is there, and the
//! process that follows goes on.
//!
//! A process that is killed leaves the page cache behind, so any file system will do: a fast one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::drive::Script;
use tests::oracle::{Heard, judge};
use tests::report::say;

use crate::life::{Life, ended_by, hear, shown};
use crate::missing;
use crate::scene::{COMMANDS, SEED, WINDOW, copy, folder, nearly_full};

const PATIENCE: Duration = Duration::from_secs(10);
/// Calls of the thread that recovers and shuts down.
const MAIN: [&str; 9] = [
    "fallocate",
    "fdatasync",
    "fsync",
    "ftruncate",
    "mkdir",
    "msync",
    "pwrite64",
    "rename",
    "unlink",
];
/// Threads of a pipeline that runs, in the order in which those of one name were started, and what
/// they call.
const STAGES: [(&str, usize, &[&str]); 4] = [
    ("matchring-jrnl", 0, &["fdatasync", "fsync", "pwrite64", "rename", "unlink"]),
    ("matchring-publ", 0, &["fdatasync", "fsync", "pwrite64", "rename", "unlink"]),
    ("journal-keeper", 0, &["fallocate", "fdatasync", "fsync", "pwrite64", "rename"]),
    ("journal-keeper", 1, &["fallocate", "fdatasync", "fsync", "pwrite64", "rename"]),
];
/// Files that are made while a process recovers, by threads of their own.
const MADE: [&str; 4] = [
    "events/jrnl-0000000000000001.seg.tmp",
    "events/jrnl-0000000000000002.seg.tmp",
    "journal/jrnl-0000000000000001.seg.tmp",
    "journal/jrnl-0000000000000002.seg.tmp",
];
const MAKING: [&str; 5] = ["fallocate", "fdatasync", "fsync", "pwrite64", "rename"];

/// Whose calls are counted.
#[derive(Clone, Copy, Debug)]
enum Watched {
    Main,
    /// Every thread's on this file.
    File(&'static str),
    /// A thread's of a pipeline that runs, by its name and its place among those of that name.
    Thread(&'static str, usize),
}

/// What a life begins with.
struct Scene<'a> {
    machine: &'a str,
    /// Copied for each life; `None` for none.
    from: Option<&'a Path>,
    heard: Heard,
    first: u64,
}

/// Whether system calls can be tampered with here; says so if not.
pub(crate) fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("--version").output().is_ok();
    if !is_there {
        missing("strace");
    }
    is_there
}

fn inject(call: &str, nth: u64) -> Vec<String> {
    let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
    [&format!("trace={call}"), &inject]
        .iter()
        .flat_map(|e| ["-e".to_owned(), (*e).clone()])
        .collect()
}

/// One life that is killed at the `nth` call, if there is one.
fn killed(life: &Life<'_>, watched: Watched, call: &str, nth: u64) -> Output {
    let mut arguments = vec!["-o".to_owned(), "/dev/null".to_owned()];
    match watched {
        Watched::Thread(name, place) => {
            return live_watched(life, (name, place), &inject(call, nth));
        }
        Watched::Main => {}
        Watched::File(path) => {
            let path = life.dir.join(path).display().to_string();
            arguments.extend(["-f".to_owned(), "-P".to_owned(), path]);
        }
    }
    arguments.extend(inject(call, nth));
    life.below(Command::new("strace"), &arguments).output().expect("strace starts")
}

/// One life of which strace watches a thread, from the moment at which it waits for work.
pub(crate) fn live_watched(life: &Life<'_>, thread: (&str, usize), told: &[String]) -> Output {
    let life = Life { wait: true, ..life.clone() };
    let mut child = life.command().stdin(Stdio::piped()).spawn().expect("the process starts");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut stdout = String::new();
    while !stdout.ends_with("ready\n") {
        assert_ne!(said.read_line(&mut stdout).expect("text"), 0, "ended after {stdout:?}");
    }
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-p", &thread_id(&child, thread)]).args(told);
    let mut strace = strace.stderr(Stdio::piped()).spawn().expect("strace starts");
    let mut attached = String::new();
    let mut messages = BufReader::new(strace.stderr.take().expect("a pipe"));
    messages.read_line(&mut attached).expect("text");
    assert!(attached.contains("attached"), "{attached:?}");
    child.stdin.take().expect("a pipe").write_all(b"go\n").expect("it reads");
    said.read_to_string(&mut stdout).expect("text");
    let output = child.wait_with_output().expect("an end");
    strace.wait().expect("an end");
    Output { stdout: stdout.into_bytes(), ..output }
}

/// A thread names itself, some time after it was started.
fn thread_id(child: &Child, (name, place): (&str, usize)) -> String {
    let tasks = PathBuf::from(format!("/proc/{}/task", child.id()));
    let asked = Instant::now();
    loop {
        let mut found: Vec<u32> = fs::read_dir(&tasks)
            .expect("a process")
            .map(|entry| entry.expect("a thread").path())
            .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|c| c.trim() == name))
            .filter_map(|task| task.file_name()?.to_str()?.parse().ok())
            .collect();
        found.sort_unstable();
        if let Some(id) = found.get(place) {
            return id.to_string();
        }
        assert!(asked.elapsed() < PATIENCE, "no thread {name} {place}");
        std::thread::yield_now();
    }
}

/// Kills one life after the other, each at the next call, until one ends by itself; every one is
/// followed by another life and judged.
fn every<S: Script>(scene: &Scene<'_>, watched: Watched, call: &str) -> u64 {
    for nth in 1.. {
        let root = folder();
        let dir = root.path().join("data");
        if let Some(from) = scene.from {
            copy(from, &dir);
        }
        let mut heard = scene.heard.clone();
        let first = scene.first;
        let life = Life {
            dir: &dir,
            machine: scene.machine,
            policy: "group",
            seed: SEED,
            first,
            commands: COMMANDS,
            window: WINDOW,
            allow_fs: true,
            wait: false,
            snapshots: true,
            arm: None,
        };
        let output = killed(&life, watched, call, nth);
        hear(&mut heard, &output);
        let is_done = heard.is_done;
        assert!(
            is_done || ended_by(&output, Signal::KILL),
            "{watched:?} {call} {nth}: {}",
            shown(&output)
        );
        let repeated = heard.first_unanswered();
        Life { first: repeated, commands: first + COMMANDS - repeated, ..life }.live(&mut heard);
        let verdict = judge::<S>(&dir, SEED, &heard)
            .unwrap_or_else(|why| panic!("{watched:?} {call} {nth}: {why}"));
        let expected = (first + COMMANDS, 0);
        assert_eq!((verdict.commands, verdict.lost), expected, "{watched:?} {call} {nth}");
        if is_done {
            return nth - 1;
        }
    }
    unreachable!("numbers do not end");
}

fn at_every_call<S: Script>(machine: &str) {
    if !has_strace() {
        return;
    }
    let mut kills = BTreeMap::<(&str, &str), u64>::new();
    let fresh = Scene { machine, from: None, heard: Heard::default(), first: 0 };
    for call in MAIN {
        *kills.entry(("fresh, main", call)).or_default() += every::<S>(&fresh, Watched::Main, call);
    }
    for (file, call) in MADE.iter().flat_map(|file| MAKING.map(|call| (file, call))) {
        let died = every::<S>(&fresh, Watched::File(file), call);
        *kills.entry(("fresh, files", call)).or_default() += died;
    }
    let root = folder();
    let from = root.path().join("nearly-full");
    let heard = nearly_full::<S>(machine, &from);
    let first = heard.first_unanswered();
    let rolls = Scene { machine, from: Some(&from), heard, first };
    for call in MAIN {
        *kills.entry(("rolls, main", call)).or_default() += every::<S>(&rolls, Watched::Main, call);
    }
    for (name, place, calls) in STAGES {
        for call in calls {
            let died = every::<S>(&rolls, Watched::Thread(name, place), call);
            *kills.entry((name, call)).or_default() += died;
        }
    }
    kills.retain(|_, died| *died > 0);
    say(&format!("{machine}: {} killed: {kills:?}", kills.values().sum::<u64>()));
    for (who, call, least) in [
        ("fresh, main", "pwrite64", 4),
        ("fresh, main", "rename", 2),
        ("fresh, files", "pwrite64", 8),
        ("fresh, files", "rename", 4),
        ("rolls, main", "pwrite64", 2),
        ("matchring-jrnl", "fdatasync", 10),
        ("matchring-jrnl", "pwrite64", 2),
        ("matchring-publ", "pwrite64", 10),
        ("journal-keeper", "rename", 1),
    ] {
        let died = kills.get(&(who, call)).copied().unwrap_or(0);
        assert!(died >= least, "{who}, {call}: {died} kills");
    }
}

#[test]
fn the_engine_is_killed_at_every_system_call() {
    at_every_call::<engine::Engine>("engine");
}

#[test]
fn the_ledger_is_killed_at_every_system_call() {
    at_every_call::<wallet::ledger::Ledger>("ledger");
}
