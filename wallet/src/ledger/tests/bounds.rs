//! Every table of the ledger at its bound and one past it; wallets and their statuses.

use super::*;

fn small() -> Capacity {
    Capacity { assets: 2, wallets: 3, transactions: 4, reservations: 2, pending: 1 }
}

#[test]
fn tables_are_met_and_not_passed() {
    let mut bank = Bank::with(Ledger::with_capacity(small()));
    let (asset, code) = (AssetId(3), AssetCode::new("ETH").unwrap());
    let third = Command::AddAsset { asset, code, scale: 8, amount_min: 1, amount_max: 2 };
    assert_eq!(refused(&bank.apply(third)), RejectReason::CapacityExhausted);
    let wallet = bank.funded(ALICE, USDT, 10 * ONE, true);
    bank.open(BOB, USDT);
    bank.open(BOB, BTC);
    let fourth = Command::OpenWallet { user: ALICE, asset: BTC };
    assert_eq!(refused(&bank.apply(fourth)), RejectReason::CapacityExhausted);
    let recall = |bank: &Bank, name| {
        Command::Post(Post { fund: true, ..bank.withdrawal_of(wallet, ONE, name) })
    };
    let first = recall(&bank, "w-1");
    assert!(matches!(bank.apply(first)[0], Event::Committed(_)));
    let second = recall(&bank, "w-2");
    assert_eq!(refused(&bank.apply(second)), RejectReason::CapacityExhausted);
    bank.deposit(wallet, ONE, "d-1");
    bank.deposit(wallet, ONE, "d-2");
    let fifth = bank.deposit(wallet, ONE, "d-3");
    assert_eq!(refused(&fifth), RejectReason::CapacityExhausted);
    assert_eq!(bank.ledger.transactions().len(), 4);
    let (transaction, granted) = (TransactionId(2), true);
    committed(&bank.apply(Command::ConcludeFunding { transaction, granted }));
}

#[test]
fn burned_orders_count_as_reservations() {
    let mut bank = Bank::with(Ledger::with_capacity(small()));
    bank.funded(ALICE, USDT, ONE, false);
    committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 1, 1))));
    bank.apply(Command::Release(release(2, None)));
    let third = bank.apply(Command::Reserve(reserve(ALICE, USDT, 1, 3)));
    assert_eq!(refused(&third), RejectReason::CapacityExhausted);
    let burn = bank.apply(Command::Release(release(4, None)));
    assert_eq!(refused(&burn), RejectReason::CapacityExhausted);
}

#[test]
fn no_more_than_the_bound_can_exist() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let adjust = |bank: &Bank, amount, name| {
        let kind = TransactionKind::Adjustment;
        Command::Post(Post { kind, ..bank.deposit_of(wallet, amount, name) })
    };
    let all = adjust(&bank, limits::OWNED_MAX, "a-1");
    committed(&bank.apply(all));
    let more = adjust(&bank, 1, "a-2");
    assert_eq!(refused(&bank.apply(more)), RejectReason::BalanceOverflow);
}

#[test]
fn a_batch_is_made_whole_or_not_at_all() {
    let mut bank = Bank::new();
    let (alice, bob) = (bank.funded(ALICE, USDT, 5 * ONE, false), bank.open(BOB, USDT));
    let (from, to) = (Account::Available(alice), Account::Available(bob));
    let posting = |amount| Posting { debit: from, credit: to, amount };
    let batch = |postings: &[Posting], name| Post {
        kind: TransactionKind::Batch,
        postings: Postings::new(postings).unwrap(),
        ..transfer_of(alice, bob, 1, name)
    };
    let eight = [posting(ONE / 2); 8];
    let done = committed(&bank.apply(Command::Post(batch(&eight, "b-1"))));
    assert_eq!((done.legs, bank.funds(bob)), (8, (4 * ONE, 0)));
    let short = batch(&[posting(ONE / 2), posting(ONE)], "b-2");
    assert_eq!(refused(&bank.apply(Command::Post(short))), RejectReason::InsufficientFunds);
    assert_eq!(bank.funds(alice), (ONE, 0));
    assert_eq!(Postings::new(&[posting(1); 9]), None);
    let none = batch(&[], "b-3");
    assert_eq!(refused(&bank.apply(Command::Post(none))), RejectReason::InvalidRequest);
}

#[test]
fn wallets_freeze_thaw_and_close() {
    let mut bank = Bank::new();
    let (alice, bob) = (bank.funded(ALICE, USDT, ONE, false), bank.open(BOB, USDT));
    let set = |wallet, status| Command::SetWalletStatus { wallet, status };
    bank.apply(set(alice, WalletStatus::Frozen));
    for (name, post) in [
        ("d", bank.deposit_of(alice, 1, "d")),
        ("w", bank.withdrawal_of(alice, 1, "w")),
        ("t", transfer_of(alice, bob, 1, "t")),
        ("u", transfer_of(bob, alice, 1, "u")),
    ] {
        assert_eq!(refused(&bank.apply(Command::Post(post))), RejectReason::WalletFrozen, "{name}");
    }
    let kind = TransactionKind::Adjustment;
    let correction = Post { kind, ..bank.withdrawal_of(alice, ONE, "a") };
    committed(&bank.apply(Command::Post(correction)));
    bank.apply(set(alice, WalletStatus::Closed));
    let late = bank.deposit(alice, 1, "late");
    assert_eq!(refused(&late), RejectReason::WalletClosed);
    let reopen = bank.apply(set(alice, WalletStatus::Active));
    assert_eq!(refused(&reopen), RejectReason::WalletClosed);
    let unknown = bank.apply(set(WalletId(99), WalletStatus::Active));
    assert_eq!(refused(&unknown), RejectReason::UnknownWallet);
}
