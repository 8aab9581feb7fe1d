//! What belongs here: golden amounts of BTC against USDT, in the decimals that a customer sees, and
//! the two formulas behind them. Every test ends with each asset adding up and nobody below zero.

use engine::decimal::parse;
use engine::{Command, Event, NewOrder, Price, Quantity, RejectReason, Side};
use tests::exchange::Exchange;
use tests::random::Random;

use super::desk::{BTC, BUYER, Desk, INSTRUMENT, SELLER, USDT, buy, price, quantity, sell, units};

#[test]
fn improvement_and_the_cheaper_price_come_back() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "75150");
    desk.deposit(SELLER, BTC, "1.5");
    desk.place(sell("1.5", "49900"));
    desk.owns(SELLER, BTC, "0", "1.5");
    let (_, events) = desk.place(buy("1.5", "50000"));
    let Event::OrderAccepted(accepted) = events[0] else { panic!("{events:?}") };
    let Event::Trade(trade) = events[1] else { panic!("{events:?}") };
    assert_eq!(accepted.hold, units("75150.00"));
    assert_eq!((trade.base, trade.quote), (units("1.5"), units("74850")));
    assert_eq!(Ok(trade.taker_fee), parse("149.70", 8));
    assert_eq!(Ok(trade.maker_fee), parse("74.85", 8));
    assert_eq!(trade.buyer_released, units("150.30"));
    desk.owns(BUYER, USDT, "150.30", "0");
    desk.owns(BUYER, BTC, "1.5", "0");
    desk.owns(SELLER, USDT, "74775.15", "0");
    desk.owns(SELLER, BTC, "0", "0");
    desk.closes("224.55");
}

#[test]
fn at_the_limit_the_hold_is_used_up() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "75149.99999999");
    desk.deposit(SELLER, BTC, "1.5");
    desk.place(sell("1.5", "50000"));
    let refused = desk.send(Command::NewOrder(buy("1.5", "50000")));
    let Event::CommandRejected { reason, .. } = refused[0] else { panic!("{refused:?}") };
    assert_eq!(reason, RejectReason::InsufficientBalance);
    desk.deposit(BUYER, USDT, "0.00000001");
    assert_eq!(desk.trades(buy("1.5", "50000")).len(), 1);
    desk.owns(BUYER, USDT, "0", "0");
    desk.owns(BUYER, BTC, "1.5", "0");
    desk.owns(SELLER, USDT, "74925", "0");
    desk.closes("225");
}

#[test]
fn a_cancel_frees_what_a_partial_fill_left() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "75150");
    desk.deposit(SELLER, BTC, "0.5");
    desk.place(sell("0.5", "50000"));
    let (bid, _) = desk.place(buy("1.5", "50000"));
    desk.owns(BUYER, USDT, "0", "50100.00");
    let events = desk.cancel(BUYER, bid);
    let Event::OrderClosed { released, .. } = events[0] else { panic!("{events:?}") };
    assert_eq!(released, units("50100.00"));
    desk.owns(BUYER, USDT, "50100", "0");
    desk.closes("75");
}

#[test]
fn a_taker_that_becomes_a_maker_pays_both_rates() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "50100");
    desk.deposit(SELLER, BTC, "1");
    desk.place(sell("0.4", "49950"));
    let trade = desk.trades(buy("1.0", "50000"))[0];
    assert_eq!((trade.quote, trade.taker_fee), (units("19980"), parse("39.96", 8).expect("fee")));
    let trade = desk.trades(sell("0.6", "50000"))[0];
    assert_eq!((trade.quote, trade.maker_fee), (units("30000"), parse("30", 8).expect("fee")));
    desk.owns(BUYER, USDT, "50.04", "0");
    desk.owns(BUYER, BTC, "1", "0");
    desk.closes("149.94");
}

#[test]
fn fees_round_once_per_order() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "0.15030004");
    desk.deposit(SELLER, BTC, "0.000003");
    for _ in 0..3 {
        desk.place(sell("0.000001", "50000.01"));
    }
    let trades = desk.trades(buy("0.000003", "50000.01"));
    assert!(trades.iter().all(|t| t.quote == units("0.05000001")));
    assert_eq!(trades.iter().map(|t| t.taker_fee).collect::<Vec<_>>(), [10_001, 10_000, 10_000]);
    desk.owns(BUYER, USDT, "0", "0");
    desk.owns(BUYER, BTC, "0.000003", "0");
    desk.owns(SELLER, USDT, "0.1498500", "0");
    desk.closes("0.00045004");
}

#[test]
fn a_maker_that_is_filled_in_three_pays_one_rounded_fee() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "1");
    desk.deposit(SELLER, BTC, "0.000003");
    desk.place(sell("0.000003", "50000.01"));
    let fees: Vec<i128> =
        (0..3).map(|_| desk.trades(buy("0.000001", "50000.01"))[0].maker_fee).collect();
    assert_eq!(fees, [5_001, 5_000, 5_000]);
    desk.owns(SELLER, USDT, "0.14985002", "0");
    desk.closes("0.00045004");
}

