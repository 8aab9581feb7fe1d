//! One unit, or one trade, put where it does not belong: each is found by the next comparison,
//! under the right name.

use engine::{Command, TransferId};
use wallet::ledger::Posting;
use wallet::ledger::types::Account;

use super::world::{BTC, USDT, wallet_of};
use super::*;

/// Users with money, three trades, the first two settled.
fn world() -> World {
    let mut world = World::new();
    for user in 1..=USERS {
        world.deposit(user, USDT, 1_000_000);
        world.deposit(user, BTC, 1_000);
    }
    for _ in 0..2 * USERS {
        world.move_next(false);
    }
    for (buyer, seller) in [(1, 2), (2, 3), (3, 1)] {
        world.order(1, seller, Side::Sell, 100, 1_000);
        world.order(1, buyer, Side::Buy, 100, 1_000);
    }
    assert!(world.settle(TradeId(1)) && world.settle(TradeId(2)));
    assert_eq!(world.check().breaches, []);
    world
}

fn rules(report: &Report) -> Vec<&'static str> {
    report.breaches.iter().map(|breach| breach.rule).collect()
}

/// A unit that came from nowhere: the asset does not add up, and whose it is has no movement.
#[test]
fn a_unit_in_the_sum_of_the_ledger_is_rec1() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    let before = world.check();
    assert!(before.unbalanced.values().all(|units| *units == 0), "{before:?}");
    assert!(world.ledger.plant_unit(wallet_of(2, BTC)));
    let report = world.check();
    assert_eq!(rules(&report), ["REC1", "REC1"]);
    let said = report.breaches.iter().map(|breach| breach.what.as_str()).collect::<Vec<_>>();
    assert!(said[0].contains("BTC adds up to 1 units"), "{said:?}");
    assert!(said[1].contains("has 1 units, but its movements sum to 0"), "{said:?}");
    let off: Vec<_> = report.unbalanced.iter().filter(|(_, units)| **units != 0).collect();
    assert_eq!(off, [(&"BTC".to_owned(), &1)]);
}

#[test]
fn a_unit_in_the_hold_of_an_order_is_rec3() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    let order = world.engine.last_sequence() + 1;
    world.order(1, 1, Side::Buy, 10, 1_000);
    assert_eq!(world.check().breaches, []);
    assert!(world.shadow.plant_hold(engine::OrderId(order)));
    let report = world.check();
    assert_eq!(rules(&report), ["REC3"]);
    assert!(report.breaches[0].what.contains(&format!("hold of {order}")), "{report:?}");
}

#[test]
fn a_unit_in_the_engine_is_rec2() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    let (transfer_id, account) = (TransferId(7), AccountId(1));
    world.trade(Command::Credit { transfer_id, account, asset: USDT, amount: 1 });
    let report = world.check_showing(&world.progress(), |frame, events| match frame.command {
        Command::Credit { .. } => Vec::new(),
        _ => events.to_vec(),
    });
    assert_eq!(rules(&report), ["REC2"]);
    let Breach { asset, what, .. } = &report.breaches[0];
    assert_eq!(asset.as_deref(), Some("USDT"));
    assert!(what.ends_with("the wallet has 999700 units, trading says 999701"), "{what}");
}

/// Shown or not: nobody lent it.
#[test]
fn a_credit_that_the_wallet_never_lent_is_rec2() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    let (transfer_id, account) = (TransferId(7), AccountId(1));
    world.trade(Command::Credit { transfer_id, account, asset: USDT, amount: 1 });
    let report = world.check();
    assert_eq!(rules(&report), ["REC2"]);
    assert!(report.breaches[0].what.contains("never lent"), "{report:?}");
}

#[test]
fn a_debit_that_the_wallet_does_not_wait_for_is_rec2() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    let (transfer_id, account) = (TransferId(7), AccountId(1));
    world.trade(Command::Debit { transfer_id, account, asset: USDT, amount: 1 });
    let report = world.check();
    assert_eq!(rules(&report), ["REC2"]);
    assert!(report.breaches[0].what.contains("does not wait"), "{report:?}");
}

/// The wallet was told that trading refused, but trading gave the money up.
#[test]
fn a_recall_that_was_refused_and_debited_is_rec2() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    world.withdraw(1, USDT, 10);
    world.move_next(false);
    assert_eq!(world.check().breaches, [], "it waits");
    world.owed[0].granted = false;
    world.conclude(0);
    assert_eq!(rules(&world.check()), ["REC2"]);
}

#[test]
fn a_unit_in_the_ledger_is_rec2() {
    let mut world = world();
    let credit = Account::Available(wallet_of(2, BTC));
    let posting = Posting { debit: Account::External(BTC), credit, amount: 1 };
    let post = world.post(TransactionKind::Deposit, posting);
    world.book_hidden(post);
    let report = world.check();
    assert_eq!(rules(&report), ["REC2"]);
    assert_eq!(report.breaches[0].asset.as_deref(), Some("BTC"));
}

/// The engine says that a fee was one unit more than it took.
#[test]
fn a_unit_in_the_fees_is_rec4() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    let report = world.check_showing(&world.progress(), |_, events| {
        let mut events = events.to_vec();
        for event in &mut events {
            if let Event::Trade(trade) = event {
                trade.taker_fee += 1;
            }
        }
        events
    });
    assert_eq!(rules(&report), ["REC4"]);
}

