//! Owns the proof that the books of trading and of the wallet agree, to the unit.
//! Knows nothing of journals: it is shown what both machines did. Invariant: it corrects nothing; a
//! difference is evidence, and who decides is a person.
//!
//! Both sides are compared at a settled point: every trade up to it is settled or a dead letter.
//! What is settled beyond it, what is not settled before it, and money on its way between wallet
//! and trading account are the only differences that may be, and each is accounted for one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::fees::signed;
use engine::{
    AccountId, AssetCode, Engine, Event, Frame, InstrumentId, Side, StateMachine, Trade, TradeId,
    TransferKind,
};
use serde::Serialize;
use uuid::Uuid;
use wallet::client::FundingEvent;
use wallet::ids;
use wallet::ledger::types::{FundingDirection, TransactionId, TransactionKind, TransactionStatus};
use wallet::ledger::{Command as LedgerCommand, Event as LedgerEvent, Ledger, Settle};

use crate::funding::movement_id;
use crate::limits::{BREACHES_MAX, SPAN_MAX};
use crate::progress::Progress;

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Which identity is broken: REC1 to REC6.
    pub rule: &'static str,
    /// The asset concerned, if it is one asset's.
    pub asset: Option<String>,
    pub what: String,
}

/// What one comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where both sides stood.
    pub sequence: u64,
    pub ledger_sequence: u64,
    pub event_cursor: u64,
    /// Balances compared, trades matched with their settlement so far.
    pub balances: usize,
    pub trades_matched: u64,
    /// Trades that are not settled up to the point, and settled ones beyond it.
    pub unsettled: usize,
    pub ahead: usize,
    pub breaches: Vec<Breach>,
}

/// What a trade moves, in the names of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moves {
    buyer: u128,
    seller: u128,
    base: (AssetCode, u128),
    quote: (AssetCode, u128),
    buyer_fee: i128,
    seller_fee: i128,
}

/// Money between a wallet and its trading account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Movement {
    user: u128,
    asset: AssetCode,
    amount: u128,
}

/// Balance of a user in an asset, or the fees of an asset (user 0).
type Sums = BTreeMap<(u128, AssetCode), i128>;

/// Follows both machines.
#[derive(Debug, Default)]
pub struct Reconciler {
    users: BTreeMap<AccountId, u128>,
    assets: BTreeMap<engine::AssetId, AssetCode>,
    ledger_assets: BTreeMap<engine::AssetId, AssetCode>,
    pairs: BTreeMap<InstrumentId, (AssetCode, AssetCode)>,
    /// Traded and not settled; settled and not traded yet.
    traded: BTreeMap<TradeId, Moves>,
    settled: BTreeMap<TradeId, Moves>,
    matched: u64,
    /// Events of the engine so far, and its newest trade.
    events: u64,
    newest: TradeId,
    /// Lent by the wallet and not credited; credited and not lent.
    lent: BTreeMap<u128, Movement>,
    credited: BTreeMap<u128, Movement>,
    /// Given up by trading and not concluded; concluded and not given up yet.
    debited: BTreeMap<u128, Movement>,
    concluded: BTreeMap<u128, Movement>,
    /// Recalls that the wallet waits for; loans by their transaction.
    recalls: BTreeMap<TransactionId, (u128, Movement)>,
    loans: BTreeMap<TransactionId, u128>,
    /// Trades of settlements that were too far ahead of the cursor at the last comparison.
    far_ahead: BTreeSet<TradeId>,
    /// Differences that were seen on the way; they stay until somebody looks.
    seen: Vec<Breach>,
}

/// Keeps a breach as evidence, while there is room.
fn report(
    breaches: &mut Vec<Breach>,
    rule: &'static str,
    asset: Option<AssetCode>,
    what: impl FnOnce() -> String,
) {
    if breaches.len() < BREACHES_MAX {
        let asset = asset.map(|code| code.to_string());
        breaches.push(Breach { rule, asset, what: what() });
    }
}

impl Reconciler {
    fn breach(&mut self, rule: &'static str, asset: Option<AssetCode>, what: String) {
        report(&mut self.seen, rule, asset, || what);
    }

