//! What belongs here: logs that an earlier build wrote, kept in `tests/fixtures/journal-v1`, and
//! what this build makes of them. Invariant: nothing here writes what it then reads; the files were
//! made once, by `writing`, and a change of format comes with files of its own beside these.
//!
//! Of a file all is kept but runs of zeros: a count of zeros, a count of bytes, these bytes, and so
//! on, the counts of four bytes, little-endian; zeros at the end of the file are left out.
//! `manifest.txt` has its real length and the BLAKE3 of all of it.

mod writing;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use engine::{Command, Engine, EngineOptions, OrderType, StateMachine};
use journal::SyncPolicy;
use pipeline::{Instance, JournalOptions, Options, Shadow, recover, replay};
use tempfile::TempDir;
use wallet::ledger::Ledger;

/// Shortest run of zeros within a file that is not kept.
const RUN: usize = 16;
const MANIFEST: &str = "manifest.txt";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/journal-v1")
}

/// One data directory of the fixture, as a line of the manifest: `dir NAME KEY=VALUE ...`.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    name: String,
    /// Inputs of the journal: commands and control inputs.
    last_sequence: u64,
    events: u64,
    /// Segments of the journal in use.
    segments: u64,
    /// Closed in order.
    clean: bool,
    state_hash: String,
}

impl Kept {
    fn line(&self) -> String {
        let Self { name, last_sequence, events, segments, clean, state_hash } = self;
        format!(
            "dir {name} last_sequence={last_sequence} events={events} segments={segments} \
             clean={clean} state_hash={state_hash}"
        )
    }

    fn parse(line: &str) -> Self {
        let mut words = line.strip_prefix("dir ").expect("a line of a directory").split(' ');
        let name = words.next().expect("a name").to_owned();
        let mut value = |key: &str| {
            let pair = words.next().and_then(|word| word.split_once('='));
            let (found, value) = pair.expect("KEY=VALUE");
            assert_eq!(found, key);
            value.to_owned()
        };
        Self {
            name,
            last_sequence: value("last_sequence").parse().expect("a number"),
            events: value("events").parse().expect("a number"),
            segments: value("segments").parse().expect("a number"),
            clean: value("clean").parse().expect("true or false"),
            state_hash: value("state_hash"),
        }
    }
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).concat()
}

/// Bytes as they are kept.
fn shortened(bytes: &[u8]) -> Vec<u8> {
    let count = |len: usize| u32::try_from(len).expect("a small file").to_le_bytes();
    let mut kept = Vec::new();
    let mut rest = bytes;
    while let Some(zeros) = rest.iter().position(|byte| *byte != 0) {
        rest = &rest[zeros..];
        let long_run = rest.windows(RUN).position(|run| run.iter().all(|byte| *byte == 0));
        let end = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let (part, after) = rest.split_at(long_run.unwrap_or(end));
        kept.extend(count(zeros));
        kept.extend(count(part.len()));
        kept.extend(part);
        rest = after;
    }
    kept
}

/// The bytes of a file of which `kept` is kept.
fn restored(mut kept: &[u8], len: usize) -> Vec<u8> {
    let mut take = |len: usize| {
        let (part, rest) = kept.split_at_checked(len)?;
        kept = rest;
        Some(part)
    };
    let number = |part: &[u8]| {
        u32::from_le_bytes(part.try_into().expect("four bytes")).try_into().expect("a length")
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(len);
    while let Some(zeros) = take(4).map(number) {
        let part: usize = take(4).map(number).expect("a second count");
        let zeros: usize = zeros;
        bytes.resize(bytes.len() + zeros, 0);
        bytes.extend(take(part).expect("as many bytes as counted"));
    }
    assert!(bytes.len() <= len, "longer than the file was");
    bytes.resize(len, 0);
    bytes
}

fn manifest() -> String {
    fs::read_to_string(folder().join(MANIFEST)).expect("the manifest of the fixture")
}

/// Puts a data directory of the fixture where it can be opened.
fn lay_out(name: &str) -> (TempDir, Kept) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let manifest = manifest();
    let prefix = format!("file {name}/");
    for line in manifest.lines() {
        let Some(rest) = line.strip_prefix(&prefix) else { continue };
        let [file, len, hash] = rest.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let kept = fs::read(folder().join(name).join(file)).expect("a file of the fixture");
        let bytes = restored(&kept, len.parse().expect("a length"));
        assert_eq!(hex(*blake3::hash(&bytes).as_bytes()), hash, "{line}");
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("a log")).expect("a directory");
        fs::write(path, bytes).expect("room for the fixture");
    }
    let start = format!("dir {name} ");
    let line = manifest.lines().find(|line| line.starts_with(&start)).expect("it is kept");
    (root, Kept::parse(line))
}

