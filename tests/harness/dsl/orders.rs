//! Owns the reading of one command of a scenario. Knows nothing of settings.
//! Invariant: every word of a command is used, or the reading fails.

use engine::command::{AmendOrder, NewOrder};
use engine::{
    AccountId, AccountStatus, ClientOrderId, Command, InstrumentId, KillSwitchScope, OrderId,
    OrderType, Price, Quantity, RejectReason, SelfTradePolicy, Side, TimeInForce, TradingStatus,
    TransferId,
};

use super::parse::{implied_transfer, letter, number, order_id, read_amount, set_one};
use super::{INSTRUMENT, SECOND, Scenario};

/// The account that a command names, if it names one.
pub(super) fn account_letter(text: &str) -> Option<char> {
    let text = text.split_once(": ").map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["set" | "halt" | "open" | "cxl" | "eod" | "place" | "drop", ..] => None,
        ["kill" | "unkill", what] if what == "*" || what.starts_with('#') => None,
        ["dep" | "wd" | "susp" | "unsusp" | "kill" | "unkill", account, ..] => {
            Some(letter(account))
        }
        [_] => None,
        [account, ..] => Some(letter(account)),
        [] => None,
    }
}

/// The book that `#2` names.
fn book(text: &str) -> InstrumentId {
    match text {
        "#1" => INSTRUMENT,
        "#2" => SECOND,
        _ => panic!("{text:?} is not a book"),
    }
}

pub(super) fn command(scenario: &mut Scenario, text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    let account = |text: &str| scenario.account(letter(text));
    let account_status = |who, status| Command::SetAccountStatus { account: account(who), status };
    match words[..] {
        ["set", name, value] => set(scenario, name, value),
        [word] => of_book(word, INSTRUMENT),
        [word, number] if number.starts_with('#') && word != "kill" && word != "unkill" => {
            of_book(word, book(number))
        }
        ["kill", what] => switch(scenario, what, true),
        ["unkill", what] => switch(scenario, what, false),
        ["susp", who] => account_status(who, AccountStatus::Suspended),
        ["unsusp", who] => account_status(who, AccountStatus::Active),
        ["place", id] => Command::PlaceReserved { order_id: order_id(scenario, id) },
        ["drop", id] => {
            let reason = RejectReason::FundsRefused;
            Command::AbandonReserved { order_id: order_id(scenario, id), reason }
        }
        ["dep", who, what] => {
            let transfer_id = implied_transfer(scenario.frames().len());
            let (asset, amount) = read_amount(what);
            Command::Credit { transfer_id, account: account(who), asset, amount }
        }
        ["wd", who, what] => {
            let transfer_id = implied_transfer(scenario.frames().len());
            let (asset, amount) = read_amount(what);
            Command::Debit { transfer_id, account: account(who), asset, amount }
        }
        [who, "B", ref rest @ ..] => new_order(account(who), Side::Buy, rest),
        [who, "S", ref rest @ ..] => new_order(account(who), Side::Sell, rest),
        [who, what] if what.starts_with('x') => cancel(scenario, account(who), &what[1..]),
        [who, what, ref rest @ ..] if what.starts_with('m') => {
            amend(account(who), order_id(scenario, &what[1..]), rest)
        }
        _ => panic!("{text:?} is not a command"),
    }
}

fn of_book(word: &str, instrument: InstrumentId) -> Command {
    let status = |status| Command::SetTradingStatus { instrument, status };
    match word {
        "halt" => status(TradingStatus::Halted),
        "open" => status(TradingStatus::Trading),
        "cxl" => status(TradingStatus::CancelOnly),
        "eod" => Command::EndSession { instrument },
        _ => panic!("{word:?} is not a command"),
    }
}

fn switch(scenario: &Scenario, what: &str, on: bool) -> Command {
    let (scope, id) = match what {
        "*" => (KillSwitchScope::Venue, 0),
        number if number.starts_with('#') => (KillSwitchScope::Instrument, book(number).0),
        who => (KillSwitchScope::Account, scenario.account(letter(who)).0),
    };
    Command::SetKillSwitch { scope, id, on }
}

/// One setting changes: of the first book, or of the engine.
fn set(scenario: &mut Scenario, name: &str, value: &str) -> Command {
    let config = scenario.config;
    set_one(&mut scenario.spec, &mut scenario.config, name, value);
    if scenario.config == config {
        Command::UpdateInstrument(scenario.spec)
    } else {
        Command::Configure(scenario.config)
    }
}

