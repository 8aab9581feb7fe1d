//! Owns the proof that the books of trading and of the wallet agree, to the unit.
//! Knows nothing of journals: it is shown what both machines did. Invariant: it corrects nothing; a
//! difference is evidence, and who decides is a person.
//!
//! Both sides are compared at a settled point: every trade up to it is settled or a dead letter.
//! What is settled beyond it, what is not settled before it, and money on its way between wallet
//! and trading account are the only differences that may be, and each is accounted for one by one.

use std::collections::{BTreeMap, BTreeSet};

use engine::{
    AccountId, AssetCode, Event, Frame, InstrumentId, Side, Trade, TradeId, TransferKind,
};
use serde::Serialize;
use uuid::Uuid;
use wallet::client::FundingEvent;
use wallet::ids;
use wallet::ledger::types::{
    CreditTo, FundingDirection, ReserveReason, TransactionId, TransactionKind, TransactionStatus,
};
use wallet::ledger::{Command as LedgerCommand, Event as LedgerEvent, Reserve, Settle};

use self::funded::ReservedOrders;
use crate::funding::movement_id;
use crate::limits::BREACHES_MAX;

mod checks;
mod funded;
mod sums;

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
    /// Units by which each asset of the ledger is off zero: all 0 in a sound one. For metrics only.
    #[serde(skip)]
    pub unbalanced: BTreeMap<String, i128>,
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
    /// Orders have reservations of their own, and what a trade brings leaves trading with it.
    per_order: bool,
    /// Orders with reservations of their own.
    funded: ReservedOrders,
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
        for event in events {
            self.events += 1;
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
                Event::OrderReserving { .. } => self.per_order = true,
                Event::FundsReturned { order_id, account, asset, returned, .. } => {
                    let user = self.users.get(account).copied().unwrap_or_default();
                    let asset = self.assets.get(asset).copied().unwrap_or_default();
                    let movement = Movement { user, asset, amount: *returned };
                    let found = self.funded.returned(order_id.0, movement, self.events);
                    self.seen_of_orders(found);
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
            TransferKind::FundedOrder => {
                // The number of the order is the id of its funds.
                let found = self.funded.placed(u64::try_from(id).unwrap_or_default(), movement);
                return self.seen_of_orders(found);
            }
            // What a trade brought leaves with it, and what an order had left with its end.
            _ => return,
        };
        self.compare(id, movement, other);
    }

    /// What did not agree in a funded order.
    fn seen_of_orders(&mut self, found: Result<(), (AssetCode, String)>) {
        if let Err((asset, what)) = found {
            self.breach("REC2", Some(asset), what);
        }
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
                    match &frame.command {
                        LedgerCommand::Settle(settle) if completed => self.settlement(settle),
                        LedgerCommand::Reserve(reserve) if completed => self.reservation(reserve),
                        LedgerCommand::Release(_) if completed => {
                            let order = order_number(head.subject);
                            let found = order.map(|order| self.funded.released(order, head.amount));
                            self.seen_of_orders(found.unwrap_or(Ok(())));
                        }
                        _ => {}
                    }
                    if let LedgerCommand::ConcludeFunding { transaction, granted } = frame.command {
                        self.conclusion(transaction, granted, head.kind);
                    }
                }
                _ => {}
            }
        }
    }

    /// The wallet set money of one order aside. Somebody else's order is not ours to compare.
    fn reservation(&mut self, reserve: &Reserve) {
        let ours = reserve.reason == ReserveReason::OrderPlacement;
        let Some(order) = order_number(reserve.order).filter(|_| ours) else { return };
        let asset = self.ledger_assets.get(&reserve.asset).copied().unwrap_or_default();
        let movement = Movement { user: reserve.user.0, asset, amount: reserve.amount };
        let found = self.funded.reserved(order, movement);
        self.seen_of_orders(found);
    }

    fn settlement(&mut self, settle: &Settle) {
        self.per_order |= settle.credit_to == CreditTo::Available;
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
}

/// The number of the order that a key of the wallet stands for, if it is one of ours.
fn order_number(key: u128) -> Option<u64> {
    let (number, time) = ids::decode(ids::Kind::Order, Uuid::from_u128(key))?;
    (time == 0).then_some(number)
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

#[cfg(test)]
mod tests;
