//! What clients are told when the stages do not keep up. The stages move only when a test says so.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use engine::{
    AccountId, AssetId, Command, Engine, EngineOptions, InstrumentId, NewOrder, Price, Quantity,
    Side, TimeInForce, TransferId,
};
use gateway::auth::{Authenticator, Scope};
use gateway::config::{Config, WalletBackend};
use gateway::exchange::Exchange;
use gateway::limits::CLOSED_ORDERS_PER_ACCOUNT_MAX;
use gateway::metrics::{Metrics, Sources};
use gateway::money::{Money, Venue};
use gateway::replies::Waiter;
use gateway::state::{AppState, RequestBounds};
use gateway::views::{ViewFeed, Views};
use gateway::{genesis, ids, router};
use pipeline::{Clock, Instance, Lane, Stepped, SystemClock};
use serde_json::{Value, json};
use uuid::Uuid;
use wallet::rates::RateOptions;

use crate::harness::{Answer, answer, config, limit, request};

/// The smallest ring; orders may fill 80 % of it, and from the half on each has its share.
const SLOTS: usize = 64;
pub(crate) const ORDER_SLOTS: usize = 51;
pub(crate) const HALF: usize = 32;
/// Everybody has an account; the first one has money.
const USERS: [&str; 3] = ["buyer", "second", "third"];

pub(crate) struct Standing {
    pub(crate) stages: Stepped<Engine, Waiter>,
    pub(crate) router: Router,
    exchange: Arc<Exchange>,
    pub(crate) tokens: [String; 3],
    pub(crate) directory: tempfile::TempDir,
}

/// Lists the products, opens the accounts and gives the first one money.
fn opening(config: &Config, views: &Views, users: [Uuid; 3]) -> Vec<Command> {
    let mut commands = genesis::plan(&config.products, &views.products()).unwrap().commands;
    commands
        .extend(users.map(|user| Command::RegisterAccount { uuid: user.as_u128(), stp_group: 0 }));
    commands.push(Command::Credit {
        transfer_id: TransferId(1),
        account: AccountId(1),
        asset: AssetId(4),
        amount: 7_515_000_000_000,
    });
    commands
}

impl Standing {
    async fn new() -> Self {
        Self::at(Arc::new(SystemClock::new())).await
    }

    /// With this clock for stamps and requests.
    pub(crate) async fn at(clock: Arc<dyn Clock>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path(), "");
        config.pipeline.input_slots = SLOTS;
        config.wallet.backend = WalletBackend::Http;
        config.wallet_client.use_mock = true;
        let options = config.pipeline_options();
        let views = Arc::new(Views::default());
        let watched = || Instance {
            machine: Engine::new(EngineOptions::default()),
            outlets: vec![Box::new(ViewFeed(Arc::clone(&views)))],
        };
        let recovered = pipeline::recover(&options, watched).unwrap();
        let mut stages = Stepped::new(recovered, &options, clock.clone()).unwrap();

        let exchange = Arc::new(Exchange::new(stages.ingress(), Duration::from_secs(5)));
        let venue = Venue {
            exchange: Arc::clone(&exchange),
            views: Arc::clone(&views),
            cursors: stages.cursors(),
            sync: config.journal.sync,
            data_dir: config.data_dir.clone(),
            clock: clock.clone(),
            last_event: 0,
        };
        // A wallet in memory: nobody here moves money.
        let money = Money::start(&config, venue, None, "unused".to_owned()).await.unwrap();

        let users = USERS.map(|user| ids::user(user).unwrap());
        let commands = opening(&config, &views, users);
        for command in commands {
            stages.ingress().try_submit(command, None, Lane::Control).unwrap();
        }
        stages.step_all();

        let money = Arc::new(money.state());
        let metrics = Metrics::of_exchange(Sources {
            tally: Arc::default(),
            views: Arc::clone(&views),
            exchange: Arc::clone(&exchange),
            cursors: stages.cursors(),
            counters: stages.counters(),
            input_slots: 64,
            money: Arc::clone(&money),
            clock: clock.clone(),
        });
        let state = AppState {
            exchange: Arc::clone(&exchange),
            views,
            authenticator: Arc::new(Authenticator::new(&[7; 32], config.auth)),
            bounds: Arc::new(RequestBounds::new(1024, RateOptions::default(), clock.clone())),
            money,
            metrics: Arc::new(metrics),
            snapshots: None,
            clock,
        };
        let scopes = [Scope::Read, Scope::Trade];
        let hour = Duration::from_secs(3600);
        let now_s = state.now_s();
        let tokens =
            users.map(|user| state.authenticator.sign(user, &scopes, now_s, hour).unwrap());
        Self { stages, router: router::public(state), exchange, tokens, directory }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_as(0, method, path, body).await
    }

    async fn send_as(
        &self,
        user: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = request(method, path, Some(&self.tokens[user]), body.as_ref());
        answer(self.router.clone(), request).await
    }

    /// The answer to this order once the stages have moved.
    pub(crate) async fn answered(&mut self, order: &Value) -> Answer {
        let request = request(Method::POST, "/api/v1/orders", Some(&self.tokens[0]), Some(order));
        self.answered_to(request).await
    }

    pub(crate) async fn answered_to(&mut self, request: Request<Body>) -> Answer {
        let mut waiting = tokio::spawn(answer(self.router.clone(), request));
        loop {
            tokio::select! {
                biased;
                answer = &mut waiting => return answer.unwrap(),
                () = tokio::task::yield_now() => {
                    self.stages.step_all();
                }
            }
        }
    }

    async fn place(&self, key: &str) -> Answer {
        let mut order = limit("BUY", "0.01", "50000");
        order["client_order_id"] = json!(key);
        self.send(Method::POST, "/api/v1/orders", Some(order)).await
    }

    /// Places so many orders whose answers nobody waits for long enough.
    async fn crowd(&self, user: usize, orders: usize) {
        for _ in 0..orders {
            let order = Some(limit("BUY", "0.01", "50000"));
            let waited = self.send_as(user, Method::POST, "/api/v1/orders", order).await;
            waited.refused(504, "OUTCOME_UNKNOWN");
        }
    }

    /// Accounts with commands in flight, and how many may be.
    fn callers(&self) -> (u64, u64) {
        let usage = self.exchange.usage();
        let callers = usage.iter().find(|one| one.name == "callers_in_flight").unwrap();
        (callers.used, callers.max)
    }

    pub(crate) async fn is_past_its_share(&self, user: usize) {
        let order = Some(limit("BUY", "0.01", "50000"));
        let refused = self.send_as(user, Method::POST, "/api/v1/orders", order).await;
        let refused = refused.refused(429, "FAIR_SHARE_EXCEEDED");
        assert_eq!(refused.headers["retry-after"], "1");
    }

    /// Hands over an order of the first user without a request.
    pub(crate) fn hand_over(&self, order: NewOrder) {
        let ingress = self.stages.ingress();
        ingress.try_submit(Command::NewOrder(order), None, Lane::Order).unwrap();
    }
}

