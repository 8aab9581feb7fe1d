//! What belongs here: which refusal is reported when a command breaks several rules at once.
//! Each table names the rules that one kind of command can break and how to break them; every rule
//! alone gives its own code, and every two together give the lower one.

mod stops;

use engine::command::AmendOrder;
use engine::{
    AccountId, AccountStatus, AssetCode, AssetId, ClientOrderId, Command, EngineConfig, Event,
    Frame, InstrumentId, InstrumentSpec, KillSwitchScope, NewOrder, OrderId, Price, Quantity,
    RejectReason as R, SelfTradePolicy, Side, TimeInForce, TradingStatus, TransferId,
};
use tests::exchange::{Exchange, FastExchange};
use tests::model::Model;

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const INSTRUMENT: InstrumentId = InstrumentId(1);
const TRADER: AccountId = AccountId(1);
const MAKER: AccountId = AccountId(2);
const UNKNOWN: u32 = 77;
/// A key that some set-up order or credit has used.
const USED_KEY: u128 = 500;
const FRESH_KEY: u128 = 501;
/// A transfer of this much cannot be: there is money already.
const TOO_MUCH: u128 = 1 << 120;

/// A command, and the world that it meets.
#[derive(Clone)]
struct Case {
    command: Command,
    spec: InstrumentSpec,
    config: EngineConfig,
    /// Commands after the first orders are in the book.
    early: Vec<Command>,
    /// Whether the trader's available money is taken away.
    broke: bool,
    /// The last commands before the one in question.
    late: Vec<Command>,
}

impl Case {
    fn new(command: Command) -> Self {
        let spec = InstrumentSpec { reference_price: Price(50), ..open_spec() };
        let config = EngineConfig::default();
        Self { command, spec, config, early: Vec::new(), broke: false, late: Vec::new() }
    }

    fn order(&mut self) -> &mut NewOrder {
        match &mut self.command {
            Command::NewOrder(order) | Command::ReserveOrder(order) => order,
            other => panic!("{other:?} is not a new order"),
        }
    }

    fn amend(&mut self) -> &mut AmendOrder {
        match &mut self.command {
            Command::AmendOrder(amend) => amend,
            other => panic!("{other:?} is not an amend"),
        }
    }

    fn listed_spec(&mut self) -> &mut InstrumentSpec {
        match &mut self.command {
            Command::AddInstrument(spec) | Command::UpdateInstrument(spec) => spec,
            other => panic!("{other:?} has no spec"),
        }
    }

    /// The refusal of the command, or `None` if it was taken.
    fn answer(&self) -> Option<R> {
        let answer = self.run(FastExchange::default());
        assert_eq!(answer, self.run(Model::default()), "engine and model: {:?}", self.command);
        answer
    }

    fn run(&self, mut exchange: impl Exchange) -> Option<R> {
        let mut sequence = 0;
        let mut apply = |exchange: &mut dyn Exchange, command| {
            sequence += 1;
            exchange.apply(&Frame { sequence, timestamp_ns: 1_000, command })
        };
        for command in world().into_iter().chain(self.early.iter().copied()) {
            let events = apply(&mut exchange, command);
            assert!(refusal(&events).is_none(), "{command:?}: {events:?}");
        }
        if self.broke {
            for (key, asset) in [(601, BASE), (602, QUOTE)] {
                let amount = exchange.balance(TRADER, asset).0;
                let transfer_id = TransferId(key);
                apply(
                    &mut exchange,
                    Command::Debit { transfer_id, account: TRADER, asset, amount },
                );
            }
        }
        let settings = [Command::UpdateInstrument(self.spec), Command::Configure(self.config)];
        for command in settings.into_iter().chain(self.late.iter().copied()) {
            let events = apply(&mut exchange, command);
            assert!(refusal(&events).is_none(), "{command:?}: {events:?}");
        }
        refusal(&apply(&mut exchange, self.command))
    }
}

fn refusal(events: &[Event]) -> Option<R> {
    match events {
        [Event::CommandRejected { reason, .. }] => Some(*reason),
        _ => None,
    }
}

