//! Owns the writing of events and of the end state in the notation of scenarios.
//! Knows nothing of how they came about. Invariant: equal texts mean equal shown facts; what the
//! notation leaves out (acceptances, fills, status events) is compared elsewhere, event by event.

use engine::event::TransferKind;
use engine::{CloseReason, Event, InstrumentId, RejectReason, Side};

use super::{BASE, INSTRUMENT, QUOTE, SECOND, Scenario};
use crate::exchange::{Exchange, Resting};
use crate::projection::Books;

/// What one command of the scenario caused, one text per shown event.
#[must_use]
pub fn render_events(scenario: &Scenario, sequence: u64, events: &[Event]) -> Vec<String> {
    events.iter().filter_map(|event| render_event(scenario, sequence, event)).collect()
}

fn render_event(scenario: &Scenario, sequence: u64, event: &Event) -> Option<String> {
    let number = |id: engine::OrderId| scenario.number(id.0);
    let money = |text: String| if scenario.money { text } else { String::new() };
    let text = match event {
        Event::CommandRejected { reason, .. } => {
            format!("R{} {}", scenario.number(sequence), reason.name())
        }
        Event::OrderDuplicate { order_id, reason, .. } => {
            let reason = reason.map_or(String::new(), |r: RejectReason| format!(" {}", r.name()));
            format!("D{}={}{reason}", scenario.number(sequence), number(*order_id))
        }
        Event::OrderAccepted(order) if scenario.money => {
            format!("A{} h{}", number(order.order_id), order.hold)
        }
        Event::OrderRested { order_id, price, open, visible, .. } => {
            let hidden = if visible == open { String::new() } else { format!(" v{visible}") };
            format!("L{} {open}@{price}{hidden}", number(*order_id))
        }
        Event::Trade(trade) => {
            let (taker, maker) = (number(trade.taker_order_id), number(trade.maker_order_id));
            let (maker_fee, taker_fee) = (trade.maker_fee, trade.taker_fee);
            let amounts = money(format!(" f{maker_fee}/{taker_fee} r{}", trade.buyer_released));
            format!("T{taker}/{maker} {}@{}{amounts}", trade.quantity, trade.price)
        }
        Event::IcebergRefreshed { order_id, visible } => {
            format!("I{} v{visible}", number(*order_id))
        }
        Event::OrderTriggered { order_id, trigger, released, .. } => {
            let released = if *released == 0 { String::new() } else { format!(" r{released}") };
            format!("G{}@{trigger}{}", number(*order_id), money(released))
        }
        Event::OrderClosed { reason: CloseReason::Filled, .. } => return None,
        Event::OrderClosed { order_id, reason, released, .. } => {
            let released = money(format!(" r{released}"));
            format!("C{} {}{released}", number(*order_id), close_word(*reason))
        }
        Event::TransferApplied { kind: TransferKind::FundedOrder, transfer_id, amount, .. }
            if !scenario.announces(transfer_id.0) =>
        {
            format!("K{transfer_id} {amount}")
        }
        Event::TransferDuplicate { transfer_id, .. } => format!("KD{transfer_id}"),
        other => return render_rest(scenario, other),
    };
    Some(text)
}

/// Events of what does not trade, and those that are not shown.
fn render_rest(scenario: &Scenario, event: &Event) -> Option<String> {
    let number = |id: engine::OrderId| scenario.number(id.0);
    let text = match event {
        Event::SelfTradePrevented {
            maker_order_id,
            taker_order_id,
            maker_quantity,
            taker_quantity,
            ..
        } => {
            let (taker, maker) = (number(*taker_order_id), number(*maker_order_id));
            format!("P{taker}/{maker} {maker_quantity}:{taker_quantity}")
        }
        Event::OrderAmended { order_id, price, trigger, open, kept, .. } => {
            let price = if price.0 == 0 { String::new() } else { format!("@{price}") };
            let trigger = if trigger.0 == 0 { String::new() } else { format!(" s{trigger}") };
            let place = if *kept { "kept" } else { "lost" };
            format!("M{} {open}{price}{trigger} {place}", number(*order_id))
        }
        Event::OrderReserving { order_id, amount, .. } => {
            let amount = if scenario.money { format!(" h{amount}") } else { String::new() };
            format!("W{}{amount}", number(*order_id))
        }
        Event::OrderAbandoned { order_id, reason, .. } => {
            format!("X{} {}", number(*order_id), reason.name())
        }
        Event::FundsReturned { order_id, reserved, captured, .. } => {
            format!("F{} {captured}/{reserved}", number(*order_id))
        }
        _ => return None,
    };
    Some(text)
}