    /// What the engine did.
    pub fn follow_engine(&mut self, _: &Frame<engine::Command>, events: &[Event]) {
        self.events += events.len() as u64;
        for event in events {
            match event {
                Event::AccountRegistered { account, uuid, .. } => {
                    self.users.insert(*account, *uuid);
                }
                Event::AssetAdded { asset, code, .. } => {
                    self.assets.insert(*asset, *code);
                }
                Event::InstrumentAdded(spec) => {
                    let code = |asset| self.assets.get(&asset).copied().unwrap_or_default();
                    let pair = (code(spec.base_asset), code(spec.quote_asset));
                    self.pairs.insert(spec.instrument, pair);
                }
                Event::Trade(trade) => self.trade(trade),
                Event::TransferApplied { transfer_id, kind, account, asset, amount, .. } => {
                    let user = self.users.get(account).copied().unwrap_or_default();
                    let asset = self.assets.get(asset).copied().unwrap_or_default();
                    let movement = Movement { user, asset, amount: *amount };
                    self.transfer(transfer_id.0, *kind, movement);
                }
                _ => {}
            }
        }
    }

    fn trade(&mut self, trade: &Trade) {
        self.newest = trade.trade_id;
        let user = |account| self.users.get(&account).copied().unwrap_or_default();
        let (base, quote) = self.pairs.get(&trade.instrument).copied().unwrap_or_default();
        let maker = (user(trade.maker_account), trade.maker_fee);
        let taker = (user(trade.taker_account), trade.taker_fee);
        let (buyer, seller) = match trade.taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        let moves = Moves {
            buyer: buyer.0,
            seller: seller.0,
            base: (base, trade.base),
            quote: (quote, trade.quote),
            buyer_fee: buyer.1,
            seller_fee: seller.1,
        };
        match self.settled.remove(&trade.trade_id) {
            None => drop(self.traded.insert(trade.trade_id, moves)),
            Some(settled) => self.meet(trade.trade_id, moves, settled),
        }
    }

    /// A trade and its settlement.
    fn meet(&mut self, trade: TradeId, traded: Moves, settled: Moves) {
        self.matched += 1;
        if traded != settled {
            let what = format!("trade {trade}: traded {traded:?}, settled {settled:?}");
            self.breach("REC4", Some(traded.quote.0), what);
        }
    }

    fn transfer(&mut self, id: u128, kind: TransferKind, movement: Movement) {
        let other = match kind {
            TransferKind::Credit => pair(&mut self.lent, &mut self.credited, id, movement),
            TransferKind::Debit => pair(&mut self.concluded, &mut self.debited, id, movement),
            // Funds of single orders come and go with them.
            _ => return,
        };
        self.compare(id, movement, other);
    }

    /// Both sides of a movement, if both are known.
    fn compare(&mut self, id: u128, movement: Movement, other: Option<Movement>) {
        if let Some(other) = other.filter(|other| *other != movement) {
            let what = format!("movement {id:x}: {movement:?} here, {other:?} there");
            self.breach("REC2", Some(movement.asset), what);
        }
    }

    /// What the ledger did.
    pub fn follow_ledger(&mut self, frame: &Frame<LedgerCommand>, events: &[LedgerEvent]) {
        for event in events {
            match event {
                LedgerEvent::AssetAdded { asset, code, .. } => {
                    self.ledger_assets.insert(*asset, *code);
                }
                LedgerEvent::FundingRequested { .. } => self.funding(frame.sequence, event),
                LedgerEvent::Committed(head) => {
                    let completed = head.status == TransactionStatus::Completed;
                    if let (LedgerCommand::Settle(settle), true) = (&frame.command, completed) {
                        self.settlement(settle);
                    }
                    if let LedgerCommand::ConcludeFunding { transaction, granted } = frame.command {
                        self.conclusion(transaction, granted, head.kind);
                    }
                }
                _ => {}
            }
        }
    }

    fn settlement(&mut self, settle: &Settle) {
        let code = |asset| self.ledger_assets.get(&asset).copied().unwrap_or_default();
        let moves = Moves {
            buyer: settle.buyer.0,
            seller: settle.seller.0,
            base: (code(settle.base), settle.base_amount),
            quote: (code(settle.quote), settle.quote_amount),
            buyer_fee: settle.buyer_fee,
            seller_fee: settle.seller_fee,
        };
        let id = Uuid::from_u128(settle.trade);
        let Some((number, _)) = ids::decode(ids::Kind::Trade, id) else {
            let what = format!("{id} was settled and is no trade of this exchange");
            return self.breach("REC4", Some(moves.quote.0), what);
        };
        let number = TradeId(number);
        if let Some(traded) = self.traded.remove(&number) {
            self.meet(number, traded, moves);
        } else if self.settled.insert(number, moves).is_some() {
            let what = format!("trade {number} was settled twice");
            self.breach("REC4", Some(moves.quote.0), what);
        }
    }

