//! Owns the engine's state and the one match over commands.
//! Knows no rule itself: each command's rules are in the module named after them.
//! Invariant: `apply` depends on (state, frame) alone, and every refusal changes nothing but the
//! idempotency tables and the intent that it ends.

use std::collections::BTreeMap;

use crate::accounts::Accounts;
use crate::balances::{Assets, Balance};
use crate::command::{Command, EngineConfig};
use crate::dedup::HashSecret;
use crate::dedup_table::DedupTable;
use crate::event::Event;
use crate::event_buffer::EventBuffer;
use crate::expiry::Expiries;
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::intents::{Intent, Intents};
use crate::order::OrderHandle;
use crate::order_book::OrderBook;
use crate::order_index::OrderIndex;
use crate::order_slab::OrderSlab;
use crate::reject::RejectReason;
use crate::snapshot_reader::RestoreError;
use crate::state_machine::{Frame, StateMachine, clamp_timestamp};
use crate::stop_orders::{Elected, StopOrders};
use crate::triggers::Started;
use crate::types::{AccountId, Amount, AssetId, InstrumentId, OrderId, Price, Side, TradeId};
use crate::{codec, restore, snapshot, tables};

/// What an engine is built with; none of it changes an answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Random per process: see [`HashSecret`].
    pub hash_secret: HashSecret,
    /// Live orders to reserve room for: addresses, not memory.
    pub expected_orders: usize,
    /// Client order ids to reserve memory for.
    pub expected_client_ids: usize,
    /// Order ids that are looked up directly, a power of two; 0 for as many as usual. An engine
    /// that is copied often wants few.
    pub direct_order_ids: usize,
}

/// One listed instrument and its book.
#[derive(Clone, Debug)]
pub struct Instrument {
    pub spec: InstrumentSpec,
    pub status: TradingStatus,
    /// Price of the last trade, 0 before the first.
    pub last_price: Price,
    pub book: OrderBook,
    /// Live orders.
    pub orders: u32,
    pub killed: bool,
    /// Live orders that show only a part of themselves.
    pub(crate) icebergs: u32,
    pub(crate) stops: StopOrders,
    /// Reference of the price band during one command, once a drain may have moved the last price.
    pub(crate) frozen_reference: Option<(u64, Price)>,
    pub(crate) base_slot: usize,
    pub(crate) quote_slot: usize,
}

impl Instrument {
    /// Its live orders, in no order that matters: in the book, dormant, elected.
    pub(crate) fn live_orders<'a>(
        &'a self,
        orders: &'a OrderSlab,
    ) -> impl Iterator<Item = OrderHandle> {
        let sides = Side::ALL.iter();
        let resting = sides.flat_map(|side| self.book.resting(orders, *side));
        resting.chain(self.stops.dormant(orders)).chain(self.stops.triggered(orders))
    }
}

/// The trading engine.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) last_sequence: u64,
    pub(crate) now_ns: u64,
    pub(crate) next_trade_id: TradeId,
    pub(crate) config: EngineConfig,
    pub(crate) assets: Assets,
    pub(crate) accounts: Accounts,
    pub(crate) instruments: Vec<Instrument>,
    /// Place in `instruments` plus one, by id; 0 where no instrument has the id.
    pub(crate) instrument_slots: Vec<u16>,
    pub(crate) orders: OrderSlab,
    pub(crate) order_index: OrderIndex,
    pub(crate) client_ids: DedupTable,
    pub(crate) transfers: DedupTable,
    /// Orders that wait for their funds.
    pub(crate) intents: Intents,
    /// What each live funded order was given, units of the asset that it pays with.
    pub(crate) funded: BTreeMap<OrderId, Amount>,
    /// The switch of the whole venue.
    pub(crate) killed: bool,
    /// UTC day of `now_ns`, counted from the Unix epoch.
    pub(crate) day: u64,
    pub(crate) expiries: Expiries,
    /// Instruments with elected orders that have not started yet, ascending.
    pub(crate) with_triggered: Vec<InstrumentId>,
    /// Orders that a command is about to close; empty between commands, kept for its memory.
    pub(crate) closing: Vec<OrderHandle>,
    /// Orders that a walk has elected; empty between walks, kept for its memory.
    pub(crate) elected: Vec<Elected>,
}

