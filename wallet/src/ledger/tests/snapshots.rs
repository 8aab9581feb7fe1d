//! A snapshot gives back the whole ledger: a restored one says and becomes what the one that was
//! never restored does, whatever comes; and bytes that are no snapshot are refused.

use std::collections::BTreeSet;

use engine::{RestoreError, RestoreFault};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

const USERS: u64 = 4;
/// Commands that a restored ledger is followed for.
const FOLLOWED: usize = 50;

/// Draws commands of all kinds, most of which make sense.
struct Requests {
    random: Xoshiro256PlusPlus,
    number: u64,
    sent: Vec<Command>,
}

impl Requests {
    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }

    fn user(&mut self) -> UserId {
        UserId(u128::from(1 + self.below(USERS)))
    }

    /// An order whose asset follows from its number.
    fn order(&mut self) -> (u128, AssetId) {
        let order = 1 + self.below(self.number / 12 + 1);
        (order.into(), if order.is_multiple_of(2) { BTC } else { USDT })
    }

    fn next(&mut self, ledger: &Ledger) -> Command {
        self.number += 1;
        let command = match self.below(100) {
            0..4 if !self.sent.is_empty() => {
                let at = self.below(self.sent.len() as u64);
                self.sent[usize::try_from(at).unwrap()]
            }
            0..8 => Command::OpenWallet { user: self.user(), asset: self.pick(&[BTC, USDT]) },
            8..38 => Command::Post(self.post(ledger)),
            38..54 => {
                let ((order, asset), user) = (self.order(), self.user());
                let reason =
                    self.pick(&[ReserveReason::OrderPlacement, ReserveReason::TradingFunding]);
                let amount = 1 + u128::from(self.below(60));
                Command::Reserve(Reserve { reason, ..reserve(user, asset, amount, order) })
            }
            54..62 => {
                let captured = self.below(30);
                let captured = (captured < 3).then_some(captured.into());
                Command::Release(release(self.order().0, captured))
            }
            62..80 => Command::Settle(self.trade(ledger)),
            80..90 => {
                let (transaction, granted) = (self.transaction(ledger), self.below(3) > 0);
                Command::ConcludeFunding { transaction, granted }
            }
            90..94 => Command::Reverse { transaction: self.transaction(ledger) },
            94..98 => {
                use WalletStatus::{Active, Closed, Frozen};
                let wallet = WalletId(u32::try_from(1 + self.below(2 * USERS)).unwrap());
                let status = self.pick(&[Active, Active, Active, Active, Frozen, Closed]);
                Command::SetWalletStatus { wallet, status }
            }
            98 => {
                let (asset, frozen) = (self.pick(&[BTC, USDT]), self.below(3) == 0);
                Command::FreezeWithdrawals { asset, frozen }
            }
            _ => Command::Tick,
        };
        self.sent.push(command);
        command
    }

    /// Mostly one that waits for an answer.
    fn transaction(&mut self, ledger: &Ledger) -> TransactionId {
        let waiting: Vec<_> = ledger.pending.keys().copied().collect();
        if !waiting.is_empty() && self.below(2) == 0 {
            return self.pick(&waiting);
        }
        let lately = ledger.transactions().len() as u64;
        TransactionId(lately.saturating_sub(self.below(30)))
    }

    fn post(&mut self, ledger: &Ledger) -> Post {
        use TransactionKind::{Adjustment, Batch, Deposit, Transfer, Withdrawal};
        let wallets = ledger.books().wallet_count().max(1) as u64;
        let mut wallet = || WalletId(u32::try_from(1 + self.below(wallets)).unwrap());
        let (one, other) = (wallet(), wallet());
        let asset = ledger.books().wallet(one).map_or(BTC, |wallet| wallet.asset);
        let (inside, outside) = (Account::Available(one), Account::External(asset));
        let kind =
            self.pick(&[Deposit, Deposit, Withdrawal, Withdrawal, Transfer, Batch, Adjustment]);
        let amount = 1 + u128::from(self.below(400));
        let between = Posting { debit: inside, credit: Account::Available(other), amount };
        let posting = match kind {
            Transfer => between,
            Withdrawal => Posting { debit: inside, credit: outside, amount },
            _ => Posting { debit: outside, credit: inside, amount },
        };
        let fund = self.below(2) == 0;
        let dry_run = self.below(20) == 0;
        let reference = format!("r-{}", self.number);
        let post = Post { fund, dry_run, ..post(kind, posting, &reference) };
        if kind != Batch {
            return post;
        }
        Post { postings: Postings::new(&[posting, between]).unwrap(), ..post }
    }

    /// A trade of two orders, if there are two that fit, or of the money that was lent.
    fn trade(&mut self, ledger: &Ledger) -> Settle {
        let credit_to = self.pick(&[CreditTo::Available, CreditTo::Available, CreditTo::Reserved]);
        let (base, price) = (1 + self.below(3), 1 + self.below(5));
        let mut open = |asset| {
            let fits = ledger.reservations().iter().filter(|(_, r)| {
                r.is_active() && ledger.books().asset_of(Account::Reserved(r.wallet)) == Some(asset)
            });
            let all: Vec<_> = fits.map(|(_, r)| (r.order, r.wallet)).collect();
            (!all.is_empty()).then(|| self.pick(&all))
        };
        let (buyer, seller) = (open(USDT), open(BTC));
        let user = |order: Option<(u128, WalletId)>, other| {
            let wallet = order.and_then(|(_, wallet)| ledger.books().wallet(wallet));
            wallet.map_or(other, |wallet| wallet.user)
        };
        let others = (self.user(), self.user());
        let fee = i128::from(self.below(3)) - 1;
        Settle {
            buyer: user(buyer, others.0),
            seller: user(seller, others.1),
            buyer_order: buyer.map_or(0, |(order, _)| order),
            seller_order: seller.map_or(0, |(order, _)| order),
            base_amount: base.into(),
            quote_amount: (base * price).into(),
            buyer_fee: fee,
            seller_fee: fee.min(0),
            ..trade(self.number.into(), credit_to)
        }
    }
}

