//! What a repeated request does: nothing, and the same answer.

use super::*;

#[test]
fn a_refused_key_stays_refused_when_funds_arrive() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let withdrawal = bank.withdrawal_of(wallet, ONE, "w-1");
    let events = bank.apply(Command::Post(withdrawal));
    assert_eq!(refused(&events), RejectReason::InsufficientFunds);
    bank.deposit(wallet, ONE, "d-1");
    let id = repeated(&bank.apply(Command::Post(withdrawal)));
    let kept = bank.ledger.transactions().get(id).unwrap();
    assert_eq!(
        (kept.status, kept.reason),
        (TransactionStatus::Failed, Some(RejectReason::InsufficientFunds))
    );
    committed(&bank.apply(Command::Post(bank.withdrawal_of(wallet, ONE, "w-2"))));
    assert_eq!(bank.funds(wallet), (0, 0));
}

#[test]
fn a_key_with_another_payload_posts_nothing() {
    let mut bank = Bank::new();
    let wallet = bank.funded(ALICE, USDT, 10 * ONE, true);
    bank.funded(BOB, BTC, 10 * ONE, true);
    let again = bank.deposit_of(wallet, ONE, &format!("fund-{}-{}", ALICE.0, USDT.0));
    assert_eq!(refused(&bank.apply(Command::Post(again))), RejectReason::DuplicateReference);
    let settle = Settle {
        base_amount: 1,
        quote_amount: 10,
        buyer_fee: 0,
        seller_fee: 0,
        ..trade(1, CreditTo::Reserved)
    };
    committed(&bank.apply(Command::Settle(settle)));
    let other = Settle { quote_amount: 11, ..settle };
    assert_eq!(refused(&bank.apply(Command::Settle(other))), RejectReason::IdempotencyMismatch);
    let other = reserve(ALICE, USDT, 1, 77);
    assert_eq!(refused(&bank.apply(Command::Reserve(other))), RejectReason::InsufficientFunds);
    let more = Reserve { amount: 2, ..other };
    assert_eq!(refused(&bank.apply(Command::Reserve(more))), RejectReason::IdempotencyMismatch);
}

#[test]
fn a_reference_belongs_to_its_caller() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    bank.deposit(wallet, ONE, "d-1");
    let other = Post { caller: UserId(9), ..bank.deposit_of(wallet, ONE, "d-1") };
    committed(&bank.apply(Command::Post(other)));
    assert_eq!(bank.funds(wallet), (2 * ONE, 0));
}

#[test]
fn malformed_requests_burn_no_key() {
    let mut bank = Bank::new();
    let (alice, bob) = (bank.open(ALICE, USDT), bank.open(BOB, BTC));
    for (post, reason) in [
        (bank.deposit_of(alice, 0, "x"), RejectReason::InvalidAmount),
        (bank.deposit_of(alice, 10_000_001 * ONE, "x"), RejectReason::InvalidAmount),
        (transfer_of(alice, bob, ONE, "x"), RejectReason::InvalidTransfer),
        (transfer_of(alice, alice, ONE, "x"), RejectReason::InvalidTransfer),
        (transfer_of(alice, WalletId(99), ONE, "x"), RejectReason::UnknownWallet),
        (bank.deposit_of(alice, ONE, ""), RejectReason::InvalidRequest),
        (
            Post { kind: TransactionKind::Withdrawal, ..bank.deposit_of(alice, ONE, "x") },
            RejectReason::InvalidRequest,
        ),
    ] {
        assert_eq!(refused(&bank.apply(Command::Post(post))), reason);
    }
    assert!(bank.ledger.transactions().is_empty());
    committed(&bank.deposit(alice, ONE, "x"));
}

#[test]
fn asking_what_would_happen_changes_nothing() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let ask = |post| Command::Post(Post { dry_run: true, ..post });
    let deposit = bank.deposit_of(wallet, ONE, "d-1");
    let events = bank.apply(ask(deposit));
    assert_eq!(events, [Event::WouldCommit { wallet, new_balance: ONE }]);
    let events = bank.apply(ask(bank.withdrawal_of(wallet, ONE, "w-1")));
    assert_eq!(events, [Event::CommandRejected { reason: RejectReason::InsufficientFunds }]);
    let recalled = Post { fund: true, ..bank.withdrawal_of(wallet, ONE, "w-1") };
    let events = bank.apply(ask(recalled));
    assert_eq!(events, [Event::CommandRejected { reason: RejectReason::InsufficientFunds }]);
    assert!(bank.ledger.transactions().is_empty());
    let first = committed(&bank.apply(Command::Post(deposit)));
    assert_eq!(repeated(&bank.apply(ask(deposit))), first.transaction);
}

#[test]
fn a_reversal_happens_once() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let deposit = committed(&bank.deposit(wallet, ONE, "d-1")).transaction;
    let reverse = Command::Reverse { transaction: deposit };
    let spent = committed(&bank.apply(Command::Post(bank.withdrawal_of(wallet, ONE, "w-1"))));
    assert_eq!(refused(&bank.apply(reverse)), RejectReason::InsufficientFunds, "funds are gone");
    let back = committed(&bank.apply(Command::Reverse { transaction: spent.transaction }));
    assert_eq!(bank.funds(wallet), (ONE, 0));
    let reversal = committed(&bank.apply(reverse));
    assert_eq!((reversal.link, bank.funds(wallet)), (deposit, (0, 0)));
    assert_eq!(refused(&bank.apply(reverse)), RejectReason::AlreadyReversed);
    for transaction in [back.transaction, reversal.transaction] {
        let again = bank.apply(Command::Reverse { transaction });
        assert_eq!(refused(&again), RejectReason::NotReversible);
    }
    let status = bank.ledger.transactions().get(deposit).unwrap().status;
    assert_eq!(status, TransactionStatus::Reversed);
}

#[test]
fn a_reversed_settlement_gives_both_sides_back_what_they_gave() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 75_150 * ONE, false);
    let bob = bank.funded(BOB, BTC, ONE * 3 / 2, false);
    committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 75_150 * ONE, 11))));
    committed(&bank.apply(Command::Reserve(reserve(BOB, BTC, ONE * 3 / 2, 12))));
    let settle = Command::Settle(trade(1, CreditTo::Available));
    let id = committed(&bank.apply(settle)).transaction;
    committed(&bank.apply(Command::Reverse { transaction: id }));
    let total = |wallet| bank.ledger.books().wallet(wallet).unwrap().total();
    assert_eq!((total(alice), total(bob)), (75_150 * ONE, ONE * 3 / 2));
    assert_eq!(bank.balance(Account::Fees(USDT)), 0);
}

#[test]
fn a_settlement_of_lent_money_is_not_reversed_behind_the_back_of_trading() {
    let mut bank = Bank::new();
    bank.funded(ALICE, USDT, 75_150 * ONE, true);
    bank.funded(BOB, BTC, ONE * 3 / 2, true);
    let settle = Command::Settle(trade(1, CreditTo::Reserved));
    let transaction = committed(&bank.apply(settle)).transaction;
    let refused = refused(&bank.apply(Command::Reverse { transaction }));
    assert_eq!(refused, RejectReason::NotReversible);
}
