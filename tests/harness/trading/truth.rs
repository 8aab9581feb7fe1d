//! Owns what the journal says happened, by replaying it: the engine at its end, every order, trade
//! and cancel on the way; and whether the event log says the same. Knows nothing of what anybody
//! was told. Invariant: trades are numbered without a gap, orders end once, and an order has
//! filled what its trades add up to.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use engine::fees::signed;
use engine::{
    AccountId, AssetId, ClientOrderId, CloseReason, Command, Engine, EngineOptions, Event,
    EventBuffer, Frame, NewOrder, OrderId, Price, Quantity, RejectReason, RestoreError,
    RestoreFault, SelfTradePolicy, Side, SignedAmount, StateMachine, Trade, TradeId,
};
use pipeline::{EventLogReader, ReplaySummary};

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed(CloseReason),
    Refused(RejectReason),
}

/// The part of an order that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub price: Price,
    pub quantity: Quantity,
    pub filled: Quantity,
    pub prevented: Quantity,
    /// With the sequence that ended it.
    pub end: Option<(u64, End)>,
}

/// An order that a command created, or that was refused and kept.
#[derive(Debug)]
pub struct Order {
    pub request: NewOrder,
    pub created_ns: u64,
    /// Whether it is placed, refused, or ended before: an order may wait for its funds.
    pub decided: bool,
    /// After the command that decided it, and at the end of the journal.
    pub first: Progress,
    pub now: Progress,
}

impl Order {
    /// Given up without anybody having decided: it counts as never made, and nobody was told of it.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self.first.end, Some((_, End::Refused(reason))) if reason.is_undecided())
    }
}

/// What one event log record must say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    pub sequence: u64,
    pub index: u32,
    pub timestamp_ns: u64,
    pub event: Event,
}

/// An engine that remembers what it did.
#[derive(Debug)]
pub struct Truth {
    pub engine: Engine,
    pub orders: BTreeMap<u64, Order>,
    /// Orders made under each key.
    pub by_key: HashMap<(AccountId, ClientOrderId), Vec<u64>>,
    /// Every trade with its time.
    pub trades: Vec<(Trade, u64)>,
    /// Orders that waited for their funds.
    pub reserves: u64,
    /// Orders closed by each mass cancel.
    pub mass_cancels: BTreeMap<u64, Vec<u64>>,
    pub events: Vec<Said>,
}

/// Sequence and hash of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateHash {
    pub sequence: u64,
    pub hash: String,
}

/// Replays the journal of a data directory, in use or not.
pub fn replay(data_dir: &Path) -> ReplaySummary<Truth> {
    pipeline::replay(data_dir, Truth::default()).unwrap_or_else(|error| panic!("replay: {error}"))
}

/// The event log holds what replay says, record for record.
pub fn check_event_log(data_dir: &Path, events: &[Said]) {
    let mut log = EventLog::open(data_dir);
    log.check(events);
    assert_eq!(log.checked, events.len(), "missing in the event log");
    assert!(log.next().is_none(), "the event log goes on behind the journal");
}

/// An event log that is compared as it grows.
pub struct EventLog {
    reader: EventLogReader<Engine>,
    /// Events that were compared.
    pub checked: usize,
}

impl EventLog {
    /// From its first event on.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn open(data_dir: &Path) -> Self {
        let reader = EventLogReader::open(data_dir, 1).expect("an event log");
        Self { reader, checked: 0 }
    }

    /// Compares what has come since the last time with the same part of `events`, which are all
    /// there were from the beginning; the log may be behind them.
    ///
    /// # Panics
    /// If an event is another, or has another number.
    pub fn check(&mut self, events: &[Said]) {
        while let Some(said) = events.get(self.checked) {
            let Some((number, found)) = self.next() else { return };
            self.checked += 1;
            assert_eq!((number, found), (self.checked as u64, *said));
        }
    }

    fn next(&mut self) -> Option<(u64, Said)> {
        let logged = self.reader.next_event().expect("a whole event log")?;
        let said = Said {
            sequence: logged.input_sequence,
            index: logged.index,
            timestamp_ns: logged.timestamp_ns,
            event: logged.event,
        };
        Some((logged.event_sequence, said))
    }
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").field("checked", &self.checked).finish_non_exhaustive()
    }
}