fn open_spec() -> InstrumentSpec {
    InstrumentSpec::open(INSTRUMENT, BASE, QUOTE)
}

fn limit(account: AccountId, side: Side, quantity: u64, price: i64) -> NewOrder {
    NewOrder::limit(account, INSTRUMENT, side, Quantity(quantity), Price(price))
}

fn keyed(order: NewOrder, key: &str) -> NewOrder {
    let client_order_id = ClientOrderId::new(key.as_bytes()).expect("a short key");
    NewOrder { client_order_id, ..order }
}

/// Two accounts with money; asks 10@100 and 10@101, a bid 10@90 of the maker, and two bids of the
/// trader: one with the key `used`, one post-only that amends are tried on.
fn world() -> Vec<Command> {
    let code = |text| AssetCode::new(text).expect("a legal code");
    let mut commands = vec![
        Command::AddAsset { asset: BASE, code: code("B"), scale: 0 },
        Command::AddAsset { asset: QUOTE, code: code("Q"), scale: 0 },
        Command::AddInstrument(open_spec()),
        Command::SetTradingStatus { instrument: INSTRUMENT, status: TradingStatus::Trading },
        Command::RegisterAccount { uuid: 1, stp_group: 0 },
        Command::RegisterAccount { uuid: 2, stp_group: 0 },
    ];
    for (key, account, asset) in
        [(USED_KEY, TRADER, BASE), (2, TRADER, QUOTE), (3, MAKER, BASE), (4, MAKER, QUOTE)]
    {
        let transfer_id = TransferId(key);
        commands.push(Command::Credit { transfer_id, account, asset, amount: 1_000_000 });
    }
    commands.extend([
        Command::NewOrder(limit(MAKER, Side::Sell, 10, 100)),
        Command::NewOrder(limit(MAKER, Side::Sell, 10, 101)),
        Command::NewOrder(limit(MAKER, Side::Buy, 10, 90)),
        Command::NewOrder(keyed(limit(TRADER, Side::Buy, 1, 80), "used")),
        Command::NewOrder(NewOrder { post_only: true, ..limit(TRADER, Side::Buy, 10, 85) }),
    ]);
    commands
}

/// Sequence of the last command of [`world`].
const AMENDED: OrderId = OrderId(15);

/// What a breach touches. Two that touch the same thing cannot be had together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Budget,
    ClientId,
    CreditAmount,
    Key,
    Notional,
    Price,
    QuantityBounds,
    Quantity,
    /// Trigger or trailing offset.
    Stop,
    Status,
    TimeInForce,
}

