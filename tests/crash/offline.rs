//! What belongs here: what the command line says of an exchange that is not running, or is.

use serde_json::Value;
use tests::app::{App, Settings};

use crate::desk::Customer;
use crate::truth;

const LOGS: [&str; 4] = ["journal", "events", "wallet", "wallet-events"];
const EXIT_LOCKED: i32 = 75;

#[test]
fn every_log_is_looked_at_and_shown() {
    let mut app = App::start(&Settings::default());
    Customer::of(&app).place(app.public(), "k", 30);
    assert_eq!(app.terminate().code, Some(0));
    for log in LOGS {
        let stat = app.run_json(&["journal", "stat", "--log", log]);
        assert_eq!(stat["clean_shutdown"], true, "{log}: {stat}");
        let verified = app.run_json(&["journal", "verify", "--log", log]);
        assert_eq!(verified["tail"], "Clean", "{log}: {verified}");
        let snapshots = verified["snapshots"].as_array().expect("a list");
        let is_journal = !log.ends_with("events");
        assert_eq!(snapshots.len(), usize::from(is_journal), "{log}: {verified}");
        let dump = app.run(&["journal", "dump", "--log", log]);
        assert!(dump.status.success(), "{log}: {dump:?}");
        let text = String::from_utf8(dump.stdout).expect("text");
        assert_eq!(text.lines().count() as u64, stat["last_sequence"].as_u64().expect("a number"));
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect("a line of JSON");
            let content = record["content"].as_str().expect("text");
            assert!(!content.contains("cannot be decoded"), "{log}: {line}");
            assert!(content.contains(|letter: char| letter.is_ascii_uppercase()), "{log}: {line}");
        }
    }
}

#[test]
fn a_snapshot_is_taken_of_an_exchange_that_is_not_running() {
    let settings = Settings::default().with("snapshot", "at_shutdown", "false");
    let mut app = App::start(&settings);
    let customer = Customer::of(&app);
    let orders = customer.place(app.public(), "k", 30);
    let refused = app.snapshot();
    assert_eq!(refused.status.code(), Some(EXIT_LOCKED), "{refused:?}");
    app.kill();
    let taken = app.snapshot();
    assert!(taken.status.success(), "{taken:?}");
    let taken: Value = serde_json::from_slice(&taken.stdout).expect("one line of JSON");
    let replayed = truth::replay(&app.data_dir()).machine;
    assert_eq!(taken["exchange"]["state_hash"], replayed.hash().hash.as_str());
    let sequence = taken["wallet"]["sequence"].as_u64();
    assert!(sequence > Some(0), "{taken}");
    app.restart();
    customer.check_repeats(&app, &orders);
    assert_eq!(customer.live_hash(&app), truth::replay(&app.data_dir()).machine.hash());
    assert_eq!(app.terminate().code, Some(0));
    let verified = app.run_json(&["journal", "verify"]);
    assert_eq!(verified["snapshots"][0]["sequence"], taken["exchange"]["sequence"]);
}