/// The first commands of a seed.
pub(crate) fn frames(seed: u64, count: usize) -> Vec<Frame<Command>> {
    let random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut requests = Requests { random, number: 0, sent: Vec::new() };
    let (mut ledger, mut events) = (Ledger::default(), EventBuffer::default());
    let mut frames = Vec::new();
    for sequence in 1..=count as u64 {
        let assets = [(BTC, "BTC"), (USDT, "USDT")];
        let command = match usize::try_from(sequence - 1).ok().and_then(|at| assets.get(at)) {
            Some((asset, code)) => {
                let (amount_min, amount_max) = (2, 300);
                let (asset, code) = (*asset, AssetCode::new(code).unwrap());
                Command::AddAsset { asset, code, scale: 8, amount_min, amount_max }
            }
            None => requests.next(&ledger),
        };
        let frame = Frame { sequence, timestamp_ns: sequence * 10, command };
        ledger.apply(&frame, &mut events);
        frames.push(frame);
    }
    frames
}

fn apply(ledger: &mut Ledger, frame: &Frame<Command>) -> Vec<Event> {
    let mut events = EventBuffer::default();
    ledger.apply(frame, &mut events);
    events.as_slice().to_vec()
}

fn snapshot(ledger: &Ledger) -> Vec<u8> {
    let mut bytes = Vec::new();
    ledger.snapshot(&mut bytes);
    bytes
}

/// The ledger that a snapshot gives, which has that snapshot itself and is sound.
fn restored(bytes: &[u8]) -> Ledger {
    let ledger = Ledger::default().restore(bytes).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(ledger.check(), Ok(()));
    assert!(snapshot(&ledger) == bytes, "another state than the one that was written");
    ledger
}

fn refusal(bytes: &[u8]) -> RestoreError {
    match Ledger::default().restore(bytes) {
        Ok(_) => panic!("this is a snapshot"),
        Err(error) => error,
    }
}

