//! Owns the reading of one command of a scenario. Knows nothing of settings.
//! Invariant: every word of a command is used, or the reading fails.

use engine::command::{AmendOrder, NewOrder};
use engine::{
    AccountId, AccountStatus, ClientOrderId, Command, InstrumentId, OrderId, Price, Quantity,
    SelfTradePolicy, Side, TimeInForce, TradingStatus, TransferId,
};

use super::parse::{implied_transfer, letter, number, order_id, read_amount};
use super::{INSTRUMENT, Scenario};

/// The account that a command names, if it names one.
pub(super) fn account_letter(text: &str) -> Option<char> {
    let text = text.split_once(": ").map_or(text, |(_, rest)| rest);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["dep" | "wd" | "susp" | "unsusp", account, ..] => Some(letter(account)),
        [_] => None,
        [account, ..] => Some(letter(account)),
        [] => None,
    }
}

pub(super) fn command(scenario: &Scenario, text: &str) -> Command {
    let words: Vec<&str> = text.split_whitespace().collect();
    let status = |status| Command::SetTradingStatus { instrument: INSTRUMENT, status };
    let account = |text: &str| scenario.account(letter(text));
    match words[..] {
        ["halt"] => status(TradingStatus::Halted),
        ["open"] => status(TradingStatus::Trading),
        ["cxl"] => status(TradingStatus::CancelOnly),
        ["susp", who] => {
            Command::SetAccountStatus { account: account(who), status: AccountStatus::Suspended }
        }
        ["unsusp", who] => {
            Command::SetAccountStatus { account: account(who), status: AccountStatus::Active }
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
        [who, "B", ref rest @ ..] => Command::NewOrder(order(account(who), Side::Buy, rest)),
        [who, "S", ref rest @ ..] => Command::NewOrder(order(account(who), Side::Sell, rest)),
        [who, what] if what.starts_with('x') => cancel(scenario, account(who), &what[1..]),
        [who, what, ref rest @ ..] if what.starts_with('m') => {
            amend(account(who), order_id(scenario, &what[1..]), rest)
        }
        _ => panic!("{text:?} is not a command"),
    }
}

fn order(account: AccountId, side: Side, words: &[&str]) -> NewOrder {
    let [terms, flags @ ..] = words else { panic!("an order needs its terms") };
    let (amount, price) = terms.split_once('@').expect("terms are quantity@price");
    let mut order = match (amount.strip_prefix('$'), price) {
        (Some(budget), "mkt") => {
            let order = NewOrder::market(account, INSTRUMENT, side, Quantity(0));
            NewOrder { quote_budget: number(budget), ..order }
        }
        (None, "mkt") => NewOrder::market(account, INSTRUMENT, side, Quantity(number(amount))),
        (None, price) => {
            let quantity = Quantity(number(amount));
            NewOrder::limit(account, INSTRUMENT, side, quantity, Price(number(price)))
        }
        (Some(_), _) => panic!("{terms:?}: a budget has no price"),
    };
    for flag in flags {
        match (*flag, flag.split_once('='), flag.split_once(':')) {
            ("ioc", ..) => order.time_in_force = TimeInForce::Ioc,
            ("fok", ..) => order.time_in_force = TimeInForce::Fok,
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
            _ => panic!("unknown flag {flag:?}"),
        }
    }
    order
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
            _ => panic!("{word:?} is not a change"),
        }
    }
    Command::AmendOrder(amend)
}
