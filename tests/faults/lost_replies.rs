//! What belongs here: answers of the wallet that do not arrive, or not whole, or late, after it has
//! done what it was asked. Every trade is settled once, under one id, and none is ever FAILED.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tests::http_client::{HttpClient, Request};
use tests::proxy::{Counts, Mode};
use tests::report::say;
use tests::trading::desk::text;
use tests::trading::drafts::MARKETS;

use tests::trading::pair::{Pair, settings};

const MODES: [Mode; 4] =
    [Mode::DropReply, Mode::CutReply, Mode::Delay(Duration::from_millis(20)), Mode::Pass];
const ROUNDS: usize = 16;
/// Answers that must have been spoilt: at least one in each round that spoils.
const SPOILT_MIN: u64 = ROUNDS as u64 / 2;
/// Answers of the exchange before it is asked whether a round has done what it is there for, and
/// how often that is asked at most: trades are settled many at a time, and not at all for a while
/// after a fault, so that a round may be over before an answer of the wallet came through it.
const ANSWERS: u64 = 30;
const LOOKS: usize = 300;
/// No round takes them all: what has become a dead letter is tried again after half a minute only.
const ATTEMPTS: &str = "50";

#[test]
fn a_lost_reply_settles_nothing_twice_and_fails_nothing() {
    let mut pair = Pair::open(settings().with("settlement", "retry_attempts", ATTEMPTS), true);
    let mut seen = Statuses::default();
    let evidence = pair.under_load(|scene| {
        for mode in MODES.iter().cycle().take(ROUNDS) {
            let before = scene.pair.proxy().counts();
            scene.pair.proxy().turn(*mode);
            for _ in 0..LOOKS {
                scene.trade(ANSWERS);
                if has_struck(*mode, before, scene.pair.proxy().counts()) {
                    break;
                }
            }
            seen.look(scene.pair);
        }
        scene.pair.proxy().turn(Mode::Pass);
    });
    pair.wait_until_drained();
    seen.look(&pair);
    let pending = seen.check_settled(&pair);
    let counts = pair.proxy().counts();
    assert!(counts.spoilt >= SPOILT_MIN, "{counts:?}");
    assert!(pending > 0, "no trade was ever in doubt");
    let trades = pair.verdict(&evidence);
    say(&format!("{counts:?}, {trades} trades, {pending} of those seen were pending at first"));
}

/// Whether the proxy spoilt an answer, where `mode` is there for that.
fn has_struck(mode: Mode, before: Counts, now: Counts) -> bool {
    match mode {
        Mode::DropReply | Mode::CutReply => now.spoilt > before.spoilt,
        _ => true,
    }
}

/// What was seen of trades: the settlement of each that was ever shown as settled.
#[derive(Debug, Default)]
struct Statuses {
    trades: BTreeMap<String, Option<String>>,
    pending: u64,
}

impl Statuses {
    /// Looks at the latest trades: none has failed, and a settlement never changes.
    fn look(&mut self, pair: &Pair) {
        let mut public = HttpClient::new(pair.app.public());
        for market in MARKETS {
            let path = format!("/api/v1/trades/{}/recent?limit=20", market.path);
            let trades = public.ask(&Request::get(&path)).json();
            for trade in trades.as_array().expect("a list") {
                self.note(pair, text(trade, "id"));
            }
        }
    }

    fn note(&mut self, pair: &Pair, trade: &str) {
        let now = settlement(pair, trade);
        let is_new = !self.trades.contains_key(trade);
        self.pending += u64::from(is_new && now.is_none());
        let before = self.trades.entry(trade.to_owned()).or_default();
        assert!(before.is_none() || *before == now, "{trade}: {before:?} became {now:?}");
        *before = now;
    }

    /// Everything that was seen is settled by now, in the wallet's words too. Returns how many
    /// trades were pending when they were first seen.
    fn check_settled(&self, pair: &Pair) -> u64 {
        for (trade, before) in &self.trades {
            let now = settlement(pair, trade);
            assert!(before.is_none() || *before == now, "{trade}: {before:?} became {now:?}");
            let wallet = pair.wallet_get(&format!("/api/wallets/settlements/{trade}"));
            assert_eq!(now.as_deref(), wallet["settlement_id"].as_str(), "{trade}: {wallet}");
        }
        self.pending
    }
}

/// The settlement of a trade as the exchange shows it, if it is settled.
fn settlement(pair: &Pair, trade: &str) -> Option<String> {
    let shown = pair.admin_get(&format!("/api/v1/admin/settlements/trades/{trade}"));
    let id = shown["settlement_id"].as_str().map(str::to_owned);
    match text(&shown, "settlement_status") {
        "PENDING" => assert_eq!(shown["settlement_id"], Value::Null, "{shown}"),
        "SETTLED" => assert!(id.is_some(), "{shown}"),
        _ => panic!("{shown}"),
    }
    id
}
