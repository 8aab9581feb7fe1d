//! Owns a gateway on free ports in its own directory, and requests against its routers.
//! Invariant: an exchange that a test started is shut down in order or not used any more.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use gateway::auth::Scope;
use gateway::{App, AppError, Config, Overrides, ids, router};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// A running exchange with tokens to use it.
pub(crate) struct Exchange {
    pub(crate) app: App,
    public: Router,
    admin: Router,
    _directory: Option<tempfile::TempDir>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {:?}", self.body))
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let refused = self.expect(status);
        assert_eq!(refused.code(), code, "{:?}", refused.body);
        refused
    }
}

/// Small logs, free ports, any file system. `more` goes on with the section of the wallet.
pub(crate) fn config(data_dir: &Path, more: &str) -> Config {
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         header_read_timeout_ms = 200\nidle_timeout_ms = 200\n\
         [journal]\nsync = \"os\"\nsegment_mib = 4\nallow_fs = true\n\
         [pipeline]\nwait = \"park\"\n\
         [wallet]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    let data_dir = Some(data_dir.to_owned());
    let overrides = Overrides { data_dir, ..Overrides::default() };
    Config::from_sources(&text, HashMap::new(), overrides).unwrap()
}

impl Exchange {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut exchange = Self::start_in(directory.path(), "").await.unwrap();
        exchange._directory = Some(directory);
        exchange
    }

    pub(crate) async fn start_in(data_dir: &Path, more: &str) -> Result<Self, AppError> {
        Self::start_with(config(data_dir, more)).await
    }

    pub(crate) async fn start_with(config: Config) -> Result<Self, AppError> {
        let app = App::start(config).await?;
        let public = router::public(app.state().clone());
        let admin = router::operators(app.state().clone());
        Ok(Self { app, public, admin, _directory: None })
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.app.state().views.sequence()
    }

    pub(crate) fn token(&self, user: &str, scopes: &[Scope]) -> String {
        let state = self.app.state();
        let user = ids::user(user).unwrap();
        let hour = Duration::from_secs(3600);
        state.authenticator.sign(user, scopes, state.now_s(), hour).unwrap()
    }

    pub(crate) fn trader(&self, user: &str) -> String {
        self.token(user, &[Scope::Read, Scope::Trade])
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let is_admin = request.uri().path().starts_with("/api/v1/admin");
        let router = if is_admin { &self.admin } else { &self.public };
        answer(router.clone(), request).await
    }

    /// As [`Self::send`], always to the public listener's router.
    pub(crate) async fn send_public(&self, request: Request<Body>) -> Answer {
        answer(self.public.clone(), request).await
    }

    pub(crate) async fn get(&self, user: &str, path: &str) -> Answer {
        self.send(request(Method::GET, path, Some(&self.trader(user)), None)).await
    }

    pub(crate) async fn delete(&self, user: &str, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, Some(&self.trader(user)), None)).await
    }

    pub(crate) async fn patch(&self, user: &str, path: &str, body: Value) -> Answer {
        self.send(request(Method::PATCH, path, Some(&self.trader(user)), Some(&body))).await
    }

    pub(crate) async fn place(&self, user: &str, body: Value) -> Answer {
        let token = self.trader(user);
        self.send(request(Method::POST, "/api/v1/orders", Some(&token), Some(&body))).await
    }

    /// A LIMIT GTC order in BTC/USDT; gives its id.
    pub(crate) async fn limit(
        &self,
        user: &str,
        side: &str,
        quantity: &str,
        price: &str,
    ) -> String {
        let placed = self.place(user, limit(side, quantity, price)).await.expect(201);
        placed.text("id").to_owned()
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let token = self.token("operator", &[Scope::Admin]);
        let path = format!("/api/v1/admin{path}");
        self.send(request(method, &path, Some(&token), body.as_ref())).await
    }

    pub(crate) async fn credit(&self, user: &str, asset: &str, amount: &str) -> Answer {
        let reference = format!("{user}-{asset}-{amount}");
        let body = json!({"user": user, "asset": asset, "amount": amount, "reference": reference});
        self.admin(Method::POST, "/credits", Some(body)).await
    }

    /// A buyer with 75,150 USDT and a seller with 1.5 BTC.
    pub(crate) async fn fund(&self) {
        self.credit("buyer", "USDT", "75150").await.expect(201);
        self.credit("seller", "BTC", "1.5").await.expect(201);
    }

    /// An order as its owner sees it.
    pub(crate) async fn own_order(&self, user: &str, id: &str) -> Value {
        self.get(user, &format!("/api/v1/orders/{id}")).await.expect(200).body
    }

    /// Places an order and gives it as it is right after.
    pub(crate) async fn placed(&self, user: &str, body: Value) -> Value {
        self.place(user, body).await.expect(201).body
    }

    /// A trade at this price between two who do nothing else.
    pub(crate) async fn trade_at(&self, price: &str) {
        self.limit("one", "SELL", "0.01", price).await;
        self.limit("two", "BUY", "0.01", price).await;
    }

    /// Those of [`Self::trade_at`].
    pub(crate) async fn fund_traders(&self) {
        self.credit("one", "BTC", "1").await.expect(201);
        self.credit("two", "USDT", "1000").await.expect(201);
    }

    /// Depth as `(price, volume, count)`, bids and asks, best first.
    pub(crate) async fn depth(&self) -> (Vec<Level>, Vec<Level>) {
        let book = self.get("x", "/api/v1/orderbook/BTC-USDT").await.expect(200).body;
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let level =
            |row: &Value| (text(row, "price"), text(row, "volume"), row["count"].as_u64().unwrap());
        let side = |name: &str| book[name].as_array().unwrap().iter().map(level).collect();
        (side("bids"), side("asks"))
    }

    /// Everything that these users and the public are shown, but for its sequence.
    async fn shown(&self, users: &[&str]) -> String {
        let mut shown = String::new();
        for user in users {
            for path in ["/api/v1/orders?limit=100", "/api/v1/balances"] {
                let body = self.get(user, path).await.expect(200).body;
                shown += &without_sequence(body).to_string();
            }
        }
        for path in ["/api/v1/orderbook/BTC-USDT", "/api/v1/trades/BTC-USDT/recent"] {
            shown += &without_sequence(self.get("x", path).await.expect(200).body).to_string();
        }
        for path in ["/limits", "/kill-switches"] {
            shown += &self.admin(Method::GET, path, None).await.expect(200).body.to_string();
        }
        shown
    }

    /// Stops, replays and starts again, from the snapshot of the end and from the beginning of the
    /// journal: the state is the same, and so is everything that is shown.
    pub(crate) async fn restarted(self, directory: &Path, users: &[&str]) -> Self {
        let before = self.shown(users).await;
        let machine = self.app.shutdown().await.unwrap().machine;
        let fresh = engine::Engine::new(engine::EngineOptions::default());
        let replayed = pipeline::replay(directory, fresh).unwrap().machine;
        let hash = engine::StateMachine::state_hash;
        assert_eq!(hash(&replayed), hash(&machine));
        let again = Self::start_in(directory, "").await.unwrap();
        assert_eq!(again.shown(users).await, before);
        again.app.shutdown().await.unwrap();
        assert_eq!(remove_snapshots(directory), 4, "two of each journal");
        let whole = Self::start_in(directory, "").await.unwrap();
        assert_eq!(whole.shown(users).await, before);
        whole
    }

    /// `asset: available + held` for each asset.
    pub(crate) async fn balances(&self, user: &str) -> Vec<(String, String, String)> {
        let answer = self.get(user, "/api/v1/balances").await.expect(200);
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let rows = answer.body.as_array().unwrap().iter();
        rows.map(|row| (text(row, "asset"), text(row, "available"), text(row, "held"))).collect()
    }
}

