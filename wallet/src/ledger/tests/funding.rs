//! Money on its way to trading and back.

use super::*;

fn asked(events: &[Event]) -> Vec<(FundingDirection, UserId, u128)> {
    let asked = events.iter().filter_map(|event| match event {
        Event::FundingRequested { direction, user, amount, .. } => {
            Some((*direction, *user, *amount))
        }
        _ => None,
    });
    asked.collect()
}

fn conclude(transaction: TransactionId, granted: bool) -> Command {
    Command::ConcludeFunding { transaction, granted }
}

/// A withdrawal of one that waits for trading.
fn waiting(bank: &mut Bank) -> (WalletId, TransactionId) {
    let wallet = bank.funded(ALICE, USDT, 3 * ONE, true);
    let post = Post { fund: true, ..bank.withdrawal_of(wallet, ONE, "w-1") };
    let events = bank.apply(Command::Post(post));
    assert_eq!(asked(&events), [(FundingDirection::Recall, ALICE, ONE)]);
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    assert_eq!(head.status, TransactionStatus::Pending);
    assert_eq!(bank.funds(wallet), (0, 3 * ONE), "nothing has moved yet");
    (wallet, head.transaction)
}

#[test]
fn what_comes_in_is_lent_to_trading() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let post = Post { fund: true, ..bank.deposit_of(wallet, ONE, "d-1") };
    let events = bank.apply(Command::Post(post));
    assert_eq!(asked(&events), [(FundingDirection::Fund, ALICE, ONE)]);
    assert_eq!(bank.funds(wallet), (0, ONE));
    assert!(asked(&bank.apply(Command::Post(post))).is_empty(), "asked once");
}

#[test]
fn a_granted_recall_pays_out_once() {
    let mut bank = Bank::new();
    let (wallet, id) = waiting(&mut bank);
    committed(&bank.apply(conclude(id, true)));
    assert_eq!(bank.funds(wallet), (0, 2 * ONE));
    assert_eq!(repeated(&bank.apply(conclude(id, true))), id);
    assert_eq!(refused(&bank.apply(conclude(id, false))), RejectReason::AlreadyConcluded);
}

#[test]
fn a_refused_recall_leaves_the_wallet_untouched() {
    let mut bank = Bank::new();
    let (wallet, id) = waiting(&mut bank);
    assert_eq!(refused(&bank.apply(conclude(id, false))), RejectReason::InsufficientFunds);
    assert_eq!(bank.funds(wallet), (0, 3 * ONE));
    assert_eq!(repeated(&bank.apply(conclude(id, false))), id);
    assert_eq!(refused(&bank.apply(conclude(id, true))), RejectReason::AlreadyConcluded);
}

#[test]
fn a_recall_waits_for_the_settlement_that_brings_the_money() {
    let mut bank = Bank::new();
    let alice = bank.funded(ALICE, USDT, 75_150 * ONE, true);
    bank.funded(BOB, BTC, ONE * 3 / 2, true);
    // Trading has settled between the two already, the ledger has not.
    let bob = bank.open(BOB, USDT);
    let post = Post { fund: true, ..bank.withdrawal_of(bob, ONE, "w-1") };
    let events = bank.apply(Command::Post(post));
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    let id = head.transaction;
    assert_eq!(refused(&bank.apply(conclude(id, true))), RejectReason::ReservedShort);
    committed(&bank.apply(Command::Settle(trade(1, CreditTo::Reserved))));
    committed(&bank.apply(conclude(id, true)));
    assert_eq!(bank.funds(bob), (0, cents(7_477_515) - ONE));
    assert_eq!(bank.funds(alice), (0, cents(15_030)));
}

#[test]
fn a_recall_into_a_frozen_wallet_stays_available() {
    let mut bank = Bank::new();
    let (wallet, id) = waiting(&mut bank);
    bank.apply(Command::SetWalletStatus { wallet, status: WalletStatus::Frozen });
    let events = bank.apply(conclude(id, true));
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    assert_eq!(
        (head.status, head.reason),
        (TransactionStatus::Failed, Some(RejectReason::WalletFrozen))
    );
    assert_eq!(bank.funds(wallet), (ONE, 2 * ONE));
    assert_eq!(repeated(&bank.apply(conclude(id, true))), id);
}

