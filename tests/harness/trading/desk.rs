//! Owns what a client of these tests knows of the API: a few requests, and what of an answer must
//! be the same in every repeat. Knows nothing of processes. Invariant: a first answer is kept
//! whole, so a repeat is compared whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::app::{App, files};
use crate::http_client::{Answer, HttpClient, Outcome, Request};
use serde_json::{Value, json};

use super::truth::StateHash;

/// Status and body, without what belongs to the request.
pub type Told = (u16, Value);

/// A request whose first answer binds all later ones.
#[derive(Clone, Debug)]
pub struct Bound {
    pub body: String,
    pub first: Told,
}

impl Bound {
    /// Holds the answer to a repeat against the first one.
    pub fn check_repeat(&self, answer: &Answer) {
        let Self { body, first } = self;
        assert_eq!(&told(answer), first, "repeat of {body}");
        assert!(is_replayed(answer), "done twice? {body}: {first:?}");
    }
}

/// What of an answer must be the same in every repeat.
pub fn told(answer: &Answer) -> Told {
    let mut body = answer.json();
    for place in ["", "/order"] {
        if let Some(fields) = body.pointer_mut(place).and_then(Value::as_object_mut) {
            fields.remove("request_id");
        }
    }
    (answer.status, body)
}

/// Whether the answer says that it was given before.
pub fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// The text in a field; empty if it is not there.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

pub fn post_order(body: &str) -> Request<'_> {
    Request::post("/api/v1/orders", body)
}

pub fn post_credit(body: &str) -> Request<'_> {
    Request::post("/api/v1/admin/credits", body)
}

/// The hash of the live state.
pub fn live_hash(admin: &mut HttpClient, token: &str) -> StateHash {
    let answer = admin.ask(&Request::get("/api/v1/admin/state-hash").with_token(token));
    assert_eq!(answer.status, 200, "{:?}", answer.json());
    state_hash(&answer.json(), "sequence")
}

/// The hash in an answer, or in a line of the command line.
pub fn state_hash(body: &Value, sequence: &str) -> StateHash {
    let sequence = body[sequence].as_u64().expect("a sequence");
    StateHash { sequence, hash: text(body, "state_hash").to_owned() }
}

/// One user with money, and an operator.
#[derive(Clone, Debug)]
pub struct Customer {
    token: String,
    admin_token: String,
}

impl Customer {
    /// A user of a running exchange, funded.
    pub fn of(app: &App) -> Self {
        let customer = Self {
            token: app.token("customer", "read,trade"),
            admin_token: app.token("operator", "admin"),
        };
        let mut admin = HttpClient::new(app.admin());
        for (asset, amount) in [("BTC", "1000"), ("USDT", "50000000")] {
            let body = json!({
                "user": "customer", "asset": asset, "amount": amount, "reference": asset,
            });
            let body = body.to_string();
            let answer = admin.ask(&post_credit(&body).with_token(&customer.admin_token));
            assert_eq!(answer.status, 201, "{:?}", answer.json());
        }
        customer
    }

    /// A small order at the one price there is: an odd number sells, the next one buys that.
    pub fn order(key: &str, number: u64) -> String {
        let side = if number.is_multiple_of(2) { "BUY" } else { "SELL" };
        let body = json!({
            "symbol": "BTC/USDT", "side": side, "type": "LIMIT", "price": "50000",
            "quantity": format!("0.00{}", number.div_ceil(2) % 9 + 1), "client_order_id": key,
        });
        body.to_string()
    }

    /// The request as one of this user.
    pub fn signed<'a>(&'a self, request: Request<'a>) -> Request<'a> {
        request.with_token(&self.token)
    }

    /// Sends [`Self::order`].
    pub fn try_order(&self, public: &mut HttpClient, key: &str, number: u64) -> Sent {
        let body = Self::order(key, number);
        match public.persist(&self.signed(post_order(&body))) {
            Outcome::Answered(answer) if answer.status == 503 => Sent::Refused,
            Outcome::Answered(answer) => {
                assert_eq!(answer.status, 201, "{body}: {:?}", answer.json());
                assert!(!is_replayed(&answer), "{body}");
                Sent::Told(Bound { body, first: told(&answer) })
            }
            Outcome::NotSent(_) => Sent::Refused,
            Outcome::Unknown(_) => Sent::Unknown,
        }
    }

    /// Places so many orders, one after the other, and returns what was told of them.
    pub fn place(&self, server: SocketAddr, prefix: &str, count: u64) -> Vec<Bound> {
        let mut public = HttpClient::new(server);
        let order =
            |number| match self.try_order(&mut public, &format!("{prefix}-{number}"), number) {
                Sent::Told(bound) => bound,
                other => panic!("{prefix}-{number}: {other:?}"),
            };
        (1..=count).map(order).collect()
    }

    /// Sends everything once more: nothing may be new.
    pub fn check_repeats(&self, app: &App, orders: &[Bound]) {
        let mut public = HttpClient::new(app.public());
        for order in orders {
            order.check_repeat(&public.ask(&self.signed(post_order(&order.body))));
        }
    }

    /// The hash of the live state of a running exchange.
    pub fn live_hash(&self, app: &App) -> StateHash {
        live_hash(&mut HttpClient::new(app.admin()), &self.admin_token)
    }
}

/// What became of one order.
#[derive(Debug)]
pub enum Sent {
    Told(Bound),
    /// Nothing was done, and the client knows.
    Refused,
    Unknown,
}

/// Longer than the time between saves of a cursor that moves.
const REST: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(30);

/// The files once nothing is written any more.
pub fn settled_files(app: &App) -> BTreeMap<PathBuf, Vec<u8>> {
    let started = Instant::now();
    let mut before = files(&app.data_dir());
    let mut changed = Instant::now();
    while started.elapsed() < PATIENCE {
        thread::sleep(REST / 20);
        let after = files(&app.data_dir());
        if before != after {
            (before, changed) = (after, Instant::now());
        } else if changed.elapsed() > REST {
            return after;
        }
    }
    panic!("an exchange that nobody uses keeps writing");
}
