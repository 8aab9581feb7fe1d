//! What belongs here: dead letters. Operators have them tried again, several at a time, while
//! settlement tries them itself; no crash loses one.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};
use tests::http_client::{HttpClient, Request};
use tests::proxy::Mode;
use tests::report::say;
use tests::trading::desk::text;

use tests::trading::load::Evidence;
use tests::trading::pair::{Pair, settings};

const LETTERS_MIN: usize = 20;
const OPERATORS: [&str; 2] = ["first-operator", "second-operator"];
/// How often each operator asks for each letter.
const TIMES: usize = 5;

/// Trades until there are letters; the answers of the wallet still get lost.
fn with_letters() -> (Pair, Evidence) {
    // So that every try is made, and comes soon after the one before.
    let settings = settings().with("wallet_client", "circuit_breaker_enabled", "false").with(
        "settlement",
        "retry_wait_ms",
        "1",
    );
    let mut pair = Pair::open(settings, true);
    let evidence = pair.under_trading(|scene| {
        scene.pair.proxy().turn(Mode::DropReply);
        let pair = &*scene.pair;
        pair.wait_until("letters are dead", || letters(pair).len() >= LETTERS_MIN);
    });
    (pair, evidence)
}

#[test]
fn no_kill_loses_a_letter_and_all_are_tried_again() {
    let (mut pair, evidence) = with_letters();
    pair.proxy().turn(Mode::Refuse);
    let mut saved = BTreeSet::new();
    pair.wait_until("the letters are in the file", || {
        saved = letters_in_the_file(&pair);
        saved.len() >= LETTERS_MIN
    });
    pair.app.kill();
    pair.app.restart();
    let found: BTreeSet<_> = letters(&pair).iter().map(|l| text(l, "id").to_owned()).collect();
    assert!(found.is_superset(&saved), "lost: {:?}", saved.difference(&found));
    pair.proxy().turn(Mode::Pass);
    pair.wait_until_drained();
    pair.verdict(&evidence);
}

fn letters_in_the_file(pair: &Pair) -> BTreeSet<String> {
    let output = pair.app.run(&["settlement", "dlq"]);
    assert!(output.status.success(), "{output:?}");
    let lines = std::str::from_utf8(&output.stdout).expect("text").lines();
    let letter = |line| serde_json::from_str::<Value>(line).expect("JSON");
    lines.map(|line| text(&letter(line), "id").to_owned()).collect()
}

#[test]
fn requeueing_by_two_operators_has_one_effect() {
    let (mut pair, evidence) = with_letters();
    // Answers still get lost on the way while everybody asks.
    let letters = letters(&pair);
    let operators = OPERATORS.map(|name| pair.app.token(name, "admin"));
    let (server, proxy) = (pair.app.admin(), pair.proxy());
    thread::scope(|scope| {
        for operator in &operators {
            scope.spawn(|| {
                let mut client = HttpClient::new(server);
                for letter in letters.iter().cycle().take(letters.len() * TIMES) {
                    requeue(&mut client, operator, text(letter, "id"));
                }
            });
        }
        proxy.turn(Mode::CutReply);
    });
    proxy.turn(Mode::Pass);
    pair.wait_until("no letter is left", || {
        let body = json!({"class": "UNKNOWN"}).to_string();
        let all = Request::post("/api/v1/admin/settlements/dlq/requeue", &body);
        let answer = HttpClient::new(server).ask(&all.with_token(&operators[0]));
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        answer.json()["requeued"] == json!(0)
    });
    pair.wait_until_drained();
    let trades = pair.verdict(&evidence);
    say(&format!("{} letters, {trades} trades", letters.len()));
}

fn letters(pair: &Pair) -> Vec<Value> {
    let shown = pair.admin_get("/api/v1/admin/settlements/dlq");
    let letters = shown["dead_letters"].as_array().expect("a list").clone();
    assert!(letters.iter().all(|letter| letter["class"] == "UNKNOWN"), "{shown}");
    letters
}

/// It is tried at once, or was settled meanwhile.
fn requeue(client: &mut HttpClient, operator: &str, letter: &str) {
    let path = format!("/api/v1/admin/settlements/dlq/{letter}/requeue");
    let answer = client.ask(&Request::post(&path, "").with_token(operator));
    match answer.status {
        200 => assert_eq!(answer.json(), json!({"requeued": 1})),
        404 => assert_eq!(text(&answer.json(), "code"), "TRADE_NOT_FOUND"),
        _ => panic!("{path}: {:?}", answer.json()),
    }
}
