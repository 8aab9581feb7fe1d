//! Golden bytes: one literal for each command and event. A literal that has to change means that
//! journals written before can no longer be read: give the encoding a new version instead.

use super::*;
use crate::command::{AmendOrder, Command, EngineConfig, NewOrder};
use crate::event::{CloseReason, Event, OrderAccepted, Trade, TransferKind};
use crate::instrument::{InstrumentSpec, TradingStatus};
use crate::limits::ENCODED_BYTES_MAX;
use crate::reject::RejectReason;
use crate::types::{
    AccountId, AccountStatus, AssetCode, AssetId, ClientOrderId, InstrumentId, KillSwitchScope,
    OrderId, OrderType, Price, Quantity, SelfTradePolicy, Side, TimeInForce, TradeId, TransferId,
};

const GOLDEN: &str = include_str!("golden.txt");

fn spec() -> InstrumentSpec {
    InstrumentSpec {
        maker_fee_ppm: -100,
        taker_fee_ppm: 2_000,
        reference_price: Price(77),
        ..InstrumentSpec::open(InstrumentId(3), AssetId(1), AssetId(2))
    }
}

fn order() -> NewOrder {
    NewOrder {
        order_type: OrderType::StopLimit,
        time_in_force: TimeInForce::Gtd,
        self_trade_policy: SelfTradePolicy::Decrement,
        post_only: true,
        trigger: Price(101),
        trail_ticks: -1,
        trail_bps: 50,
        display: Quantity(2),
        quote_budget: 1 << 90,
        expire_at_ns: 1_700_000_000_000_000_000,
        credit_id: TransferId(u128::MAX),
        credit_amount: 9,
        client_order_id: ClientOrderId::new(b"k-1").unwrap(),
        ..NewOrder::limit(AccountId(7), InstrumentId(3), Side::Sell, Quantity(5), Price(100))
    }
}

