//! Every table of the ledger at its bound and one past it; wallets and their statuses.

use super::*;

fn small() -> Capacity {
    Capacity { assets: 2, wallets: 3, transactions: 16, reservations: 2, pending: 1 }
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
    for number in 3..=14 {
        committed(&bank.deposit(wallet, ONE, &format!("d-{number}")));
    }
    let fifteenth = bank.deposit(wallet, ONE, "d-15");
    assert_eq!(refused(&fifteenth), RejectReason::CapacityExhausted, "the rest is trading's");
    assert_eq!(bank.ledger.transactions().len(), 14);
    let (transaction, granted) = (TransactionId(2), true);
    committed(&bank.apply(Command::ConcludeFunding { transaction, granted }));
}

#[test]
fn fees_and_rebates_that_go_round_do_not_grow_without_end() {
    let mut bank = Bank::new();
    let wallet = bank.funded(ALICE, USDT, ONE, true);
    bank.funded(BOB, BTC, ONE, true);
    let most = limits::OWNED_MAX;
    for round in 0..4u128 {
        let total = bank.ledger.books().wallet(wallet).unwrap().total();
        let kind = TransactionKind::Adjustment;
        let name = format!("a-{round}");
        let more = Post { kind, fund: true, ..bank.deposit_of(wallet, most - total - 2, &name) };
        let Event::Committed(_) = bank.apply(Command::Post(more))[0] else { return };
        let pool = bank.ledger.books().wallet(wallet).unwrap().pool;
        let settle = Settle {
            base_amount: 1,
            quote_amount: 1,
            buyer_fee: (pool - 1).cast_signed(),
            seller_fee: 0,
            ..trade(round + 1, CreditTo::Reserved)
        };
        let events = bank.apply(Command::Settle(settle));
        if let Some(Event::CommandRejected { reason }) = events.last() {
            assert_eq!(*reason, RejectReason::BalanceOverflow);
            return;
        }
    }
    panic!("no bound was met");
}

#[test]
fn a_settlement_opens_no_more_wallets_than_there_are() {
    let mut bank = Bank::with(Ledger::with_capacity(small()));
    bank.funded(ALICE, USDT, ONE, true);
    bank.funded(BOB, BTC, ONE, true);
    let settle = Settle {
        base_amount: 1,
        quote_amount: 1,
        buyer_fee: 0,
        seller_fee: 0,
        ..trade(1, CreditTo::Reserved)
    };
    let full = refused(&bank.apply(Command::Settle(settle)));
    assert_eq!((full, bank.ledger.books().wallet_count()), (RejectReason::CapacityExhausted, 2));
    bank.open(BOB, USDT);
    let full = refused(&bank.apply(Command::Settle(settle)));
    assert_eq!(full, RejectReason::CapacityExhausted, "one is missing still");
}

#[test]
fn a_loan_is_known_by_its_wallet() {
    let mut bank = Bank::new();
    let (alice, bob) = (bank.open(ALICE, USDT), bank.open(BOB, USDT));
    let debit = Account::External(USDT);
    let to = |wallet| Posting { debit, credit: Account::Available(wallet), amount: ONE };
    let batch = |postings: &[Posting], name| Post {
        kind: TransactionKind::Batch,
        postings: Postings::new(postings).unwrap(),
        fund: true,
        ..transfer_of(alice, bob, 1, name)
    };
    let twice = bank.apply(Command::Post(batch(&[to(alice), to(alice)], "b-1")));
    assert_eq!(refused(&twice), RejectReason::InvalidRequest);
    committed(&bank.apply(Command::Post(batch(&[to(alice), to(bob)], "b-1"))));
}

#[test]
fn burned_orders_count_as_reservations() {
    let mut bank = Bank::with(Ledger::with_capacity(small()));
    bank.funded(ALICE, USDT, ONE, false);
    committed(&bank.apply(Command::Reserve(reserve(ALICE, USDT, 1, 1))));
    bank.apply(Command::Release(release(2, None)));
    let third = bank.apply(Command::Reserve(reserve(ALICE, USDT, 1, 3)));
    assert_eq!(refused(&third), RejectReason::CapacityExhausted);
    // Nobody has to wait for room: what was not burned cannot come late either.
    let burn = bank.apply(Command::Release(release(4, None)));
    assert_eq!(refused(&burn), RejectReason::UnknownReservation);
    let late = bank.apply(Command::Reserve(reserve(ALICE, USDT, 1, 4)));
    assert_eq!(refused(&late), RejectReason::CapacityExhausted);
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
