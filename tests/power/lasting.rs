//! What belongs here: the power goes at a moment from which on something is relied on: a file that
//! has got its name, a snapshot that is in force. It is there afterwards, with all that it needs:
//! a segment with its space, a snapshot with what comes before it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Output;

use engine::Engine;
use rustix::process::Signal;
use tests::loop_disk::LoopDisk;
use tests::oracle::{Heard, judge};
use tests::power::Last;

use crate::life::{Life, ended_by, hear, shown};
use crate::missing;

const SEED: u64 = 41;
const COMMANDS: u64 = 100;
const DISK_BYTES: u64 = 64 << 20;
/// Unit in which the system counts the space of a file.
const SPACE_UNIT: u64 = 512;
/// Behind the sync of the directory in which a file got its name.
const NAMED: [&str; 2] = ["prepare-done", "snapshot-in-force"];

fn life<'a>(dir: &'a Path, policy: &'a str, arm: Option<&'a str>) -> Life<'a> {
    let (machine, seed, first, commands, window) = ("engine", SEED, 0, COMMANDS, 8);
    let (allow_fs, wait, snapshots) = (false, false, true);
    Life { dir, machine, policy, seed, first, commands, window, allow_fs, wait, snapshots, arm }
}

/// Segments and snapshots of both logs.
fn names(dir: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for log in ["journal", "events"] {
        // The process may have ended before there was one.
        for entry in fs::read_dir(dir.join(log)).into_iter().flatten() {
            let name = entry.expect("an entry").file_name().into_string().expect("text");
            if name.ends_with(".seg") || name.ends_with(".snp") {
                names.insert(format!("{log}/{name}"));
            }
        }
    }
    names
}

/// Waits for the end in the place that was named, and takes the power away.
fn cut_there(disk: &mut LoopDisk, dir: &Path, output: &Output, heard: &mut Heard) {
    assert!(ended_by(output, Signal::ABORT), "{}", shown(output));
    assert!(shown(output).contains(" fired"), "{}", shown(output));
    hear(heard, output);
    let named = names(dir);
    assert!(!named.is_empty(), "nothing had a name");
    disk.cut(Last::Nothing);
    disk.power_on();
    let left = names(dir);
    assert!(named.is_subset(&left), "{named:?}, and then {left:?}");
    for name in left.iter().filter(|name| name.ends_with(".seg")) {
        let segment = fs::metadata(dir.join(name)).expect("a segment");
        assert!(segment.blocks() * SPACE_UNIT >= segment.len(), "{name} has holes: {segment:?}");
    }
}

#[test]
fn what_has_its_name_keeps_it() {
    let Some(mut disk) = LoopDisk::mount(DISK_BYTES) else { return missing("a disk to cut off") };
    let root = disk.path().to_owned();
    for place in NAMED {
        let dir = root.join(place);
        let arm = format!("{place}:1");
        let mut heard = Heard::default();
        let ended = life(&dir, "group", Some(&arm)).command().output();
        cut_there(&mut disk, &dir, &ended.expect("the process starts"), &mut heard);
        let (first, commands) = (heard.first_unanswered(), 10);
        Life { first, commands, ..life(&dir, "group", None) }.live(&mut heard);
        let verdict = judge::<Engine>(&dir, SEED, &heard).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((verdict.commands, verdict.lost), (first + commands, 0), "{place}");
    }
}

/// Under a policy that never waits for the disk, a snapshot does.
#[test]
fn what_a_snapshot_comes_from_lasts_as_long() {
    let Some(mut disk) = LoopDisk::mount(DISK_BYTES) else { return missing("a disk to cut off") };
    let dir = disk.path().join("data");
    let mut heard = Heard::default();
    let mut command = life(&dir, "os", Some("snapshot-in-force:1")).command();
    let ended = command.arg("--snapshot-live").output().expect("the process starts");
    cut_there(&mut disk, &dir, &ended, &mut heard);
    assert_eq!(heard.first_unanswered(), COMMANDS, "all was answered before");
    let (first, commands) = (COMMANDS, 10);
    Life { first, commands, ..life(&dir, "os", None) }.live(&mut heard);
    let verdict = judge::<Engine>(&dir, SEED, &heard).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!((verdict.commands, verdict.lost), (COMMANDS + commands, 0), "{verdict:?}");
}
