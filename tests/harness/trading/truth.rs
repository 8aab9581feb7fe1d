//! Owns what the journal says happened, by replaying it: the engine at its end, every order, trade
//! and cancel on the way; and whether the event log says the same. Knows nothing of what anybody
//! was told. Invariant: trades are numbered without a gap, orders end once, and an order has
//! filled what its trades add up to.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use engine::{
    AccountId, ClientOrderId, CloseReason, Command, Engine, EngineOptions, Event, EventBuffer,
    Frame, NewOrder, OrderId, Price, Quantity, RejectReason, StateMachine, Trade, TradeId,
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
    /// With the sequence that ended it.
    pub end: Option<(u64, End)>,
}

/// An order that a command created, or that was refused and kept.
#[derive(Debug)]
pub struct Order {
    pub request: NewOrder,
    pub created_ns: u64,
    /// After its own command, and at the end of the journal.
    pub first: Progress,
    pub now: Progress,
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
    pipeline::replay(data_dir, Truth::new()).unwrap_or_else(|error| panic!("replay: {error}"))
}

/// The event log holds what replay says, record for record.
pub fn check_event_log(data_dir: &Path, events: &[Said]) {
    let mut reader = EventLogReader::<Engine>::open(data_dir, 1).expect("an event log");
    let mut expected = (1..).zip(events);
    while let Some(logged) = reader.next_event().expect("a whole event log") {
        let (number, said) = expected.next().expect("the event log goes on behind the journal");
        let found = Said {
            sequence: logged.input_sequence,
            index: logged.index,
            timestamp_ns: logged.timestamp_ns,
            event: logged.event,
        };
        assert_eq!((logged.event_sequence, found), (number, *said));
    }
    assert_eq!(expected.next(), None, "missing in the event log");
}

impl Truth {
    fn new() -> Self {
        Self {
            engine: Engine::new(EngineOptions::default()),
            orders: BTreeMap::new(),
            by_key: HashMap::new(),
            trades: Vec::new(),
            mass_cancels: BTreeMap::new(),
            events: Vec::new(),
        }
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
            Event::CommandRejected { reason, .. } if makes_order(*reason) => {
                self.create(frame, OrderId(sequence), Some((sequence, End::Refused(*reason))));
            }
            Event::Trade(trade) => self.trade(trade, frame.timestamp_ns),
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
        let Command::NewOrder(request) = frame.command else { return };
        assert_eq!(id.0, frame.sequence, "an order is named after its command");
        let NewOrder { price, quantity, account, client_order_id, .. } = request;
        let progress = Progress { price, quantity, filled: Quantity(0), end };
        let created_ns = frame.timestamp_ns;
        let order = Order { request, created_ns, first: progress, now: progress };
        self.orders.insert(id.0, order);
        self.by_key.entry((account, client_order_id)).or_default().push(id.0);
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
    !matches!(reason, RejectReason::IdempotencyConflict | RejectReason::UnknownAccount)
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
        if let Some(order) = self.orders.get_mut(&sequence) {
            order.first = order.now;
        }
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
}
