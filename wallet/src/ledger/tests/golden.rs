//! The worked examples, to the unit.

use super::*;

/// Every asset adds up to zero, over the accounts that an example has.
fn assert_zero_sum(bank: &Bank) {
    bank.ledger.check().unwrap();
}

#[test]
fn i04_prefunded_settlement() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 75_150 * ONE, true);
    let bob = bank.funded(BOB, BTC, ONE * 3 / 2, true);
    assert_eq!(bank.funds(alice), (0, 75_150 * ONE));
    assert_eq!(bank.balance(Account::External(USDT)), -(75_150 * ONE).cast_signed());
    let events = bank.apply(Command::Settle(trade(1, CreditTo::Reserved)));
    let legs: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Posted(leg) => Some((leg.debit, leg.credit, leg.amount)),
            _ => None,
        })
        .collect();
    let (bob_usdt, alice_btc) = (bank.open(BOB, USDT), bank.open(ALICE, BTC));
    let reserved = Account::Reserved;
    assert_eq!(
        legs,
        [
            (reserved(alice), reserved(bob_usdt), cents(7_477_515)),
            (reserved(alice), Account::Fees(USDT), cents(22_455)),
            (reserved(bob), reserved(alice_btc), ONE * 3 / 2),
        ]
    );
    assert_eq!(bank.funds(alice), (0, cents(15_030)));
    assert_eq!(bank.funds(alice_btc), (0, ONE * 3 / 2));
    assert_eq!(bank.funds(bob_usdt), (0, cents(7_477_515)));
    assert_eq!(bank.funds(bob), (0, 0));
    assert_eq!(bank.balance(Account::Fees(USDT)), cents(22_455).cast_signed());
    assert_eq!(bank.balance(Account::External(USDT)), -(75_150 * ONE).cast_signed());
    assert_eq!(bank.balance(Account::External(BTC)), -(ONE * 3 / 2).cast_signed());
    assert_zero_sum(&bank);
}

#[test]
fn i05_per_order_settlement() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 100_000 * ONE, false);
    bank.funded(BOB, BTC, ONE * 3 / 2, false);
    committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 75_150 * ONE, 11))));
    assert_eq!(bank.funds(alice), (24_850 * ONE, 75_150 * ONE));
    committed(&bank.apply(Command::Reserve(reserve(BOB, BTC, ONE * 3 / 2, 12))));
    let end = release(11, Some(cents(7_499_970)));
    let early = bank.apply(Command::Release(end));
    assert_eq!(refused(&early), RejectReason::CapturePending);
    let events = bank.apply(Command::Settle(trade(1, CreditTo::Available)));
    committed(&events);
    let left = |order| {
        let state = events.iter().find_map(|event| match event {
            Event::ReservationChanged(state) if state.order == order => Some(*state),
            _ => None,
        });
        state.unwrap().remaining
    };
    assert_eq!((left(11), left(12)), (cents(15_030), 0));
    let released = committed(&bank.apply(Command::Release(end)));
    assert_eq!(released.amount, cents(15_030));
    assert_eq!(bank.funds(alice), (cents(2_500_030), 0));
    let (bob_usdt, alice_btc) = (bank.open(BOB, USDT), bank.open(ALICE, BTC));
    assert_eq!(bank.funds(bob_usdt), (cents(7_477_515), 0));
    assert_eq!(bank.funds(alice_btc), (ONE * 3 / 2, 0));
    assert_zero_sum(&bank);
}

#[test]
fn i12_a_settlement_a_hundred_times() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 5_005 * ONE, true);
    bank.funded(BOB, BTC, ONE / 10, true);
    let settle = Settle {
        base_amount: ONE / 10,
        quote_amount: 5_000 * ONE,
        buyer_fee: (5 * ONE).cast_signed(),
        seller_fee: cents(250).cast_signed(),
        ..trade(7, CreditTo::Reserved)
    };
    let first = committed(&bank.apply(Command::Settle(settle)));
    for _ in 1..100 {
        assert_eq!(repeated(&bank.apply(Command::Settle(settle))), first.transaction);
    }
    let bob_usdt = bank.open(BOB, USDT);
    assert_eq!(bank.funds(alice), (0, 0));
    assert_eq!(bank.funds(bob_usdt), (0, cents(499_750)));
    assert_eq!(bank.balance(Account::Fees(USDT)), cents(750).cast_signed());
    assert_zero_sum(&bank);
}

#[test]
fn i13_deposit_withdraw_transfer_and_again() {
    for fund in [false, true] {
        let mut bank = Bank::new();
        let (source, destination) = (bank.open(ALICE, USDT), bank.open(BOB, USDT));
        let deposit = bank.deposit_of(source, 100 * ONE, "d-1");
        let walk = [
            (Post { fund, ..deposit }, 100, 0),
            (Post { fund, ..bank.withdrawal_of(source, 50 * ONE, "w-1") }, 50, 0),
            (Post { fund, ..transfer_of(source, destination, 25 * ONE, "t-1") }, 25, 25),
        ];
        let mut transactions = Vec::new();
        for (post, left, arrived) in walk {
            let events = bank.apply(Command::Post(post));
            let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
            if head.status == TransactionStatus::Pending {
                let (transaction, granted) = (head.transaction, true);
                committed(&bank.apply(Command::ConcludeFunding { transaction, granted }));
            }
            transactions.push(head.transaction);
            let total = |wallet| bank.ledger.books().wallet(wallet).unwrap().total();
            assert_eq!((total(source), total(destination)), (left * ONE, arrived * ONE));
        }
        let before = bank.ledger.books().clone();
        for ((post, ..), first) in walk.into_iter().zip(transactions) {
            assert_eq!(repeated(&bank.apply(Command::Post(post))), first);
        }
        assert!(before.wallets().eq(bank.ledger.books().wallets()));
    }
}
