//! Owns wallets, balances, reservations, settlements and funding events as the events tell them.
//! Knows nothing of locks. Invariant: after every command each balance equals the ledger's, because
//! every movement says what it left behind.

mod queries;
mod saved;

use std::collections::{BTreeMap, HashMap, VecDeque};

use engine::{AssetCode, AssetId, Frame, SignedAmount, Usage};
use uuid::Uuid;

use super::history::{Head, History, Moment};
use super::shown::{AssetView, SettlementView, WalletView};
use super::tally::Tally;
use super::transactions::Transactions;
use crate::client::FundingEvent;
use crate::ids;
use crate::ledger::types::{
    Account, TransactionId, TransactionKind, TransactionStatus, UserId, WalletId, WalletStatus,
};
use crate::ledger::{Command, Committed, Event, Posted, ReservationState};
use crate::limits::{FUNDING_EVENTS_KEPT, SETTLEMENTS_KEPT_MAX};

/// Everything that queries see.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) sequence: u64,
    assets: BTreeMap<AssetId, AssetView>,
    wallets: Vec<WalletView>,
    by_owner: BTreeMap<(UserId, AssetId), WalletId>,
    history: History,
    transactions: Transactions,
    settlements: HashMap<u128, SettlementView>,
    /// Their trades in order; not all are kept.
    settled: VecDeque<u128>,
    has_forgotten: bool,
    reservations: HashMap<TransactionId, ReservationState>,
    by_order: HashMap<u128, TransactionId>,
    /// With the sequence of their command.
    funding: VecDeque<FundingEvent>,
    /// Commands up to here may have funding events that are not kept.
    funding_floor: u64,
    pub(super) tally: Tally,
}

