//! What belongs here: the same for orders that wait for a price, new and amended.

use engine::OrderType;

use super::*;

/// A stop of the trader's that buys 5 lots.
fn stop(order_type: OrderType, price: i64, trigger: i64) -> NewOrder {
    let trigger = Price(trigger);
    NewOrder { order_type, trigger, ..limit(TRADER, Side::Buy, 5, price) }
}

/// The breaches of an order that is triggered by a price that it names.
const TRIGGERED: &[Breach] = &[
    Breach(R::InvalidField, &[], |c| c.order().trail_ticks = 1),
    Breach(R::InvalidField, &[], |c| c.order().trail_bps = 1),
    Breach(R::InvalidStop, &[Part::Stop], |c| c.order().trigger.0 = 0),
    Breach(R::InvalidStop, &[Part::Stop], |c| c.order().trigger.0 = -1),
    Breach(R::InvalidStop, &[Part::Stop], |c| c.order().trigger.0 = (1 << 47) + 1),
];

/// Those of one without a limit.
const MARKET_FORM: &[Breach] = &[
    Breach(R::InvalidField, &[], |c| c.order().price.0 = 1),
    Breach(R::InvalidField, &[], |c| c.order().post_only = true),
    Breach(R::InvalidField, &[], |c| c.order().display.0 = 1),
    Breach(R::InvalidTimeInForce, &[Part::TimeInForce], |c| {
        c.order().time_in_force = TimeInForce::Ioc;
    }),
    Breach(R::InvalidTimeInForce, &[Part::TimeInForce], |c| {
        c.order().time_in_force = TimeInForce::Fok;
    }),
];

#[test]
fn a_stop_is_refused_for_the_lowest_code() {
    let no_budget = [Breach(R::InvalidField, &[Part::Quantity], |c| c.order().quote_budget = 700)];
    for order_type in [OrderType::Stop, OrderType::TakeProfit] {
        let base = Case::new(Command::NewOrder(stop(order_type, 0, 110)));
        let tables = [ANY_ORDER, BY_QUANTITY, STAYING, TRIGGERED, MARKET_FORM, &no_budget];
        walk(&base, &tables.concat());
    }
}

#[test]
fn a_stop_by_budget_is_refused_for_the_lowest_code() {
    let extra: &[Breach] = &[
        Breach(R::InvalidField, &[Part::Budget], |c| c.order().quantity.0 = 1),
        Breach(R::InvalidField, &[], |c| c.order().side = Side::Sell),
        Breach(R::InvalidField, &[], |c| {
            c.order().self_trade_policy = SelfTradePolicy::Decrement;
        }),
        Breach(R::NotionalAboveMax, &[Part::Budget, Part::Notional], |c| {
            c.order().quote_budget = (1 << 96) + 1;
        }),
        Breach(R::BudgetTooSmall, &[Part::Budget], |c| c.order().quote_budget = 109),
    ];
    let order =
        NewOrder { quote_budget: 700, quantity: Quantity(0), ..stop(OrderType::Stop, 0, 110) };
    let base = Case::new(Command::NewOrder(order));
    walk(&base, &[ANY_ORDER, STAYING, TRIGGERED, MARKET_FORM, extra].concat());
}

#[test]
fn a_stop_with_a_limit_is_refused_for_the_lowest_code() {
    let extra: &[Breach] = &[
        Breach(R::InvalidTimeInForce, &[Part::TimeInForce], |c| {
            c.order().post_only = true;
            c.order().time_in_force = TimeInForce::Fok;
        }),
        Breach(R::InvalidQuantity, &[], |c| c.order().display.0 = u64::MAX),
        Breach(R::PriceBand, &[], |c| c.spec.price_band_bps = 1),
    ];
    for order_type in [OrderType::StopLimit, OrderType::TakeProfitLimit] {
        let mut base = Case::new(Command::NewOrder(stop(order_type, 95, 110)));
        let tables = [ANY_ORDER, BY_QUANTITY, LIMIT, STAYING, TRIGGERED, extra];
        walk(&base, &tables.concat());
        // Whatever becomes of it later: it lies in the book until then.
        for time_in_force in [TimeInForce::Ioc, TimeInForce::Fok] {
            base.order().time_in_force = time_in_force;
            for (reason, narrow) in [
                (R::TooManyOpenOrders, InstrumentSpec { max_open_orders: 2, ..base.spec }),
                (R::BookFull, InstrumentSpec { max_book_orders: 5, ..base.spec }),
            ] {
                assert_eq!(Case { spec: narrow, ..base.clone() }.answer(), Some(reason));
            }
            assert_eq!(base.answer(), None);
        }
    }
}

