//! Tests of the ledger as a whole: the golden examples, the keys, the bounds.

use engine::{AssetCode, AssetId, EventBuffer, Frame, StateMachine};

use super::types::{
    Account, CreditTo, Description, FundingDirection, Reference, ReleaseReason, ReserveReason,
    TransactionId, TransactionKind, TransactionStatus, UserId, WalletId, WalletStatus,
};
use super::*;

mod bounds;
mod encoding;
mod funding;
mod golden;
mod keys;
mod model;
mod orders;
pub(crate) mod snapshots;

const BTC: AssetId = AssetId(1);
const USDT: AssetId = AssetId(2);
const ALICE: UserId = UserId(0xA11CE);
const BOB: UserId = UserId(0xB0B);
const CALLER: UserId = UserId(0xCA11);
/// One of an asset, units: both scales are 8.
const ONE: u128 = 100_000_000;

/// Cents of an asset to its units.
fn cents(cents: u128) -> u128 {
    cents * ONE / 100
}

/// A ledger that checks itself after every command.
struct Bank {
    ledger: Ledger,
    now_ns: u64,
}

impl Bank {
    fn new() -> Self {
        Self::with(Ledger::default())
    }

    fn with(ledger: Ledger) -> Self {
        let mut bank = Self { ledger, now_ns: 0 };
        for (asset, code) in [(BTC, "BTC"), (USDT, "USDT")] {
            let code = AssetCode::new(code).unwrap();
            let (amount_min, amount_max) = (1, 10_000_000 * ONE);
            bank.apply(Command::AddAsset { asset, code, scale: 8, amount_min, amount_max });
        }
        bank
    }

    fn apply(&mut self, command: Command) -> Vec<Event> {
        self.now_ns += 1_000;
        let sequence = self.ledger.last_sequence() + 1;
        let mut events = EventBuffer::default();
        let frame = Frame { sequence, timestamp_ns: self.now_ns, command };
        self.ledger.apply(&frame, &mut events);
        self.ledger.check().unwrap();
        assert!(!events.is_empty() || command == Command::Tick, "{command:?} says nothing");
        events.as_slice().to_vec()
    }

    fn open(&mut self, user: UserId, asset: AssetId) -> WalletId {
        match self.apply(Command::OpenWallet { user, asset })[..] {
            [Event::WalletOpened { wallet, .. } | Event::WalletExists { wallet }] => wallet,
            ref other => panic!("{other:?}"),
        }
    }

    fn balance(&self, account: Account) -> i128 {
        self.ledger.books().balance(account)
    }

    /// Available and reserved.
    fn funds(&self, wallet: WalletId) -> (u128, u128) {
        let wallet = self.ledger.books().wallet(wallet).unwrap();
        (wallet.available, wallet.reserved)
    }

    /// A deposit that stays available.
    fn deposit(&mut self, wallet: WalletId, amount: u128, reference: &str) -> Vec<Event> {
        let post = self.deposit_of(wallet, amount, reference);
        self.apply(Command::Post(post))
    }

    fn deposit_of(&self, wallet: WalletId, amount: u128, reference: &str) -> Post {
        let asset = self.ledger.books().wallet(wallet).unwrap().asset;
        let (debit, credit) = (Account::External(asset), Account::Available(wallet));
        post(TransactionKind::Deposit, Posting { debit, credit, amount }, reference)
    }

    fn withdrawal_of(&self, wallet: WalletId, amount: u128, reference: &str) -> Post {
        let asset = self.ledger.books().wallet(wallet).unwrap().asset;
        let (debit, credit) = (Account::Available(wallet), Account::External(asset));
        post(TransactionKind::Withdrawal, Posting { debit, credit, amount }, reference)
    }

    /// A user with money in an asset, lent to trading if `lent`.
    fn funded(&mut self, user: UserId, asset: AssetId, amount: u128, lent: bool) -> WalletId {
        let wallet = self.open(user, asset);
        let reference = format!("fund-{}-{}", user.0, asset.0);
        let post = Post { fund: lent, ..self.deposit_of(wallet, amount, &reference) };
        committed(&self.apply(Command::Post(post)));
        wallet
    }
}

