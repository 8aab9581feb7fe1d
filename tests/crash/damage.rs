//! What belongs here: files that are not as the exchange left them. A torn end, which nobody was
//! told about, is removed; what can be derived again is; anything else stops the start, untouched.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use tests::app::{App, Ended, Settings, files};
use tests::http_client::HttpClient;

use crate::desk::{Bound, Customer, Sent};
use crate::truth;

const EXIT_HALT: i32 = 70;
const EXIT_HELD: i32 = 75;
/// Alignment of groups where each is synced.
const BLOCK: u64 = 4096;
/// Where a group header says how many records there are.
const RECORD_COUNT_AT: u64 = 28;
/// Segment headers lie before this.
const BODY: u64 = 2 * BLOCK;
/// One after the other makes a group each, so these fill more than a segment.
const ORDERS: u64 = 300;

/// A file of a log.
#[derive(Debug)]
struct Segment(PathBuf);

impl Segment {
    fn of(app: &App, log: &str, number: u64) -> Self {
        Self(app.data_dir().join(log).join(format!("jrnl-{number:016x}.seg")))
    }

    /// The one that the log goes on in, by its control file.
    fn active(app: &App, log: &str) -> (u64, Self) {
        let stat = journal::stat(&app.data_dir().join(log)).expect("a log");
        (stat.active_segment, Self::of(app, log, stat.active_segment))
    }

    /// Where the groups end, in whole blocks.
    fn end(&self) -> u64 {
        let bytes = fs::read(&self.0).expect("a segment");
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |place| place as u64 + 1);
        used.next_multiple_of(BLOCK)
    }

    fn read(&self, offset: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(len).expect("small")];
        let file = fs::File::open(&self.0).expect("a segment");
        file.read_exact_at(&mut bytes, offset).expect("within the segment");
        bytes
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(&self.0).expect("a segment");
        file.write_all_at(bytes, offset).expect("written");
    }

    fn flip(&self, offset: u64) {
        let byte = self.read(offset, 1)[0];
        self.write(offset, &[byte ^ 0x10]);
    }

    /// Zeros from `offset` to the end of the file.
    fn cut(&self, offset: u64) {
        let len = fs::metadata(&self.0).expect("a segment").len() - offset;
        self.write(offset, &vec![0; usize::try_from(len).expect("small")]);
    }
}

/// An exchange that was killed after it had acknowledged these orders.
fn killed_after(orders: u64) -> (App, Customer, Vec<Bound>) {
    let mut app = App::start(&Settings::default());
    let customer = Customer::of(&app);
    let told = customer.place(app.public(), "order", orders);
    app.kill();
    (app, customer, told)
}

/// A start that stops, and leaves everything as it was.
fn halted_start(app: &App) -> Ended {
    let before = files(&app.data_dir());
    let ended = app.refused_start();
    assert_eq!(ended.code, Some(EXIT_HALT), "{}", ended.stderr);
    let after = files(&app.data_dir());
    let paths = before.keys().chain(after.keys());
    let changed: BTreeSet<_> = paths.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "a halted start changed {changed:?}");
    ended
}

