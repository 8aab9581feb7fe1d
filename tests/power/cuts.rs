//! What belongs here: a file system that loses its power at a random moment, again and again, on
//! the same log: during a recovery, a roll, under load. What was acknowledged under a policy that
//! waits for the disk is there; under the others it is gone from some sequence on, or not at all.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Output};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tests::drive::Script;
use tests::loop_disk::LoopDisk;
use tests::oracle::{Heard, judge};
use tests::power::Last;
use tests::random::Random;
use tests::report::{say, seed};

use crate::life::{Life, hear, shown};
use crate::missing;

const DISK_BYTES: u64 = 64 << 20;
/// Cuts of both machines together, unless `MATCHRING_CUTS` says another number.
const CUTS: u64 = 300;
/// Cuts of one log, before it ends in order and another begins.
const CUTS_PER_LOG: u64 = 15;
/// One log after the other.
const POLICIES: [&str; 5] = ["group", "os", "group", "interval", "group"];
/// More commands than a process lives for.
const MANY: u64 = 1 << 40;
/// Longest life of a process that is cut off at some moment, and pause after an answer, us.
const LIFE_US_MAX: u64 = 50_000;
const PAUSE_US_MAX: u64 = 3_000;
/// Answers that are waited for, at most.
const ANSWERS_MAX: u64 = 60;
/// Lines that may wait to be read: then the process waits.
const LINES_MAX: usize = 1 << 16;

/// What a number of cuts came to.
#[derive(Debug, Default)]
struct Toll {
    cuts: u64,
    /// Before the process had recovered.
    in_recovery: u64,
    /// Processes that heard of it, and ended for that reason.
    noticed: u64,
    answers: u64,
    lost: u64,
    repeats: u64,
}

/// What a process says, line by line.
struct Said {
    lines: Receiver<String>,
    reader: JoinHandle<()>,
}

impl Said {
    fn by(child: &mut Child) -> Self {
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = sync_channel(LINES_MAX);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines, reader }
    }

    /// Everything from now on, once the process is gone.
    fn rest(self, mut before: String) -> String {
        for line in self.lines {
            before += &line;
            before.push('\n');
        }
        self.reader.join().expect("a reader that ends");
        before
    }
}

/// Waits for some moment: of the clock, or soon after an answer.
fn some_moment(said: &Said, random: &mut Random) -> String {
    let mut heard = String::new();
    let longest = if random.chance(50) {
        LIFE_US_MAX
    } else {
        let answers = random.below(ANSWERS_MAX);
        let mut seen = 0;
        while seen < answers {
            // A process that ends by itself is looked at by whoever cuts it off.
            let Ok(line) = said.lines.recv() else { break };
            seen += u64::from(line.starts_with("ack"));
            heard += &line;
            heard.push('\n');
        }
        PAUSE_US_MAX
    };
    thread::sleep(Duration::from_micros(random.below(longest)));
    heard
}

/// One life that ends with the power of its disk.
fn cut_off(disk: &mut LoopDisk, life: &Life<'_>, random: &mut Random, toll: &mut Toll) -> Output {
    let mut child = life.command().spawn().expect("the process starts");
    let said = Said::by(&mut child);
    let before = some_moment(&said, random);
    let ended = child.try_wait().expect("a process");
    let last = if random.chance(25) { Last::Log } else { Last::Nothing };
    disk.cut(last);
    // It may have ended by itself, for it has lost its files.
    let _ = child.kill();
    let stdout = said.rest(before).into_bytes();
    let output = child.wait_with_output().expect("an end");
    let output = Output { stdout, ..output };
    assert!(ended.is_none(), "ended by itself: {}", shown(&output));
    disk.power_on();
    toll.cuts += 1;
    toll.answers += String::from_utf8_lossy(&output.stdout).matches("ack ").count() as u64;
    toll.noticed += u64::from(output.stderr.starts_with(b"fatal: "));
    toll.in_recovery += u64::from(output.stdout.is_empty());
    output
}