/// One UTC day; engine time counts no leap seconds.
pub(crate) const DAY_NS: u64 = 86_400_000_000_000;

/// Events of the command being applied.
pub(crate) type Events = EventBuffer<Event>;
/// A refusal, or what the check found.
pub(crate) type Checked<T> = Result<T, RejectReason>;

impl Engine {
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self {
            last_sequence: 0,
            now_ns: 0,
            next_trade_id: TradeId(1),
            config: EngineConfig::default(),
            assets: Assets::default(),
            accounts: Accounts::default(),
            instruments: Vec::new(),
            instrument_slots: Vec::new(),
            orders: OrderSlab::with_capacity(options.expected_orders),
            order_index: match options.direct_order_ids {
                0 => OrderIndex::default(),
                ids => OrderIndex::with_window(ids),
            },
            client_ids: DedupTable::new(options.hash_secret, options.expected_client_ids),
            transfers: DedupTable::new(options.hash_secret, 0),
            intents: Intents::default(),
            funded: BTreeMap::new(),
            killed: false,
            day: 0,
            expiries: Expiries::default(),
            with_triggered: Vec::new(),
            closing: Vec::new(),
            elected: Vec::new(),
        }
    }

    fn dispatch(&mut self, command: &Command, events: &mut Events) {
        let refused = match command {
            Command::NewOrder(_)
            | Command::NewOrderBy { .. }
            | Command::ReserveOrder(_)
            | Command::PlaceReserved { .. } => self.enter(command, events),
            Command::CancelOrder { account, order_id, client_order_id } => {
                self.cancel_order(*account, *order_id, client_order_id, events)
            }
            Command::AmendOrder(amend) => self.amend_order(amend, events),
            Command::MassCancel { account, instrument, side } => {
                self.mass_cancel(*account, *instrument, *side, events)
            }
            Command::Credit { .. } | Command::Debit { .. } => {
                return self.transfer(command, events);
            }
            Command::AbandonReserved { order_id, reason } => {
                self.abandon_reserved(*order_id, *reason, events)
            }
            Command::Tick => return,
            Command::Configure(config) => self.configure(config, events),
            Command::AddAsset { asset, code, scale } => {
                self.add_asset(*asset, *code, *scale, events)
            }
            Command::AddInstrument(spec) => self.add_instrument(spec, events),
            Command::UpdateInstrument(spec) => self.update_instrument(spec, events),
            Command::SetTradingStatus { instrument, status } => {
                self.set_trading_status(*instrument, *status, events)
            }
            Command::RegisterAccount { uuid, stp_group } => {
                self.register_account(*uuid, *stp_group, events)
            }
            Command::SetAccountStatus { account, status } => {
                self.set_account_status(*account, *status, events)
            }
            Command::SetKillSwitch { scope, id, on } => {
                self.set_kill_switch(*scope, *id, *on, events)
            }
            Command::EndSession { instrument } => self.end_session(*instrument, events),
            Command::Uncross { instrument } => self.reserved_for_instrument(*instrument),
        };
        if let Err(reason) = refused {
            events.push(rejected(command, reason));
        }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    #[must_use]
    pub fn assets(&self) -> &Assets {
        &self.assets
    }

    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Instruments in the order in which they were listed, those that were restored by ascending id
    /// before them. Nothing that an engine says depends on it.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    #[must_use]
    pub fn instrument(&self, id: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(usize::from(self.slot_of(id)?))
    }

    pub(crate) fn slot_of(&self, id: InstrumentId) -> Option<u16> {
        self.instrument_slots.get(id.0 as usize)?.checked_sub(1)
    }

    /// The account's balance, zero where account or asset is unknown.
    #[must_use]
    pub fn balance(&self, account: AccountId, asset: AssetId) -> Balance {
        self.assets.get(asset).map(|asset| asset.balance(account)).unwrap_or_default()
    }

    /// Live orders over all books.
    #[must_use]
    pub fn live_orders(&self) -> u32 {
        self.orders.len()
    }

    /// Orders that wait for their funds, ascending.
    pub fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.iter()
    }
}