/// What the first user can pay for.
pub(crate) fn an_order() -> NewOrder {
    NewOrder::limit(AccountId(1), InstrumentId(1), Side::Buy, Quantity(10_000), Price(5_000_000))
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_an_unknown_outcome() {
    let mut standing = Standing::new().await;
    standing.place("k1").await.refused(504, "OUTCOME_UNKNOWN");
    let path = "/api/v1/orders/by-client-id/k1";
    standing.send(Method::GET, path, None).await.refused(404, "ORDER_NOT_FOUND");
    standing.stages.step_all();
    let found = standing.send(Method::GET, path, None).await.expect(200);
    assert_eq!(found.text("status"), "OPEN");
}

#[tokio::test(start_paused = true)]
async fn a_full_ring_is_an_answer_and_leaves_room_for_cancels() {
    let mut standing = Standing::new().await;
    for _ in 0..ORDER_SLOTS {
        standing.hand_over(an_order());
    }
    let refused = standing.place("one too many").await.refused(503, "OVERLOADED");
    assert!(refused.headers.contains_key("retry-after"));
    let cancel = standing.send(Method::DELETE, "/api/v1/orders", None).await;
    cancel.refused(504, "OUTCOME_UNKNOWN");

    standing.stages.step_all();
    let path = "/api/v1/orders?status=CANCELLED&limit=100";
    let list = standing.send(Method::GET, path, None).await.expect(200);
    assert_eq!(list.body.as_array().unwrap().len(), ORDER_SLOTS);
    let path = "/api/v1/orders/by-client-id/one%20too%20many";
    standing.send(Method::GET, path, None).await.refused(404, "ORDER_NOT_FOUND");
}

/// Of 51 places one caller and whoever comes next have 25 each, two and the next one 17, three and
/// the next one 12.
#[tokio::test(start_paused = true)]
async fn a_hot_caller_cannot_crowd_out_the_others() {
    let mut standing = Standing::new().await;
    standing.crowd(0, HALF).await;
    standing.is_past_its_share(0).await;
    standing.crowd(1, 17).await;
    standing.is_past_its_share(1).await;
    standing.is_past_its_share(0).await;
    let cancel = standing.send(Method::DELETE, "/api/v1/orders", None).await;
    cancel.refused(504, "OUTCOME_UNKNOWN");
    standing.crowd(2, ORDER_SLOTS - HALF - 17 - 1).await;
    let order = Some(limit("BUY", "0.01", "50000"));
    let full = standing.send_as(2, Method::POST, "/api/v1/orders", order).await;
    full.refused(503, "OVERLOADED");
    assert_eq!(standing.callers(), (3, SLOTS as u64), "nobody waits, and all of it counts");

    standing.stages.step_all();
    assert_eq!(standing.callers(), (0, SLOTS as u64), "answered or refused");
    standing.crowd(0, HALF).await;
    standing.is_past_its_share(0).await;
}

#[tokio::test]
async fn a_repeat_of_an_order_that_is_not_kept_says_so() {
    let mut standing = Standing::new().await;
    let mut order = limit("BUY", "0.01", "50000");
    order["client_order_id"] = json!("k1");
    order["time_in_force"] = json!("IOC");
    let first = standing.answered(&order).await.expect(201);
    assert_eq!(first.headers["x-seq"], first.body["seq"].to_string().as_str());
    let mut at_once = an_order();
    at_once.time_in_force = TimeInForce::Ioc;
    for number in 1..CLOSED_ORDERS_PER_ACCOUNT_MAX {
        standing.hand_over(at_once);
        if number % ORDER_SLOTS == 0 {
            standing.stages.step_all();
        }
    }
    standing.stages.step_all();
    let again = standing.answered(&order).await.expect(201);
    assert!(again.is_replayed(), "at the bound");
    assert_eq!(again.text("id"), first.text("id"));

    standing.hand_over(at_once);
    standing.stages.step_all();
    let again = standing.answered(&order).await.refused(409, "ORDER_NOT_KEPT");
    assert!(again.is_replayed(), "one past it");
    assert_eq!(again.body["details"]["order_seq"], first.body["seq"]);
    order["quantity"] = json!("0.02");
    let other = standing.answered(&order).await.refused(409, "DUPLICATE_CLIENT_ORDER_ID");
    assert!(!other.is_replayed());
}