impl Model {
    pub(super) fn new(history: usize) -> Self {
        Self {
            sequence: 0,
            assets: BTreeMap::new(),
            wallets: Vec::new(),
            by_owner: BTreeMap::new(),
            history: History::new(history),
            transactions: Transactions::default(),
            settlements: HashMap::new(),
            settled: VecDeque::new(),
            has_forgotten: false,
            reservations: HashMap::new(),
            by_order: HashMap::new(),
            funding: VecDeque::new(),
            funding_floor: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn apply(&mut self, frame: &Frame<Command>, events: &[Event]) {
        self.sequence = frame.sequence;
        for event in events {
            self.count(event);
            match event {
                Event::Committed(head) => self.commit(frame, head, events),
                Event::Posted(leg) => self.post(frame, leg),
                Event::Noted { transaction, text, .. } => {
                    self.transactions.note(*transaction, &text.to_text());
                }
                Event::ReservationChanged(state) => self.reserve(state),
                Event::FundingRequested { .. } => self.fund(frame.sequence, event),
                _ => self.describe(frame, event),
            }
        }
    }

    fn count(&mut self, event: &Event) {
        let asset = match event {
            Event::Committed(head) => self.wallet(head.wallet).map(|wallet| wallet.asset),
            _ => None,
        };
        self.tally.count(event, asset);
    }

    /// What assets and wallets are.
    fn describe(&mut self, frame: &Frame<Command>, event: &Event) {
        match *event {
            Event::AssetAdded { asset: id, code, scale, amount_min, amount_max } => {
                let (fees, external, withdrawals_frozen) = (0, 0, false);
                let asset = AssetView {
                    id,
                    code,
                    scale,
                    amount_min,
                    amount_max,
                    fees,
                    external,
                    withdrawals_frozen,
                };
                self.assets.insert(id, asset);
            }
            Event::WalletOpened { wallet: id, user, asset } => {
                let status = WalletStatus::Active;
                let (available, reserved, head) = (0, 0, Head::default());
                let opened_ns = frame.timestamp_ns;
                let wallet =
                    WalletView { id, user, asset, status, available, reserved, opened_ns, head };
                self.wallets.push(wallet);
                self.by_owner.insert((user, asset), id);
            }
            Event::WalletStatusChanged { wallet, status } => {
                if let Some(wallet) = self.wallet_mut(wallet) {
                    wallet.status = status;
                }
            }
            Event::WithdrawalsFrozen { asset, frozen } => {
                if let Some(asset) = self.assets.get_mut(&asset) {
                    asset.withdrawals_frozen = frozen;
                }
            }
            _ => {}
        }
    }

    fn commit(&mut self, frame: &Frame<Command>, head: &Committed, events: &[Event]) {
        let legs = events.iter().filter_map(|event| match event {
            Event::Posted(leg) if leg.transaction == head.transaction => Some(*leg),
            _ => None,
        });
        self.transactions.add(frame, head, legs.collect());
        let settled = head.kind == TransactionKind::Settlement;
        if settled && head.status == TransactionStatus::Completed {
            let settled_ns = frame.timestamp_ns;
            let (transaction, used_up) = (head.transaction, head.used_up);
            let settlement = SettlementView { transaction, settled_ns, used_up };
            self.settlements.insert(head.subject, settlement);
            self.settled.push_back(head.subject);
            if self.settled.len() > SETTLEMENTS_KEPT_MAX
                && let Some(oldest) = self.settled.pop_front()
            {
                self.settlements.remove(&oldest);
                self.has_forgotten = true;
            }
        }
    }

    fn post(&mut self, frame: &Frame<Command>, leg: &Posted) {
        for (account, after) in [(leg.debit, leg.debit_after), (leg.credit, leg.credit_after)] {
            match account {
                Account::Available(id) | Account::Reserved(id) => {
                    let is_available = matches!(account, Account::Available(_));
                    self.move_balance(frame, leg.transaction, id, is_available, after);
                }
                Account::Fees(asset) => {
                    if let Some(asset) = self.assets.get_mut(&asset) {
                        asset.fees = after;
                    }
                }
                Account::External(asset) => {
                    if let Some(asset) = self.assets.get_mut(&asset) {
                        asset.external = after;
                    }
                }
            }
        }
    }

    fn move_balance(
        &mut self,
        frame: &Frame<Command>,
        transaction: TransactionId,
        id: WalletId,
        is_available: bool,
        after: SignedAmount,
    ) {
        let Some(wallet) = index(id).and_then(|index| self.wallets.get_mut(index)) else { return };
        let after = after.unsigned_abs();
        if is_available {
            wallet.available = after;
        } else {
            wallet.reserved = after;
        }
        let moment = Moment {
            sequence: frame.sequence,
            timestamp_ns: frame.timestamp_ns,
            available: wallet.available,
            reserved: wallet.reserved,
            transaction,
        };
        self.history.push(&mut wallet.head, moment);
    }

    fn reserve(&mut self, state: &ReservationState) {
        self.by_order.insert(state.order, state.reservation);
        self.reservations.insert(state.reservation, *state);
    }

    fn fund(&mut self, sequence: u64, event: &Event) {
        let code = |asset| self.assets.get(&asset).map(|asset| asset.code);
        let Some(event) = funding_event(sequence, event, code) else { return };
        self.funding.push_back(event);
        if self.funding.len() > FUNDING_EVENTS_KEPT
            && let Some(oldest) = self.funding.pop_front()
        {
            self.funding_floor = oldest.cursor;
        }
    }

    /// How full everything is that forgets.
    pub(super) fn usage(&self) -> Vec<Usage> {
        let own = [
            self.history.usage(),
            Usage::new("settlements_kept", self.settled.len(), SETTLEMENTS_KEPT_MAX),
            Usage::new("funding_events_kept", self.funding.len(), FUNDING_EVENTS_KEPT),
        ];
        own.into_iter().chain(self.transactions.usage()).collect()
    }

    fn wallet_mut(&mut self, id: WalletId) -> Option<&mut WalletView> {
        self.wallets.get_mut(index(id)?)
    }
}

/// A funding event as trading sees it; `None` for every other event.
pub(crate) fn funding_event(
    sequence: u64,
    event: &Event,
    code: impl Fn(AssetId) -> Option<AssetCode>,
) -> Option<FundingEvent> {
    let Event::FundingRequested { transaction, direction, user, asset, amount, begun_ns, .. } =
        *event
    else {
        return None;
    };
    Some(FundingEvent {
        cursor: sequence,
        transaction_id: ids::transaction(transaction, begun_ns),
        direction,
        user_id: Uuid::from_u128(user.0),
        asset: code(asset)?,
        amount,
    })
}

fn index(id: WalletId) -> Option<usize> {
    (id.0 as usize).checked_sub(1)
}
