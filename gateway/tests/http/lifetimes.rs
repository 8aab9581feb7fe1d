//! How long orders stay in force: which may have which, what ends by time, what ends with the day.

use axum::http::Method;
use serde_json::{Value, json};

use crate::harness::{Exchange, and, limit, rows};
use crate::money::PATIENCE;
use crate::stops::order;

/// A moment so many milliseconds from now, as the API writes times.
pub(crate) fn in_ms(exchange: &Exchange, ms: u64) -> String {
    let now_ns = exchange.app.state().clock.wall_ns();
    gateway::convert::time(now_ns + ms * 1_000_000)
}

impl Exchange {
    /// Asks until the order has ended.
    pub(crate) async fn ended(&self, user: &str, id: &str) -> Value {
        let look = async {
            loop {
                let shown = self.own_order(user, id).await;
                if shown.get("status_reason").is_some() {
                    return shown;
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("it ends")
    }
}

/// Nothing else comes in, and nothing is journaled but the order, its cancel and one look at time.
#[tokio::test]
async fn an_order_ends_at_its_moment_in_a_quiet_market() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let before = exchange.sequence();
    let hour = json!({"time_in_force": "GTD", "expires_at": in_ms(&exchange, 3_600_000)});
    let long = exchange.placed("buyer", and(limit("BUY", "0.1", "50000"), hour)).await;
    let soon = in_ms(&exchange, 1_500);
    // Without a time in force it means GTD.
    let body = and(limit("BUY", "1", "50000"), json!({"expires_at": soon, "client_order_id": "k"}));
    let placed = exchange.placed("buyer", body.clone()).await;
    assert_eq!(placed["time_in_force"], "GTD");
    assert_eq!((&placed["expires_at"], &placed["status"]), (&json!(soon), &json!("OPEN")));
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "20040", "55110")]));
    let ended = exchange.ended("buyer", placed["id"].as_str().unwrap()).await;
    let shown = ["status", "status_reason", "expires_at"].map(|f| ended[f].as_str().unwrap());
    assert_eq!(shown, ["CANCELLED", "EXPIRED", soon.as_str()]);
    let moment = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(moment(&ended["cancelled_at"]) >= moment(&ended["expires_at"]));
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "70140", "5010")]));
    assert_eq!(exchange.sequence(), before + 3, "two orders, and time passed once");
    let path = format!("/api/v1/orders/{}", placed["id"].as_str().unwrap());
    exchange.delete("buyer", &path).await.refused(409, "ORDER_NOT_CANCELLABLE");
    exchange.delete("buyer", &format!("/api/v1/orders/{}", long["id"].as_str().unwrap())).await;
    let exchange = exchange.restarted(directory.path(), &["buyer"]).await;
    let again = exchange.place("buyer", body).await.expect(201);
    assert!(again.is_replayed());
    assert_eq!(again.text("status"), "OPEN", "the first answer");
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "75150", "0")]));
}

#[tokio::test]
async fn many_end_in_their_turn_and_a_stop_ends_unstarted() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let mut ids = Vec::new();
    for ms in [2_000, 1_000, 1_500] {
        let body = json!({"stop_price": "60000", "expires_at": in_ms(&exchange, ms)});
        let placed = exchange.placed("buyer", order("BUY", "STOP", "0.1", body)).await;
        ids.push(placed["id"].as_str().unwrap().to_owned());
    }
    let mut ends = Vec::new();
    for id in &ids {
        let ended = exchange.ended("buyer", id).await;
        assert_eq!(ended["status_reason"], "EXPIRED");
        assert!(ended.get("triggered_at").is_none());
        ends.push(ended["cancelled_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
    }
    assert!(ends[1] <= ends[2] && ends[2] <= ends[0], "{ends:?}");
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "75150", "0")]));
}

#[tokio::test]
async fn what_ended_while_nobody_was_there_is_ended_by_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let soon = in_ms(&exchange, 1_500);
    let body = and(limit("SELL", "1.5", "50000"), json!({"expires_at": soon}));
    let placed = exchange.placed("seller", body).await;
    let id = placed["id"].as_str().unwrap();
    exchange.app.shutdown().await.unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    assert_eq!(exchange.ended("seller", id).await["status_reason"], "EXPIRED");
    assert_eq!(exchange.balances("seller").await, rows(&[("BTC", "1.5", "0")]));
    exchange.restarted(directory.path(), &["seller"]).await;
}

#[tokio::test]
async fn a_moment_that_has_passed_is_refused_and_kept() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let body = and(limit("BUY", "1", "50000"), json!({"expires_at": "2020-01-02T03:04:05Z"}));
    let refused = exchange.place("buyer", body).await.refused(400, "INVALID_EXPIRY");
    let id = refused.body["details"]["order_id"].as_str().unwrap();
    let kept = exchange.own_order("buyer", id).await;
    let shown = ["status", "status_reason", "expires_at"].map(|f| kept[f].as_str().unwrap());
    assert_eq!(shown, ["REJECTED", "INVALID_EXPIRY", "2020-01-02T03:04:05Z"]);
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "75150", "0")]));
}