/// A ledger that has something of everything.
fn everything() -> Ledger {
    let mut bank = Bank::new();
    let usdt = bank.funded(ALICE, USDT, 100, false);
    bank.funded(BOB, BTC, 50, false);
    let lent = Post { fund: true, ..bank.deposit_of(usdt, 40, "lent") };
    committed(&bank.apply(Command::Post(lent)));
    for (user, asset, amount, order) in
        [(ALICE, USDT, 60, 11), (BOB, BTC, 30, 12), (BOB, BTC, 5, 13), (BOB, BTC, 4, 14)]
    {
        committed(&bank.apply(Command::Reserve(reserve(user, asset, amount, order))));
    }
    let fill = Settle {
        base_amount: 10,
        quote_amount: 20,
        buyer_fee: 1,
        seller_fee: -2,
        ..trade(1, CreditTo::Available)
    };
    let last = Settle { trade: 2, base_amount: 4, seller_order: 14, seller_fee: 1, ..fill };
    let reversed = committed(&bank.apply(Command::Post(bank.deposit_of(usdt, 3, "wrong"))));
    let refunded = Post { fund: true, ..bank.deposit_of(usdt, 7, "unwanted") };
    for command in [
        Command::Settle(fill),
        Command::Settle(last),
        Command::Release(release(13, None)),
        Command::Release(release(99, None)),
        Command::Reverse { transaction: reversed.transaction },
        Command::Post(bank.withdrawal_of(usdt, 100, "too much")),
        Command::Post(Post { fund: true, ..bank.withdrawal_of(usdt, 70, "waits") }),
        Command::Post(refunded),
    ] {
        bank.apply(command);
    }
    let transaction = TransactionId(bank.ledger.transactions.len() as u64);
    bank.apply(Command::ConcludeFunding { transaction, granted: false });
    bank.apply(Command::FreezeWithdrawals { asset: BTC, frozen: true });
    bank.apply(Command::SetWalletStatus { wallet: usdt, status: WalletStatus::Frozen });
    let ledger = bank.ledger;
    let (transactions, reservations) = (&ledger.transactions, &ledger.reservations);
    let has = |wanted: fn(&Transaction) -> bool| transactions.iter().any(|(_, t)| wanted(t));
    assert!(has(|t| t.status == TransactionStatus::Reversed), "a reversed one");
    assert!(has(|t| t.status == TransactionStatus::Failed), "a failed one");
    assert!(has(|t| t.kind == TransactionKind::Settlement && t.used_up != UsedUp::default()));
    assert!(has(|t| t.funding == Funding::Undone), "a loan that was not taken");
    assert!(
        reservations.iter().any(|(_, r)| r.is_active() && r.captured() > 0),
        "captured in part"
    );
    assert!(reservations.iter().any(|(_, r)| !r.is_active()), "an ended reservation");
    assert!(reservations.burned().count() > 0, "a burned order");
    assert!(ledger.pending() > 0, "one that waits");
    ledger
}

/// Kind of a transaction, and how far it is.
type Kinds = BTreeSet<(TransactionKind, TransactionStatus)>;

/// Follows ledgers that were restored after every so many commands, and notes what happens.
fn follow_from_every(every: usize, seed: u64, frames: &[Frame<Command>], seen: &mut Kinds) {
    let (mut straight, mut hashes, mut said) = (Ledger::default(), Vec::new(), Vec::new());
    for frame in frames {
        hashes.push(straight.state_hash());
        said.push(apply(&mut straight, frame));
    }
    hashes.push(straight.state_hash());
    let heads = said.iter().flatten().filter_map(|event| match event {
        Event::Committed(head) => Some((head.kind, head.status)),
        _ => None,
    });
    seen.extend(heads.chain(straight.transactions.iter().map(|(_, t)| (t.kind, t.status))));
    let mut straight = Ledger::default();
    for at in 0..frames.len() {
        if at.is_multiple_of(every) {
            let mut ledger = restored(&snapshot(&straight));
            let end = frames.len().min(at + FOLLOWED);
            for next in at..end {
                let events = apply(&mut ledger, &frames[next]);
                assert_eq!(events, said[next], "seed {seed}, restored before {at}, {next}");
            }
            assert_eq!(ledger.state_hash(), hashes[end], "seed {seed}, {at} to {end}");
            assert_eq!(ledger.check(), Ok(()));
        }
        apply(&mut straight, &frames[at]);
    }
}

