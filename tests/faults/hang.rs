//! What belongs here: a wallet that takes requests and never answers. Trading goes on, only so many
//! calls hang, the exchange can end, and all is settled once the wallet answers again.

use serde_json::json;
use tests::proxy::Mode;

use tests::trading::load::PAYERS;
use tests::trading::pair::{Pair, settings};

const WORKERS: u64 = 4;
/// Calls at once: settlement, the reading of funding events, an answer to each payer.
const CALLS_MAX: u64 = WORKERS + 1 + PAYERS;
/// Calls that must have been given up before the wallet answers again.
const ANSWERS_MEANWHILE: u64 = 2_000;

#[test]
fn a_hanging_wallet_takes_a_bounded_number_of_calls_and_no_trade() {
    let settings = settings().with("settlement", "workers", &WORKERS.to_string()).with(
        "wallet_client",
        "timeout",
        "\"300ms\"",
    );
    let mut pair = Pair::open(settings, true);
    let evidence = pair.under_load(|scene| {
        scene.trade(300);
        scene.pair.proxy().turn(Mode::Hang);
        scene.trade(ANSWERS_MEANWHILE);
        let counts = scene.pair.proxy().counts();
        let status = scene.pair.admin_get("/api/v1/admin/settlements");
        assert!(counts.hanging_most > 0, "nothing hung: {counts:?}");
        // One that was given up may still be counted while the next one begins.
        assert!(counts.hanging_most <= 2 * CALLS_MAX, "{counts:?}");
        assert!(status["in_flight"].as_u64() <= Some(WORKERS), "{status}");
        assert_ne!(status["lag"], json!(0), "nothing waits: {status}");
        scene.pair.proxy().turn(Mode::Pass);
        scene.trade(300);
    });
    pair.wait_until_drained();
    pair.verdict(&evidence);
}

#[test]
fn an_exchange_whose_wallet_hangs_ends_when_it_is_told_to() {
    // Calls would hang for longer than anybody waits here for the end of a process.
    let settings = settings()
        .with("settlement", "stop_timeout_ms", "2000")
        .with("settlement", "call_timeout_ms", "600000")
        .with("wallet_client", "timeout", "\"600s\"");
    let mut pair = Pair::open(settings, true);
    let evidence = pair.under_trading(|scene| {
        scene.trade(300);
        scene.pair.proxy().turn(Mode::Hang);
        scene.trade(300);
        scene.pair.wait_until("calls hang", || scene.pair.proxy().counts().hanging > 0);
    });
    let ended = pair.app.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // It starts beside a wallet that still hangs.
    pair.app.restart();
    pair.proxy().turn(Mode::Pass);
    let ended = pair.app.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    pair.app.restart();
    pair.wait_until_drained();
    pair.verdict(&evidence);
}