fn commands() -> Vec<(&'static str, Command)> {
    let (account, instrument, asset) = (AccountId(7), InstrumentId(3), AssetId(2));
    let amount = 75_150;
    let transfer_id = TransferId(0xABCD);
    let client_order_id = ClientOrderId::new(&[b'x'; 100]).unwrap();
    let amend = AmendOrder {
        account,
        order_id: OrderId(9),
        new_price: Price(99),
        new_quantity: Quantity(4),
        new_trigger: Price(1),
    };
    let code = AssetCode::new("BTC").unwrap();
    vec![
        ("Configure", Command::Configure(EngineConfig::default())),
        ("AddAsset", Command::AddAsset { asset, code, scale: 8 }),
        ("AddInstrument", Command::AddInstrument(spec())),
        ("UpdateInstrument", Command::UpdateInstrument(spec())),
        (
            "SetTradingStatus",
            Command::SetTradingStatus { instrument, status: TradingStatus::CancelOnly },
        ),
        ("RegisterAccount", Command::RegisterAccount { uuid: 1 << 100, stp_group: 6 }),
        ("Credit", Command::Credit { transfer_id, account, asset, amount }),
        ("Debit", Command::Debit { transfer_id, account, asset, amount }),
        ("NewOrder", Command::NewOrder(order())),
        ("CancelOrder", Command::CancelOrder { account, order_id: OrderId(9), client_order_id }),
        ("AmendOrder", Command::AmendOrder(amend)),
        ("MassCancel", Command::MassCancel { account, instrument, side: Some(Side::Sell) }),
        (
            "SetKillSwitch",
            Command::SetKillSwitch { scope: KillSwitchScope::Account, id: 7, on: true },
        ),
        ("EndSession", Command::EndSession { instrument }),
        ("Tick", Command::Tick),
        (
            "SetAccountStatus",
            Command::SetAccountStatus { account, status: AccountStatus::Suspended },
        ),
        ("Uncross", Command::Uncross { instrument }),
        ("ReserveOrder", Command::ReserveOrder(order())),
        ("PlaceReserved", Command::PlaceReserved { order_id: OrderId(9) }),
        (
            "AbandonReserved",
            Command::AbandonReserved {
                order_id: OrderId(9),
                reason: RejectReason::InsufficientBalance,
            },
        ),
        (
            "NewOrderBy",
            Command::NewOrderBy { order: order(), latest_ns: 1_700_000_000_000_000_001 },
        ),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    let (account, instrument, order_id) = (AccountId(7), InstrumentId(3), OrderId(9));
    let (asset, transfer_id) = (AssetId(2), TransferId(0xABCD));
    let (price, open) = (Price(100), Quantity(5));
    let reason = RejectReason::InsufficientBalance;
    let accepted = OrderAccepted {
        order_id,
        account,
        instrument,
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        self_trade_policy: SelfTradePolicy::CancelTaker,
        post_only: false,
        price,
        trigger: Price(0),
        cap: Price(105),
        quantity: open,
        display: Quantity(0),
        quote_budget: 0,
        expire_at_ns: 0,
        hold: 75_150,
        client_order_id: ClientOrderId::new(b"k-1").unwrap(),
    };
    let trade = Trade {
        trade_id: TradeId(4),
        instrument,
        price,
        quantity: open,
        maker_order_id: OrderId(1),
        taker_order_id: order_id,
        maker_account: AccountId(1),
        taker_account: account,
        taker_side: Side::Buy,
        base: 5,
        quote: 500,
        maker_fee: -1,
        taker_fee: 2,
        buyer_released: 3,
        maker_open: Quantity(0),
        taker_open: Quantity(1),
    };
    vec![
        (
            "CommandRejected",
            Event::CommandRejected { reason, account, instrument, target: order_id },
        ),
        ("OrderDuplicate", Event::OrderDuplicate { account, order_id, reason: Some(reason) }),
        ("OrderAccepted", Event::OrderAccepted(accepted)),
        (
            "OrderRested",
            Event::OrderRested {
                order_id,
                instrument,
                side: Side::Sell,
                price,
                open,
                visible: open,
            },
        ),
        ("Trade", Event::Trade(trade)),
        ("IcebergRefreshed", Event::IcebergRefreshed { order_id, visible: open }),
        (
            "SelfTradePrevented",
            Event::SelfTradePrevented {
                instrument,
                price,
                maker_order_id: OrderId(1),
                taker_order_id: order_id,
                mode: SelfTradePolicy::CancelBoth,
                maker_quantity: open,
                taker_quantity: open,
                maker_released: 1,
                taker_released: 2,
            },
        ),
        (
            "OrderAmended",
            Event::OrderAmended {
                order_id,
                price,
                trigger: Price(0),
                cap: Price(0),
                quantity: open,
                open,
                visible: open,
                kept: true,
                hold: 6,
            },
        ),
        (
            "OrderTriggered",
            Event::OrderTriggered { order_id, trigger: price, limit: price, released: 0 },
        ),
        (
            "OrderClosed",
            Event::OrderClosed {
                order_id,
                account,
                instrument,
                reason: CloseReason::MatchLimit,
                filled: open,
                open,
                prevented: Quantity(0),
                released: 7,
            },
        ),
        (
            "TransferApplied",
            Event::TransferApplied {
                transfer_id,
                kind: TransferKind::FundedOrder,
                account,
                asset,
                amount: 8,
                available: 9,
            },
        ),
        ("TransferDuplicate", Event::TransferDuplicate { transfer_id, reason: None }),
        ("AccountRegistered", Event::AccountRegistered { account, uuid: 5, stp_group: 6 }),
        (
            "AssetAdded",
            Event::AssetAdded { asset, code: AssetCode::new("USDT").unwrap(), scale: 8 },
        ),
        ("InstrumentAdded", Event::InstrumentAdded(spec())),
        ("InstrumentUpdated", Event::InstrumentUpdated(spec())),
        ("StatusChanged", Event::StatusChanged { instrument, status: TradingStatus::Trading }),
        (
            "KillSwitchChanged",
            Event::KillSwitchChanged { scope: KillSwitchScope::Venue, id: 0, on: false, closed: 2 },
        ),
        ("MassCancelled", Event::MassCancelled { account, instrument, side: None, closed: 2 }),
        ("SessionEnded", Event::SessionEnded { instrument, closed: 2 }),
        ("ConfigChanged", Event::ConfigChanged(EngineConfig::default())),
        (
            "AccountStatusChanged",
            Event::AccountStatusChanged { account, status: AccountStatus::Active },
        ),
    ]
    .into_iter()
    .chain(funding_events())
    .collect()
}

/// What only orders whose funds are reserved outside cause.
fn funding_events() -> Vec<(&'static str, Event)> {
    let (account, instrument, order_id) = (AccountId(7), InstrumentId(3), OrderId(9));
    let (asset, reason) = (AssetId(2), RejectReason::InsufficientBalance);
    let moved = |transfer_id, kind| Event::TransferApplied {
        transfer_id,
        kind,
        account,
        asset,
        amount: 8,
        available: 9,
    };
    let proceeds = TransferId::of_proceeds(TradeId(4), Side::Sell);
    vec![
        (
            "OrderReserving",
            Event::OrderReserving {
                order_id,
                account,
                instrument,
                side: Side::Buy,
                asset,
                amount: 75_150,
                client_order_id: ClientOrderId::new(b"k-1").unwrap(),
            },
        ),
        ("OrderAbandoned", Event::OrderAbandoned { order_id, account, instrument, reason }),
        (
            "FundsReturned",
            Event::FundsReturned {
                order_id,
                account,
                asset,
                reserved: 75_150,
                captured: 75_000,
                returned: 150,
            },
        ),
        ("TransferApplied-Proceeds", moved(proceeds, TransferKind::Proceeds)),
        (
            "TransferApplied-FundsReturned",
            moved(TransferId::of_return(order_id), TransferKind::FundsReturned),
        ),
    ]
}

fn hex<T: Codec>(value: &T) -> String {
    let mut bytes = [0; ENCODED_BYTES_MAX];
    let len = value.encode_into(&mut bytes);
    bytes[..len].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn every_command_and_event_keeps_its_bytes() {
    let commands = commands().into_iter().map(|(name, value)| (name, hex(&value)));
    let events = events().into_iter().map(|(name, value)| (name, hex(&value)));
    let written: String = commands.chain(events).map(|(n, hex)| format!("{n} {hex}\n")).collect();
    assert_eq!(written, GOLDEN, "encoding version {ENCODING_VERSION}");
}

#[test]
fn golden_bytes_are_read_back() {
    let literal = |line: &str| bytes(line.split_once(' ').unwrap().1);
    let mut lines = GOLDEN.lines();
    for ((name, command), line) in commands().into_iter().zip(lines.by_ref()) {
        assert_eq!(Command::decode_from(&literal(line)), Ok(command), "{name}");
    }
    for ((name, event), line) in events().into_iter().zip(lines) {
        assert_eq!(Event::decode_from(&literal(line)), Ok(event), "{name}");
    }
}

#[test]
fn anything_else_is_refused() {
    for (name, command) in commands() {
        let good = bytes(&hex(&command));
        let mut longer = good.clone();
        longer.push(0);
        assert_eq!(Command::decode_from(&longer), Err(CodecError::TrailingBytes(1)), "{name}");
        for len in 0..good.len() {
            assert!(Command::decode_from(&good[..len]).is_err(), "{name} cut to {len} bytes");
        }
        assert!(Event::decode_from(&[0xFF; 8]).is_err());
    }
    let mut unknown_side = bytes(&hex(&Command::NewOrder(order())));
    assert_eq!(unknown_side[12], Side::Sell.code());
    unknown_side[12] = 3;
    assert!(matches!(Command::decode_from(&unknown_side), Err(CodecError::Malformed(_))));
}

#[test]
fn the_longest_encodings_fit_the_bound() {
    let client_order_id = ClientOrderId::new(&[b'x'; ClientOrderId::BYTES_MAX]).unwrap();
    let order = NewOrder { client_order_id, ..order() };
    let longest = Command::NewOrderBy { order, latest_ns: u64::MAX };
    let others = commands().into_iter().map(|(_, command)| command).chain([longest]);
    let of_commands = others.map(|command| hex(&command).len() / 2).max();
    let of_events = events().into_iter().map(|(_, event)| hex(&event).len() / 2 + 97).max();
    assert!(of_commands.max(of_events) <= Some(ENCODED_BYTES_MAX));
}
