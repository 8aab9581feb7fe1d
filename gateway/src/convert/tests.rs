//! Tables of texts that are taken and texts that are refused.

use super::*;
use crate::views::tests::btc_usdt;

fn words<T>(outcome: Result<T, ApiError>) -> Result<T, (ErrorCode, String)> {
    outcome.map_err(|error| {
        let code = error.code();
        let body = format!("{error:?}");
        let text = body.split("text: \"").nth(1).and_then(|rest| rest.split('"').next());
        (code, text.unwrap_or_default().to_owned())
    })
}

#[test]
fn quantities() {
    let btc = btc_usdt();
    assert_eq!(words(quantity("1.5", &btc)), Ok(Quantity(1_500_000)));
    assert_eq!(words(quantity("0.000001000", &btc)), Ok(Quantity(1)));
    let largest = Decimal { units: i128::from(QUANTITY_LOTS_MAX), scale: 6 }.to_string();
    assert_eq!(words(quantity(&largest, &btc)), Ok(Quantity(QUANTITY_LOTS_MAX)));
    let past = Decimal { units: i128::from(QUANTITY_LOTS_MAX) + 1, scale: 6 }.to_string();
    for (text, why) in [
        ("0", "quantity must be greater than 0"),
        ("-0", "quantity must be greater than 0"),
        ("-1.5", "quantity must be greater than 0"),
        ("-0.000000000001", "quantity must be greater than 0"),
        ("abc", "invalid quantity format"),
        ("", "invalid quantity format"),
        ("1e5", "invalid quantity format"),
        ("NaN", "invalid quantity format"),
        ("+1", "invalid quantity format"),
        ("01", "invalid quantity format"),
        ("1_000", "invalid quantity format"),
        ("\u{661}", "invalid quantity format"),
        ("\u{ff11}", "invalid quantity format"),
        ("1.0000001", "quantity must be a multiple of 0.000001"),
        ("0.000000001", "quantity must be a multiple of 0.000001"),
        ("99999999999999999999", "quantity is too large"),
        (past.as_str(), "quantity is too large"),
    ] {
        let expected = Err((ErrorCode::InvalidQuantity, why.to_owned()));
        assert_eq!(words(quantity(text, &btc)), expected, "{text:?}");
    }
}

#[test]
fn prices() {
    let btc = btc_usdt();
    assert_eq!(words(price("50000.00", &btc)), Ok(Price(5_000_000)));
    assert_eq!(words(price("0.01", &btc)), Ok(Price(1)));
    assert_eq!(words(price("10000000", &btc)), Ok(Price(1_000_000_000)));
    for (text, why) in [
        ("0.00", "price must be greater than 0 for limit orders"),
        ("-5", "price must be greater than 0 for limit orders"),
        ("1e5", "invalid price format"),
        ("0.001", "price must be a multiple of 0.01"),
        ("10000000.01", "price is too large"),
        ("99999999999999999999", "price is too large"),
        ("999999999999999999999999999999999999", "price is too large"),
    ] {
        let expected = Err((ErrorCode::InvalidPrice, why.to_owned()));
        assert_eq!(words(price(text, &btc)), expected, "{text:?}");
    }
}

#[test]
fn what_starts_a_stop() {
    let btc = btc_usdt();
    assert_eq!(words(stop_price("10000000", &btc)), Ok(Price(1_000_000_000)), "at the bound");
    assert_eq!(words(trail_amount("0.010", &btc)), Ok(1));
    assert_eq!(words(trail_percent("0.01")), Ok(1));
    assert_eq!(words(trail_percent("99.990")), Ok(TRAIL_BPS_MAX));
    assert_eq!(percent(1_250).to_string(), "12.5");
    let refused = |why: &str| (ErrorCode::InvalidStopPrice, why.to_owned());
    let past = words(stop_price("10000000.01", &btc));
    assert_eq!(past, Err(refused("stop price is too large")), "one past it");
    for text in ["0", "-1", "100", "99999999999999999999999999999999999999"] {
        let why = refused("trail percent must be from 0.01 to 99.99");
        assert_eq!(words(trail_percent(text)), Err(why), "{text:?}");
    }
}

#[test]
fn moments() {
    assert_eq!(words(expires_at("1970-01-01T00:00:00.000000001Z")), Ok(1));
    assert_eq!(words(expires_at("2026-11-21T09:14:36.123Z")), Ok(1_795_252_476_123_000_000));
    assert_eq!(words(expires_at("2026-11-21T10:14:36.123+01:00")), Ok(1_795_252_476_123_000_000));
    assert_eq!(words(expires_at("2554-07-21T23:34:33.709551615Z")), Ok(u64::MAX), "at the bound");
    for text in ["2554-07-21T23:34:33.709551616Z", "1969-12-31T23:59:59.999999999Z"] {
        let why = "expires_at must be from 1970 to 2554".to_owned();
        assert_eq!(words(expires_at(text)), Err((ErrorCode::InvalidExpiry, why)), "one past it");
    }
    for text in [
        "",
        "Z",
        "2026-11-21T09:14:36",
        "2026-11-21t09:14:36z",
        "2026-11-21T09:14:36+1",
        "\u{661}026-11-21T09:14:36Z",
    ] {
        let why = "invalid expires_at format".to_owned();
        assert_eq!(words(expires_at(text)), Err((ErrorCode::InvalidExpiry, why)), "{text:?}");
    }
}

