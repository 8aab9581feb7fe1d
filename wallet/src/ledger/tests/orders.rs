//! Reservations of orders and the trades that capture them.

use super::*;

#[test]
fn a_release_gives_back_the_rest_once() {
    let mut bank = Bank::new();
    let wallet = bank.funded(ALICE, USDT, 10 * ONE, false);
    let reserved = committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 4 * ONE, 5))));
    assert_eq!(bank.funds(wallet), (6 * ONE, 4 * ONE));
    let by_both = Release { reservation: reserved.transaction, ..release(5, None) };
    let first = committed(&bank.apply(Command::Release(by_both)));
    assert_eq!((first.amount, bank.funds(wallet)), (4 * ONE, (10 * ONE, 0)));
    let other_reason = Release { reason: ReleaseReason::OrderExpired, ..release(5, None) };
    assert_eq!(repeated(&bank.apply(Command::Release(other_reason))), first.transaction);
    let other_order = Release { order: 6, ..by_both };
    assert_eq!(refused(&bank.apply(Command::Release(other_order))), RejectReason::InvalidRequest);
}

#[test]
fn a_release_before_its_reserve_keeps_the_reserve_from_coming_alive() {
    let mut bank = Bank::new();
    let wallet = bank.funded(ALICE, USDT, 10 * ONE, false);
    let none = refused(&bank.apply(Command::Release(release(5, None))));
    assert_eq!(none, RejectReason::UnknownReservation);
    let late = refused(&bank.apply(Command::Reserve(reserve(ALICE, USDT, ONE, 5))));
    assert_eq!((late, bank.funds(wallet)), (RejectReason::ReservationSpent, (10 * ONE, 0)));
}

#[test]
fn captured_and_released_make_the_original() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 100 * ONE, false);
    bank.funded(BOB, BTC, 100 * ONE, false);
    let made = committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 50 * ONE, 11))));
    committed(&bank.apply(Command::Reserve(reserve(BOB, BTC, 50 * ONE, 12))));
    let fill = |id: u128, quote: u128| Settle {
        base_amount: ONE,
        quote_amount: quote,
        buyer_fee: 1,
        seller_fee: 1,
        ..trade(id, CreditTo::Available)
    };
    for id in 1..=4 {
        committed(&bank.apply(Command::Settle(fill(id, 10 * ONE))));
    }
    let too_much = refused(&bank.apply(Command::Settle(fill(5, 10 * ONE))));
    assert_eq!(too_much, RejectReason::ReservationSpent);
    let captured = 4 * (10 * ONE + 1);
    let wrong = refused(&bank.apply(Command::Release(release(11, Some(captured - 1)))));
    assert_eq!(wrong, RejectReason::IdempotencyMismatch);
    let rest = committed(&bank.apply(Command::Release(release(11, Some(captured)))));
    assert_eq!(rest.amount, 50 * ONE - captured);
    let kept = bank.ledger.reservations().get(made.transaction).unwrap();
    assert_eq!(kept.captured() + kept.released, kept.original);
    let late = refused(&bank.apply(Command::Settle(fill(6, 1))));
    assert_eq!(late, RejectReason::ReservationSpent, "it has ended");
    assert_eq!(bank.funds(alice), (100 * ONE - captured, 0));
}

#[test]
fn a_settlement_that_is_short_may_succeed_later() {
    let mut bank = Bank::new();
    bank.funded(ALICE, USDT, ONE, true);
    bank.funded(BOB, BTC, 10 * ONE, true);
    let short = Command::Settle(trade(1, CreditTo::Reserved));
    assert_eq!(refused(&bank.apply(short)), RejectReason::ReservedShort);
    let wallet = bank.open(ALICE, USDT);
    let more = Post { fund: true, ..bank.deposit_of(wallet, 80_000 * ONE, "more") };
    committed(&bank.apply(Command::Post(more)));
    committed(&bank.apply(short));
    let stranger = Settle { buyer: UserId(404), ..trade(2, CreditTo::Reserved) };
    assert_eq!(refused(&bank.apply(Command::Settle(stranger))), RejectReason::UnknownUser);
}

#[test]
fn a_trade_with_oneself_costs_the_fees() {
    let mut bank = Bank::new();
    let usdt = bank.funded(ALICE, USDT, 80_000 * ONE, true);
    let btc = bank.funded(ALICE, BTC, 2 * ONE, true);
    let settle = Settle { seller: ALICE, ..trade(1, CreditTo::Reserved) };
    committed(&bank.apply(Command::Settle(settle)));
    assert_eq!(bank.funds(usdt), (0, 80_000 * ONE - cents(22_455)));
    assert_eq!(bank.funds(btc), (0, 2 * ONE));
    let free = Settle { trade: 2, buyer_fee: 0, seller_fee: 0, ..settle };
    assert_eq!(committed(&bank.apply(Command::Settle(free))).legs, 0, "nothing moves");
}

