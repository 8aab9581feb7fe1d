//! What belongs here: a wallet that is gone for long while everybody trades. Trading goes on, what
//! waits is in the log and not in memory, and all of it is settled once the wallet is back.

use std::env;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::app::Memory;
use tests::report::say;

use tests::trading::load::Scene;
use tests::trading::pair::{Pair, settings};

/// Seconds without a wallet, unless `MATCHRING_OUTAGE_S` says otherwise.
const OUTAGE_S_DEFAULT: u64 = 20;
/// Answers before anything is measured: buffers of a fixed size are filled by then.
const WARM_UP_ANSWERS: u64 = 3_000;
/// What may be kept of an order that was answered, bytes; some of that is a buffer's spare room,
/// so that a short measurement alone says little.
const KEPT_BYTES_MAX: u64 = 1_024;
/// Trades that settlement holds in memory at most, by default.
const WINDOW: u64 = 1_000;
/// What an outage may cost besides, KiB.
const GROWTH_MAX_KIB: u64 = 16 << 10;
/// Answers at a time between two looks at the clock.
const STEP: u64 = 200;

#[test]
fn trading_goes_on_in_flat_memory_while_the_wallet_is_away() {
    let outage = match env::var("MATCHRING_OUTAGE_S") {
        Ok(text) => text.parse().expect("MATCHRING_OUTAGE_S is a number"),
        Err(_) => OUTAGE_S_DEFAULT,
    };
    let outage = Duration::from_secs(outage);
    let mut pair = Pair::open(settings(), false);
    let mut back = Instant::now();
    let evidence = pair.under_load(|scene| {
        scene.trade(WARM_UP_ANSWERS);
        let begin = Measured::of(scene);
        // To know what trading itself needs for the orders that it remembers.
        trade_for(scene, outage / 2);
        let down = Measured::of(scene);
        scene.pair.wallet.kill();
        trade_for(scene, outage);
        let up = Measured::of(scene);
        check_growth(&begin, &down, &up);
        let status = scene.pair.admin_get("/api/v1/admin/settlements");
        assert_ne!(status["lag"], json!(0), "nothing waits: {status}");
        assert!(status["window"].as_u64() <= Some(WINDOW), "{status}");
        assert_eq!(status["dead_letters"], json!(0), "an absent wallet fails no trade: {status}");
        say(&format!("{outage:?} without a wallet: {status}"));
        back = Instant::now();
        scene.pair.wallet.restart();
        scene.trade(STEP);
    });
    pair.wait_until_drained();
    let drained = back.elapsed();
    let trades = pair.verdict(&evidence);
    say(&format!("{trades} trades, all settled {drained:?} after the wallet was started"));
}

fn trade_for(scene: &Scene<'_>, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        scene.trade(STEP);
    }
}

/// What the exchange used at one time, and how much it had answered.
#[derive(Debug)]
struct Measured {
    answers: u64,
    memory: Memory,
}

impl Measured {
    fn of(scene: &Scene<'_>) -> Self {
        Self { answers: scene.venue.tally().answered, memory: scene.pair.app.memory() }
    }
}

/// Orders and trades are remembered, with or without a wallet: an outage may cost what as many
/// answers cost before it, and a little more.
fn check_growth(begin: &Measured, down: &Measured, up: &Measured) {
    let with = down.memory.anonymous.saturating_sub(begin.memory.anonymous);
    let without = up.memory.anonymous.saturating_sub(down.memory.anonymous);
    let answers = up.answers - down.answers;
    let scaled = with * answers / (down.answers - begin.answers);
    let expected = scaled.max(answers * KEPT_BYTES_MAX / 1024);
    say(&format!(
        "begin {begin:?}, wallet down {down:?}, wallet up {up:?}: {with} KiB before, {without} KiB \
         without it, {expected} KiB expected"
    ));
    assert!(without <= expected + GROWTH_MAX_KIB, "grew by {without} KiB, not by {expected} KiB");
}