#[tokio::test]
async fn misshapen_moments_are_refused_and_not_journaled() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = exchange.sequence();
    let good = limit("BUY", "1", "50000");
    for (more, text) in [
        (json!({"time_in_force": "GTD"}), "expires_at is required for GTD"),
        (
            json!({"time_in_force": "GTC", "expires_at": "2099-01-01T00:00:00Z"}),
            "expires_at is only allowed for GTD",
        ),
        (json!({"expires_at": 4_070_908_800_u64}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01T00:00:00"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01 00:00:00Z"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-02-29T00:00:00Z"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01T00:00:00.1234567890Z"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01T00:00:00.Z"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01T00:00:00+0100"}), "invalid expires_at format"),
        (json!({"expires_at": "2099-01-01T00:00:00Z[UTC]"}), "invalid expires_at format"),
        (json!({"expires_at": "1969-12-31T23:59:59Z"}), "expires_at must be from 1970 to 2554"),
        (json!({"expires_at": "2600-01-01T00:00:00Z"}), "expires_at must be from 1970 to 2554"),
    ] {
        let refused = exchange.place("buyer", and(good.clone(), more)).await;
        let refused = refused.refused(400, "INVALID_EXPIRY");
        assert_eq!(
            (&refused.body["details"]["field"], refused.text("error")),
            (&json!("expires_at"), text)
        );
    }
    assert_eq!(exchange.sequence(), before);
    let body = and(good, json!({"expires_at": "2099-01-01T01:30:00.000000001+01:30"}));
    let placed = exchange.placed("buyer", body).await;
    assert_eq!(placed["expires_at"], "2099-01-01T00:00:00.000000001Z");
}

/// Which order may have which time in force, and how it is shown.
#[tokio::test]
async fn each_type_has_its_times_in_force() {
    let exchange = Exchange::start().await;
    exchange.credit("buyer", "USDT", "100000").await.expect(201);
    exchange.credit("seller", "BTC", "1").await.expect(201);
    exchange.fund_traders().await;
    exchange.trade_at("100").await;
    exchange.limit("seller", "SELL", "1", "101").await;
    let stop = json!({"stop_price": "105"});
    let priced = json!({"stop_price": "105", "price": "105"});
    let low = json!({"price": "99"});
    let trail = json!({"trail_percent": "5"});
    let five = ["GTC", "GTD", "DAY", "IOC", "FOK"];
    for (kind, terms, allowed) in [
        ("LIMIT", low, &five[..4]),
        ("MARKET", json!({}), &["GTC", "IOC", "FOK"]),
        ("STOP", stop.clone(), &five[..3]),
        ("TAKE_PROFIT", json!({"stop_price": "95"}), &five[..3]),
        ("TRAILING_STOP", trail, &five[..3]),
        ("STOP", priced, &five[..]),
        ("TAKE_PROFIT", json!({"stop_price": "95", "price": "95"}), &five[..]),
    ] {
        for named in five {
            let mut body =
                and(order("BUY", kind, "0.01", terms.clone()), json!({"time_in_force": named}));
            if named == "GTD" {
                body["expires_at"] = json!(in_ms(&exchange, 3_600_000));
            }
            let before = exchange.sequence();
            let placed = exchange.place("buyer", body).await;
            if allowed.contains(&named) {
                let shown = if (kind, named) == ("MARKET", "GTC") { "IOC" } else { named };
                assert_eq!(placed.expect(201).text("time_in_force"), shown, "{kind} {terms}");
            } else if (kind, named) == ("LIMIT", "FOK") {
                placed.refused(400, "FOK_UNFILLABLE");
            } else {
                placed.refused(400, "INVALID_TIME_IN_FORCE");
                assert_eq!(exchange.sequence(), before, "{kind} {terms} {named}");
            }
        }
    }
    let post = json!({"post_only": true, "time_in_force": "DAY", "price": "99"});
    exchange.placed("buyer", order("BUY", "LIMIT", "0.01", post.clone())).await;
    let post = and(post, json!({"time_in_force": "FOK"}));
    let refused = exchange.place("buyer", order("BUY", "LIMIT", "0.01", post)).await;
    let text = "post-only cannot be combined with IOC or FOK";
    assert_eq!(refused.refused(400, "VALIDATION_ERROR").text("error"), text);
}

#[tokio::test]
async fn the_end_of_a_session_ends_day_orders_of_its_symbol() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    let day = json!({"time_in_force": "DAY"});
    let first = exchange.placed("buyer", and(limit("BUY", "0.1", "50000"), day.clone())).await;
    let stop = and(day.clone(), json!({"stop_price": "60000"}));
    let second = exchange.placed("buyer", order("BUY", "STOP", "0.1", stop)).await;
    let kept = exchange.limit("buyer", "BUY", "0.1", "50000").await;
    let other = json!({"symbol": "ETH/USDT", "price": "2000", "quantity": "1"});
    let other = exchange.placed("buyer", and(and(limit("BUY", "1", "1"), day), other)).await;
    let end = async |symbol: &str| {
        let path = format!("/symbols/{symbol}/end-session");
        exchange.admin(Method::POST, &path, None).await
    };
    end("XRP-USDT").await.refused(404, "SYMBOL_NOT_FOUND");
    let ended = end("BTC-USDT").await.expect(200);
    assert_eq!(ended.body, json!({"symbol": "BTC/USDT", "closed": 2}));
    assert_eq!(ended.headers["x-seq"], exchange.sequence().to_string().as_str());
    for placed in [first, second] {
        let shown = exchange.own_order("buyer", placed["id"].as_str().unwrap()).await;
        assert_eq!(
            (&shown["status"], &shown["status_reason"]),
            (&json!("CANCELLED"), &json!("SESSION_END"))
        );
    }
    for id in [kept.as_str(), other["id"].as_str().unwrap()] {
        assert_eq!(exchange.own_order("buyer", id).await["status"], "OPEN");
    }
    // 5,010 for the one that stays, 2,004 for the other symbol's.
    assert_eq!(exchange.balances("buyer").await, rows(&[("USDT", "68136", "7014")]));
    assert_eq!(end("BTC-USDT").await.expect(200).body["closed"], 0);
    exchange.restarted(directory.path(), &["buyer"]).await;
}