#[test]
fn a_rebate_comes_out_of_the_fees() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 75_000 * ONE, true);
    bank.funded(BOB, BTC, 2 * ONE, true);
    let rebate = cents(10_000).cast_signed();
    let settle =
        Settle { buyer_fee: rebate, seller_fee: -rebate * 2, ..trade(1, CreditTo::Reserved) };
    committed(&bank.apply(Command::Settle(settle)));
    assert_eq!(bank.balance(Account::Fees(USDT)), -rebate);
    let bob = bank.open(BOB, USDT);
    assert_eq!(bank.funds(alice), (0, 50 * ONE));
    assert_eq!(bank.funds(bob), (0, (74_850 + 200) * ONE));
}

#[test]
fn a_rebate_that_is_reversed_leaves_other_orders_alone() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 80_000 * ONE, false);
    bank.funded(BOB, BTC, 2 * ONE, false);
    let (fee, rebate) = (cents(5_000).cast_signed(), cents(10_000).cast_signed());
    let pays = 74_850 * ONE + cents(5_000);
    for order in [reserve(ALICE, USDT, pays, 11), reserve(BOB, BTC, ONE * 3 / 2, 12)] {
        committed(&bank.apply(Command::Reserve(order)));
    }
    committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 60 * ONE, 13))));
    let settle = Settle { buyer_fee: fee, seller_fee: -rebate, ..trade(1, CreditTo::Available) };
    let settled = committed(&bank.apply(Command::Settle(settle)));
    assert_eq!(bank.balance(Account::Fees(USDT)), fee - rebate);
    committed(&bank.apply(Command::Reverse { transaction: settled.transaction }));
    assert_eq!(bank.balance(Account::Fees(USDT)), 0);
    assert_eq!(bank.funds(alice), ((80_000 - 60) * ONE, 60 * ONE));
    let all = committed(&bank.apply(Command::Release(release(13, Some(0)))));
    assert_eq!((all.amount, bank.funds(alice)), (60 * ONE, (80_000 * ONE, 0)));
}

#[test]
fn a_refused_reserve_burns_its_key_without_a_wallet_too() {
    let mut bank = Bank::new();
    bank.funded(ALICE, BTC, ONE, false);
    let reserve = Command::Reserve(reserve(ALICE, USDT, ONE, 5));
    let events = bank.apply(reserve);
    let [Event::WalletOpened { wallet, .. }, Event::Committed(head)] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(head.reason, Some(RejectReason::InsufficientFunds));
    bank.deposit(wallet, ONE, "late");
    assert_eq!(repeated(&bank.apply(reserve)), head.transaction);
}

#[test]
fn proceeds_in_a_closed_wallet_can_be_got_out() {
    let mut bank = Bank::new();
    bank.funded(ALICE, USDT, 75_150 * ONE, true);
    bank.funded(BOB, BTC, 2 * ONE, true);
    let wallet = bank.open(BOB, USDT);
    bank.apply(Command::SetWalletStatus { wallet, status: WalletStatus::Closed });
    committed(&bank.apply(Command::Settle(trade(1, CreditTo::Reserved))));
    let kind = TransactionKind::Adjustment;
    let post = Post { kind, fund: true, ..bank.withdrawal_of(wallet, ONE, "a-1") };
    let events = bank.apply(Command::Post(post));
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    let (transaction, granted) = (head.transaction, true);
    committed(&bank.apply(Command::ConcludeFunding { transaction, granted }));
    assert_eq!(bank.funds(wallet), (0, cents(7_477_515) - ONE));
}

#[test]
fn frozen_wallets_still_settle() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 75_150 * ONE, true);
    bank.funded(BOB, BTC, 2 * ONE, true);
    let frozen = Command::SetWalletStatus { wallet: alice, status: WalletStatus::Frozen };
    bank.apply(frozen);
    committed(&bank.apply(Command::Settle(trade(1, CreditTo::Reserved))));
    let events = bank.apply(Command::Reserve(reserve(ALICE, USDT, 1, 5)));
    assert_eq!(refused(&events), RejectReason::WalletFrozen);
    let closed = Command::SetWalletStatus { wallet: alice, status: WalletStatus::Closed };
    assert_eq!(refused(&bank.apply(closed)), RejectReason::WalletNotEmpty);
}