/// One log, from its first life to its end in order.
fn live_through<S: Script>(
    disk: &mut LoopDisk,
    (machine, policy): (&str, &str),
    random: &mut Random,
    cuts: u64,
) -> Toll {
    let (mut toll, mut heard) = (Toll::default(), Heard::default());
    let mount = disk.path().to_owned();
    let dir = mount.join("data");
    let seed = random.bits();
    let mut life = Life {
        dir: &dir,
        machine,
        policy,
        seed,
        first: 0,
        commands: MANY,
        window: 8,
        allow_fs: false,
        wait: false,
        snapshots: true,
        arm: None,
    };
    for _ in 0..cuts {
        life.first = heard.first_unanswered();
        life.window = 1 + random.below(32);
        let output = cut_off(disk, &life, random, &mut toll);
        hear(&mut heard, &output);
        let verdict = judge::<S>(&dir, seed, &heard)
            .unwrap_or_else(|why| panic!("{machine}, {policy}: {why}: {}", shown(&output)));
        assert!(verdict.lost == 0 || policy != "group", "{machine}: {verdict:?}");
        toll.lost += verdict.lost;
        heard.forget_behind(verdict.last_sequence);
    }
    life.first = heard.first_unanswered();
    life.commands = 50;
    life.live(&mut heard);
    let verdict = judge::<S>(&dir, seed, &heard)
        .unwrap_or_else(|why| panic!("{machine}, {policy}, in the end: {why}"));
    assert_eq!((verdict.commands, verdict.lost), (life.first + 50, 0), "{machine}, {policy}");
    toll.repeats = verdict.repeats;
    fs::remove_dir_all(&dir).expect("the log goes");
    // For good: the next cut would bring it back.
    File::open(&mount).and_then(|folder| folder.sync_all()).expect("a disk that works");
    toll
}

fn cut_again_and_again<S: Script>(machine: &str) {
    let Some(mut disk) = LoopDisk::mount(DISK_BYTES) else { return missing("a disk to cut off") };
    let seed = seed();
    say(&format!("{machine}: MATCHRING_SEED={seed}"));
    let wanted = std::env::var("MATCHRING_CUTS");
    let wanted: u64 = wanted.map_or(CUTS, |cuts| cuts.parse().expect("MATCHRING_CUTS is a number"));
    let logs = (wanted / 2).div_ceil(CUTS_PER_LOG);
    let mut random = Random::new(seed);
    let mut tolls: [Toll; POLICIES.len()] = std::array::from_fn(|_| Toll::default());
    for (log, at) in (0..logs).zip((0..POLICIES.len()).cycle()) {
        let policy = POLICIES[at];
        let cuts = CUTS_PER_LOG.min(wanted / 2 - log * CUTS_PER_LOG);
        let toll = live_through::<S>(&mut disk, (machine, policy), &mut random, cuts);
        say(&format!("{machine}, {policy}: {toll:?}"));
        let sum = &mut tolls[at];
        sum.cuts += toll.cuts;
        sum.in_recovery += toll.in_recovery;
        sum.noticed += toll.noticed;
        sum.answers += toll.answers;
        sum.lost += toll.lost;
    }
    let sum = |count: fn(&Toll) -> u64| tolls.iter().map(count).sum::<u64>();
    assert_eq!(sum(|toll| toll.cuts), wanted / 2, "every cut fired");
    assert!(sum(|toll| toll.noticed) > 0, "no process heard of a cut");
    assert!(sum(|toll| toll.in_recovery) > 0, "no cut came before the end of a recovery");
    assert!(sum(|toll| toll.answers) > sum(|toll| toll.cuts), "hardly anything was answered");
    assert!(sum(|toll| toll.lost) > 0, "a cut takes nothing away, not even what nobody synced");
}

#[test]
fn the_engine_loses_its_power() {
    cut_again_and_again::<engine::Engine>("engine");
}

#[test]
fn the_ledger_loses_its_power() {
    cut_again_and_again::<wallet::ledger::Ledger>("ledger");
}
