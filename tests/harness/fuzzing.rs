//! Owns the reading of arbitrary bytes as commands, for the fuzzer and for the test that stands in
//! for it. Knows nothing of the fuzzer, nor of anything but the engine. Invariant: whatever the
//! bytes, the engine answers every command without a panic and keeps its invariants.
//!
//! Bytes come in records. One begins with a byte that says how to read on: as the encoding of any
//! command whatever, or as a command made of small numbers, so that orders of a few accounts meet.

use engine::command::AmendOrder;
use engine::{
    AccountId, AccountStatus, AssetCode, AssetId, ClientOrderId, Codec, Command, Engine,
    EngineConfig, EngineOptions, EventBuffer, Frame, InstrumentId, InstrumentSpec, KillSwitchScope,
    NewOrder, OrderId, OrderType, Price, Quantity, RejectReason, SelfTradePolicy, Side,
    StateMachine, TimeInForce, TradingStatus, TransferId,
};

/// Commands of one input at most: the invariants are walked after each.
const COMMANDS_MAX: usize = 256;
const ACCOUNTS: u8 = 3;
const INSTRUMENTS: u8 = 2;

/// Applies what the bytes say to a fresh engine; returns the number of commands.
///
/// # Panics
/// If the engine breaks an invariant, leaves a command without an answer, or does not come back
/// from its snapshot at the end.
pub fn run(bytes: &[u8]) -> usize {
    let mut venue = Venue::open();
    let mut bytes = Bytes(bytes);
    let mut count = 0;
    while count < COMMANDS_MAX && !bytes.0.is_empty() {
        let elapsed_ns = u64::from(bytes.next() & 3);
        let Some(command) = command(&mut bytes) else { continue };
        venue.apply(command, elapsed_ns);
        venue.engine.assert_invariants();
        count += 1;
    }
    venue.comes_back();
    count
}

/// An engine with something to trade and somebody to trade it.
struct Venue {
    engine: Engine,
    events: EventBuffer<engine::Event>,
    now_ns: u64,
}

impl Venue {
    fn open() -> Self {
        let engine = Engine::new(EngineOptions::default());
        let mut venue = Self { engine, events: EventBuffer::default(), now_ns: 0 };
        for asset in 1..=2u32 {
            let code = AssetCode::new(&format!("A{asset}")).expect("a legal code");
            venue.apply(Command::AddAsset { asset: AssetId(asset), code, scale: 2 }, 0);
        }
        let config = EngineConfig {
            max_triggers_per_command: 3,
            max_steps_per_order: 6,
            ..EngineConfig::default()
        };
        venue.apply(Command::Configure(config), 0);
        for instrument in (1..=u32::from(INSTRUMENTS)).map(InstrumentId) {
            let spec = InstrumentSpec {
                maker_fee_ppm: 100_000,
                taker_fee_ppm: 100_000,
                max_iceberg_parts: 4,
                ..InstrumentSpec::open(instrument, AssetId(1), AssetId(2))
            };
            venue.apply(Command::AddInstrument(spec), 0);
            let status = TradingStatus::Trading;
            venue.apply(Command::SetTradingStatus { instrument, status }, 0);
        }
        for account in 1..=u32::from(ACCOUNTS) {
            let (uuid, stp_group) = (u128::from(account), account / 2);
            venue.apply(Command::RegisterAccount { uuid, stp_group }, 0);
            for asset in 1..=2u32 {
                let transfer_id = TransferId(u128::from(account) << 8 | u128::from(asset));
                let (account, asset) = (AccountId(account), AssetId(asset));
                let amount = 1_000_000;
                venue.apply(Command::Credit { transfer_id, account, asset, amount }, 0);
            }
        }
        venue
    }

    /// Whatever state it is in, an engine can be restored from its snapshot.
    fn comes_back(&self) {
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        self.engine.snapshot(&mut bytes);
        let options = EngineOptions { direct_order_ids: 16, ..EngineOptions::default() };
        let restored = Engine::new(options).restore(&bytes);
        let restored = restored.unwrap_or_else(|error| panic!("refused: {error}"));
        restored.assert_invariants();
        restored.snapshot(&mut again);
        assert!(again == bytes, "the snapshot of the restored engine is another one");
    }

    fn apply(&mut self, command: Command, elapsed_ns: u64) {
        self.now_ns += elapsed_ns;
        let sequence = self.engine.last_sequence() + 1;
        let frame = Frame { sequence, timestamp_ns: self.now_ns, command };
        self.events.clear();
        self.engine.apply(&frame, &mut self.events);
        let answered = !self.events.is_empty() || command == Command::Tick;
        assert!(answered, "no answer to {command:?}");
        let mut place = [0; <engine::Event as Codec>::BYTES_MAX];
        for event in self.events.as_slice() {
            let len = event.encode_into(&mut place);
            assert_eq!(engine::Event::decode_from(&place[..len]).as_ref(), Ok(event));
        }
    }
}

/// What is left of the input; past its end come zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.next()) % choices.len()]
    }

    fn account(&mut self) -> AccountId {
        AccountId(1 + u32::from(self.below(ACCOUNTS)))
    }

    fn instrument(&mut self) -> InstrumentId {
        InstrumentId(1 + u32::from(self.below(INSTRUMENTS)))
    }

    fn price(&mut self) -> Price {
        Price(90 + i64::from(self.below(20)))
    }

    fn quantity(&mut self) -> Quantity {
        Quantity(u64::from(self.below(12)))
    }

    /// The set-up takes less than 32 commands, so most of these name orders.
    fn order_id(&mut self) -> OrderId {
        OrderId(u64::from(self.next()))
    }

    fn client_order_id(&mut self) -> ClientOrderId {
        match self.below(8) {
            0 => ClientOrderId::new(&[b'k', self.next() & 7 | b'0']).unwrap_or_default(),
            _ => ClientOrderId::EMPTY,
        }
    }
}

