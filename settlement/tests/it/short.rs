//! Trades whose payer is paid by an earlier trade: who is short, and whose fault it is.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use settlement::{Class, SettlementStatus};
use tokio::sync::Semaphore;
use wallet::client::WalletError;

use crate::harness::{Bench, Fate, ids, let_pass, status, trade_id, until};

/// Rich users 1 and 2; user 3 has nothing but BTC for one trade.
async fn bench(batch: usize) -> Bench {
    let bench = Bench::rich(2).await.with(|options| options.batch = batch);
    bench.lend(3, "BTC", 100).await;
    bench
}

/// User 3 sells to user 1 and then spends on BTC again what that brought: just short by the fees
/// unless the sale brought enough, so it gets a little more.
async fn relay(bench: &Bench) -> (TradeId, TradeId) {
    bench.lend(3, "USDT", 20).await;
    (bench.market.trade(1, 3), bench.market.trade(3, 2))
}

/// The later trade arrives at the wallet first, and its answer comes before the earlier one's.
#[tokio::test(start_paused = true)]
async fn a_trade_that_overtakes_its_money_is_parked_and_settled() {
    let bench = bench(1).await;
    relay(&bench).await;
    let permits = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&permits);
    bench.line.fate(move |requests| match requests[0].trade_id == trade_id(1) {
        true => Fate::Hold(Arc::clone(&held)),
        false => Fate::Pass,
    });
    let desk = bench.start();
    until(&desk, |status| status.counts.failed_tries == 1).await;
    let_pass(Duration::from_secs(5)).await;
    assert_eq!(bench.line.seen().times(trade_id(2)), 1, "it waits, and does not knock");
    permits.add_permits(1);
    bench.drained(&desk).await;
    assert_eq!(desk.board().counts().settled, 2);
    assert_eq!(desk.board().counts().dead_lettered, 0);
    assert!(bench.alarms.raised().is_empty());
}

/// The wallet sees the later trade first, but the earlier one's answer comes first: that the
/// later one is the oldest by now does not mean that it was when the wallet looked at it.
#[tokio::test(start_paused = true)]
async fn a_short_answer_from_before_is_not_the_last_word() {
    let bench = bench(1).await;
    relay(&bench).await;
    let (one, two) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (hold, late) = (Arc::clone(&one), Arc::clone(&two));
    let mut first = true;
    bench.line.fate(move |requests| match requests[0].trade_id == trade_id(1) {
        true => Fate::Hold(Arc::clone(&hold)),
        false if std::mem::take(&mut first) => Fate::Late(Arc::clone(&late)),
        false => Fate::Pass,
    });
    let desk = bench.start();
    until(&desk, |status| status.in_flight == 2).await;
    one.add_permits(1);
    until(&desk, |status| status.counts.settled == 1).await;
    two.add_permits(1);
    bench.drained(&desk).await;
    assert_eq!(desk.board().counts().settled, 2);
    assert!(bench.alarms.raised().is_empty(), "the market was not halted");
}

/// A long chain, each paid by the one before, arrives back to front.
#[tokio::test(start_paused = true)]
async fn a_chain_that_arrives_back_to_front_is_settled() {
    let bench = Bench::rich(1).await.with(|options| options.batch = 1);
    bench.lend(2, "USDT", 5_000_010).await;
    let links = 40;
    for link in 2..=links {
        bench.lend(link + 1, "BTC", 100).await;
        // What the fees take away on the way.
        bench.lend(link + 1, "USDT", 15).await;
        bench.market.trade(link, link + 1);
    }
    let mut turn = 0;
    let permits = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&permits);
    bench.line.fate(move |_| {
        turn += 1;
        if turn == 1 { Fate::Hold(Arc::clone(&gate)) } else { Fate::Pass }
    });
    let desk = bench.start();
    until(&desk, |status| status.counts.failed_tries > 0).await;
    permits.add_permits(1);
    bench.drained(&desk).await;
    assert_eq!(desk.board().counts().settled, u64::from(links) - 1);
    assert_eq!(desk.board().counts().dead_lettered, 0);
}

#[tokio::test(start_paused = true)]
async fn really_short_is_impossible() {
    let bench = bench(64).await;
    let trade = bench.market.trade(3, 1);
    let desk = bench.start();
    bench.drained(&desk).await;
    assert_eq!(bench.alarms.raised(), [(trade, Class::Impossible)]);
    assert_eq!(status(&desk.board(), trade), SettlementStatus::Failed);
    let_pass(Duration::from_secs(600)).await;
    assert_eq!(bench.line.seen().times(trade_id(1)), 1, "only an operator has it tried again");
}

/// Short because of a letter without outcome: no fault of the books, and no alarm.
#[tokio::test(start_paused = true)]
async fn short_because_of_an_unknown_letter_is_unknown() {
    let bench = bench(64).await;
    let (_, second) = relay(&bench).await;
    bench.line.refuse(trade_id(1), Some(WalletError::Timeout));
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 2).await;
    let letter = desk.board().progress().letters.get(second).cloned().unwrap();
    assert_eq!(letter.class, Class::Unknown);
    assert!(bench.alarms.raised().is_empty());
    bench.line.refuse(trade_id(1), None);
    until(&desk, |status| status.dead_letters == 0).await;
    assert_eq!(desk.board().counts().settled, 2);
    assert!(bench.alarms.raised().is_empty());
}

/// The same where the letter was refused: one alarm, for the one that is at fault, and the market
/// is not halted for the others.
#[tokio::test(start_paused = true)]
async fn short_because_of_a_refused_letter_wakes_nobody_again() {
    let bench = bench(64).await;
    let (first, second) = relay(&bench).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 2).await;
    let_pass(Duration::from_secs(300)).await;
    assert_eq!(bench.alarms.raised(), [(first, Class::Terminal)]);
    assert_eq!(status(&desk.board(), second), SettlementStatus::Pending);
    bench.line.refuse(trade_id(1), None);
    desk.requeue(first).await.unwrap();
    until(&desk, |status| status.dead_letters == 0).await;
    assert_eq!(desk.board().counts().settled, 2);
}

/// A letter that is tried before the trades in front of it are settled: after a restart the
/// letters have their turn at once, and what pays them is still in the log.
#[tokio::test(start_paused = true)]
async fn a_letter_ahead_of_its_money_is_not_impossible() {
    let bench = bench(64).await.with(|options| {
        options.window = 1;
        options.overflow = settlement::Overflow::DeadLetter;
    });
    let (_, second) = relay(&bench).await;
    let permits = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&permits);
    bench.line.fate(move |requests| match requests[0].trade_id == trade_id(1) {
        true => Fate::Hold(Arc::clone(&held)),
        false => Fate::Pass,
    });
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1).await;
    desk.requeue(second).await.unwrap();
    until(&desk, |status| status.counts.failed_tries == 1).await;
    assert!(bench.alarms.raised().is_empty());
    permits.add_permits(1);
    until(&desk, |status| status.dead_letters == 0).await;
    assert_eq!(desk.board().counts().settled, 2);
    assert!(bench.alarms.raised().is_empty());
    assert_eq!(bench.line.seen().times(trade_id(1)), 1);
}

/// In one call trades are in their order, so a chain within one needs no second try.
#[tokio::test(start_paused = true)]
async fn a_chain_in_one_call_is_settled_at_once() {
    let bench = bench(64).await;
    relay(&bench).await;
    let desk = bench.start();
    bench.drained(&desk).await;
    assert_eq!(bench.line.seen().calls, [ids([1, 2])]);
    assert_eq!(desk.board().counts().failed_tries, 0);
}