#[test]
fn a_ledger_restored_at_any_moment_goes_on_like_the_other() {
    use TransactionKind::{Deposit, Release, Reserve, Reversal, Settlement, Withdrawal};
    use TransactionStatus::{Completed, Failed, Pending, Reversed};
    let mut seen = Kinds::new();
    for seed in 1..=10 {
        let (count, every) = if seed <= 3 { (700, 1) } else { (2_000, 53) };
        follow_from_every(every, seed, &frames(seed, count), &mut seen);
    }
    for wanted in [
        (Deposit, Completed),
        (Deposit, Reversed),
        (Withdrawal, Completed),
        (Withdrawal, Failed),
        (Withdrawal, Pending),
        (Reserve, Completed),
        (Reserve, Failed),
        (Release, Completed),
        (Settlement, Completed),
        (Settlement, Reversed),
        (Reversal, Completed),
        (Reversal, Pending),
    ] {
        assert!(seen.contains(&wanted), "no {wanted:?}");
    }
}

#[test]
fn each_flipped_bit_is_refused_or_is_in_the_state() {
    let bytes = snapshot(&everything());
    let (mut flipped, mut refused, mut kept) = (bytes.clone(), BTreeSet::new(), 0);
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        match Ledger::default().restore(&flipped) {
            Err(error) => _ = refused.insert(error.field),
            Ok(ledger) => {
                assert_eq!(ledger.check(), Ok(()), "bit {bit}");
                assert!(snapshot(&ledger) == flipped, "bit {bit} is gone");
                kept += 1;
            }
        }
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    let missing: Vec<&str> = FIELDS.into_iter().filter(|f| !refused.contains(f)).collect();
    assert!(missing.is_empty(), "{missing:?} were never refused");
    assert!(kept * 2 < bytes.len() * 8, "{kept} of {} bits", bytes.len() * 8);
}

/// What a single bit can break.
const FIELDS: [&str; 25] = [
    "format",
    "order of assets",
    "asset",
    "amounts of an asset",
    "balances of an asset",
    "wallet",
    "asset of a wallet",
    "money of a wallet",
    "sum of an asset",
    "order of transactions",
    "status of a transaction",
    "wallet of a transaction",
    "link of a transaction",
    "number of movements",
    "movement",
    "movement of the pool",
    "key",
    "reservation",
    "end of a reservation",
    "number of burned orders",
    "burned order",
    "number of pending requests",
    "pending request",
    "movements of a wallet",
    "reserved money of a wallet",
];

#[test]
fn a_snapshot_that_is_cut_short_or_too_long_is_refused() {
    let mut bytes = snapshot(&everything());
    for len in 0..bytes.len() {
        assert!(refusal(&bytes[..len]).offset <= len, "{len} bytes");
    }
    let len = bytes.len();
    bytes.push(0);
    let error = refusal(&bytes);
    assert_eq!((error.field, error.offset), ("end", len));
}

#[test]
fn no_list_is_longer_than_the_ledgers_own_bound() {
    let ledger = everything();
    let full = Capacity {
        assets: ledger.books.assets().len(),
        wallets: ledger.books.wallet_count(),
        transactions: ledger.transactions.len(),
        reservations: ledger.reservations.len(),
        pending: ledger.pending(),
    };
    let bytes = snapshot(&ledger);
    assert!(Ledger::with_capacity(full).restore(&bytes).is_ok(), "at every bound");
    let past: [fn(&mut Capacity); 5] = [
        |capacity| capacity.assets -= 1,
        |capacity| capacity.wallets -= 1,
        |capacity| capacity.transactions -= 1,
        |capacity| capacity.reservations -= 1,
        |capacity| capacity.pending -= 1,
    ];
    for less in past {
        let mut capacity = full;
        less(&mut capacity);
        let fault = Ledger::with_capacity(capacity).restore(&bytes).map_err(|error| error.fault);
        assert!(matches!(fault, Err(RestoreFault::TooMany { .. })), "{capacity:?}");
    }
}

#[test]
fn an_empty_ledger_comes_back_and_has_no_chain() {
    let mut bytes = snapshot(&Ledger::default());
    assert_eq!(restored(&bytes).last_sequence(), 0);
    bytes[20] ^= 1;
    assert_eq!(refusal(&bytes).field, "hash chain");
}

#[test]
#[should_panic(expected = "only a fresh ledger")]
fn a_ledger_with_a_past_takes_no_other() {
    let ledger = everything();
    let bytes = snapshot(&ledger);
    let _ = ledger.restore(&bytes);
}