/// The numbers in the last line, which says why.
fn numbers(ended: &Ended) -> Vec<u64> {
    let line = ended.stderr.lines().last().unwrap_or_default();
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[test]
fn a_flipped_byte_stops_the_start_and_is_named() {
    let (mut app, customer, told) = killed_after(ORDERS);
    let (active, last) = Segment::active(&app, "journal");
    assert!(active > 1, "the log was to roll");
    let first = Segment::of(&app, "journal", 1);
    let places = [
        (1, &first, BODY + 70),
        (1, &first, first.end() / 2),
        (active, &last, BODY + (last.end() - BODY) / 2),
    ];
    for (number, segment, offset) in places {
        segment.flip(offset);
        let ended = halted_start(&app);
        assert!(ended.stderr.contains(&format!("segment {number} offset ")), "{}", ended.stderr);
        let group = offset - offset % BLOCK;
        assert!(numbers(&ended).contains(&group), "{group} is not named: {}", ended.stderr);
        let verify = app.run(&["journal", "verify"]);
        assert_eq!(verify.status.code(), Some(EXIT_HALT), "{verify:?}");
        segment.flip(offset);
    }
    app.restart();
    customer.check_repeats(&app, &told);
}

/// The backup is of some orders earlier: what it has is taken from it, the rest is still there.
#[test]
fn a_damaged_journal_is_repaired_from_a_backup() {
    let (mut app, customer, mut told) = killed_after(ORDERS);
    let backup = tempfile::tempdir().expect("a folder");
    fs::create_dir(backup.path().join("journal")).expect("a folder");
    for (path, bytes) in files(&app.data_dir().join("journal")) {
        let place = path.strip_prefix(app.data_dir()).expect("a file of the exchange");
        fs::write(backup.path().join(place), bytes).expect("a copy");
    }
    app.restart();
    told.extend(customer.place(app.public(), "later", 20));
    let from = backup.path().to_str().expect("a path");
    let dry = ["journal", "repair", "--from", from];
    let repair = [dry.as_slice(), &["--apply"]].concat();
    assert_eq!(app.run(&repair).status.code(), Some(EXIT_HELD), "not beside an exchange");
    fs::create_dir_all(backup.path().join("wallet/journal")).expect("a folder");
    let wallet = [repair.as_slice(), &["--log", "wallet"]].concat();
    assert_eq!(app.run(&wallet).status.code(), Some(EXIT_HELD), "nor beside its wallet");
    app.kill();

    let first = Segment::of(&app, "journal", 1);
    first.flip(BODY + 70);
    first.flip(first.end() / 2);
    halted_start(&app);
    let planned = app.run_json(&dry);
    assert_eq!(planned["applied"], false);
    halted_start(&app);
    let done = app.run_json(&repair);
    assert_eq!(done["mended"], planned["mended"]);
    assert_eq!(done["mended"].as_array().map(Vec::len), Some(2), "{done}");
    assert_eq!(done["quarantined"].as_array().map(Vec::len), Some(1), "{done}");
    app.restart();
    customer.check_repeats(&app, &told);
}

#[test]
fn a_torn_end_is_removed_and_nothing_acknowledged_with_it() {
    let (mut app, customer, mut told) = killed_after(30);
    for (number, torn) in ["noise", "header", "half"].into_iter().enumerate() {
        let (segment, begin) = last_group(&app);
        let (end, last_group) = (segment.end(), segment.read(begin, 200));
        let tail = match torn {
            "noise" => (0..100).map(|byte: u8| byte.wrapping_mul(37) | 1).collect(),
            "header" => [b"MGRP".as_slice(), &[0xA5; 60]].concat(),
            _ => last_group,
        };
        segment.write(end, &tail);
        app.restart();
        let kept = fs::read_dir(app.data_dir().join("journal/quarantine")).expect("a folder");
        assert_eq!(kept.count(), number + 1, "{torn}: the tail is kept aside");
        customer.check_repeats(&app, &told);
        told.extend(customer.place(app.public(), torn, 5));
        app.kill();
    }
    let truth = truth::replay(&app.data_dir()).machine;
    assert_eq!(truth.orders.len(), told.len(), "no order was made of garbage");
    truth.engine.assert_invariants();
}

/// Where the group of the last command begins, and its segment. An idle group, which has no records
/// and says only that the last one is safe, may stand behind it.
fn last_group(app: &App) -> (Segment, u64) {
    let (_, segment) = Segment::active(app, "journal");
    let mut begin = segment.end() - BLOCK;
    while segment.read(begin + RECORD_COUNT_AT, 4) == [0; 4] {
        begin -= BLOCK;
    }
    assert_eq!(segment.read(begin, 4), b"MGRP", "a group that fills one block");
    (segment, begin)
}

#[test]
fn a_group_that_was_torn_before_anybody_was_told_never_was() {
    let (mut app, customer, mut told) = killed_after(30);
    let last = told.pop().expect("an order");
    let (segment, begin) = last_group(&app);
    // Half of the group had reached the disk, and no event of it.
    segment.cut(begin + 100);
    fs::remove_dir_all(app.data_dir().join("events")).expect("removed");
    app.restart();
    customer.check_repeats(&app, &told);
    let again = customer.try_order(&mut HttpClient::new(app.public()), "order-30", 30);
    let Sent::Told(again) = again else { panic!("{again:?}") };
    assert_eq!(again.body, last.body, "the same order as before");
    customer.check_repeats(&app, &[again]);
}

#[test]
fn an_acknowledged_group_that_is_gone_stops_the_start() {
    let (app, _, told) = killed_after(30);
    let (segment, begin) = last_group(&app);
    segment.cut(begin);
    let ended = halted_start(&app);
    let lost = told.last().and_then(|order| order.first.1["seq"].as_u64()).expect("a sequence");
    assert!(numbers(&ended).contains(&lost), "{lost} is not named: {}", ended.stderr);
}

#[test]
fn an_event_log_that_is_lost_is_derived_again() {
    let (mut app, customer, told) = killed_after(ORDERS);
    for loss in ["the end", "the log", "nothing"] {
        match loss {
            "the end" => {
                let (_, segment) = Segment::active(&app, "events");
                segment.cut(BODY + (segment.end() - BODY) / 2 + 8);
            }
            "the log" => fs::remove_dir_all(app.data_dir().join("events")).expect("removed"),
            _ => {}
        }
        app.restart();
        customer.check_repeats(&app, &told);
        app.kill();
        let truth = truth::replay(&app.data_dir()).machine;
        truth::check_event_log(&app.data_dir(), &truth.events);
    }
}
