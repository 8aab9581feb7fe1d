//! Belongs here: sealed segments that are read again beside a running pipeline.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use journal::SyncPolicy;
use pipeline::{Counters, Options};

use crate::harness::{Desk, options, running, submit};
use crate::toy::Command;

const PATIENCE: Duration = Duration::from_secs(20);

fn wait_for(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for a round that began after now.
fn wait_for_round(counters: &Counters) {
    let rounds = counters.scrub.rounds.get();
    wait_for("a round", || counters.scrub.rounds.get() >= rounds + 2);
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn damage_is_found_while_commands_flow_and_is_gone_when_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let every = Some(Duration::from_millis(1));
    let options = Options { scrub_every: every, ..options(dir.path(), SyncPolicy::Os) };
    let running = running(&options);
    let (counters, desk) = (running.counters(), Desk::new(running.cursors()));
    let first = dir.path().join("journal/jrnl-0000000000000001.seg");
    let third = dir.path().join("journal/jrnl-0000000000000003.seg");
    let mut sent = 0;
    while fs::metadata(&third).is_err() {
        for _ in 0..1_000 {
            submit(&running.ingress(), Command::AddSilently(1), &desk);
        }
        sent += 1_000;
        desk.wait(1_000);
    }
    wait_for_round(&counters);
    assert_eq!(counters.scrub.damaged.get(), 0);
    assert!(counters.scrub.bytes.get() > 0);

    flip(&first, 100_000);
    wait_for("the damage", || counters.scrub.damaged.get() == 1);
    submit(&running.ingress(), Command::Add(1), &desk);
    assert_eq!(desk.wait(1)[0].events.len(), 1, "commands flow");
    flip(&first, 100_000);
    wait_for("the repair", || counters.scrub.damaged.get() == 0);
    let stopped = running.shutdown();
    assert_eq!(stopped.machine.total, sent + 1);
}

#[test]
fn nothing_is_read_again_where_nobody_asked() {
    let dir = tempfile::tempdir().unwrap();
    let running = running(&options(dir.path(), SyncPolicy::Os));
    let desk = Desk::new(running.cursors());
    submit(&running.ingress(), Command::Add(1), &desk);
    desk.wait(1);
    let stopped = running.shutdown();
    assert_eq!(stopped.counters.scrub.rounds.get(), 0);
}
