//! What belongs here: the commands that only read, beside an exchange that writes.

use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use tests::app::{App, Settings};
use tests::trading::venue::SetOnDrop;

use crate::desk::{self, Customer, settled_files};

const COMMANDS: [&[&str]; 4] =
    [&["journal", "stat"], &["journal", "verify"], &["journal", "dump"], &["replay", "--json"]];
/// Segments that the log has to reach while all commands are run again and again.
const SEGMENTS: u64 = 4;

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let text = std::str::from_utf8(&output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_look_at_a_live_directory_shows_the_truth_and_changes_nothing() {
    let app = App::start(&Settings::default());
    let customer = Customer::of(&app);
    customer.place(app.public(), "order", 30);
    let live = customer.live_hash(&app);
    let [stat, verify, dump, replay] = COMMANDS.map(|command| lines(&app.run(command)));
    assert_eq!(desk::state_hash(&replay[0], "last_sequence"), live);
    assert_eq!(stat[0]["last_sequence"], live.sequence);
    assert_eq!(stat[0]["clean_shutdown"], false);
    assert_eq!(verify[0]["last_sequence"], live.sequence);
    let sequences: Vec<_> = dump.iter().map(|line| line["sequence"].as_u64()).collect();
    let expected: Vec<_> = (1..=live.sequence).map(Some).collect();
    assert_eq!(sequences, expected, "every record once");
    let orders = dump.iter().filter(|line| desk::text(line, "content").starts_with("NewOrder"));
    assert_eq!(orders.count(), 30);
    let part = lines(&app.run(&["journal", "dump", "--from", "3", "--to", "5"]));
    assert_eq!(part, dump[2..5]);

    let before = settled_files(&app);
    for command in COMMANDS {
        assert!(app.run(command).status.success());
    }
    assert!(settled_files(&app) == before, "a command that only reads has written");
}

#[test]
fn a_look_at_a_busy_directory_finds_a_whole_log() {
    let app = App::start(&Settings::default());
    let customer = Customer::of(&app);
    let done = AtomicBool::new(false);
    let server = app.public();
    let told = thread::scope(|scope| {
        let end = SetOnDrop(&done);
        let trading = scope.spawn(|| {
            let mut told = Vec::new();
            while !done.load(Ordering::Relaxed) {
                told.extend(customer.place(server, &format!("batch-{}", told.len()), 20));
            }
            told
        });
        let mut last_seen = 0;
        while app.run_json(&["journal", "stat"])["segments"].as_u64() < Some(SEGMENTS) {
            for command in COMMANDS {
                let seen = lines(&app.run(command));
                let last = seen.last().expect("a line");
                let sequence = last["sequence"].as_u64().or(last["last_sequence"].as_u64());
                assert!(sequence >= Some(last_seen), "{command:?} went back to {sequence:?}");
                last_seen = sequence.unwrap_or_default();
            }
        }
        drop(end);
        trading.join().expect("the trading thread")
    });
    customer.check_repeats(&app, &told);
}
