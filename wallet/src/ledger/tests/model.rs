//! The ledger against a naive one, a million random requests long: the same verdicts, the same
//! balances at every moment, also when asked for later.

use std::collections::BTreeMap;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;
use crate::views::history::{Head, History, Moment, Past, Until};

const USERS: u64 = 8;
const REQUESTS: usize = 1_000_000;

/// What a user has: available, lent to trading, promised to orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Money {
    available: i128,
    pool: i128,
    held: i128,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Waits,
    Refused,
    Again,
}

/// One asset in which users trade "base" against, and one to pay with: a list of balances, a list
/// of reservations, and what each key came to.
#[derive(Default)]
struct Naive {
    money: BTreeMap<(UserId, AssetId), Money>,
    fees: i128,
    reservations: BTreeMap<u128, (UserId, AssetId, i128, bool)>,
    keys: BTreeMap<String, Command>,
    waiting: BTreeMap<u64, (UserId, i128)>,
}

impl Naive {
    fn at(&mut self, user: UserId, asset: AssetId) -> &mut Money {
        self.money.entry((user, asset)).or_default()
    }

    /// The same request again is no request; another one under its key is refused.
    fn known(&self, key: &str, command: Command) -> Option<Verdict> {
        let first = self.keys.get(key)?;
        Some(if *first == command { Verdict::Again } else { Verdict::Refused })
    }

    fn deposit(&mut self, user: UserId, amount: i128, fund: bool) -> Verdict {
        let money = self.at(user, USDT);
        *(if fund { &mut money.pool } else { &mut money.available }) += amount;
        Verdict::Done
    }

    fn withdraw(&mut self, user: UserId, amount: i128, fund: bool, id: u64) -> Verdict {
        let money = self.at(user, USDT);
        if money.available >= amount {
            money.available -= amount;
            return Verdict::Done;
        }
        if !fund {
            return Verdict::Refused;
        }
        self.waiting.insert(id, (user, amount));
        Verdict::Waits
    }

    fn conclude(&mut self, id: u64, granted: bool) -> Verdict {
        let Some(&(user, amount)) = self.waiting.get(&id) else { return Verdict::Refused };
        if granted && self.at(user, USDT).pool < amount {
            return Verdict::Refused;
        }
        self.waiting.remove(&id);
        if granted {
            self.at(user, USDT).pool -= amount;
            Verdict::Done
        } else {
            Verdict::Refused
        }
    }

    fn reserve(&mut self, user: UserId, asset: AssetId, amount: i128, order: u128) -> Verdict {
        let money = self.at(user, asset);
        if money.available < amount {
            return Verdict::Refused;
        }
        money.available -= amount;
        money.held += amount;
        self.reservations.insert(order, (user, asset, amount, true));
        Verdict::Done
    }

    fn release(&mut self, order: u128) -> Verdict {
        let Some((user, asset, left, active)) = self.reservations.get_mut(&order) else {
            return Verdict::Refused;
        };
        if !std::mem::take(active) {
            return Verdict::Again;
        }
        let (user, asset, left) = (*user, *asset, std::mem::take(left));
        let money = self.at(user, asset);
        money.held -= left;
        money.available += left;
        Verdict::Done
    }

