//! Bodies there and back, and the fields that are refused.

use rust_decimal::Decimal;
use serde_json::json;

use super::*;

fn code(text: &str) -> AssetCode {
    AssetCode::new(text).unwrap()
}

fn assets() -> Assets {
    Assets::new([(code("BTC"), 8), (code("USDT"), 8), (code("USD"), 2)]).unwrap()
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn reserve() -> ReserveRequest {
    ReserveRequest {
        user_id: uuid(1),
        asset: code("USDT"),
        amount: 7_515_000_000_000,
        order_id: uuid(2),
        reason: ReserveReason::OrderPlacement,
    }
}

#[test]
fn a_reserve_is_written_by_the_contract_and_read_back() {
    let body = ReserveBody::new(&reserve(), &assets()).unwrap();
    let written = serde_json::to_value(&body).unwrap();
    let expected = json!({
        "user_id": "00000000-0000-0000-0000-000000000001", "asset": "USDT", "amount": "75150",
        "order_id": "00000000-0000-0000-0000-000000000002", "reason": "ORDER_PLACEMENT",
    });
    assert_eq!(written, expected);
    let body: ReserveBody = serde_json::from_value(written).unwrap();
    assert_eq!(body.request(&assets()), Ok(reserve()));
}

#[test]
fn currency_is_another_name_of_asset() {
    let body = |names: serde_json::Value| {
        let mut body = json!({
            "user_id": uuid(1), "amount": "1", "order_id": uuid(2), "reason": "TRADING_FUNDING",
        });
        body.as_object_mut().unwrap().extend(names.as_object().unwrap().clone());
        serde_json::from_value::<ReserveBody>(body).unwrap().request(&assets())
    };
    assert_eq!(body(json!({"currency": "BTC"})).unwrap().asset, code("BTC"));
    assert!(body(json!({"currency": "BTC", "asset": "BTC"})).is_ok());
    assert_eq!(body(json!({"currency": "BTC", "asset": "USD"})).unwrap_err().field, "currency");
    assert_eq!(body(json!({})).unwrap_err().field, "asset");
    assert_eq!(body(json!({"asset": null, "currency": "USD"})).unwrap().asset, code("USD"));
}

#[test]
fn numbers_unknown_fields_and_unknown_words_are_refused() {
    let good = json!({
        "user_id": uuid(1), "asset": "BTC", "amount": "1", "order_id": uuid(2),
        "reason": "ORDER_PLACEMENT",
    });
    assert!(serde_json::from_value::<ReserveBody>(good.clone()).is_ok());
    for (field, value) in [
        ("amount", json!(1)),
        ("amount", json!(1.5)),
        ("amount", json!(null)),
        ("reason", json!("order_placement")),
        ("user_id", json!("user123")),
        ("more", json!("x")),
    ] {
        let mut body = good.clone();
        body[field] = value;
        assert!(serde_json::from_value::<ReserveBody>(body).is_err(), "{field}");
    }
    let twice = r#"{"granted":true,"granted":false}"#;
    assert!(serde_json::from_str::<ConcludeBody>(twice).is_err());
}

/// Whether a body or an answer takes a JSON number, whole or not, for its money.
fn takes_numbers<T: serde::de::DeserializeOwned>(
    good: &serde_json::Value,
    fields: &[&str],
) -> bool {
    assert!(serde_json::from_value::<T>(good.clone()).is_ok());
    let taken = |field: &&&str, number: serde_json::Value| {
        let mut body = good.clone();
        assert!(body[**field].is_string(), "{field}");
        body[**field] = number;
        serde_json::from_value::<T>(body).is_ok()
    };
    let numbers = [json!(1), json!(1.5), json!(1e2)];
    fields.iter().any(|field| numbers.iter().any(|number| taken(&field, number.clone())))
}

#[test]
fn d34_no_float_touches_money() {
    use crate::wire::{BalanceAnswer, ReleaseAnswer, ReserveAnswer};
    let body = serde_json::to_value(ReserveBody::new(&reserve(), &assets()).unwrap()).unwrap();
    assert!(!takes_numbers::<ReserveBody>(&body, &["amount"]));
    let body = serde_json::to_value(SettleBody::new(&settle(), &assets()).unwrap()).unwrap();
    let money = ["base_amount", "quote_amount", "price", "buyer_fee", "seller_fee"];
    assert!(!takes_numbers::<SettleBody>(&body, &money));
    let body = json!({"order_id": uuid(1), "reason": "ORDER_FILLED", "captured_total": "1"});
    assert!(!takes_numbers::<ReleaseBody>(&body, &["captured_total"]));
    let answer = json!({
        "reservation_id": uuid(1), "success": true, "available_balance": "1",
        "reserved_balance": "1", "released_amount": "1", "user_id": uuid(2), "currency": "BTC",
        "total_balance": "1",
    });
    let money = ["available_balance", "reserved_balance"];
    assert!(!takes_numbers::<ReserveAnswer>(&answer, &money));
    assert!(!takes_numbers::<ReleaseAnswer>(&answer, &["released_amount"]));
    assert!(!takes_numbers::<BalanceAnswer>(&answer, &money));
}

#[test]
fn a_release_needs_something_to_release() {
    let request = ReleaseRequest {
        reservation_id: None,
        order_id: Some(uuid(2)),
        asset: code("USDT"),
        reason: ReleaseReason::OrderCreationFailed,
        captured_total: Some(7_499_970_000_000),
    };
    let body = ReleaseBody::new(&request, &assets()).unwrap();
    let written = serde_json::to_value(&body).unwrap();
    let expected = json!({
        "order_id": uuid(2), "asset": "USDT", "reason": "ORDER_CREATION_FAILED",
        "captured_total": "74999.7",
    });
    assert_eq!(written, expected);
    assert_eq!(body.named_asset(&assets()), Ok(Some(code("USDT"))));
    assert_eq!(body.request(code("USDT"), &assets()), Ok(request));
    let nothing = ReleaseBody { order_id: None, asset: None, ..body };
    assert_eq!(nothing.named_asset(&assets()), Ok(None));
    assert_eq!(nothing.request(code("USDT"), &assets()).unwrap_err().field, "reservation_id");
}

fn settle() -> SettleRequest {
    SettleRequest {
        trade_id: uuid(3),
        buyer_id: uuid(1),
        seller_id: uuid(4),
        buyer_order_id: uuid(2),
        seller_order_id: uuid(5),
        base: code("BTC"),
        quote: code("USDT"),
        base_amount: 150_000_000,
        quote_amount: 7_485_000_000_000,
        price: Decimal::from(49_900),
        buyer_fee: 14_970_000_000,
        seller_fee: -1,
        credit_to: CreditTo::Reserved,
    }
}

#[test]
fn a_settlement_is_exact_both_ways() {
    let body = SettleBody::new(&settle(), &assets()).unwrap();
    assert_eq!(body.quote_amount, "74850");
    assert_eq!(body.price, "49900");
    assert_eq!((body.buyer_fee.as_str(), body.seller_fee.as_str()), ("149.7", "-0.00000001"));
    let mut written = serde_json::to_value(&body).unwrap();
    assert_eq!(written["credit_to"], "RESERVED");
    let read: SettleBody = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read.request(&assets()), Ok(settle()));
    written.as_object_mut().unwrap().remove("credit_to");
    let read: SettleBody = serde_json::from_value(written).unwrap();
    assert_eq!(read.credit_to, CreditTo::Available, "what leaves it out means AVAILABLE");
}

#[test]
fn each_field_of_a_settlement_is_named_when_refused() {
    let good = SettleBody::new(&settle(), &assets()).unwrap();
    type Spoil = fn(&mut SettleBody);
    let spoiled: [(&str, Spoil); 6] = [
        ("base_currency", |body| body.base_currency = "DOGE".to_owned()),
        ("quote_currency", |body| body.quote_currency = "usdt".to_owned()),
        ("base_amount", |body| body.base_amount = "-1".to_owned()),
        ("quote_amount", |body| body.quote_amount = "0.000000001".to_owned()),
        ("price", |body| body.price = "0".to_owned()),
        ("seller_fee", |body| body.seller_fee = "x".to_owned()),
    ];
    for (field, spoil) in spoiled {
        let mut body = good.clone();
        spoil(&mut body);
        assert_eq!(body.request(&assets()).unwrap_err().field, field);
    }
    let foreign = SettleRequest { base: code("DOGE"), ..settle() };
    assert_eq!(SettleBody::new(&foreign, &assets()).unwrap_err().field, "base_currency");
    let huge = SettleRequest { base_amount: u128::MAX, ..settle() };
    assert_eq!(SettleBody::new(&huge, &assets()).unwrap_err().field, "base_amount");
}