fn command(bytes: &mut Bytes<'_>) -> Option<Command> {
    match bytes.below(32) {
        0 | 1 => encoded(bytes),
        2..18 => Some(Command::NewOrder(order(bytes))),
        18..21 => Some(Command::CancelOrder {
            account: bytes.account(),
            order_id: bytes.order_id(),
            client_order_id: bytes.client_order_id(),
        }),
        21..25 => Some(Command::AmendOrder(amend(bytes))),
        25 => Some(Command::MassCancel {
            account: bytes.account(),
            instrument: InstrumentId(u32::from(bytes.below(INSTRUMENTS + 1))),
            side: bytes.pick(&[None, Some(Side::Buy), Some(Side::Sell)]),
        }),
        26 => Some(Command::ReserveOrder(order(bytes))),
        27 => Some(Command::PlaceReserved { order_id: bytes.order_id() }),
        28 => Some(Command::AbandonReserved {
            order_id: bytes.order_id(),
            reason: RejectReason::FundsUnavailable,
        }),
        29 => Some(Command::SetTradingStatus {
            instrument: bytes.instrument(),
            status: bytes.pick(TradingStatus::ALL),
        }),
        30 => Some(operator(bytes)),
        _ => Some(Command::Tick),
    }
}

/// Any command at all, or bytes that are none.
fn encoded(bytes: &mut Bytes<'_>) -> Option<Command> {
    let len = usize::from(bytes.next()) * 2;
    let (encoded, rest) = bytes.0.split_at(len.min(bytes.0.len()));
    bytes.0 = rest;
    Command::decode_from(encoded).ok()
}

fn operator(bytes: &mut Bytes<'_>) -> Command {
    match bytes.below(4) {
        0 => {
            let scope = bytes.pick(KillSwitchScope::ALL);
            let id = if scope == KillSwitchScope::Venue { 0 } else { bytes.account().0 };
            Command::SetKillSwitch { scope, id, on: bytes.below(3) == 0 }
        }
        1 => Command::EndSession { instrument: bytes.instrument() },
        2 => Command::SetAccountStatus {
            account: bytes.account(),
            status: bytes.pick(AccountStatus::ALL),
        },
        _ => Command::UpdateInstrument(InstrumentSpec {
            maker_fee_ppm: 100_000,
            taker_fee_ppm: 100_000,
            price_band_bps: u32::from(bytes.next()) * 10,
            market_collar_bps: 1 + u32::from(bytes.next()) * 10,
            max_daily_volume: u64::from(bytes.next()),
            ..InstrumentSpec::open(bytes.instrument(), AssetId(1), AssetId(2))
        }),
    }
}

fn amend(bytes: &mut Bytes<'_>) -> AmendOrder {
    let sets = bytes.next();
    AmendOrder {
        account: bytes.account(),
        order_id: bytes.order_id(),
        new_price: if sets & 1 == 0 { Price(0) } else { bytes.price() },
        new_quantity: if sets & 2 == 0 { Quantity(0) } else { bytes.quantity() },
        new_trigger: if sets & 4 == 0 { Price(0) } else { bytes.price() },
    }
}

/// An order whose fields mostly fit its type.
fn order(bytes: &mut Bytes<'_>) -> NewOrder {
    let order_type = bytes.pick(OrderType::ALL);
    let side = bytes.pick(Side::ALL);
    let (account, instrument) = (bytes.account(), bytes.instrument());
    let (quantity, sets) = (bytes.quantity(), bytes.next());
    let has = |bit: u8| sets >> bit & 1 == 1;
    let by_price = order_type.has_price();
    let stops = order_type.is_stop();
    let trails = order_type == OrderType::TrailingStop;
    let time_in_force = match (by_price, order_type) {
        (true, _) => bytes.pick(TimeInForce::ALL),
        (_, OrderType::Market) => bytes.pick(&[TimeInForce::Ioc, TimeInForce::Fok]),
        _ => bytes.pick(&[TimeInForce::Gtc, TimeInForce::Gtd, TimeInForce::Day]),
    };
    let by_budget = !by_price && !trails && side == Side::Buy && has(0);
    NewOrder {
        order_type,
        time_in_force,
        self_trade_policy: bytes.pick(SelfTradePolicy::ALL),
        post_only: by_price && has(1) && has(2),
        price: if by_price { bytes.price() } else { Price(0) },
        trigger: if stops && !trails { bytes.price() } else { Price(0) },
        trail_ticks: if trails && has(3) { i64::from(bytes.below(6)) } else { 0 },
        trail_bps: if trails && !has(3) { u32::from(bytes.next()) * 10 } else { 0 },
        quantity: if by_budget { Quantity(0) } else { quantity },
        display: if by_price && has(4) { bytes.quantity() } else { Quantity(0) },
        quote_budget: if by_budget { u128::from(bytes.next()) * 8 } else { 0 },
        expire_at_ns: if time_in_force == TimeInForce::Gtd { u64::from(bytes.next()) } else { 0 },
        client_order_id: bytes.client_order_id(),
        ..NewOrder::limit(account, instrument, side, quantity, Price(0))
    }
}