    fn settle(&mut self, trade: &Settle) -> Verdict {
        let signed = |amount: u128| amount.cast_signed();
        let (base, quote) = (signed(trade.base_amount), signed(trade.quote_amount));
        let pays = quote + trade.buyer_fee;
        let receives = quote - trade.seller_fee;
        let pooled = trade.credit_to == CreditTo::Reserved;
        if pooled {
            let short = self.at(trade.buyer, USDT).pool < pays;
            if short || self.at(trade.seller, BTC).pool < base {
                return Verdict::Refused;
            }
            self.at(trade.buyer, USDT).pool -= pays;
            self.at(trade.seller, BTC).pool -= base;
            self.at(trade.seller, USDT).pool += receives;
            self.at(trade.buyer, BTC).pool += base;
        } else {
            for (order, user, asset, amount) in [
                (trade.buyer_order, trade.buyer, USDT, pays),
                (trade.seller_order, trade.seller, BTC, base),
            ] {
                match self.reservations.get(&order) {
                    Some(&(owner, held, left, true))
                        if (owner, held) == (user, asset) && left >= amount => {}
                    _ => return Verdict::Refused,
                }
            }
            for (order, user, asset, amount) in [
                (trade.buyer_order, trade.buyer, USDT, pays),
                (trade.seller_order, trade.seller, BTC, base),
            ] {
                self.reservations.get_mut(&order).unwrap().2 -= amount;
                self.at(user, asset).held -= amount;
            }
            self.at(trade.seller, USDT).available += receives;
            self.at(trade.buyer, BTC).available += base;
        }
        self.fees += trade.buyer_fee + trade.seller_fee;
        Verdict::Done
    }
}

/// Draws requests, and asks both ledgers.
struct Duel {
    random: Xoshiro256PlusPlus,
    ledger: Ledger,
    events: EventBuffer<Event>,
    naive: Naive,
    history: History,
    heads: BTreeMap<WalletId, Head>,
    verdicts: BTreeMap<String, usize>,
    /// Requests with a key of their own, to send again.
    sent: Vec<Command>,
}

impl Duel {
    fn new(seed: u64) -> Self {
        let mut bank = Bank::new();
        for user in 1..=USERS {
            bank.open(UserId(user.into()), USDT);
            bank.open(UserId(user.into()), BTC);
        }
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            ledger: bank.ledger,
            events: EventBuffer::default(),
            naive: Naive::default(),
            history: History::new(1 << 22),
            heads: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.next_u64() % bound
    }

    fn user(&mut self) -> UserId {
        UserId(u128::from(1 + self.below(USERS)))
    }

    fn wallet(&self, user: UserId, asset: AssetId) -> WalletId {
        self.ledger.books().wallet_of(user, asset).unwrap()
    }

    /// What the ledger makes of a command.
    fn ask(&mut self, command: Command) -> Verdict {
        let sequence = self.ledger.last_sequence() + 1;
        let frame = Frame { sequence, timestamp_ns: sequence * 10, command };
        self.events.clear();
        self.ledger.apply(&frame, &mut self.events);
        let mut verdict = Verdict::Done;
        for event in self.events.as_slice() {
            match event {
                Event::CommandRejected { .. } => verdict = Verdict::Refused,
                Event::Repeated(_) => verdict = Verdict::Again,
                Event::Committed(head) => match head.status {
                    TransactionStatus::Failed => verdict = Verdict::Refused,
                    TransactionStatus::Pending => verdict = Verdict::Waits,
                    _ => {}
                },
                _ => {}
            }
        }
        self.remember(sequence);
        verdict
    }

    /// Keeps what every wallet has now that the command has touched.
    fn remember(&mut self, sequence: u64) {
        for event in self.events.as_slice() {
            let Event::Posted(leg) = event else { continue };
            for account in [leg.debit, leg.credit] {
                let (Account::Available(id) | Account::Reserved(id)) = account else { continue };
                let wallet = self.ledger.books().wallet(id).unwrap();
                let moment = Moment {
                    sequence,
                    timestamp_ns: sequence * 10,
                    available: wallet.available,
                    reserved: wallet.reserved,
                    transaction: leg.transaction,
                };
                self.history.push(self.heads.entry(id).or_default(), moment);
            }
        }
    }

    /// A request from before, or another one under its key: neither changes anything.
    fn send_again(&mut self, number: u64) {
        let Some(place) = usize::try_from(self.below(self.sent.len().max(1) as u64)).ok() else {
            return;
        };
        let Some(Command::Post(mut post)) = self.sent.get(place).copied() else { return };
        let same = self.below(4) > 0;
        post.fund ^= !same;
        let verdict = if same { Verdict::Again } else { Verdict::Refused };
        assert_eq!(self.ask(Command::Post(post)), verdict, "request {number}: {post:?}");
        let what = if same { "Post Again" } else { "Post Changed" };
        *self.verdicts.entry(what.to_owned()).or_default() += 1;
    }