fn post(kind: TransactionKind, posting: Posting, reference: &str) -> Post {
    Post {
        kind,
        caller: CALLER,
        reference: Reference::new(reference).unwrap(),
        description: Description::EMPTY,
        postings: Postings::new(&[posting]).unwrap(),
        fund: false,
        dry_run: false,
    }
}

fn transfer_of(from: WalletId, to: WalletId, amount: u128, reference: &str) -> Post {
    let (debit, credit) = (Account::Available(from), Account::Available(to));
    post(TransactionKind::Transfer, Posting { debit, credit, amount }, reference)
}

fn reserve(user: UserId, asset: AssetId, amount: u128, order: u128) -> Reserve {
    Reserve { user, asset, amount, order, reason: ReserveReason::OrderPlacement }
}

fn release(order: u128, captured_total: Option<u128>) -> Release {
    let reason = ReleaseReason::OrderCancelled;
    Release { reservation: TransactionId(0), order, reason, captured_total }
}

/// BUY 1.5 BTC at 49,900 by Alice from Bob: fees 149.70 and 74.85.
fn trade(trade: u128, credit_to: CreditTo) -> Settle {
    Settle {
        trade,
        buyer: ALICE,
        seller: BOB,
        buyer_order: 11,
        seller_order: 12,
        base: BTC,
        quote: USDT,
        base_amount: ONE * 3 / 2,
        quote_amount: 74_850 * ONE,
        buyer_fee: cents(14_970).cast_signed(),
        seller_fee: cents(7_485).cast_signed(),
        credit_to,
    }
}

/// The transaction that a command made and completed.
fn committed(events: &[Event]) -> Committed {
    let heads = events.iter().filter_map(|event| match event {
        Event::Committed(head) => Some(*head),
        _ => None,
    });
    let [head] = heads.collect::<Vec<_>>()[..] else { panic!("{events:?}") };
    assert_eq!(head.status, TransactionStatus::Completed, "{head:?}");
    head
}

/// Why a command was refused, remembered or not.
fn refused(events: &[Event]) -> RejectReason {
    match events {
        [Event::CommandRejected { reason }] => *reason,
        [Event::Committed(Committed { reason: Some(reason), legs: 0, .. }), ..] => *reason,
        other => panic!("{other:?}"),
    }
}

fn repeated(events: &[Event]) -> TransactionId {
    match events {
        [Event::Repeated(again)] => again.transaction,
        other => panic!("{other:?}"),
    }
}

/// The events of a day in which everything happens, and the ledger behind them.
pub(crate) fn history() -> (Vec<Event>, Ledger) {
    let mut bank = Bank { ledger: Ledger::default(), now_ns: 0 };
    let mut events = Vec::new();
    let (asset, code) = (USDT, AssetCode::new("USDT").unwrap());
    let (amount_min, amount_max) = (1, 10_000_000 * ONE);
    let mut apply = |bank: &mut Bank, command| events.extend(bank.apply(command));
    apply(&mut bank, Command::AddAsset { asset, code, scale: 8, amount_min, amount_max });
    for user in [ALICE, BOB] {
        apply(&mut bank, Command::OpenWallet { user, asset });
    }
    let (alice, bob) = (WalletId(1), WalletId(2));
    let description = Description::new(&"d".repeat(100)).unwrap();
    let deposit = Post { description, ..bank.deposit_of(alice, 10 * ONE, "d-1") };
    apply(&mut bank, Command::Post(deposit));
    apply(&mut bank, Command::Post(transfer_of(alice, bob, ONE, "t-1")));
    let short = bank.withdrawal_of(bob, 5 * ONE, "w-1");
    apply(&mut bank, Command::Post(short));
    apply(&mut bank, Command::Reserve(reserve(ALICE, USDT, 3 * ONE, 7)));
    apply(&mut bank, Command::Release(release(7, None)));
    apply(&mut bank, Command::Reverse { transaction: TransactionId(2) });
    (events, bank.ledger)
}