fn close_word(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::BudgetSpent => "budget",
        CloseReason::IocRemainder => "ioc",
        CloseReason::NoLiquidity => "liq",
        CloseReason::PriceCollar => "collar",
        CloseReason::SelfTrade => "stp",
        CloseReason::UserCancel => "user",
        CloseReason::MassCancel => "mass",
        CloseReason::AmendedAway => "amend",
        CloseReason::MatchLimit => "limit",
        CloseReason::Expired => "exp",
        CloseReason::SessionEnd => "eod",
        CloseReason::KillSwitch => "kill",
        CloseReason::PostOnlyWouldCross => "po",
        CloseReason::FokUnfillable => "fok",
        CloseReason::Filled => panic!("what was filled is not shown"),
    }
}

/// The end of a run in the shape of `expected`: the whole book, then the facts that it asks for.
#[must_use]
pub fn render_end(
    scenario: &Scenario,
    books: &Books,
    exchange: &impl Exchange,
    expected: &str,
) -> String {
    let mut parts = Vec::new();
    for (book, mark) in [(INSTRUMENT, ""), (SECOND, "#2")] {
        for (side, word) in [(Side::Buy, "bid"), (Side::Sell, "ask")] {
            let text = render_side(scenario, books, book, side);
            if !text.is_empty() {
                parts.push(format!("{word}{mark} {text}"));
            }
        }
        let stops = render_stops(scenario, exchange, book);
        if !stops.is_empty() {
            parts.push(format!("stops{mark}{stops}"));
        }
    }
    if parts.is_empty() {
        parts.push("empty".to_owned());
    }
    for part in expected.split(';').map(str::trim) {
        let words: Vec<&str> = part.split_whitespace().collect();
        match words[..] {
            ["bid" | "ask" | "bid#2" | "ask#2" | "stops" | "stops#2", ..] | ["empty"] => {}
            ["last", _] => parts.push(format!("last {}", books.last_price(INSTRUMENT))),
            ["FEES", _] => parts.push(format!("FEES {}", exchange.fees_and_supply(QUOTE).0)),
            [account, amount] => parts.push(render_balance(scenario, exchange, account, amount)),
            _ => panic!("{part:?} does not describe an end"),
        }
    }
    parts.join("; ")
}

fn render_stops(scenario: &Scenario, exchange: &impl Exchange, book: InstrumentId) -> String {
    let dormant = exchange.dormant_orders(book).into_iter().map(|order| order.id);
    let ids = dormant.chain(exchange.triggered_orders(book));
    ids.map(|id| format!(" {}", scenario.number(id.0))).collect()
}

fn render_side(scenario: &Scenario, books: &Books, book: InstrumentId, side: Side) -> String {
    let mut text = String::new();
    let mut level = None;
    for Resting { id, price, open, visible } in books.resting_orders(book, side) {
        if level != Some(price) {
            let comma = if level.is_some() { ", " } else { "" };
            text += &format!("{comma}{price}");
            level = Some(price);
        }
        let all = if visible == open { String::new() } else { format!("/{open}") };
        text += &format!(" {}:{visible}{all}", scenario.number(id.0));
    }
    text
}

fn render_balance(
    scenario: &Scenario,
    exchange: &impl Exchange,
    account: &str,
    amount: &str,
) -> String {
    let id = scenario.account(super::parse::letter(account));
    if amount.starts_with('V') {
        return format!("{account} V{}", exchange.daily_volume(id, INSTRUMENT));
    }
    let (asset, word) = if amount.starts_with('Q') { (QUOTE, 'Q') } else { (BASE, 'B') };
    let (available, held) = exchange.balance(id, asset);
    let held = if held == 0 { String::new() } else { format!("+{held}") };
    format!("{account} {word}{available}{held}")
}