    fn step(&mut self, number: u64) {
        if self.below(20) == 0 {
            return self.send_again(number);
        }
        let (kind, user, amount) = (self.below(100), self.user(), 1 + self.below(1_000));
        let (id, fund) = (self.ledger.transactions().len() as u64 + 1, self.below(2) == 0);
        let (command, key) = match kind {
            0..25 => self.deposit_or_withdraw(user, amount, fund, number),
            25..40 => {
                let order = u128::from(1 + self.below(number / 20 + 1));
                let asset = if order.is_multiple_of(2) { USDT } else { BTC };
                let command = Command::Reserve(reserve(user, asset, amount.into(), order));
                (command, format!("order {order}"))
            }
            40..50 => {
                let order = u128::from(1 + self.below(number / 20 + 1));
                // A release of an order that was never reserved burns it: not drawn here.
                if !self.naive.reservations.contains_key(&order) {
                    return;
                }
                (Command::Release(release(order, None)), String::new())
            }
            50..60 => {
                let waiting: Vec<_> = self.naive.waiting.keys().copied().collect();
                let Some(id) = waiting.first() else { return };
                let (transaction, granted) = (TransactionId(*id), self.below(3) > 0);
                (Command::ConcludeFunding { transaction, granted }, String::new())
            }
            _ => self.trade(user, number),
        };
        if matches!(command, Command::Post(_)) {
            self.sent.push(command);
        }
        let verdict = match self.naive.known(&key, command) {
            Some(verdict) => verdict,
            None => self.naive_verdict(command, id),
        };
        let remembered = verdict != Verdict::Refused || !matches!(command, Command::Settle(_));
        if !key.is_empty() && remembered {
            self.naive.keys.entry(key).or_insert(command);
        }
        assert_eq!(self.ask(command), verdict, "request {number}: {command:?}");
        let name = format!("{command:?}").split(['(', ' ']).next().unwrap().to_owned();
        *self.verdicts.entry(format!("{name} {verdict:?}")).or_default() += 1;
    }

    fn deposit_or_withdraw(
        &mut self,
        user: UserId,
        amount: u64,
        fund: bool,
        number: u64,
    ) -> (Command, String) {
        let reference = format!("r-{number}");
        let asset = if self.below(3) == 0 { BTC } else { USDT };
        let wallet = self.wallet(user, asset);
        let (inside, outside) = (Account::Available(wallet), Account::External(asset));
        let (kind, debit, credit) = if asset == BTC || self.below(2) == 0 {
            (TransactionKind::Deposit, outside, inside)
        } else {
            (TransactionKind::Withdrawal, inside, outside)
        };
        let posting = Posting { debit, credit, amount: amount.into() };
        let post = Post { fund, ..post(kind, posting, &reference) };
        (Command::Post(post), reference)
    }

    fn trade(&mut self, user: UserId, number: u64) -> (Command, String) {
        let number = 1 + number / 2 + self.below(2);
        let (base, price) = (1 + self.below(20), 1 + self.below(20));
        let fee = i128::from(self.below(3)) - 1;
        let order = |random: u64, odd: u64| u128::from(1 + (random & !1) + odd);
        let draw = [self.below(number / 10 + 2), self.below(number / 10 + 2)];
        let settle = Settle {
            trade: number.into(),
            buyer: user,
            seller: self.user(),
            buyer_order: order(draw[0], 1),
            seller_order: order(draw[1], 0),
            base_amount: base.into(),
            quote_amount: (base * price).into(),
            buyer_fee: fee.min(i128::from(base * price)),
            seller_fee: fee.min(i128::from(base * price)),
            credit_to: if self.below(2) == 0 { CreditTo::Available } else { CreditTo::Reserved },
            ..trade(number.into(), CreditTo::Reserved)
        };
        (Command::Settle(settle), format!("trade {number}"))
    }

