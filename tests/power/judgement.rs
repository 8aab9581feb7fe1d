//! What belongs here: that the judgement on a data directory is worth something. It passes what a
//! process has really left behind, and fails each thing that could be wrong with it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use engine::{Command, Engine, EngineConfig, Frame, StateMachine};
use pipeline::{Instance, Lane, Options, Outcome, Reply, SystemClock};
use tempfile::TempDir;
use tests::drive::Script;
use tests::oracle::{Heard, judge};
use wallet::ledger::Ledger;

use crate::life::Life;

const SEED: u64 = 11;
const COMMANDS: u64 = 60;

/// Two lives; the second repeats the end of the first.
fn two_lives(machine: &str) -> (TempDir, Heard) {
    let root = tempfile::tempdir().expect("a directory");
    let mut heard = Heard::default();
    let dir = root.path().join("data");
    for first in [0, COMMANDS / 2] {
        let life = Life {
            dir: &dir,
            machine,
            policy: "group",
            seed: SEED,
            first,
            commands: COMMANDS - first,
            window: 8,
            allow_fs: true,
            wait: false,
            snapshots: true,
            arm: None,
        };
        life.live(&mut heard);
    }
    (root, heard)
}

fn passes<S: Script>(machine: &str) {
    let (root, heard) = two_lives(machine);
    let verdict = judge::<S>(&root.path().join("data"), SEED, &heard).expect("a sound directory");
    assert_eq!((verdict.commands, verdict.lost), (COMMANDS, 0), "{verdict:?}");
    assert_eq!(verdict.repeats, COMMANDS / 2, "{verdict:?}");
    assert_eq!(heard.first_unanswered(), COMMANDS);
}

#[test]
fn what_a_process_leaves_behind_passes() {
    passes::<Engine>("engine");
    passes::<Ledger>("ledger");
}

/// What `change` makes of what was heard, and of the directory, fails for this reason.
fn fails(why: &str, change: impl FnOnce(&mut Heard, &Path)) {
    let (root, mut heard) = two_lives("engine");
    let dir = root.path().join("data");
    change(&mut heard, &dir);
    let refused = judge::<Engine>(&dir, SEED, &heard).expect_err(why);
    assert!(refused.contains(why), "{refused:?} instead of {why:?}");
}

#[test]
fn an_answer_that_the_journal_does_not_know_fails() {
    // At the place of the start of a process.
    fails("is Tick", |heard, _| {
        let ack = heard.acks.values().next().copied().expect("an answer");
        heard.acks.insert(1, ack);
    });
    fails("but the journal says", |heard, _| {
        heard.acks.values_mut().last().expect("an answer").number -= 1;
    });
    fails("but the journal says", |heard, _| {
        heard.acks.values_mut().last().expect("an answer").answer.0 ^= 1;
    });
}

#[test]
fn an_answer_behind_the_end_is_lost() {
    let (root, mut heard) = two_lives("engine");
    let mut ack = heard.acks.values().last().copied().expect("an answer");
    ack.sequence += 10;
    heard.acks.insert(ack.sequence, ack);
    let verdict = judge::<Engine>(&root.path().join("data"), SEED, &heard);
    assert_eq!(verdict.expect("nothing else is wrong").lost, 1);
    let last = *heard.acks.keys().next_back().expect("an answer");
    assert_eq!((heard.forget_behind(last - 1), heard.forget_behind(last - 1)), (1, 0));
}

#[test]
fn a_recovery_that_came_to_something_else_fails() {
    fails("recovery came to another state", |heard, _| {
        heard.starts.values_mut().last().expect("a start").push('0');
    });
    fails("are there", |heard, _| {
        heard.starts.insert(100_000, String::new());
    });
    let mut heard = Heard::default();
    assert_eq!(heard.take("start 5 aa"), Ok(()));
    assert_eq!(heard.take("start 5 bb").unwrap_err(), "another state at 5 than before");
    assert_eq!(heard.take("ack 6 0 a"), Ok(()));
    assert!(heard.take("ack 6 0 a").is_err(), "one sequence, two answers");
}

#[test]
fn an_event_log_that_is_not_what_the_replay_says_fails() {
    // One of which the beginning is gone.
    fails("segment 1 is missing", |_, dir| {
        fs::remove_file(dir.join("events/jrnl-0000000000000001.seg")).expect("a segment");
    });
    // One that ends early.
    fails("is not in its log", |_, dir| shorten(&dir.join("events")));
    // One that says the same at other times.
    fails("is not in its log", |heard, dir| {
        let (other, _) = two_lives("engine");
        let another = other.path().join("data/journal");
        fs::remove_dir_all(dir.join("journal")).expect("a journal");
        fs::rename(another, dir.join("journal")).expect("another journal");
        *heard = Heard { is_done: true, ..Heard::default() };
    });
    // One that goes on.
    fails("the event log goes on", |heard, dir| {
        *heard = Heard { is_done: true, ..Heard::default() };
        shorten(&dir.join("journal"));
    });
}

/// Zeros the second half of what is used of the first segment.
fn shorten(journal: &Path) {
    let path = journal.join("jrnl-0000000000000001.seg");
    let mut bytes = fs::read(&path).expect("a segment");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("groups");
    bytes[used / 2 / 4096 * 4096..].fill(0);
    fs::write(path, bytes).expect("a segment");
}

struct Unheard;

impl<S: StateMachine> Reply<S> for Unheard {
    fn complete(self, _: &Frame<S::Command>, _: Outcome<'_, S::Event>) {}
}

/// One life that submits just this.
fn submitted(dir: &Path, commands: &[Command]) {
    let mut options = Options::new(dir);
    options.journal.segment_bytes = journal::limits::SEGMENT_BYTES_MIN;
    options.journal.allow_fs = true;
    let recovered =
        pipeline::recover(&options, || Instance::bare(Engine::fresh())).expect("a sound log");
    let clock = Arc::new(SystemClock::new());
    let running = pipeline::start::<Engine, Unheard>(recovered, &options, clock);
    let running = running.expect("options");
    for command in Engine::opening().iter().chain(commands) {
        running.ingress().try_submit(*command, None, Lane::Control).expect("room");
    }
    drop(running.shutdown());
}

#[test]
fn a_command_that_is_stored_twice_changed_or_applied_again_fails() {
    let first = Engine::command(SEED, 0);
    // Remembers a transfer for no time at all.
    let forget = EngineConfig { transfer_window_ns: 1, ..EngineConfig::default() };
    let forget = Command::Configure(forget);
    for (lives, why) in [
        (vec![vec![first, first]], "twice in one life"),
        (vec![vec![first, Engine::command(SEED, 2)]], "2 comes before 1"),
        (vec![vec![Engine::command(SEED + 1, 7)]], "is another command than 7"),
        (
            vec![vec![forget, first, Engine::command(SEED, 1)], vec![first]],
            "0 took effect twice or never",
        ),
    ] {
        let root = tempfile::tempdir().expect("a directory");
        for commands in lives {
            submitted(root.path(), &commands);
        }
        let refused = judge::<Engine>(root.path(), SEED, &Heard::default()).expect_err(why);
        assert!(refused.contains(why), "{refused}");
    }
}