#[test]
fn amounts() {
    let usdt = btc_usdt().quote;
    assert_eq!(words(amount("75150", &usdt)), Ok(7_515_000_000_000));
    assert_eq!(words(amount("0.00000001", &usdt)), Ok(1));
    assert_eq!(words(amount("13292279957849158729038070602.80344576", &usdt)), Ok(SUPPLY_MAX));
    for (text, why) in [
        ("0", "amount must be greater than 0"),
        ("-1", "amount must be greater than 0"),
        ("0.000000001", "amount has more than 8 decimal places"),
        ("x", "invalid amount format"),
        ("99999999999999999999999999999999999999", "amount is too large"),
        ("13292279957849158729038070602.80344577", "amount is too large"),
    ] {
        let expected = Err((ErrorCode::InvalidAmount, why.to_owned()));
        assert_eq!(words(amount(text, &usdt)), expected, "{text:?}");
    }
}

#[test]
fn symbols() {
    let mut products = Products::default();
    let btc = btc_usdt();
    for asset in [btc.base, btc.quote] {
        let Asset { id, code, scale } = asset;
        products.apply(&engine::Event::AssetAdded { asset: id, code, scale });
    }
    products.apply(&engine::Event::InstrumentAdded(btc.spec));
    for text in ["BTC/USDT", "BTC-USDT", "BTC_USDT"] {
        assert_eq!(symbol(text, &products).unwrap().symbol, "BTC/USDT");
    }
    for text in ["BTCUSDT", "btc/usdt", "BTC/", "/USDT", "BTC//USDT", "BTC-US-DT", "B/", ""] {
        assert_eq!(symbol(text, &products).unwrap_err().code(), ErrorCode::InvalidSymbol);
    }
    let (longest, longer) = ("ABCDEFGHIJ/ABCDEFGHI", "ABCDEFGHIJ/ABCDEFGHIJ");
    assert_eq!(symbol(longest, &products).unwrap_err().code(), ErrorCode::SymbolNotFound);
    assert_eq!(symbol(longer, &products).unwrap_err().code(), ErrorCode::InvalidSymbol);
    assert_eq!(symbol("INVALID-XXX", &products).unwrap_err().code(), ErrorCode::SymbolNotFound);
}

#[test]
fn client_order_ids() {
    assert!(client_order_id("a").is_ok());
    assert!(client_order_id(" ~").is_ok());
    assert!(client_order_id(&"x".repeat(100)).is_ok());
    for text in ["", "a\n", "\u{e4}", "\u{7f}", &"x".repeat(101)] {
        assert_eq!(client_order_id(text).unwrap_err().code(), ErrorCode::InvalidClientOrderId);
    }
}

#[test]
fn presented_numbers() {
    let btc = btc_usdt();
    let average = |lots, quote| average_price(&btc, Quantity(lots), quote);
    assert_eq!(average(1_500_000, 7_485_000_000_000).as_deref(), Some("49900"));
    assert_eq!(average(3, 1_000).as_deref(), Some("3.33333333"));
    assert_eq!(average(0, 0), None);
    let spec = engine::InstrumentSpec {
        base_per_lot: 10_000_000_000_000_000,
        quote_per_tick_lot: 1,
        ..btc.spec
    };
    let fine = |scale| Asset { scale, ..btc.quote };
    let instrument = Instrument::new(spec, Asset { scale: 16, ..btc.base }, fine(12)).unwrap();
    let average = average_price(&instrument, Quantity(3), 10_000_000_000_000).unwrap();
    assert_eq!(average, "3.333333333333", "as many places as its tick of 10^-12");
    assert_eq!(rate(1000).to_string(), "0.001");
    assert_eq!(rate(-50).to_string(), "-0.00005");
    assert_eq!(time(1_795_252_476_123_000_000), "2026-11-21T09:14:36.123Z");
}

#[test]
fn words_lead_back_to_their_member() {
    assert_eq!(member("SELL", Side::ALL, side_word), Some(Side::Sell));
    assert_eq!(member("sell", Side::ALL, side_word), None);
    assert_eq!(member("FOK", TimeInForce::ALL, time_in_force_word), Some(TimeInForce::Fok));
}