impl StateMachine for Engine {
    type Command = Command;
    type Event = Event;

    const MACHINE_ID: u32 = 1;

    const TABLES: &'static [&'static str] = &tables::TABLES;

    fn schema_hash() -> [u8; 32] {
        codec::schema_hash()
    }

    fn apply(&mut self, frame: &Frame<Command>, events: &mut Events) {
        assert_eq!(frame.sequence, self.last_sequence + 1, "gap in the command sequence");
        self.last_sequence = frame.sequence;
        self.now_ns = clamp_timestamp(self.now_ns, frame.timestamp_ns);
        self.day = self.now_ns / DAY_NS;
        let mut started = Started::default();
        self.expire(events);
        self.drain(&mut started, events);
        self.dispatch(&frame.command, events);
        self.drain(&mut started, events);
        debug_assert!(!events.is_empty() || frame.command == Command::Tick);
    }

    #[inline]
    fn prefetch(&self, command: &Command) {
        match command {
            Command::NewOrder(order)
            | Command::NewOrderBy { order, .. }
            | Command::ReserveOrder(order)
                if !order.client_order_id.is_empty() =>
            {
                self.client_ids.prefetch(order.account.0, &order.client_order_id);
            }
            Command::CancelOrder { order_id, .. } => self.order_index.prefetch(*order_id),
            Command::AmendOrder(amend) => self.order_index.prefetch(amend.order_id),
            _ => {}
        }
    }

    fn tables(&self, mut show: impl FnMut(u64, u64)) {
        self.fill().into_iter().for_each(|(used, max)| show(used, max));
    }

    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn last_timestamp_ns(&self) -> u64 {
        self.now_ns
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        snapshot::append(self, out);
    }

    fn restore(self, bytes: &[u8]) -> Result<Self, RestoreError> {
        restore::restored(self, bytes)
    }
}

/// The refusal of a command, with what the command says about itself.
pub(crate) fn rejected(command: &Command, reason: RejectReason) -> Event {
    let (account, instrument, target) = match command {
        Command::NewOrder(order)
        | Command::NewOrderBy { order, .. }
        | Command::ReserveOrder(order) => (order.account, order.instrument, OrderId(0)),
        Command::CancelOrder { account, order_id, .. } => (*account, InstrumentId(0), *order_id),
        Command::AmendOrder(amend) => (amend.account, InstrumentId(0), amend.order_id),
        Command::MassCancel { account, instrument, .. } => (*account, *instrument, OrderId(0)),
        Command::Credit { account, .. }
        | Command::Debit { account, .. }
        | Command::SetAccountStatus { account, .. } => (*account, InstrumentId(0), OrderId(0)),
        Command::AddInstrument(spec) | Command::UpdateInstrument(spec) => {
            (AccountId(0), spec.instrument, OrderId(0))
        }
        Command::PlaceReserved { order_id } | Command::AbandonReserved { order_id, .. } => {
            (AccountId(0), InstrumentId(0), *order_id)
        }
        Command::SetTradingStatus { instrument, .. }
        | Command::EndSession { instrument }
        | Command::Uncross { instrument } => (AccountId(0), *instrument, OrderId(0)),
        Command::Configure(_)
        | Command::AddAsset { .. }
        | Command::RegisterAccount { .. }
        | Command::SetKillSwitch { .. }
        | Command::Tick => (AccountId(0), InstrumentId(0), OrderId(0)),
    };
    Event::CommandRejected { reason, account, instrument, target }
}
