//! What orders with reservations of their own did not need: given back once, never before their
//! trades were paid, and not forgotten whatever fails.

use std::sync::Arc;
use std::time::Duration;

use engine::OrderId;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use settlement::limits::RELEASES_OWED_MAX;
use settlement::releases::{ReleaseParts, Releases, ReleasesError, ReleasesStatus};
use settlement::{Desk, RetryPolicy, order_key};
use tokio::runtime::Builder;
use wallet::client::{ReserveRequest, WalletClient, WalletError};
use wallet::ledger::types::ReserveReason;

use crate::harness::market::{BASE, BUYER_FEE, Market, QUOTE};
use crate::harness::{Bench, Fate, Names, code, context, let_pass, trade_id, until_true, user};

/// What a buyer of one trade pays.
const PAID: u128 = QUOTE + BUYER_FEE.cast_unsigned();
const REST: u128 = 1_000;

/// A bench whose orders are paid from reservations of their own.
fn bench() -> Bench {
    Bench::new().per_order()
}

fn try_open(bench: &Bench, desk: &Desk) -> Result<Releases, ReleasesError> {
    let directory = bench.directory.path().join("settlement");
    Releases::start(&directory, bench.market.head(), |from| {
        Ok(ReleaseParts {
            source: bench.market.source(from),
            directory: Arc::new(Names),
            client: Arc::clone(&bench.line) as Arc<dyn WalletClient>,
            board: desk.board(),
            retry: RetryPolicy::default(),
        })
    })
}

fn open(bench: &Bench, desk: &Desk) -> Releases {
    try_open(bench, desk).unwrap()
}

async fn reserve(bench: &Bench, number: u32, asset: &str, amount: u128, order: u64) {
    let mock = bench.mock();
    let before = mock.get_balance(context(), user(number), code(asset)).await;
    let available = before.map_or(0, |balance| balance.available);
    mock.set_balance(user(number), code(asset), available + amount);
    let (order_id, reason) = (order_key(OrderId(order)), ReserveReason::OrderPlacement);
    let request =
        ReserveRequest { user_id: user(number), asset: code(asset), amount, order_id, reason };
    mock.reserve(context(), &request).await.unwrap();
}

/// The reservations of both orders of a trade between users 1 and 2.
async fn reserve_for_trade(bench: &Bench, number: u64) {
    reserve(bench, 1, "USDT", PAID + REST, 2 * number + 1).await;
    reserve(bench, 2, "BTC", BASE, 2 * number).await;
}

async fn released(bench: &Bench, order: u64) -> u128 {
    let found = bench.mock().reservation_of_order(context(), order_key(OrderId(order))).await;
    let reservation = found.unwrap().unwrap();
    assert_eq!(
        reservation.captured + reservation.released + reservation.remaining,
        reservation.original
    );
    reservation.released
}

async fn until(releases: &Releases, reached: impl Fn(ReleasesStatus) -> bool) {
    until_true(|| reached(releases.status()), || format!("{:?}", releases.status())).await;
}

async fn told_everything(bench: &Bench, releases: &Releases) {
    let head = bench.market.head();
    until(releases, |status| status.cursor == head && status.owed == 0).await;
}

#[tokio::test(start_paused = true)]
async fn d08_failed_release_is_retried_until_done() {
    let bench = bench();
    reserve(&bench, 1, "USDT", REST, 7).await;
    let mut tries = 0;
    bench.line.release_fate(move || {
        tries += 1;
        match tries {
            0..10 => Fate::Fail(WalletError::WalletServiceDown),
            10..12 => Fate::Hang,
            12..20 => Fate::Fail(WalletError::InvalidResponse("500".to_owned())),
            20..24 => Fate::Lose(WalletError::Timeout),
            24..30 => Fate::Fail(WalletError::InvalidRequest("refused".to_owned())),
            _ => Fate::Pass,
        }
    });
    bench.market.ends(7, 1, 0, REST);
    let desk = bench.start();
    let releases = open(&bench, &desk);
    told_everything(&bench, &releases).await;
    assert_eq!((releases.status().released, released(&bench, 7).await), (1, REST));
    let balance = bench.mock().get_balance(context(), user(1), code("USDT")).await.unwrap();
    assert_eq!((balance.available, balance.reserved), (REST, 0));
}

/// The wallet would refuse it: what the order's trades took is not there yet.
#[tokio::test(start_paused = true)]
async fn a_release_never_overtakes_a_settlement() {
    let bench = bench().with(|options| options.paused = true);
    reserve_for_trade(&bench, 1).await;
    bench.market.trade(1, 2);
    bench.market.ends(3, 1, PAID, REST);
    let desk = bench.start();
    let releases = open(&bench, &desk);
    until(&releases, |status| status.owed == 1).await;
    let_pass(Duration::from_secs(60)).await;
    assert_eq!((releases.status().owed, released(&bench, 3).await), (1, 0));
    desk.pause(false).await.unwrap();
    told_everything(&bench, &releases).await;
    assert_eq!(released(&bench, 3).await, REST);
}

