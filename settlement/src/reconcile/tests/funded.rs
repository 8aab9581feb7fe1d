//! Orders with reservations of their own: in every stage the books agree, and one unit or one order
//! out of place is found.

use engine::Command;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use wallet::ledger::types::{Account, ReleaseReason, ReserveReason, UserId};
use wallet::ledger::{Posting, Release, Reserve};

use super::market::{Random, assert_sound, settle_some};
use super::world::{BTC, USDT, wallet_of};
use super::*;
use crate::releases::SavedReleases;
use crate::trade::order_key;

fn step(world: &mut World, random: &mut Random) {
    let (user, asset) = (random.user(), random.asset());
    let some = |random: &mut Random, length: usize| {
        (length > 0).then(|| random.below(u32::try_from(length).unwrap()) as usize)
    };
    match random.below(20) {
        0 => world.deposit(user, asset, u128::from(random.below(20_000_000)) + 1),
        1 => world.withdraw(user, asset, u128::from(random.below(200_000)) + 1),
        2..7 => {
            let side = if random.one_in(2) { Side::Buy } else { Side::Sell };
            let (market, quantity) = (random.below(2) + 1, random.below(3_000) + 1);
            let price = random.below(60) + 90;
            world.announce(market, user, side, quantity.into(), price.into());
        }
        7..10 => {
            if let Some(place) = world.waiting.iter().position(|order| order.reserved.is_none()) {
                world.reserve(place);
            }
        }
        10..14 => {
            // Now and then one is given up whose funds may still be reserved.
            let hasty = random.one_in(8);
            let ready = |order: &world::Waiting| hasty || order.reserved.is_some();
            if let Some(place) = world.waiting.iter().position(ready) {
                world.decide(place, hasty);
            }
        }
        14 if random.one_in(5) => {
            let account = AccountId(user);
            let instrument = InstrumentId(0);
            world.trade(Command::MassCancel { account, instrument, side: None });
        }
        15..18 => {
            if let Some(place) = some(random, world.ended.len()) {
                world.release(place);
            }
        }
        14 => {}
        _ => settle_some(world, random),
    }
}

#[test]
fn the_books_agree_after_every_step() {
    let (mut unsettled, mut ahead) = (0, 0);
    for seed in 0..6 {
        let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
        let mut world = World::per_order();
        for user in 1..=USERS {
            world.deposit(user, USDT, 50_000_000);
            world.deposit(user, BTC, 500_000);
        }
        for _ in 0..800 {
            step(&mut world, &mut random);
            let report = world.check();
            assert_sound(&report);
            unsettled = unsettled.max(report.unsettled);
            ahead = ahead.max(report.ahead);
        }
        while !world.waiting.is_empty() {
            world.decide(0, false);
        }
        for user in 1..=USERS {
            let (account, instrument) = (AccountId(user), InstrumentId(0));
            world.trade(Command::MassCancel { account, instrument, side: None });
        }
        let open: Vec<TradeId> = world.due.keys().copied().collect();
        assert!(open.into_iter().all(|number| world.settle(number)), "its money is set aside");
        while !world.ended.is_empty() {
            world.release(0);
        }
        let report = world.check();
        assert_sound(&report);
        assert_eq!((report.unsettled, report.ahead), (0, 0));
        for (_, wallet) in world.ledger.books().wallets() {
            assert_eq!(wallet.reserved, 0, "everything that was not needed came back");
        }
        assert!(report.trades_matched > 20, "{report:?}");
    }
    assert!(unsettled > 0 && ahead > 0, "{unsettled} {ahead}");
}

/// One trade, settled, and the rest of its buy order in the book.
fn world() -> (World, engine::OrderId) {
    let mut world = World::per_order();
    world.deposit(1, USDT, 1_000_000);
    world.deposit(2, BTC, 1_000);
    world.announce(1, 2, Side::Sell, 100, 1_000);
    world.announce(1, 1, Side::Buy, 300, 1_000);
    let resting = world.waiting[1].order;
    for _ in 0..2 {
        world.reserve(0);
        world.decide(0, false);
    }
    assert!(world.settle(TradeId(1)));
    world.release(0);
    assert_sound(&world.check());
    (world, resting)
}

fn rec2(world: &mut World, what: &str) {
    let report = world.check();
    let found = report.breaches.iter().find(|breach| breach.what.contains(what));
    assert!(found.is_some_and(|breach| breach.rule == "REC2"), "{what}: {report:?}");
}