#[test]
fn a_trailing_stop_is_refused_for_the_lowest_code() {
    let order = NewOrder { trail_ticks: 5, ..stop(OrderType::TrailingStop, 0, 0) };
    let mut base = Case::new(Command::NewOrder(order));
    for side in [Side::Sell, Side::Buy] {
        base.early.push(Command::NewOrder(limit(MAKER, side, 1, 95)));
    }
    let extra: &[Breach] = &[
        Breach(R::InvalidField, &[], |c| c.order().trigger.0 = 110),
        Breach(R::InvalidField, &[], |c| c.order().quote_budget = 700),
        Breach(R::InvalidStop, &[Part::Stop], |c| c.order().trail_ticks = 0),
        Breach(R::InvalidStop, &[Part::Stop], |c| c.order().trail_ticks = -1),
        Breach(R::InvalidStop, &[Part::Stop], |c| c.order().trail_bps = 1),
        Breach(R::InvalidStop, &[Part::Stop], |c| {
            (c.order().trail_ticks, c.order().trail_bps) = (0, 10_000);
        }),
        Breach(R::InvalidStop, &[Part::Stop], |c| {
            (c.order().trail_ticks, c.order().trail_bps) = (-1, 1);
        }),
        Breach(R::NoReferencePrice, &[], |c| c.early.clear()),
        Breach(R::TriggerOutOfRange, &[Part::Stop], |c| c.order().trail_ticks = i64::MAX),
        Breach(R::TriggerOutOfRange, &[Part::Stop], |c| c.order().trail_ticks = 1 << 47),
    ];
    let tables = [ANY_ORDER, BY_QUANTITY, STAYING, MARKET_FORM, extra];
    walk(&base, &tables.concat());
}

/// Like one that is placed at once, as any announced order.
#[test]
fn an_announced_stop_is_refused_for_the_lowest_code() {
    let mut base = Case::new(Command::ReserveOrder(stop(OrderType::StopLimit, 95, 110)));
    let tables = [&announced(), BY_QUANTITY, LIMIT, STAYING, TRIGGERED];
    walk(&base, &tables.concat());
    base.broke = true;
    assert_eq!(base.answer(), None, "no money is needed yet");
}

#[test]
fn an_amend_of_a_stop_is_refused_for_the_lowest_code() {
    let amended = OrderId(AMENDED.0 + 1);
    let mut base = Case::new(Command::AmendOrder(AmendOrder {
        account: TRADER,
        order_id: amended,
        new_price: Price(95),
        new_quantity: Quantity(12),
        new_trigger: Price(105),
    }));
    let order = NewOrder { display: Quantity(4), ..stop(OrderType::StopLimit, 85, 110) };
    base.early.push(Command::NewOrder(order));
    let table: &[Breach] = &[
        Breach(R::UnknownAccount, &[], |c| c.amend().account.0 = UNKNOWN),
        Breach(R::UnknownOrder, &[], |c| c.amend().order_id.0 = 999),
        Breach(R::InvalidField, &[Part::Price, Part::Quantity, Part::Stop], |c| {
            (c.amend().new_price, c.amend().new_quantity) = (Price(0), Quantity(0));
            c.amend().new_trigger = Price(0);
        }),
        Breach(R::InvalidQuantity, &[Part::Quantity], |c| c.amend().new_quantity.0 = 3),
        Breach(R::InvalidQuantity, &[Part::Quantity], |c| c.spec.max_iceberg_parts = 2),
        Breach(R::InvalidPrice, &[Part::Price], |c| c.amend().new_price.0 = -1),
        Breach(R::InvalidStop, &[Part::Stop], |c| c.amend().new_trigger.0 = -1),
        Breach(R::InvalidStop, &[Part::Stop], |c| c.amend().new_trigger.0 = (1 << 47) + 1),
        Breach(R::NoChange, &[Part::Price, Part::Quantity, Part::Stop], |c| {
            (c.amend().new_price, c.amend().new_quantity) = (Price(85), Quantity(5));
            c.amend().new_trigger = Price(110);
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
    ];
    walk(&base, table);
}