/// The cursor of settlement has passed a dead letter, but its money has not moved.
#[tokio::test(start_paused = true)]
async fn a_release_waits_for_the_dead_letters_of_its_order_and_holds_nobody_else_up() {
    let bench = bench();
    for number in 1..=2 {
        reserve_for_trade(&bench, number).await;
    }
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    let dead = bench.market.trade(1, 2);
    bench.market.ends(3, 1, PAID, REST);
    bench.market.trade(1, 2);
    bench.market.ends(5, 1, PAID, REST);
    let desk = bench.start();
    let releases = open(&bench, &desk);
    let head = bench.market.head();
    until(&releases, |status| status.cursor == head && status.owed == 1).await;
    assert_eq!((released(&bench, 3).await, released(&bench, 5).await), (0, REST));
    bench.line.refuse(trade_id(1), None);
    desk.requeue(dead).await.unwrap();
    told_everything(&bench, &releases).await;
    assert_eq!(released(&bench, 3).await, REST);
}

/// A trade that an operator took out is never captured: what it would have taken goes back with the
/// rest.
#[tokio::test(start_paused = true)]
async fn a_discarded_trade_does_not_hold_its_orders_up() {
    let bench = bench();
    reserve_for_trade(&bench, 1).await;
    bench.line.refuse(trade_id(1), Some(WalletError::UserNotFound));
    let dead = bench.market.trade(1, 2);
    bench.market.ends(3, 1, PAID, REST);
    let desk = bench.start();
    let releases = open(&bench, &desk);
    until(&releases, |status| status.owed == 1).await;
    let_pass(Duration::from_secs(60)).await;
    assert_eq!(released(&bench, 3).await, 0);
    desk.discard(dead, user(9), "settled by hand", user(10)).await.unwrap();
    told_everything(&bench, &releases).await;
    assert_eq!(released(&bench, 3).await, PAID + REST);
}

/// An order that was given up may have a reservation, or none, or one that is still to come.
#[tokio::test(start_paused = true)]
async fn what_was_never_reserved_never_will_be() {
    let bench = bench();
    bench.market.ends(7, 1, 0, REST);
    let desk = bench.start();
    let releases = open(&bench, &desk);
    told_everything(&bench, &releases).await;
    bench.mock().set_balance(user(1), code("USDT"), REST);
    let late = ReserveRequest {
        user_id: user(1),
        asset: code("USDT"),
        amount: REST,
        order_id: order_key(OrderId(7)),
        reason: ReserveReason::OrderPlacement,
    };
    assert!(bench.mock().reserve(context(), &late).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_bounded_and_the_rest_waits_in_the_log() {
    let bench = bench();
    let all = RELEASES_OWED_MAX as u64 + 1;
    for order in 1..=100 {
        reserve(&bench, 1, "USDT", REST, order).await;
    }
    for order in 1..=all {
        bench.market.ends(order, 1, 0, REST);
    }
    bench.line.release_fate(|| Fate::Fail(WalletError::WalletServiceDown));
    let desk = bench.start();
    let releases = open(&bench, &desk);
    until(&releases, |status| status.owed == RELEASES_OWED_MAX).await;
    let_pass(Duration::from_millis(50)).await;
    assert_eq!((releases.status().owed, releases.status().cursor), (RELEASES_OWED_MAX, all - 1));
    bench.line.release_fate(|| Fate::Pass);
    told_everything(&bench, &releases).await;
    let balance = bench.mock().get_balance(context(), user(1), code("USDT")).await.unwrap();
    assert_eq!((balance.available, balance.reserved), (100 * REST, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_ahead_of_the_log_is_refused() {
    let mut bench = bench();
    reserve(&bench, 1, "USDT", REST, 7).await;
    bench.market.ends(7, 1, 0, REST);
    let desk = bench.start();
    let stale = open(&bench, &desk);
    told_everything(&bench, &stale).await;
    stale.stop().await;
    stale.stop().await;
    bench.market = Market::default();
    let error = try_open(&bench, &desk).unwrap_err();
    assert!(matches!(error, ReleasesError::CursorAhead { cursor: 1, head: 0 }), "{error}");
}

/// Trades, ends and calls that fail in every way, and the process gone at any moment: each order
/// gets back exactly its rest.
#[test]
fn every_rest_is_given_back_once_whenever_the_process_dies() {
    let life = || Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    for seed in 0..12 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let bench = bench();
        let mut fates = Xoshiro256PlusPlus::seed_from_u64(seed + 1_000);
        bench.line.release_fate(move || match fates.next_u32() % 6 {
            0 => Fate::Lose(WalletError::Timeout),
            1 => Fate::Fail(WalletError::WalletServiceDown),
            2 => Fate::Hang,
            _ => Fate::Pass,
        });
        let mut number = 0;
        for _ in 0..12 {
            for _ in 0..random.next_u32() % 20 {
                number += 1;
                life().block_on(reserve_for_trade(&bench, number));
                bench.market.trade(1, 2);
                bench.market.ends(2 * number + 1, 1, PAID, REST);
            }
            let lifetime = Duration::from_millis(u64::from(random.next_u32() % 3_000));
            life().block_on(async {
                let desk = bench.start();
                let _releases = open(&bench, &desk);
                tokio::time::sleep(lifetime).await;
            });
        }
        bench.line.release_fate(|| Fate::Pass);
        life().block_on(async {
            let desk = bench.start();
            let releases = open(&bench, &desk);
            bench.drained(&desk).await;
            told_everything(&bench, &releases).await;
            for trade in 1..=number {
                assert_eq!(released(&bench, 2 * trade + 1).await, REST, "seed {seed}");
            }
            let paid = bench.mock().get_balance(context(), user(1), code("USDT")).await.unwrap();
            assert_eq!((paid.available, paid.reserved), (u128::from(number) * REST, 0));
        });
    }
}