impl Default for Truth {
    /// Of an empty journal.
    fn default() -> Self {
        Self {
            engine: Engine::new(EngineOptions::default()),
            orders: BTreeMap::new(),
            by_key: HashMap::new(),
            trades: Vec::new(),
            reserves: 0,
            mass_cancels: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

impl Truth {
    /// What an account's trades brought it of an asset, less what they cost.
    #[must_use]
    pub fn gained(&self, account: AccountId, asset: AssetId) -> SignedAmount {
        let mut gained = 0;
        for (trade, _) in &self.trades {
            let instrument = self.engine.instrument(trade.instrument).expect("it is listed");
            let maker = (trade.maker_account, trade.maker_fee);
            let taker = (trade.taker_account, trade.taker_fee);
            let (buyer, seller) =
                if trade.taker_side == Side::Buy { (taker, maker) } else { (maker, taker) };
            let (base, quote) = (signed(trade.base), signed(trade.quote));
            for (party, of, amount) in [
                (buyer.0, instrument.spec.base_asset, base),
                (buyer.0, instrument.spec.quote_asset, -(quote + buyer.1)),
                (seller.0, instrument.spec.base_asset, -base),
                (seller.0, instrument.spec.quote_asset, quote - seller.1),
            ] {
                if (party, of) == (account, asset) {
                    gained += amount;
                }
            }
        }
        gained
    }

    /// No order has filled more than it asked for, and those without an end are the live ones.
    ///
    /// # Panics
    /// If one has, or they are not.
    pub fn assert_orders(&self) {
        for (id, order) in &self.orders {
            let Progress { quantity, filled, prevented, .. } = order.now;
            let by_budget = order.request.quote_budget > 0;
            assert!(by_budget || filled.0 + prevented.0 <= quantity.0, "{id}: {order:?}");
        }
        let open = self.orders.values().filter(|order| order.now.end.is_none()).count();
        assert_eq!(open, self.engine.live_orders() as usize, "orders without an end");
    }

    /// Where and what the state is.
    pub fn hash(&self) -> StateHash {
        let hash = self.state_hash().iter().map(|byte| format!("{byte:02x}")).collect();
        StateHash { sequence: self.last_sequence(), hash }
    }

    fn note(&mut self, frame: &Frame<Command>, event: &Event) {
        let sequence = frame.sequence;
        match event {
            Event::OrderAccepted(accepted) => self.create(frame, accepted.order_id, None),
            Event::OrderReserving { order_id, .. } => {
                self.reserves += 1;
                self.create(frame, *order_id, None);
            }
            Event::OrderAbandoned { order_id, reason, .. } => {
                self.now(*order_id).end = Some((sequence, End::Refused(*reason)));
                // Nobody has decided: the key may make another order.
                if reason.is_undecided() {
                    let made = self.by_key.values_mut().find(|made| made.contains(&order_id.0));
                    made.expect("made under a key, or none").retain(|made| *made != order_id.0);
                }
            }
            Event::CommandRejected { reason, target, .. } if makes_order(*reason) => {
                match frame.command {
                    Command::PlaceReserved { .. } => {
                        self.now(*target).end = Some((sequence, End::Refused(*reason)));
                    }
                    _ => {
                        let end = Some((sequence, End::Refused(*reason)));
                        self.create(frame, OrderId(sequence), end);
                    }
                }
            }
            Event::Trade(trade) => self.trade(trade, frame.timestamp_ns),
            Event::SelfTradePrevented {
                mode: SelfTradePolicy::Decrement,
                maker_order_id,
                taker_order_id,
                maker_quantity: taken,
                ..
            } => {
                for id in [maker_order_id, taker_order_id] {
                    self.now(*id).prevented.0 += taken.0;
                }
            }
            Event::OrderAmended { order_id, price, quantity, .. } => {
                let now = self.now(*order_id);
                (now.price, now.quantity) = (*price, *quantity);
            }
            Event::OrderClosed { order_id, reason, filled, .. } => {
                let now = self.now(*order_id);
                assert_eq!(now.end, None, "{order_id} ends twice");
                assert_eq!(now.filled, *filled, "{order_id} is not the sum of its trades");
                now.end = Some((sequence, End::Closed(*reason)));
                if *reason == CloseReason::MassCancel {
                    self.mass_cancels.entry(sequence).or_default().push(order_id.0);
                }
            }
            Event::MassCancelled { .. } => {
                self.mass_cancels.entry(sequence).or_default();
            }
            _ => {}
        }
    }

    /// Only new orders create; other commands may be refused as well.
    fn create(&mut self, frame: &Frame<Command>, id: OrderId, end: Option<(u64, End)>) {
        let (Command::NewOrder(request)
        | Command::NewOrderBy { order: request, .. }
        | Command::ReserveOrder(request)) = frame.command
        else {
            return;
        };
        assert_eq!(id.0, frame.sequence, "an order is named after its command");
        let NewOrder { price, quantity, account, client_order_id, .. } = request;
        let (filled, prevented) = (Quantity(0), Quantity(0));
        let progress = Progress { price, quantity, filled, prevented, end };
        let created_ns = frame.timestamp_ns;
        let decided = false;
        let order = Order { request, created_ns, decided, first: progress, now: progress };
        self.orders.insert(id.0, order);
        self.by_key.entry((account, client_order_id)).or_default().push(id.0);
    }

    /// Orders whose first answer is known with this command: what it placed, refused, or ended
    /// before it was placed.
    fn decide(&mut self, frame: &Frame<Command>, events: &[Event]) {
        let closed = |event: &Event| match event {
            Event::OrderClosed { order_id, .. } => Some(order_id.0),
            _ => None,
        };
        let decided = match frame.command {
            Command::NewOrder(_) | Command::NewOrderBy { .. } => Some(frame.sequence),
            Command::ReserveOrder(_) => {
                let refused = |order: &&Order| order.now.end.is_some();
                self.orders.get(&frame.sequence).filter(refused).map(|_| frame.sequence)
            }
            Command::PlaceReserved { order_id } | Command::AbandonReserved { order_id, .. } => {
                Some(order_id.0)
            }
            _ => None,
        };
        for id in events.iter().filter_map(closed).chain(decided) {
            if let Some(order) = self.orders.get_mut(&id).filter(|order| !order.decided) {
                (order.decided, order.first) = (true, order.now);
            }
        }
    }

    fn trade(&mut self, trade: &Trade, timestamp_ns: u64) {
        let expected = TradeId(self.trades.len() as u64 + 1);
        assert_eq!(trade.trade_id, expected, "a gap in the trades");
        self.trades.push((*trade, timestamp_ns));
        for id in [trade.maker_order_id, trade.taker_order_id] {
            let now = self.now(id);
            assert_eq!(now.end, None, "{id} trades after its end");
            now.filled.0 += trade.quantity.0;
        }
    }

    fn now(&mut self, id: OrderId) -> &mut Progress {
        let order = self.orders.get_mut(&id.0);
        &mut order.unwrap_or_else(|| panic!("{id} was never accepted")).now
    }
}

fn makes_order(reason: RejectReason) -> bool {
    !matches!(
        reason,
        RejectReason::IdempotencyConflict
            | RejectReason::UnknownAccount
            | RejectReason::UnknownOrder
            | RejectReason::RecvWindow
    )
}

impl StateMachine for Truth {
    type Command = Command;
    type Event = Event;

    const MACHINE_ID: u32 = Engine::MACHINE_ID;

    fn schema_hash() -> [u8; 32] {
        Engine::schema_hash()
    }

    fn apply(&mut self, frame: &Frame<Command>, events: &mut EventBuffer<Event>) {
        self.engine.apply(frame, events);
        let (sequence, timestamp_ns) = (frame.sequence, frame.timestamp_ns);
        for (index, event) in (0..).zip(events.as_slice()) {
            self.note(frame, event);
            self.events.push(Said { sequence, index, timestamp_ns, event: *event });
        }
        self.decide(frame, events.as_slice());
    }

    fn last_sequence(&self) -> u64 {
        self.engine.last_sequence()
    }

    fn last_timestamp_ns(&self) -> u64 {
        self.engine.last_timestamp_ns()
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        self.engine.snapshot(out);
    }

    /// What it has noted is in no snapshot: it reads every log from the first command on.
    fn restore(self, _bytes: &[u8]) -> Result<Self, RestoreError> {
        Err(RestoreError { field: "truth", offset: 0, fault: RestoreFault::Illegal })
    }
}