    fn funding(&mut self, cursor: u64, event: &LedgerEvent) {
        let LedgerEvent::FundingRequested {
            transaction,
            direction,
            user,
            asset,
            amount,
            begun_ns,
            ..
        } = *event
        else {
            return;
        };
        let asset = self.ledger_assets.get(&asset).copied().unwrap_or_default();
        let movement = Movement { user: user.0, asset, amount };
        let id = movement_id(&FundingEvent {
            cursor,
            transaction_id: ids::transaction(transaction, begun_ns),
            direction,
            user_id: Uuid::from_u128(user.0),
            asset,
            amount,
        })
        .as_u128();
        match direction {
            FundingDirection::Recall => drop(self.recalls.insert(transaction, (id, movement))),
            FundingDirection::Fund => {
                self.loans.insert(transaction, id);
                let other = pair(&mut self.credited, &mut self.lent, id, movement);
                self.compare(id, movement, other);
            }
        }
    }

    /// A recall ended, or a loan was undone.
    fn conclusion(&mut self, transaction: TransactionId, granted: bool, kind: TransactionKind) {
        if kind == TransactionKind::Release {
            let loan = self.loans.remove(&transaction);
            let taken = loan.is_some_and(|id| self.lent.remove(&id).is_none());
            if taken {
                let what = format!("loan {} was undone after trading took it", transaction.0);
                self.breach("REC2", None, what);
            }
            return;
        }
        let Some((id, movement)) = self.recalls.remove(&transaction) else { return };
        if granted {
            let other = pair(&mut self.debited, &mut self.concluded, id, movement);
            self.compare(id, movement, other);
        }
    }

    /// Compares the books. The engine must stand at the settled point of `progress`, which must
    /// have been taken before the ledger's state; all that both did until then must have been
    /// shown, from the beginning.
    pub fn check(&mut self, engine: &Engine, ledger: &Ledger, progress: &Progress) -> Report {
        // Loans that were taken are of no further interest.
        self.loans.retain(|_, id| self.lent.contains_key(id));
        let mut breaches = self.seen.clone();
        check_ledger(ledger, &mut breaches);
        check_engine(|| engine.assert_invariants(), &mut breaches);
        self.check_cursor(engine, progress, &mut breaches);
        self.check_trades(progress, &mut breaches);
        self.check_movements(&mut breaches);
        let balances = self.check_balances(engine, ledger, &mut breaches);
        Report {
            sequence: engine.last_sequence(),
            ledger_sequence: ledger.last_sequence(),
            event_cursor: progress.cursor,
            balances,
            trades_matched: self.matched,
            unsettled: self.traded.len(),
            ahead: self.settled.len(),
            breaches,
        }
    }

    /// The cursor is not ahead of what there is, and lies at the settled point.
    fn check_cursor(&self, engine: &Engine, progress: &Progress, breaches: &mut Vec<Breach>) {
        let (cursor, events) = (progress.cursor, self.events);
        if cursor < events {
            report(breaches, "REC6", None, || {
                format!("the cursor is at event {cursor}, its command ends at {events}")
            });
        }
        let (head, sequence) = (engine.last_sequence(), progress.sequence);
        if head != sequence {
            report(breaches, "REC6", None, || {
                format!("the cursor is at command {sequence}, the exchange at {head}")
            });
        }
    }

    /// Every trade up to the point has its settlement or is a dead letter, and every settlement has
    /// its trade.
    fn check_trades(&mut self, progress: &Progress, breaches: &mut Vec<Breach>) {
        for (trade, moves) in &self.traded {
            if !progress.letters.has_taken(*trade) {
                report(breaches, "REC4", Some(moves.quote.0), || {
                    format!("trade {trade} is neither settled nor a dead letter")
                });
            }
        }
        // Not up to the cursor's trade: of several trades of one command the first may be settled.
        for (trade, moves) in self.settled.range(..=self.newest) {
            report(breaches, "REC4", Some(moves.quote.0), || {
                format!("trade {trade} was settled and never made")
            });
        }
        // By the next comparison the cursor has come at least this near to what was settled by now.
        let bound = TradeId(progress.trade.0.saturating_add(SPAN_MAX));
        let mut far_ahead = BTreeSet::new();
        for (trade, moves) in self.settled.range(bound..).filter(|(trade, _)| **trade > bound) {
            far_ahead.insert(*trade);
            if self.far_ahead.contains(trade) {
                report(breaches, "REC4", Some(moves.quote.0), || {
                    format!("trade {trade} was settled, far ahead of everything that was traded")
                });
            }
        }
        self.far_ahead = far_ahead;
    }

