//! Owns what the ledger is asked: two users whose money comes in, is set aside, changes hands in
//! trades and transfers, and goes out. Knows nothing of files. Invariant: every key carries the
//! number of its command.

use engine::{AssetCode, AssetId};
use wallet::ledger::types::{
    Account, CreditTo, Description, Reference, ReserveReason, TransactionKind, UserId, WalletId,
};
use wallet::ledger::{Command, Event, Ledger, Outcome, Post, Posting, Postings, Reserve, Settle};

use super::{Answer, Script, halves};
use crate::random::Random;

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const USERS: [UserId; 2] = [UserId(1), UserId(2)];
/// Enough for everything that is ever asked for.
const PLENTY: u128 = 1_000_000_000;
/// Commands at the beginning that bring in money, one for each wallet.
const DEPOSITS: u64 = 4;
/// A round: two reservations, their trade, and money that moves.
const ROUND: u64 = 6;

/// Wallets are opened for the first user, then for the second, in BASE, then in QUOTE.
fn account(user: usize, asset: AssetId) -> Account {
    let opened_before = u32::try_from(2 * user).expect("two users");
    Account::Available(WalletId(opened_before + asset.0))
}

fn post(kind: TransactionKind, from: Account, to: Account, amount: u128, number: u64) -> Command {
    let posting = Posting { debit: from, credit: to, amount };
    Command::Post(Post {
        kind,
        caller: USERS[0],
        reference: Reference::new(&number.to_string()).expect("a short name"),
        description: Description::EMPTY,
        postings: Postings::new(&[posting]).expect("one posting"),
        fund: false,
        dry_run: false,
    })
}

fn reserve(user: UserId, asset: AssetId, amount: u128, number: u64) -> Command {
    let (order, reason) = (u128::from(number), ReserveReason::OrderPlacement);
    Command::Reserve(Reserve { user, asset, amount, order, reason })
}

/// The trade of the two reservations before it.
fn trade(number: u64) -> Command {
    Command::Settle(Settle {
        trade: u128::from(number),
        buyer: USERS[0],
        seller: USERS[1],
        buyer_order: u128::from(number - 2),
        seller_order: u128::from(number - 1),
        base: BASE,
        quote: QUOTE,
        base_amount: 10,
        quote_amount: 900,
        buyer_fee: 2,
        seller_fee: -1,
        credit_to: CreditTo::Available,
    })
}

impl Script for Ledger {
    fn fresh() -> Self {
        Self::default()
    }

    fn opening() -> Vec<Command> {
        let (amount_min, amount_max) = (1, PLENTY * PLENTY);
        let asset = |asset, name| {
            let code = AssetCode::new(name).expect("a legal code");
            Command::AddAsset { asset, code, scale: 8, amount_min, amount_max }
        };
        let assets = [asset(BASE, "BTC"), asset(QUOTE, "USDT")];
        let wallets = USERS
            .iter()
            .flat_map(|&user| [BASE, QUOTE].map(|asset| Command::OpenWallet { user, asset }));
        assets.into_iter().chain(wallets).collect()
    }

    fn command(seed: u64, number: u64) -> Command {
        let (deposit, withdrawal) = (TransactionKind::Deposit, TransactionKind::Withdrawal);
        if number < DEPOSITS {
            let asset = if number.is_multiple_of(2) { BASE } else { QUOTE };
            let user = usize::from(number >= 2);
            return post(deposit, Account::External(asset), account(user, asset), PLENTY, number);
        }
        let mut random = Random::new(seed ^ number.rotate_left(32));
        let amount = 1 + u128::from(random.below(100));
        let asset = random.pick(&[BASE, QUOTE]);
        let user = usize::from(random.chance(50));
        let (here, there) = (account(user, asset), account(1 - user, asset));
        let outside = Account::External(asset);
        match (number - DEPOSITS) % ROUND {
            0 => reserve(USERS[0], QUOTE, 1_000, number),
            1 => reserve(USERS[1], BASE, 15, number),
            2 => trade(number),
            3 => post(TransactionKind::Transfer, here, there, amount, number),
            4 if random.chance(30) => post(withdrawal, here, outside, PLENTY * 1_000, number),
            4 => post(withdrawal, here, outside, amount, number),
            _ => post(deposit, outside, here, amount, number),
        }
    }

    fn number(command: &Command) -> Option<u64> {
        match command {
            Command::Post(post) => post.reference.to_text().parse().ok(),
            Command::Reserve(reserve) => u64::try_from(reserve.order).ok(),
            Command::Settle(settle) => u64::try_from(settle.trade).ok(),
            _ => None,
        }
    }

    fn answer(events: &[Event]) -> Answer {
        let read = |outcome: Outcome| {
            let Outcome { transaction, status, reason, new_balance, available, .. } = outcome;
            let reason = reason.map_or(0, |reason| u64::from(reason.code()));
            let ([all, all_high], [free, free_high]) = (halves(new_balance), halves(available));
            Answer::of(&[transaction.0, status as u64, reason, all, all_high, free, free_high])
        };
        match events.first() {
            Some(Event::Committed(committed)) => read(committed.outcome(0, 0)),
            Some(Event::Repeated(outcome)) => read(*outcome),
            other => panic!("not an answer: {other:?}"),
        }
    }

    fn is_repeat(events: &[Event]) -> bool {
        matches!(events.first(), Some(Event::Repeated(_)))
    }

    fn assert_sound(&self) {
        assert_eq!(self.check(), Ok(()), "the ledger");
    }
}