/// Removes all snapshots of the exchange and of its wallet; returns how many there were.
pub(crate) fn remove_snapshots(data_dir: &Path) -> usize {
    let mut removed = 0;
    for journal in [data_dir.join("journal"), data_dir.join("wallet/journal")] {
        for entry in std::fs::read_dir(journal).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "snp") {
                std::fs::remove_file(path).unwrap();
                removed += 1;
            }
        }
    }
    removed
}

/// Price, volume and number of orders of a level.
pub(crate) type Level = (String, String, u64);

/// One side of a book as a test writes it.
pub(crate) fn levels(levels: &[(&str, &str, u64)]) -> Vec<Level> {
    levels
        .iter()
        .map(|(price, volume, count)| ((*price).into(), (*volume).into(), *count))
        .collect()
}

fn without_sequence(mut body: Value) -> Value {
    match &mut body {
        Value::Array(rows) => {
            for row in rows {
                *row = without_sequence(row.take());
            }
        }
        Value::Object(fields) => drop(fields.remove("seq")),
        _ => {}
    }
    body
}

/// A body with more fields, or other ones.
pub(crate) fn and(mut body: Value, more: Value) -> Value {
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

pub(crate) fn limit(side: &str, quantity: &str, price: &str) -> Value {
    json!({
        "symbol": "BTC/USDT", "side": side, "type": "LIMIT",
        "quantity": quantity, "price": price,
    })
}

pub(crate) fn request(
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = match body {
        None => Body::empty(),
        Some(body) => {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        }
    };
    request.body(body).unwrap()
}

pub(crate) async fn answer(router: Router, mut request: Request<Body>) -> Answer {
    request.headers_mut().insert("host", HeaderValue::from_static("exchange"));
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    assert!(parts.headers.contains_key("x-request-id"), "every answer names its request");
    if parts.status.as_u16() >= 400 {
        let fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["code", "details", "error", "request_id"], "{body}");
        assert_eq!(body["request_id"], parts.headers["x-request-id"].to_str().unwrap());
    }
    Answer { status: parts.status, headers: parts.headers, body }
}

/// `balances` as a test writes them.
pub(crate) fn rows(rows: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |row: &(&str, &str, &str)| (row.0.to_owned(), row.1.to_owned(), row.2.to_owned());
    rows.iter().map(owned).collect()
}
