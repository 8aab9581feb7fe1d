//! Answers there and back, and those that say nothing usable.

use serde_json::json;

use super::*;

fn code(text: &str) -> AssetCode {
    AssetCode::new(text).unwrap()
}

fn assets() -> Assets {
    Assets::new([(code("BTC"), 8), (code("USDT"), 8)]).unwrap()
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

#[test]
fn reserve_and_release_are_read_back() {
    let balance = WalletBalance { available: 2_485_000_000_000, reserved: 7_515_000_000_000 };
    let reserved = Reserved { reservation_id: uuid(7), balance };
    let answer = ReserveAnswer::new(&reserved, code("USDT"), &assets()).unwrap();
    let written = serde_json::to_value(&answer).unwrap();
    let expected = json!({
        "reservation_id": uuid(7), "success": true,
        "available_balance": "24850", "reserved_balance": "75150",
    });
    assert_eq!(written, expected);
    assert_eq!(answer.reserved(code("USDT"), &assets()), Ok(reserved));

    let released = Released { released: 15_030_000_000 };
    let answer = ReleaseAnswer::new(&released, code("USDT"), &assets()).unwrap();
    let written = serde_json::to_value(&answer).unwrap();
    assert_eq!(written, json!({"success": true, "released_amount": "150.3", "asset": "USDT"}));
    assert_eq!(answer.released(code("USDT"), &assets()), Ok(released));
    assert_eq!(answer.released(code("BTC"), &assets()).unwrap_err().field, "asset");
    let unnamed = ReleaseAnswer { asset: None, ..answer };
    assert_eq!(unnamed.released(code("USDT"), &assets()), Ok(released));
}

#[test]
fn an_answer_may_have_more_fields_but_not_fewer() {
    let answer = json!({
        "success": true, "settlement_id": uuid(9), "buyer_reservation_released": true,
        "seller_reservation_released": false, "settled_at": "2025-01-02T03:04:05.000000006Z",
        "seq": 12,
    });
    let read: SettleAnswer = serde_json::from_value(answer.clone()).unwrap();
    let settlement = read.settlement().unwrap();
    assert_eq!(settlement.settled_at_ns, 1_735_787_045_000_000_006);
    assert_eq!(SettleAnswer::new(&settlement).settlement(), Ok(settlement));
    let mut fewer = answer.clone();
    fewer.as_object_mut().unwrap().remove("settlement_id");
    assert!(serde_json::from_value::<SettleAnswer>(fewer).is_err());
    for time in ["yesterday", "1969-12-31T23:59:59Z", ""] {
        let mut other = answer.clone();
        other["settled_at"] = json!(time);
        let read: SettleAnswer = serde_json::from_value(other).unwrap();
        assert_eq!(read.settlement().unwrap_err().field, "settled_at", "{time}");
    }
    let mut untimed = answer;
    untimed.as_object_mut().unwrap().remove("settled_at");
    let read: SettleAnswer = serde_json::from_value(untimed).unwrap();
    assert_eq!(read.settlement().unwrap().settled_at_ns, 0);
}

#[test]
fn a_balance_of_somebody_else_is_not_taken() {
    let balance = WalletBalance { available: 100_000_000, reserved: 1 };
    let answer = BalanceAnswer::new(uuid(1), code("BTC"), &balance, &assets()).unwrap();
    assert_eq!(answer.total_balance, "1.00000001");
    assert_eq!(answer.balance(uuid(1), code("BTC"), &assets()), Ok(balance));
    assert!(answer.balance(uuid(2), code("BTC"), &assets()).is_err());
    assert!(answer.balance(uuid(1), code("USDT"), &assets()).is_err());
}

#[test]
fn the_status_of_a_reservation_follows_its_amounts() {
    let active = Reservation {
        reservation_id: uuid(1),
        order_id: uuid(2),
        user_id: uuid(3),
        asset: code("BTC"),
        original: 10,
        remaining: 6,
        captured: 4,
        released: 0,
        ended: false,
    };
    let released = Reservation { remaining: 0, released: 6, ended: true, ..active };
    let consumed = Reservation { remaining: 0, captured: 10, ended: true, ..active };
    for (reservation, status) in [
        (active, ReservationStatus::Active),
        (released, ReservationStatus::Released),
        (consumed, ReservationStatus::Consumed),
    ] {
        let answer = ReservationAnswer::new(&reservation, &assets()).unwrap();
        assert_eq!(answer.status, status);
        assert_eq!(answer.reservation(&assets()), Ok(reservation));
    }
    let word = serde_json::to_value(ReservationStatus::Consumed).unwrap();
    assert_eq!(word, json!("CONSUMED"));
}

#[test]
fn funding_events_are_read_back() {
    for (direction, word) in
        [(FundingDirection::Fund, "FUND"), (FundingDirection::Recall, "RECALL")]
    {
        let (transaction_id, user_id) = (uuid(8), uuid(1));
        let asset = code("BTC");
        let event =
            FundingEvent { cursor: 5, transaction_id, direction, user_id, asset, amount: 3 };
        let item = FundingEventItem::new(&event, &assets()).unwrap();
        let written = serde_json::to_value(&item).unwrap();
        assert_eq!(written["direction"], word);
        assert_eq!(written["amount"], "0.00000003");
        let item: FundingEventItem = serde_json::from_value(written).unwrap();
        assert_eq!(item.event(&assets()), Ok(event));
    }
}

#[test]
fn items_of_a_batch_are_bodies_or_refusals() {
    let done = ConcludeAnswer { success: true, completed: true };
    let refused =
        BatchResult::Refused { error: "too little".to_owned(), code: "CONFLICT".to_owned() };
    let answer = BatchAnswer { results: vec![BatchResult::Done(done), refused] };
    let expected = json!({"results": [
        {"success": true, "completed": true}, {"error": "too little", "code": "CONFLICT"},
    ]});
    assert_eq!(serde_json::to_value(&answer).unwrap(), expected);
}

#[test]
fn a_refusal_needs_only_its_code_and_text() {
    let body: ErrorBody = serde_json::from_str(r#"{"error":"x","code":"CONFLICT","n":1}"#).unwrap();
    assert_eq!((body.code.as_str(), body.message.as_str()), ("CONFLICT", ""));
}