fn options(data_dir: &Path) -> Options {
    let journal = JournalOptions {
        segment_bytes: journal::limits::SEGMENT_BYTES_MIN,
        sync: SyncPolicy::Group,
        allow_fs: true,
        ..JournalOptions::default()
    };
    Options { journal, ..Options::new(data_dir) }
}

/// What this build makes of a data directory: by reading only, and by starting in it.
fn check<S: StateMachine>(name: &str, machine: impl Fn() -> S) {
    let (root, kept) = lay_out(name);
    let replayed = replay::<S>(root.path(), machine()).expect("a journal that can be replayed");
    let hash = hex(replayed.machine.state_hash());
    let got = (replayed.last_sequence, replayed.events, hash);
    assert_eq!(got, (kept.last_sequence, kept.events, kept.state_hash.clone()), "{name}");

    // Twice: the second start reads what the first one left.
    for (start, clean) in [(1, kept.clean), (2, false)] {
        let recovered = recover(&options(root.path()), || Instance::bare(machine()));
        let recovered = recovered.expect("a sound log");
        let report = &recovered.report;
        assert_eq!(
            hex(recovered.instance.machine.state_hash()),
            kept.state_hash,
            "{name}, start {start}"
        );
        assert_eq!(report.last_sequence, kept.last_sequence);
        assert_eq!(report.last_event_sequence, kept.events);
        assert_eq!(report.events_compared + report.events_appended, kept.events);
        assert_eq!(report.journal.segments, kept.segments);
        assert_eq!(report.journal.clean_shutdown, clean, "{name}, start {start}");
        let behind = report.events_appended > 0;
        assert_eq!(behind, start == 1 && !kept.clean, "a death left events to write");
    }
}

#[test]
fn logs_of_format_1_are_read_and_continued() {
    for name in ["engine-killed", "engine-clean"] {
        check(name, || Engine::new(EngineOptions::default()));
    }
    for name in ["wallet-clean", "wallet-killed"] {
        check(name, Ledger::default);
    }
}

#[test]
fn the_fixture_holds_every_order_type_a_roll_and_both_ends() {
    let (root, kept) = lay_out("engine-clean");
    let engine = Engine::new(EngineOptions::default());
    let mut shadow = Shadow::open(root.path(), engine).expect("a journal");
    let mut seen = BTreeSet::new();
    let last = shadow
        .advance(u64::MAX, |frame, _| {
            if let Command::NewOrder(order) = frame.command {
                seen.insert(order.order_type);
            }
        })
        .expect("a sound journal");
    assert_eq!(last, kept.last_sequence);
    assert_eq!(seen, OrderType::ALL.iter().copied().collect());
    assert!(kept.segments > 1, "a segment was left full");
    let ends = manifest()
        .lines()
        .filter(|line| line.starts_with("dir "))
        .map(Kept::parse)
        .fold([0; 2], |[killed, clean], kept| {
            [killed + u32::from(!kept.clean), clean + u32::from(kept.clean)]
        });
    assert_eq!(ends, [2, 2]);
}

#[test]
fn what_is_kept_of_a_file_is_all_of_it() {
    for used in [0, 1, RUN - 1, RUN, RUN + 1, 100] {
        let mut bytes = vec![0; 1_000];
        bytes[..used].fill(7);
        assert!(restored(&shortened(&bytes), bytes.len()) == bytes, "{used}");
        for at in [used, used + RUN - 1, used + RUN, used + RUN + 1, 999] {
            bytes[at] = 1;
            assert!(restored(&shortened(&bytes), bytes.len()) == bytes, "{used} {at}");
        }
    }
    assert!(shortened(&[0; 100]).is_empty());
}