#[test]
fn withdrawals_of_an_asset_stop_and_go_on() {
    let mut bank = Bank::new();
    let (wallet, id) = waiting(&mut bank);
    bank.apply(Command::FreezeWithdrawals { asset: USDT, frozen: true });
    let events = bank.apply(conclude(id, true));
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    assert_eq!(head.reason, Some(RejectReason::WithdrawalsFrozen));
    let post = bank.withdrawal_of(wallet, ONE, "w-2");
    assert_eq!(refused(&bank.apply(Command::Post(post))), RejectReason::WithdrawalsFrozen);
    bank.apply(Command::FreezeWithdrawals { asset: USDT, frozen: false });
    committed(&bank.apply(Command::Post(bank.withdrawal_of(wallet, ONE, "w-3"))));
    assert_eq!(bank.funds(wallet), (0, 2 * ONE));
}

#[test]
fn a_transfer_lends_what_arrives() {
    let mut bank = Bank::new();
    let wallet = bank.funded(ALICE, USDT, 3 * ONE, true);
    let bob = bank.open(BOB, USDT);
    let post = Post { fund: true, ..transfer_of(wallet, bob, ONE, "t-1") };
    let events = bank.apply(Command::Post(post));
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    let events = bank.apply(conclude(head.transaction, true));
    assert_eq!(asked(&events), [(FundingDirection::Fund, BOB, ONE)]);
    assert_eq!((bank.funds(wallet), bank.funds(bob)), ((0, 2 * ONE), (0, ONE)));
}

#[test]
fn money_that_trading_does_not_take_is_available_again() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let post = Post { fund: true, ..bank.deposit_of(wallet, ONE, "d-1") };
    let id = committed(&bank.apply(Command::Post(post))).transaction;
    committed(&bank.apply(conclude(id, false)));
    assert_eq!(bank.funds(wallet), (ONE, 0));
    assert_eq!(repeated(&bank.apply(conclude(id, false))), id);
    assert_eq!(refused(&bank.apply(conclude(id, true))), RejectReason::AlreadyConcluded);
    let plain = committed(&bank.deposit(wallet, ONE, "d-2")).transaction;
    assert_eq!(refused(&bank.apply(conclude(plain, true))), RejectReason::InvalidRequest);
}

#[test]
fn a_loan_that_trading_refuses_is_undone_even_if_it_was_reversed() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    bank.deposit(wallet, ONE, "d-0");
    let post = Post { fund: true, ..bank.deposit_of(wallet, ONE, "d-1") };
    let id = committed(&bank.apply(Command::Post(post))).transaction;
    committed(&bank.apply(Command::Reverse { transaction: id }));
    assert_eq!(bank.funds(wallet), (0, ONE));
    committed(&bank.apply(conclude(id, false)));
    assert_eq!(bank.funds(wallet), (ONE, 0));
}

#[test]
fn a_lent_deposit_is_reversed_through_trading() {
    let mut bank = Bank::new();
    let wallet = bank.open(ALICE, USDT);
    let post = Post { fund: true, ..bank.deposit_of(wallet, ONE, "d-1") };
    let deposit = committed(&bank.apply(Command::Post(post))).transaction;
    let reverse = Command::Reverse { transaction: deposit };
    let events = bank.apply(reverse);
    assert_eq!(asked(&events), [(FundingDirection::Recall, ALICE, ONE)]);
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    let first = head.transaction;
    assert_eq!(repeated(&bank.apply(reverse)), first, "under way");
    bank.apply(conclude(first, false));
    assert_eq!(bank.funds(wallet), (0, ONE));
    let events = bank.apply(reverse);
    let Some(Event::Committed(head)) = events.first() else { panic!("{events:?}") };
    let second = head.transaction;
    committed(&bank.apply(conclude(second, true)));
    assert_eq!(bank.funds(wallet), (0, 0));
    assert_eq!(refused(&bank.apply(reverse)), RejectReason::AlreadyReversed);
}
