//! A random market with deposits, trades, withdrawals and transfers in every stage: the books agree
//! after every step.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use wallet::ledger::types::WalletStatus;

use super::world::{BTC, USDT, wallet_of};
use super::*;

pub(super) struct Random(pub(super) Xoshiro256PlusPlus);

impl Random {
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound
    }

    pub(super) fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn user(&mut self) -> u32 {
        self.below(USERS) + 1
    }

    pub(super) fn asset(&mut self) -> engine::AssetId {
        if self.one_in(2) { BTC } else { USDT }
    }
}

fn step(world: &mut World, random: &mut Random) {
    let (user, asset) = (random.user(), random.asset());
    match random.below(20) {
        0 => world.deposit(user, asset, u128::from(random.below(20_000_000)) + 1),
        1 => world.withdraw(user, asset, u128::from(random.below(200_000)) + 1),
        2 => {
            let amount = u128::from(random.below(100_000)) + 1;
            world.transfer(user, user % USERS + 1, asset, amount);
        }
        3..7 => world.move_next(random.one_in(15)),
        7..9 => conclude(world, random),
        9 => {
            let status = if random.one_in(3) { WalletStatus::Frozen } else { WalletStatus::Active };
            world.set_status(wallet_of(user, asset), status);
        }
        10..16 => {
            let side = if random.one_in(2) { Side::Buy } else { Side::Sell };
            let (market, quantity) = (random.below(2) + 1, random.below(3_000) + 1);
            let price = random.below(60) + 90;
            world.order(market, user, side, quantity.into(), price.into());
        }
        _ => settle_some(world, random),
    }
}

/// A recall is granted at the wallet only when everything before it is settled.
fn conclude(world: &mut World, random: &mut Random) {
    let settled = world.progress().sequence;
    let ready = |owed: &world::Owed| owed.after <= settled;
    let place = world.owed.iter().position(ready);
    if let Some(place) = place.filter(|_| world.letters.is_empty() || random.one_in(2)) {
        let granted = world.owed[place].granted;
        if !granted || world.letters.is_empty() {
            world.conclude(place);
        }
    }
}

/// In any order; now and then one has no outcome at first.
pub(super) fn settle_some(world: &mut World, random: &mut Random) {
    let open: Vec<TradeId> = world.due.keys().copied().collect();
    for number in open {
        if random.one_in(2) {
            world.settle(number);
        } else if random.one_in(12) && !world.letters.has_taken(number) {
            world.bury(number);
        }
    }
}

pub(super) fn assert_sound(report: &Report) {
    assert_eq!(report.breaches, [], "{report:?}");
}

#[test]
fn the_books_agree_after_every_step() {
    for seed in 0..6 {
        let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
        let mut world = World::new();
        let (mut unsettled, mut ahead) = (0, 0);
        for _ in 0..500 {
            step(&mut world, &mut random);
            let report = world.check();
            assert_sound(&report);
            unsettled = unsettled.max(report.unsettled);
            ahead = ahead.max(report.ahead);
        }
        // What is on its way arrives, and the comparison has nothing left to explain.
        for _ in 0..200 {
            world.move_next(false);
            let open: Vec<TradeId> = world.due.keys().copied().collect();
            for number in open {
                world.settle(number);
            }
            while world.due.is_empty() && !world.owed.is_empty() {
                world.conclude(0);
            }
        }
        assert!(world.due.is_empty() && world.requested.is_empty(), "seed {seed}");
        let report = world.check();
        assert_sound(&report);
        assert_eq!((report.unsettled, report.ahead), (0, 0));
        assert_eq!(report.trades_matched, world.newest.0);
        let there = (report.sequence, report.ledger_sequence);
        assert_eq!(there, (world.engine.last_sequence(), world.ledger.last_sequence()));
        assert!(report.trades_matched > 30 && unsettled > 0 && ahead > 0, "{report:?}");
    }
}

/// The worked example between trade and settlement: each difference is accounted for.
#[test]
fn a_trade_on_its_way_is_no_breach() {
    let mut world = World::new();
    world.deposit(1, USDT, 1_000_000);
    world.deposit(2, BTC, 500);
    world.move_next(false);
    world.move_next(false);
    world.order(1, 2, Side::Sell, 500, 100);
    world.order(1, 1, Side::Buy, 500, 100);
    assert_sound(&world.check());
    // As a letter it is behind the settled point, and not settled.
    world.bury(TradeId(1));
    let report = world.check();
    assert_sound(&report);
    assert_eq!((report.unsettled, report.ahead, report.balances), (1, 0, 5));
    assert!(world.settle(TradeId(1)));
    let report = world.check();
    assert_sound(&report);
    assert_eq!((report.unsettled, report.trades_matched), (0, 1));
    // 50,000 and fees of 100 and 50; what the sides have left.
    let reserved =
        |user, asset| world.ledger.books().wallet(wallet_of(user, asset)).unwrap().reserved;
    assert_eq!([reserved(1, USDT), reserved(2, USDT)], [949_900, 49_950]);
    assert_eq!([reserved(1, BTC), reserved(2, BTC)], [500, 0]);
}
