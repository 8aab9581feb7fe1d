//! What belongs here: a disk that fails, and works again later. The page cache then has what the
//! disk has not, and another sync succeeds: a start must believe the disk.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use engine::{Engine, StateMachine};
use rustix::fs::OFlags;
use rustix::process::Signal;
use tests::failing_disk::FailingDisk;
use tests::oracle::{Heard, judge};

use crate::life::{Life, ended_by, hear, shown};
use crate::missing;
use crate::scene::ends_at;

const SEED: u64 = 31;
const COMMANDS: u64 = 100;
const DISK_BYTES: u64 = 32 << 20;
const BLOCK: usize = 4096;
/// Behind the headers of a segment, the group of the start, and the one that proves it.
const FIRST_GROUP: u64 = 4 * BLOCK as u64;
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether anything but zeros is in a block of a file.
fn is_written(file: &File, offset: u64) -> bool {
    let mut buffer = vec![0; 2 * BLOCK];
    let skipped = buffer.as_ptr().align_offset(BLOCK);
    let block = &mut buffer[skipped..skipped + BLOCK];
    file.read_exact_at(block, offset).expect("a block");
    block.iter().any(|byte| *byte != 0)
}

/// What the cache says of a block, and what the disk says.
fn in_cache_and_on_disk(path: &Path, offset: u64) -> (bool, bool) {
    let direct = i32::try_from(OFlags::DIRECT.bits()).expect("a flag");
    let direct = OpenOptions::new().read(true).custom_flags(direct).open(path);
    let cached = File::open(path).expect("a segment");
    (is_written(&cached, offset), is_written(&direct.expect("a segment"), offset))
}

/// A life during which its journal cannot be written any more.
fn broken(disk: &FailingDisk, life: &Life<'_>, segment: &Path) -> Output {
    let mut child = life.command().stdin(Stdio::piped()).spawn().expect("the process starts");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut stdout = String::new();
    while !stdout.ends_with("ready\n") {
        assert_ne!(said.read_line(&mut stdout).expect("text"), 0, "ended after {stdout:?}");
    }
    let asked = Instant::now();
    let journal = life.dir.join("journal");
    while ends_at(&journal, Engine::MACHINE_ID).1 < FIRST_GROUP {
        assert!(asked.elapsed() < PATIENCE, "no group proves the start");
        std::thread::yield_now();
    }
    disk.break_file(segment, FIRST_GROUP);
    child.stdin.take().expect("a pipe").write_all(b"go\n").expect("it reads");
    said.read_to_string(&mut stdout).expect("text");
    let output = child.wait_with_output().expect("an end");
    Output { stdout: stdout.into_bytes(), ..output }
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_not_believed() {
    let Some(disk) = FailingDisk::mount(DISK_BYTES) else {
        return missing("a disk that fails");
    };
    let dir = disk.path().join("data");
    let segment = dir.join("journal/jrnl-0000000000000001.seg");
    let (machine, policy, seed, window) = ("engine", "group", SEED, 8);
    let (first, commands) = (0, COMMANDS);
    let (allow_fs, wait, snapshots, arm) = (false, true, false, None);
    let life = Life {
        dir: &dir,
        machine,
        policy,
        seed,
        first,
        commands,
        window,
        allow_fs,
        wait,
        snapshots,
        arm,
    };
    let output = broken(&disk, &life, &segment);
    assert!(ended_by(&output, Signal::ABORT), "{}", shown(&output));
    let mut heard = Heard::default();
    hear(&mut heard, &output);
    assert!(heard.acks.is_empty(), "acknowledged: {:?}", heard.acks);
    assert!(shown(&output).contains("fatal: stage journaler"), "{}", shown(&output));

    disk.heal();
    let seen = in_cache_and_on_disk(&segment, FIRST_GROUP);
    assert_eq!(seen, (true, false), "the trap is not set");
    Life { wait: false, ..life }.live(&mut heard);
    let starts: Vec<u64> = heard.starts.keys().copied().collect();
    assert_eq!(starts, [0, 1], "the start of the first life is all that the disk has");
    let verdict = judge::<Engine>(&dir, SEED, &heard).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((verdict.commands, verdict.repeats, verdict.lost), (COMMANDS, 0, 0));
}