#[test]
fn an_order_that_was_placed_without_a_reservation_is_rec2() {
    let (mut world, _) = world();
    world.announce(1, 1, Side::Buy, 10, 900);
    let order_id = world.waiting[0].order;
    world.trade(Command::PlaceReserved { order_id });
    rec2(&mut world, "did not set that aside");
}

#[test]
fn a_reservation_of_another_amount_is_rec2() {
    let (mut world, _) = world();
    world.announce(1, 1, Side::Buy, 10, 900);
    let order_id = world.waiting[0].order;
    world.book(LedgerCommand::Reserve(Reserve {
        user: UserId(1),
        asset: USDT,
        amount: 1,
        order: order_key(order_id).as_u128(),
        reason: ReserveReason::OrderPlacement,
    }));
    world.trade(Command::PlaceReserved { order_id });
    rec2(&mut world, "did not set that aside");
}

/// Somebody gave the money of a live order back.
#[test]
fn a_release_of_a_live_order_is_rec2() {
    let (mut world, resting) = world();
    let order = order_key(resting).as_u128();
    world.book(LedgerCommand::Release(Release {
        reservation: TransactionId(0),
        order,
        reason: ReleaseReason::OrderCancelled,
        captured_total: None,
    }));
    world.announce(1, 2, Side::Sell, 100, 1_000);
    world.reserve(0);
    world.decide(0, false);
    world.bury(TradeId(2));
    world.trade(Command::MassCancel {
        account: AccountId(1),
        instrument: InstrumentId(0),
        side: None,
    });
    let breaches = world.check().breaches;
    assert!(
        breaches.iter().any(|breach| breach.what.contains("ended differently")),
        "{breaches:?}"
    );
}

/// The cursor says that the wallet was told; the wallet, maybe restored from a copy, knows nothing.
#[test]
fn a_release_that_was_lost_is_rec6() {
    let (mut world, resting) = world();
    let (account, instrument) = (AccountId(1), InstrumentId(0));
    world.trade(Command::MassCancel { account, instrument, side: None });
    let cursor = world.progress().cursor;
    let saved = |owed: &[engine::OrderId], cursor| {
        Some(SavedReleases { cursor, owed: owed.iter().copied().collect() })
    };
    for releases in [None, saved(&[resting], cursor), saved(&[], cursor - 2)] {
        world.releases = releases;
        assert_sound(&world.check());
    }
    world.releases = saved(&[], cursor);
    let report = world.check();
    assert_eq!(report.breaches[0].rule, "REC6", "{report:?}");
    assert!(report.breaches[0].what.contains("its release is lost"), "{report:?}");
    let place = world.ended.iter().position(|ended| ended.order == resting).unwrap();
    world.release(place);
    assert_sound(&world.check());
}

/// What a discarded trade would have taken goes back, and nothing is missed.
#[test]
fn a_discarded_trade_of_a_reserved_order_is_no_breach() {
    let (mut world, resting) = world();
    world.announce(1, 2, Side::Sell, 100, 1_000);
    world.reserve(0);
    world.decide(0, false);
    let due = world.due_trade(TradeId(2));
    world.bury(TradeId(2));
    assert_sound(&world.check());
    world.letters.discard(crate::dead_letters::Discarded {
        trade: TradeId(2),
        trade_id: 0,
        at_ns: 0,
        operator: 1,
        reason: "moved by hand".to_owned(),
        correction: 2,
        shares: due.shares(),
    });
    assert_sound(&world.check());
    let (account, instrument) = (AccountId(1), InstrumentId(0));
    world.trade(Command::MassCancel { account, instrument, side: None });
    assert_sound(&world.check());
    let place = world.ended.iter().position(|ended| ended.order == resting).unwrap();
    // As the releases do: less than the order's trades took.
    let [(_, share), _] = due.shares();
    world.ended[place].captured -= share;
    world.release(place);
    for _ in 0..2 {
        assert_sound(&world.check());
    }
}

#[test]
fn a_unit_in_the_ledger_is_rec2() {
    let (mut world, _) = world();
    let debit = Account::Available(wallet_of(1, USDT));
    let credit = Account::Reserved(wallet_of(1, USDT));
    let post = world.post(TransactionKind::Adjustment, Posting { debit, credit, amount: 1 });
    let refused = world.book_hidden(post).1;
    assert!(matches!(refused[0], LedgerEvent::CommandRejected { .. }), "only orders set aside");
    world.book_hidden(LedgerCommand::Reserve(Reserve {
        user: UserId(1),
        asset: USDT,
        amount: 1,
        order: 7,
        reason: ReserveReason::OrderPlacement,
    }));
    rec2(&mut world, "the wallet has");
}