    /// The wallet is the cause of every movement, and all that it did was shown: what trading has
    /// got must have been lent, and what it gave up is still waited for.
    fn check_movements(&self, breaches: &mut Vec<Breach>) {
        for (id, movement) in &self.credited {
            report(breaches, "REC2", Some(movement.asset), || {
                format!("{movement:?} was credited as {id:x}, and the wallet never lent it")
            });
        }
        let asked: BTreeSet<u128> = self.recalls.values().map(|(id, _)| *id).collect();
        for (id, movement) in self.debited.iter().filter(|(id, _)| !asked.contains(id)) {
            report(breaches, "REC2", Some(movement.asset), || {
                format!("{movement:?} was debited as {id:x}, and the wallet does not wait for it")
            });
        }
    }

    fn check_balances(
        &self,
        engine: &Engine,
        ledger: &Ledger,
        breaches: &mut Vec<Breach>,
    ) -> usize {
        let mut expected = self.of_engine(engine);
        self.settled.values().for_each(|moves| add_moves(&mut expected, moves, 1));
        self.traded.values().for_each(|moves| add_moves(&mut expected, moves, -1));
        for (movements, sign) in [
            (&self.lent, 1),
            (&self.debited, 1),
            (&self.credited, -1),
            (&self.concluded, -1),
        ] {
            for movement in movements.values() {
                let key = (movement.user, movement.asset);
                *expected.entry(key).or_default() += sign * signed(movement.amount);
            }
        }
        let actual = self.of_ledger(ledger);
        let keys = expected.keys().chain(actual.keys());
        let keys: BTreeSet<_> = keys.copied().collect();
        for (user, asset) in &keys {
            let of = |sums: &Sums| sums.get(&(*user, *asset)).copied().unwrap_or_default();
            let (trading, wallet) = (of(&expected), of(&actual));
            if trading != wallet {
                let who = match user {
                    0 => "fees".to_owned(),
                    user => format!("user {}", Uuid::from_u128(*user)),
                };
                report(breaches, "REC2", Some(*asset), || {
                    format!("{who}: the wallet has {wallet} units, trading says {trading}")
                });
            }
        }
        keys.len()
    }

    fn of_engine(&self, engine: &Engine) -> Sums {
        let mut sums = Sums::new();
        for (id, code) in &self.assets {
            let Some(asset) = engine.assets().get(*id) else { continue };
            for (account, user) in &self.users {
                let balance = asset.balance(*account);
                let total = signed(balance.available + balance.held);
                if total != 0 {
                    *sums.entry((*user, *code)).or_default() += total;
                }
            }
            if asset.fees != 0 {
                *sums.entry((0, *code)).or_default() += asset.fees;
            }
        }
        sums
    }

    fn of_ledger(&self, ledger: &Ledger) -> Sums {
        let mut sums = Sums::new();
        for (_, wallet) in ledger.books().wallets() {
            let Some(code) = self.ledger_assets.get(&wallet.asset) else { continue };
            if wallet.reserved != 0 {
                *sums.entry((wallet.user.0, *code)).or_default() += signed(wallet.reserved);
            }
        }
        for asset in ledger.books().assets() {
            if asset.fees != 0 {
                *sums.entry((0, asset.code)).or_default() += asset.fees;
            }
        }
        sums
    }
}

/// Takes the other side of a movement out of `awaited`, or has this one wait for it in `open`.
fn pair(
    awaited: &mut BTreeMap<u128, Movement>,
    open: &mut BTreeMap<u128, Movement>,
    id: u128,
    movement: Movement,
) -> Option<Movement> {
    let other = awaited.remove(&id);
    if other.is_none() {
        open.insert(id, movement);
    }
    other
}

fn add_moves(sums: &mut Sums, moves: &Moves, sign: i128) {
    let (base, quote) = (signed(moves.base.1), signed(moves.quote.1));
    for (user, asset, amount) in [
        (moves.buyer, moves.quote.0, -(quote + moves.buyer_fee)),
        (moves.seller, moves.quote.0, quote - moves.seller_fee),
        (0, moves.quote.0, moves.buyer_fee + moves.seller_fee),
        (moves.seller, moves.base.0, -base),
        (moves.buyer, moves.base.0, base),
    ] {
        *sums.entry((user, asset)).or_default() += sign * amount;
    }
}

/// Every asset adds up to zero over the ledger, and what is reserved is somebody's.
fn check_ledger(ledger: &Ledger, breaches: &mut Vec<Breach>) {
    for what in ledger.check().err().into_iter().flatten() {
        report(breaches, "REC1", None, || what);
    }
}

/// Every order has exactly its hold, and every hold its order. The engine's own check stops at the
/// first thing that is wrong, and says so by a panic.
fn check_engine(check: impl FnOnce(), breaches: &mut Vec<Breach>) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(check)) else { return };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    report(breaches, "REC3", None, || {
        text.unwrap_or_else(|| "the engine's state is not sound".to_owned())
    });
}

#[cfg(test)]
mod tests;