/// One way to break one rule.
#[derive(Clone, Copy)]
struct Breach(R, &'static [Part], fn(&mut Case));

/// Checks every breach alone and every two that can be had together.
fn walk(base: &Case, breaches: &[Breach]) {
    assert_eq!(base.answer(), None, "the command is fine by itself: {:?}", base.command);
    for Breach(reason, parts, apply) in breaches {
        let mut broken = base.clone();
        apply(&mut broken);
        assert_eq!(broken.answer(), Some(*reason), "alone: {:?}", broken.command);
        for Breach(lower, lower_parts, apply_lower) in breaches {
            if lower >= reason || lower_parts.iter().any(|part| parts.contains(part)) {
                continue;
            }
            let mut broken = base.clone();
            apply_lower(&mut broken);
            apply(&mut broken);
            let both = format!("{} and {}", lower.name(), reason.name());
            assert_eq!(broken.answer(), Some(*lower), "{both}: {:?}", broken.command);
        }
    }
}

/// The breaches that every new order can have.
const ANY_ORDER: &[Breach] = &[
    Breach(R::UnknownAccount, &[], |c| c.order().account.0 = UNKNOWN),
    Breach(R::IdempotencyConflict, &[Part::ClientId], |c| *c.order() = keyed(*c.order(), "used")),
    Breach(R::IdempotencyConflict, &[Part::Key], |c| fund(c, USED_KEY, 1)),
    Breach(R::UnknownSymbol, &[], |c| c.order().instrument.0 = UNKNOWN),
    Breach(R::InvalidAmount, &[Part::CreditAmount], |c| fund(c, FRESH_KEY, 0)),
    Breach(R::KillSwitch, &[], |c| {
        let scope = KillSwitchScope::Account;
        c.late.push(Command::SetKillSwitch { scope, id: TRADER.0, on: true });
    }),
    Breach(R::AccountSuspended, &[], |c| {
        let status = AccountStatus::Suspended;
        c.late.push(Command::SetAccountStatus { account: TRADER, status });
    }),
    Breach(R::TradingHalted, &[Part::Status], |c| set_status(c, TradingStatus::Halted)),
    Breach(R::CancelOnly, &[Part::Status], |c| set_status(c, TradingStatus::CancelOnly)),
    Breach(R::NotionalBelowMin, &[Part::Notional], |c| c.spec.min_notional = 1 << 60),
    Breach(R::NotionalAboveMax, &[Part::Notional], |c| c.spec.max_notional = 1),
    Breach(R::DailyVolume, &[Part::Budget], |c| c.spec.max_daily_volume = 1),
    Breach(R::WindowFull, &[Part::ClientId], |c| {
        *c.order() = keyed(*c.order(), "fresh");
        c.config.client_id_capacity = 1;
    }),
    Breach(R::WindowFull, &[Part::CreditAmount], |c| {
        fund(c, FRESH_KEY, 1);
        c.config.transfer_capacity = 1;
    }),
    Breach(R::BalanceOverflow, &[Part::CreditAmount], |c| fund(c, FRESH_KEY, TOO_MUCH)),
    Breach(R::InsufficientBalance, &[], |c| c.broke = true),
];

/// Those of an order that is matched at once.
const AT_ONCE: &[Breach] = &[
    Breach(R::InvalidField, &[], |c| c.order().trigger.0 = 1),
    Breach(R::InvalidField, &[], |c| c.order().trail_bps = 1),
    Breach(R::PriceBand, &[], |c| c.spec.price_band_bps = 1),
];

/// Those of an order that may stay, whether it rests or waits for a price.
const STAYING: &[Breach] = &[
    Breach(R::InvalidExpiry, &[Part::TimeInForce], |c| {
        c.order().time_in_force = TimeInForce::Gtd;
        c.order().expire_at_ns = 1_000;
    }),
    Breach(R::InvalidExpiry, &[Part::TimeInForce], |c| {
        c.order().time_in_force = TimeInForce::Gtd;
    }),
    Breach(R::InvalidField, &[Part::TimeInForce], |c| c.order().expire_at_ns = 5_000),
    Breach(R::TooManyOpenOrders, &[Part::TimeInForce], |c| c.spec.max_open_orders = 2),
    Breach(R::BookFull, &[Part::TimeInForce], |c| c.spec.max_book_orders = 5),
];

/// Those of an order by quantity.
const BY_QUANTITY: &[Breach] = &[
    Breach(R::InvalidQuantity, &[Part::Quantity], |c| c.order().quantity.0 = 0),
    Breach(R::QuantityBelowMin, &[Part::QuantityBounds], |c| c.spec.min_quantity.0 = 40),
    Breach(R::QuantityAboveMax, &[Part::QuantityBounds], |c| c.spec.max_quantity.0 = 4),
];

/// Those of a MARKET order.
const MARKET: &[Breach] = &[
    Breach(R::InvalidField, &[], |c| c.order().price.0 = -1),
    Breach(R::InvalidTimeInForce, &[Part::TimeInForce], |c| {
        c.order().time_in_force = TimeInForce::Gtc;
    }),
    Breach(R::NoLiquidity, &[], |c| {
        let (account, instrument) = (MAKER, InstrumentId(0));
        c.early.push(Command::MassCancel { account, instrument, side: Some(Side::Sell) });
    }),
];

/// Those of a LIMIT order, whatever its time in force.
const LIMIT: &[Breach] = &[
    Breach(R::InvalidField, &[], |c| c.order().quote_budget = 1),
    Breach(R::InvalidPrice, &[Part::Price], |c| c.order().price.0 = 0),
];

const UNFILLABLE: Breach =
    Breach(R::FokUnfillable, &[Part::Quantity], |c| c.order().quantity.0 = 25);

/// Sets what of the credit is not set yet.
fn fund(case: &mut Case, key: u128, amount: u128) {
    let order = case.order();
    if order.credit_id.0 == 0 {
        order.credit_id.0 = key;
    }
    if order.credit_amount == 0 {
        order.credit_amount = amount;
    }
}

fn set_status(case: &mut Case, status: TradingStatus) {
    case.late.push(Command::SetTradingStatus { instrument: INSTRUMENT, status });
}

#[test]
fn a_limit_order_is_refused_for_the_lowest_code() {
    let resting: &[Breach] = &[
        Breach(R::InvalidTimeInForce, &[Part::TimeInForce], |c| {
            c.order().post_only = true;
            c.order().time_in_force = TimeInForce::Ioc;
        }),
        Breach(R::InvalidQuantity, &[], |c| c.order().display.0 = u64::MAX),
        Breach(R::PostOnlyWouldCross, &[Part::Price], |c| {
            c.order().post_only = true;
            c.order().price.0 = 100;
        }),
    ];
    let base = Case::new(Command::NewOrder(limit(TRADER, Side::Buy, 5, 95)));
    let table = [ANY_ORDER, AT_ONCE, BY_QUANTITY, LIMIT, STAYING, resting].concat();
    walk(&base, &table);
}

#[test]
fn a_fill_or_kill_order_is_refused_for_the_lowest_code() {
    let order = limit(TRADER, Side::Buy, 5, 100);
    let base = Case::new(Command::NewOrder(NewOrder { time_in_force: TimeInForce::Fok, ..order }));
    let extra: &[Breach] = &[
        Breach(R::InvalidTimeInForce, &[], |c| c.order().post_only = true),
        Breach(R::InvalidTimeInForce, &[], |c| c.order().display.0 = 1),
        UNFILLABLE,
    ];
    walk(&base, &[ANY_ORDER, AT_ONCE, BY_QUANTITY, LIMIT, extra].concat());
}

#[test]
fn a_market_order_is_refused_for_the_lowest_code() {
    let order = NewOrder::market(TRADER, INSTRUMENT, Side::Buy, Quantity(5));
    let base = Case::new(Command::NewOrder(NewOrder { time_in_force: TimeInForce::Fok, ..order }));
    walk(&base, &[ANY_ORDER, AT_ONCE, BY_QUANTITY, MARKET, &[UNFILLABLE]].concat());
}

#[test]
fn an_order_by_budget_is_refused_for_the_lowest_code() {
    let order = NewOrder::market(TRADER, INSTRUMENT, Side::Buy, Quantity(0));
    let base = Case::new(Command::NewOrder(NewOrder { quote_budget: 700, ..order }));
    let extra: &[Breach] = &[
        Breach(R::InvalidField, &[], |c| c.order().quantity.0 = 1),
        Breach(R::InvalidField, &[], |c| c.order().side = Side::Sell),
        Breach(R::InvalidField, &[], |c| {
            c.order().self_trade_policy = SelfTradePolicy::Decrement;
        }),
        Breach(R::InvalidTimeInForce, &[], |c| c.order().time_in_force = TimeInForce::Fok),
        Breach(R::NotionalAboveMax, &[Part::Budget, Part::Notional], |c| {
            c.order().quote_budget = (1 << 96) + 1;
        }),
        Breach(R::BudgetTooSmall, &[Part::Budget], |c| c.order().quote_budget = 99),
    ];
    walk(&base, &[ANY_ORDER, AT_ONCE, MARKET, extra].concat());
}

/// What every announced order can have: it may not bring money and needs none.
fn announced() -> Vec<Breach> {
    let without_credit = |breach: &&Breach| {
        let Breach(reason, parts, _) = breach;
        let about_money =
            matches!(reason, R::InvalidAmount | R::BalanceOverflow | R::InsufficientBalance);
        !about_money && !parts.contains(&Part::CreditAmount)
    };
    let mut breaches: Vec<Breach> = ANY_ORDER.iter().filter(without_credit).copied().collect();
    breaches.extend([
        Breach(R::InvalidField, &[Part::Key], |c| fund(c, FRESH_KEY, 1)),
        Breach(R::InvalidField, &[Part::Key], |c| c.order().credit_amount = 1),
        Breach(R::BalanceOverflow, &[], |c| {
            let (transfer_id, account, asset) = (TransferId(700), MAKER, QUOTE);
            let amount = TOO_MUCH - 2_000_000;
            c.late.push(Command::Credit { transfer_id, account, asset, amount });
        }),
    ]);
    breaches
}

#[test]
fn an_announced_order_is_refused_for_the_lowest_code() {
    let extra: &[Breach] = &[
        Breach(R::PostOnlyWouldCross, &[Part::Price, Part::TimeInForce], |c| {
            c.order().post_only = true;
            c.order().price.0 = 100;
        }),
        Breach(R::FokUnfillable, &[Part::TimeInForce, Part::Quantity], |c| {
            c.order().time_in_force = TimeInForce::Fok;
        }),
    ];
    let mut base = Case::new(Command::ReserveOrder(limit(TRADER, Side::Buy, 5, 95)));
    let table = [&announced(), AT_ONCE, BY_QUANTITY, LIMIT, STAYING, extra].concat();
    walk(&base, &table);
    base.broke = true;
    assert_eq!(base.answer(), None, "no money is needed yet");
}

#[test]
fn an_amend_is_refused_for_the_lowest_code() {
    let base = Case::new(Command::AmendOrder(AmendOrder {
        account: TRADER,
        order_id: AMENDED,
        new_price: Price(95),
        new_quantity: Quantity(12),
        new_trigger: Price(0),
    }));
    let table: &[Breach] = &[
        Breach(R::UnknownAccount, &[], |c| c.amend().account.0 = UNKNOWN),
        Breach(R::UnknownOrder, &[], |c| c.amend().order_id.0 = 999),
        Breach(R::InvalidField, &[], |c| c.amend().new_trigger.0 = 1),
        Breach(R::InvalidField, &[Part::Price], |c| {
            (c.amend().new_price, c.amend().new_quantity) = (Price(0), Quantity(0));
        }),
        Breach(R::InvalidPrice, &[Part::Price], |c| c.amend().new_price.0 = -1),
        Breach(R::NoChange, &[Part::Price], |c| {
            (c.amend().new_price, c.amend().new_quantity) = (Price(85), Quantity(10));
        }),
        Breach(R::AccountSuspended, &[], |c| {
            let status = AccountStatus::Suspended;
            c.late.push(Command::SetAccountStatus { account: TRADER, status });
        }),
        Breach(R::TradingHalted, &[Part::Status], |c| set_status(c, TradingStatus::Halted)),
        Breach(R::CancelOnly, &[Part::Status], |c| set_status(c, TradingStatus::CancelOnly)),
        Breach(R::QuantityBelowMin, &[Part::QuantityBounds], |c| c.spec.min_quantity.0 = 40),
        Breach(R::QuantityAboveMax, &[Part::QuantityBounds], |c| c.spec.max_quantity.0 = 4),
        Breach(R::NotionalBelowMin, &[Part::Notional], |c| c.spec.min_notional = 1 << 60),
        Breach(R::NotionalAboveMax, &[Part::Notional], |c| c.spec.max_notional = 1),
        Breach(R::PriceBand, &[], |c| c.spec.price_band_bps = 1),
        Breach(R::DailyVolume, &[], |c| c.spec.max_daily_volume = 1),
        Breach(R::InsufficientBalance, &[], |c| c.broke = true),
        Breach(R::PostOnlyWouldCross, &[Part::Price], |c| c.amend().new_price.0 = 100),
    ];
    walk(&base, table);
}

fn transfer(case: &mut Case) -> (&mut TransferId, &mut AccountId, &mut AssetId, &mut u128) {
    match &mut case.command {
        Command::Credit { transfer_id, account, asset, amount }
        | Command::Debit { transfer_id, account, asset, amount } => {
            (transfer_id, account, asset, amount)
        }
        other => panic!("{other:?} is not a transfer"),
    }
}

#[test]
fn credits_and_debits_are_refused_for_the_lowest_code() {
    let table: &[Breach] = &[
        Breach(R::UnknownAccount, &[], |c| transfer(c).1.0 = UNKNOWN),
        Breach(R::IdempotencyConflict, &[Part::Key], |c| transfer(c).0.0 = USED_KEY),
        Breach(R::UnknownAsset, &[], |c| transfer(c).2.0 = UNKNOWN),
        Breach(R::InvalidField, &[Part::Key], |c| transfer(c).0.0 = 0),
        Breach(R::InvalidAmount, &[Part::CreditAmount], |c| *transfer(c).3 = 0),
        Breach(R::WindowFull, &[], |c| c.config.transfer_capacity = 1),
    ];
    let (transfer_id, account, asset, amount) = (TransferId(FRESH_KEY), TRADER, QUOTE, 5);
    let too_much = |reason| Breach(reason, &[Part::CreditAmount], |c| *transfer(c).3 = TOO_MUCH);
    let credit = Case::new(Command::Credit { transfer_id, account, asset, amount });
    walk(&credit, &[table, &[too_much(R::BalanceOverflow)]].concat());
    let debit = Case::new(Command::Debit { transfer_id, account, asset, amount });
    walk(&debit, &[table, &[too_much(R::InsufficientBalance)]].concat());
}

#[test]
fn listings_are_refused_for_the_lowest_code() {
    let common: &[Breach] = &[
        Breach(R::UnknownAsset, &[], |c| c.listed_spec().quote_asset.0 = UNKNOWN),
        Breach(R::InvalidSpec, &[], |c| c.listed_spec().min_quantity.0 = 0),
    ];
    let add = [
        Breach(R::InvalidSpec, &[Part::Key], |c| c.listed_spec().instrument.0 = 65_536),
        Breach(R::AlreadyExists, &[Part::Key], |c| c.listed_spec().instrument = INSTRUMENT),
    ];
    let spec = InstrumentSpec { instrument: InstrumentId(5), ..open_spec() };
    let base = Case::new(Command::AddInstrument(spec));
    walk(&base, &[common, &add].concat());

    let update = [
        Breach(R::UnknownSymbol, &[], |c| c.listed_spec().instrument.0 = UNKNOWN),
        Breach(R::SpecLocked, &[], |c| c.listed_spec().base_per_lot = 2),
    ];
    let base = Case::new(Command::UpdateInstrument(open_spec()));
    walk(&base, &[common, &update].concat());
}

#[test]
fn commands_name_what_they_concern_first() {
    let (instrument, unknown) = (INSTRUMENT, InstrumentId(UNKNOWN));
    let switch = |scope, id, on| Command::SetKillSwitch { scope, id, on };
    let status = TradingStatus::Auction;
    for (command, reason) in [
        (Command::EndSession { instrument: unknown }, R::UnknownSymbol),
        (Command::Uncross { instrument }, R::Unsupported),
        (Command::Uncross { instrument: unknown }, R::UnknownSymbol),
        (Command::SetTradingStatus { instrument, status }, R::Unsupported),
        (Command::SetTradingStatus { instrument: unknown, status }, R::UnknownSymbol),
        (switch(KillSwitchScope::Account, TRADER.0, false), R::NoChange),
        (switch(KillSwitchScope::Account, UNKNOWN, false), R::UnknownAccount),
        (switch(KillSwitchScope::Instrument, INSTRUMENT.0, false), R::NoChange),
        (switch(KillSwitchScope::Instrument, UNKNOWN, false), R::UnknownSymbol),
        (switch(KillSwitchScope::Venue, 0, false), R::NoChange),
        (switch(KillSwitchScope::Venue, 1, false), R::InvalidField),
        (switch(KillSwitchScope::Venue, 1, true), R::InvalidField),
        (
            Command::MassCancel { account: AccountId(UNKNOWN), instrument: unknown, side: None },
            R::UnknownAccount,
        ),
        (
            Command::MassCancel { account: TRADER, instrument: unknown, side: None },
            R::UnknownSymbol,
        ),
    ] {
        assert_eq!(Case::new(command).answer(), Some(reason), "{command:?}");
    }
}