fn new_order(account: AccountId, side: Side, words: &[&str]) -> Command {
    let [terms, flags @ ..] = words else { panic!("an order needs its terms") };
    let (amount, price) = terms.split_once('@').unwrap_or((terms, "none"));
    let (quantity, budget) = match amount.strip_prefix('$') {
        Some(budget) => (Quantity(0), number(budget)),
        None => (Quantity(number(amount)), 0),
    };
    let order = match price {
        "mkt" => NewOrder::market(account, INSTRUMENT, side, quantity),
        "none" => NewOrder::limit(account, INSTRUMENT, side, quantity, Price(0)),
        price => NewOrder::limit(account, INSTRUMENT, side, quantity, Price(number(price))),
    };
    let mut order = NewOrder { quote_budget: budget, ..order };
    for flag in flags.iter().filter(|flag| **flag != "rsv") {
        set_flag(&mut order, flag);
    }
    assert!(price != "none" || order.order_type != OrderType::Limit, "{terms:?} has no price");
    if flags.contains(&"rsv") { Command::ReserveOrder(order) } else { Command::NewOrder(order) }
}

fn set_flag(order: &mut NewOrder, flag: &str) {
    match (flag, flag.split_once('='), flag.split_once(':')) {
        ("ioc", ..) => order.time_in_force = TimeInForce::Ioc,
        ("fok", ..) => order.time_in_force = TimeInForce::Fok,
        ("day", ..) => order.time_in_force = TimeInForce::Day,
        ("po", ..) => order.post_only = true,
        ("ct", ..) => order.self_trade_policy = SelfTradePolicy::CancelTaker,
        ("cm", ..) => order.self_trade_policy = SelfTradePolicy::CancelMaker,
        ("cb", ..) => order.self_trade_policy = SelfTradePolicy::CancelBoth,
        ("dc", ..) => order.self_trade_policy = SelfTradePolicy::Decrement,
        (_, Some(("id", id)), _) => order.client_order_id = client_order_id(id),
        (_, _, Some((key, amount))) => {
            let key = key.strip_prefix("cr").expect("a credit is cr<key>:<amount>");
            (order.credit_id, order.credit_amount) = (TransferId(number(key)), number(amount));
        }
        (flag, ..) if flag.starts_with('#') => order.instrument = book(flag),
        (flag, ..) => set_number(order, flag),
    }
}

/// A flag that is a word and a number.
fn set_number(order: &mut NewOrder, flag: &str) {
    let digits = flag.find(|c: char| c == '-' || c.is_ascii_digit());
    let (word, value) = flag.split_at(digits.unwrap_or_else(|| panic!("unknown flag {flag:?}")));
    let limited = order.price.0 != 0;
    match (word, value.strip_suffix("bp")) {
        ("gtd", None) => {
            (order.time_in_force, order.expire_at_ns) = (TimeInForce::Gtd, number(value));
        }
        ("d", None) => order.display = Quantity(number(value)),
        ("stop", None) => {
            order.order_type = if limited { OrderType::StopLimit } else { OrderType::Stop };
            order.trigger = Price(number(value));
        }
        ("tp", None) => {
            order.order_type =
                if limited { OrderType::TakeProfitLimit } else { OrderType::TakeProfit };
            order.trigger = Price(number(value));
        }
        ("tr", bps) => {
            order.order_type = OrderType::TrailingStop;
            match bps {
                Some(bps) => order.trail_bps = number(bps),
                None => order.trail_ticks = number(value),
            }
        }
        _ => panic!("unknown flag {flag:?}"),
    }
}

fn client_order_id(text: &str) -> ClientOrderId {
    ClientOrderId::new(text.as_bytes()).expect("a short client order id")
}

fn cancel(scenario: &Scenario, account: AccountId, what: &str) -> Command {
    let all = |side| Command::MassCancel { account, instrument: InstrumentId(0), side };
    if let Some(id) = what.strip_prefix("id=") {
        let client_order_id = client_order_id(id);
        return Command::CancelOrder { account, order_id: OrderId(0), client_order_id };
    }
    match what {
        "*" => all(None),
        "*B" => all(Some(Side::Buy)),
        "*S" => all(Some(Side::Sell)),
        id => Command::CancelOrder {
            account,
            order_id: order_id(scenario, id),
            client_order_id: ClientOrderId::EMPTY,
        },
    }
}

fn amend(account: AccountId, order_id: OrderId, words: &[&str]) -> Command {
    let mut amend = AmendOrder {
        account,
        order_id,
        new_price: Price(0),
        new_quantity: Quantity(0),
        new_trigger: Price(0),
    };
    for word in words {
        match word.split_at_checked(1) {
            Some(("p", price)) => amend.new_price = Price(number(price)),
            Some(("q", quantity)) => amend.new_quantity = Quantity(number(quantity)),
            Some(("s", trigger)) => amend.new_trigger = Price(number(trigger)),
            _ => panic!("{word:?} is not a change"),
        }
    }
    Command::AmendOrder(amend)
}
