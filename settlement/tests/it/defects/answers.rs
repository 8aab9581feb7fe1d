//! Defects in what was made of an answer, or of a name.

use std::time::Duration;

use engine::TradeId;
use settlement::{Class, TradeError, judge, parse_symbol};
use wallet::client::{CallOutcome, WalletError};

use crate::harness::market::DOGE_USDT;
use crate::harness::{Bench, Fate, RICH, code, trade_id, until};

#[test]
fn d15_timeout_is_unknown_not_down() {
    assert_eq!(WalletError::Timeout.outcome(), CallOutcome::Unknown);
    assert_ne!(judge(&WalletError::Timeout), judge(&WalletError::WalletServiceDown));
}

/// A call is given up at its deadline even if the client forgets it, and only then sent again.
#[tokio::test(start_paused = true)]
async fn d17_deadline_stops_the_call() {
    let bench = Bench::rich(2).await.with(|options| options.call_timeout = Duration::from_secs(3));
    bench.line.always(Fate::Hang);
    bench.market.trades(1, 2);
    let desk = bench.start();
    let begun = tokio::time::Instant::now();
    until(&desk, |status| status.counts.failed_tries == 1).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(7), "{took:?}");
    until(&desk, |status| status.dead_letters == 1).await;
    let seen = bench.line.seen();
    assert_eq!((seen.most_in_flight, seen.in_flight, seen.doubled), (1, 0, false));
}

/// The class of an error is that of the error, wherever in an answer it stands.
#[tokio::test(start_paused = true)]
async fn d18_error_class_survives_wrapping() {
    for (error, class) in [
        (WalletError::UserNotFound, Class::Terminal),
        (WalletError::InvalidRequest("malformed".to_owned()), Class::Terminal),
        (WalletError::ReservationNotFound, Class::Impossible),
        (WalletError::Conflict("otherwise".to_owned()), Class::Impossible),
        (WalletError::InsufficientBalance, Class::Impossible),
        (WalletError::Timeout, Class::Unknown),
        (WalletError::InvalidResponse("rubbish".to_owned()), Class::Unknown),
    ] {
        let bench = Bench::rich(2).await;
        bench.line.refuse(trade_id(1), Some(error.clone()));
        bench.market.trades(1, 2);
        let desk = bench.start();
        until(&desk, |status| status.dead_letters == 1).await;
        bench.line.always(Fate::Fail(error.clone()));
        bench.market.trades(1, 2);
        until(&desk, |status| status.dead_letters == 2).await;
        let letters = desk.board().progress().letters;
        let of_call = letters.get(TradeId(2)).unwrap();
        assert_eq!(letters.get(TradeId(1)).unwrap().class, class, "{error}");
        assert_eq!((of_call.class, &of_call.reason), (class, &error.to_string()));
    }
}

/// The pair of a trade is its instrument's; a symbol in text is split at its separator, never by
/// counting letters.
#[tokio::test(start_paused = true)]
async fn d19_symbol_is_split_once() {
    assert_eq!(parse_symbol("DOGE/USDT"), Ok((code("DOGE"), code("USDT"))));
    assert_eq!(parse_symbol("DOGEUSDT"), Err(TradeError::SymbolParsing("DOGEUSDT".to_owned())));
    let bench = Bench::rich(2).await;
    bench.lend(2, "DOGE", 1_000).await;
    bench.market.trade_in(DOGE_USDT, 1, 2);
    let desk = bench.start();
    bench.drained(&desk).await;
    assert_eq!((bench.pool(1, "DOGE").await, bench.pool(2, "DOGE").await), (100, 900));
    assert_eq!(bench.pool(1, "BTC").await, RICH);
}