#[test]
fn a_settlement_with_a_unit_more_is_rec4_and_rec2() {
    let mut world = world();
    let settle = world.settle_of(TradeId(3));
    let more = Settle { quote_amount: settle.quote_amount + 1, ..settle };
    world.book(LedgerCommand::Settle(more));
    world.due.clear();
    let report = world.check();
    // The trade, and the two balances that it left wrong.
    assert_eq!(rules(&report), ["REC4", "REC2", "REC2"]);
    assert!(report.breaches[0].what.contains("trade 3"), "{report:?}");
}

#[test]
fn a_cursor_one_trade_ahead_is_rec4() {
    let mut world = world();
    let ahead = {
        let due = std::mem::take(&mut world.due);
        let ahead = world.progress();
        world.due = due;
        ahead
    };
    let report = world.check_at(&ahead);
    assert_eq!(rules(&report), ["REC4"]);
    assert!(report.breaches[0].what.contains("neither settled nor a dead letter"));
}

#[test]
fn a_cursor_that_lies_where_the_exchange_is_not_is_rec6() {
    let mut world = world();
    let good = world.progress();
    let behind = Progress { cursor: good.cursor - 5, ..good.clone() };
    assert_eq!(rules(&world.check_at(&behind)), ["REC6"]);
    assert!(world.settle(TradeId(3)));
    let there = world.progress();
    let beyond = Progress { sequence: there.sequence + 1, cursor: there.cursor + 1, ..there };
    assert_eq!(rules(&world.check_at(&beyond)), ["REC6"]);
}

/// A settlement of a trade that nobody made: within reach of the cursor it is found when the cursor
/// has passed it, far ahead by the second comparison.
#[test]
fn a_settlement_without_a_trade_is_rec4() {
    for (number, after) in [(2, 1), (3 + SPAN_MAX + 1, 2)] {
        let mut world = world();
        let id = ids::encode(ids::Kind::Trade, number, 999_000_000).as_u128();
        let forged = Settle { trade: id, ..world.settle_of(TradeId(3)) };
        assert!(world.settle(TradeId(3)));
        world.book(LedgerCommand::Settle(forged));
        for _ in 1..after {
            assert_eq!(world.check().breaches, [], "it may still be made");
        }
        assert_eq!(rules(&world.check()), ["REC4"], "{number}");
    }
}

/// Of the trades of one command the first may be settled, and the command not done with.
#[test]
fn a_command_that_is_settled_in_part_is_no_breach() {
    let mut world = world();
    assert!(world.settle(TradeId(3)));
    world.order(1, 1, Side::Sell, 10, 1_000);
    world.order(1, 2, Side::Sell, 10, 1_001);
    world.order(1, 3, Side::Buy, 20, 1_001);
    assert_eq!(world.newest, TradeId(5));
    assert!(world.settle(TradeId(4)));
    let report = world.check();
    assert_eq!(report.breaches, []);
    assert_eq!((report.ahead, world.progress().trade), (1, TradeId(4)));
}

/// The same trade under another time is another key for the ledger.
#[test]
fn a_trade_that_was_settled_twice_is_rec4() {
    let mut world = world();
    let settle = world.settle_of(TradeId(3));
    let id = ids::encode(ids::Kind::Trade, 3, 999_000_000).as_u128();
    world.book(LedgerCommand::Settle(settle));
    world.book(LedgerCommand::Settle(Settle { trade: id, ..settle }));
    world.due.clear();
    let report = world.check();
    assert!(report.breaches[0].what.contains("trade 3 was settled twice"), "{report:?}");
    assert!(rules(&report).contains(&"REC2"), "and the money has moved twice");
}

#[test]
fn a_settlement_under_a_key_that_is_no_trade_is_rec4() {
    let mut world = world();
    let settle = Settle { trade: 77, ..world.settle_of(TradeId(3)) };
    world.book(LedgerCommand::Settle(settle));
    let report = world.check();
    assert!(report.breaches[0].what.contains("is no trade of this exchange"), "{report:?}");
}

/// A trade that an operator took out is not missed, however long ago that was.
#[test]
fn a_discarded_trade_is_no_breach() {
    let mut world = world();
    world.bury(TradeId(3));
    world.letters.discard(crate::dead_letters::Discarded {
        trade: TradeId(3),
        trade_id: 0,
        at_ns: 0,
        operator: 1,
        reason: "moved by hand".to_owned(),
        correction: 2,
        shares: Default::default(),
    });
    let report = world.check();
    assert_eq!(report.breaches, []);
    assert_eq!((report.unsettled, report.event_cursor), (1, world.progress().cursor));
}

/// What does not agree stays known until somebody looks, though it is balanced later.
#[test]
fn a_breach_that_was_seen_on_the_way_stays() {
    let mut world = world();
    let settle = Settle { trade: 77, ..world.settle_of(TradeId(3)) };
    world.book(LedgerCommand::Settle(settle));
    let first = world.check();
    world.deposit(1, BTC, 5);
    let second = world.check();
    assert_eq!(first.breaches[0], second.breaches[0]);
}