    fn naive_verdict(&mut self, command: Command, id: u64) -> Verdict {
        match command {
            Command::Post(post) => {
                let [posting] = post.postings.as_slice() else { unreachable!() };
                let amount = posting.amount.cast_signed();
                let owner = |account| match account {
                    Account::Available(id) => {
                        let wallet = self.ledger.books().wallet(id).unwrap();
                        Some((wallet.user, wallet.asset))
                    }
                    _ => None,
                };
                match (owner(posting.debit), owner(posting.credit)) {
                    (None, Some((user, BTC))) => {
                        let money = self.naive.at(user, BTC);
                        let place = if post.fund { &mut money.pool } else { &mut money.available };
                        *place += amount;
                        Verdict::Done
                    }
                    (None, Some((user, _))) => self.naive.deposit(user, amount, post.fund),
                    (Some((user, _)), _) => self.naive.withdraw(user, amount, post.fund, id),
                    _ => unreachable!(),
                }
            }
            Command::Reserve(r) => {
                self.naive.reserve(r.user, r.asset, r.amount.cast_signed(), r.order)
            }
            Command::Release(release) => self.naive.release(release.order),
            Command::ConcludeFunding { transaction, granted } => {
                self.naive.conclude(transaction.0, granted)
            }
            Command::Settle(settle) => self.naive.settle(&settle),
            other => unreachable!("{other:?}"),
        }
    }

    /// All balances of both, and one of the past.
    fn compare(&mut self, number: u64) {
        for (_, wallet) in self.ledger.books().wallets() {
            let naive = self.naive.money.get(&(wallet.user, wallet.asset));
            let naive = naive.copied().unwrap_or_default();
            let [available, reserved, pool] =
                [wallet.available, wallet.reserved, wallet.pool].map(u128::cast_signed);
            let money = Money { available, pool, held: reserved - pool };
            assert_eq!(money, naive, "request {number}: {wallet:?}");
        }
        let fees = self.ledger.books().asset(USDT).unwrap().fees;
        assert_eq!(fees, self.naive.fees, "request {number}");
    }
}

#[test]
fn a_million_random_requests_give_what_a_naive_ledger_gives() {
    let mut duel = Duel::new(20_261_121);
    // (sequence, wallet) -> balance, noted at random moments and asked for at the end.
    let mut noted = Vec::new();
    for number in 1..=REQUESTS as u64 {
        duel.step(number);
        if number.is_multiple_of(64) {
            duel.compare(number);
        }
        if number.is_multiple_of(997) {
            let id = WalletId(u32::try_from(1 + duel.below(2 * USERS)).unwrap());
            let wallet = duel.ledger.books().wallet(id).unwrap();
            let now = (wallet.available, wallet.reserved);
            noted.push((duel.ledger.last_sequence(), id, now));
        }
        if number.is_multiple_of(250_000) {
            duel.ledger.check().unwrap();
        }
    }
    for (sequence, id, then) in noted {
        let head = duel.heads.get(&id).copied().unwrap_or_default();
        let past = match duel.history.at(head, Until::Time(sequence * 10)) {
            Past::At(moment) => (moment.available, moment.reserved),
            Past::Before => (0, 0),
            Past::Forgotten => panic!("{id:?} at {sequence} was forgotten"),
        };
        assert_eq!(past, then, "{id:?} at {sequence}");
    }
    for (what, least) in [
        ("Post Done", 10_000),
        ("Post Waits", 1_000),
        ("Post Refused", 1_000),
        ("Post Again", 10_000),
        ("Post Changed", 1_000),
        ("Reserve Done", 1_000),
        ("Reserve Refused", 1_000),
        ("Release Done", 100),
        ("Release Again", 1_000),
        ("ConcludeFunding Done", 100),
        ("ConcludeFunding Refused", 100),
        ("Settle Done", 10_000),
        ("Settle Refused", 1_000),
    ] {
        let seen = duel.verdicts.get(what).copied().unwrap_or_default();
        assert!(seen >= least, "{what} was seen {seen} times: {:#?}", duel.verdicts);
    }
}