#[test]
fn a_budget_returns_what_does_not_pay_for_a_lot() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "1000");
    desk.deposit(SELLER, BTC, "1");
    desk.place(sell("1", "49900"));
    let order = NewOrder::market(BUYER, INSTRUMENT, Side::Buy, Quantity(0));
    let (_, events) = desk.place(NewOrder { quote_budget: units("1000"), ..order });
    let Event::Trade(trade) = events[1] else { panic!("{events:?}") };
    assert_eq!((trade.base, trade.quote), (units("0.02"), units("998")));
    assert_eq!(Ok(trade.taker_fee), parse("1.996", 8));
    let Event::OrderClosed { released, .. } = events[2] else { panic!("{events:?}") };
    assert_eq!(released, units("0.004"));
    desk.owns(BUYER, USDT, "0.004", "0");
    desk.closes("2.994");
}

#[test]
fn a_market_buy_holds_at_its_cap_and_trades_no_higher() {
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "110220");
    desk.deposit(SELLER, BTC, "3");
    desk.place(sell("1", "50000"));
    let market = NewOrder::market(BUYER, INSTRUMENT, Side::Buy, quantity("1"));
    let (_, events) = desk.place(market);
    let Event::OrderAccepted(accepted) = events[0] else { panic!("{events:?}") };
    assert_eq!((accepted.cap, accepted.hold), (price("55000"), units("55110")));
    desk.owns(BUYER, USDT, "60120", "0");
    desk.place(sell("0.5", "50000"));
    desk.place(sell("0.1", "55000"));
    desk.place(sell("0.1", "55000.01"));
    let trades = desk.trades(market);
    let prices: Vec<Price> = trades.iter().map(|t| t.price).collect();
    assert_eq!(prices, [price("50000"), price("55000")]);
    desk.closes("241.5");
}

/// The exact fee on what an order traded, rounded up to one unit.
fn whole_fee(millionths: i128) -> i128 {
    -(-millionths).div_euclid(1_000_000)
}

#[test]
fn a_fee_does_not_depend_on_how_an_order_was_sliced() {
    let mut random = Random::new(1);
    for _ in 0..50 {
        let mut desk = Desk::open();
        desk.deposit(BUYER, USDT, "1000000");
        desk.deposit(SELLER, BTC, "10");
        let (mut maker_fees, mut quotes) = (0, 0);
        desk.place(sell("0.001", "49999.99"));
        let mut left = 1_000;
        while left > 0 {
            let slice = 1 + random.below(left);
            left -= slice;
            let order = NewOrder { quantity: Quantity(slice), ..buy("1", "49999.99") };
            let trade = desk.trades(order)[0];
            let quote = i128::try_from(trade.quote).expect("a small amount");
            maker_fees += trade.maker_fee;
            quotes += quote;
            assert_eq!(maker_fees, whole_fee(quotes * 1_000), "fees so far");
            assert_eq!(trade.taker_fee, whole_fee(quote * 2_000), "an order of one fill");
        }
        desk.adds_up();
    }
}

#[test]
fn a_buy_holds_its_limit_and_the_dearer_rate_after_every_fill() {
    let mut random = Random::new(2);
    let mut desk = Desk::open();
    desk.deposit(BUYER, USDT, "1000000");
    desk.deposit(SELLER, BTC, "10");
    desk.place(sell("0.004321", "49000.37"));
    let limit = price("50000.01");
    let (bid, events) = desk.place(buy("0.1", "50000.01"));
    let Event::Trade(first) = events[1] else { panic!("{events:?}") };
    let mut basis = i128::try_from(first.quote).expect("a small amount") * 2_000;
    let mut open = first.taker_open.0;
    while open > 0 {
        let rest = i128::from(limit.0) * i128::from(open);
        let more = whole_fee(basis + rest * 2_000) - whole_fee(basis);
        let held = desk.fast.balance(BUYER, USDT).1;
        assert_eq!(i128::try_from(held), Ok(rest + more), "{open} lots left");
        let slice = Quantity(1 + random.below(open.min(3_000)));
        let trade = desk.trades(NewOrder { quantity: slice, ..sell("1", "50000.01") })[0];
        assert_eq!(trade.maker_order_id, bid);
        basis += i128::try_from(trade.quote).expect("a small amount") * 1_000;
        open = trade.maker_open.0;
    }
    assert_eq!(desk.fast.balance(BUYER, USDT).1, 0, "nothing is held for a finished order");
    desk.adds_up();
}

#[test]
fn a_thousand_fills_leave_no_dust() {
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut desk = Desk::open();
        desk.deposit(BUYER, USDT, "100200");
        desk.deposit(SELLER, BTC, "2");
        for _ in 0..1_000 {
            let lots = Quantity(1 + random.below(1_500));
            let ticks = Price(random.between(1, price("49999.99").0));
            desk.place(NewOrder { quantity: lots, price: ticks, ..sell("1", "1") });
        }
        let (bid, events) = desk.place(buy("2", "50000"));
        let Event::OrderAccepted(accepted) = events[0] else { panic!("{events:?}") };
        let (mut paid, mut returned, mut fills) = (0, 0, 0);
        for event in events.iter().chain(&desk.cancel(BUYER, bid)) {
            match event {
                Event::Trade(trade) => {
                    paid += trade.quote + u128::try_from(trade.taker_fee).expect("no rebate");
                    returned += trade.buyer_released;
                    fills += 1;
                }
                Event::OrderClosed { order_id, released, .. } if *order_id == bid => {
                    returned += released;
                }
                _ => {}
            }
        }
        assert_eq!((fills, paid + returned), (1_000, accepted.hold));
        assert_eq!(desk.fast.balance(BUYER, USDT), (units("100200") - paid, 0));
        desk.adds_up();
    }
}
