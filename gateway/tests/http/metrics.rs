//! What a scrape shows: every line read the way a scraper does, and numbers that move with what
//! they count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use gateway::auth::{Authenticator, Scope};
use gateway::config::WalletBackend;
use gateway::wallet_server::WalletApp;
use gateway::{ids, token_key};
use journal::SyncPolicy;
use pipeline::{Clock, SystemClock};
use serde_json::{Value, json};
use settlement::limits::POLL_EVERY;
use tempfile::TempDir;
use tokio::net::TcpListener;
use wallet::client::CallContext;

use crate::harness::{Exchange, and, config, limit};
use crate::scrape::Scrape;
use crate::sockets::{ask, say};
use crate::stops::order;

async fn scrape(address: SocketAddr) -> Scrape {
    let answer = ask(address, "/metrics").await;
    let (head, page) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    Scrape::read(page)
}

async fn scraped(exchange: &Exchange) -> Scrape {
    scrape(exchange.app.admin_address()).await
}

/// Waits until everything that was traded is settled.
async fn settled(exchange: &Exchange, trades: u64) {
    let board = exchange.app.state().money.desk.board();
    while board.counts().settled < trades {
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn trade(exchange: &Exchange) {
    exchange.limit("seller", "SELL", "0.5", "50000").await;
    exchange.limit("buyer", "BUY", "0.5", "50000").await;
}

#[tokio::test]
async fn values_move_with_orders_trades_and_settlements() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = scraped(&exchange).await;
    trade(&exchange).await;
    exchange.limit("buyer", "BUY", "0.1", "49000").await;
    exchange.place("buyer", limit("BUY", "90", "50000")).await.refused(400, "INSUFFICIENT_BALANCE");
    exchange.get("buyer", "/api/v1/orders/nothing").await.refused(404, "ORDER_NOT_FOUND");
    settled(&exchange, 1).await;
    let after = scraped(&exchange).await;
    let moved = |series: &str| {
        let old = before.of(series.split('{').next().unwrap()).find(|(name, _)| *name == series);
        after.number(series) - old.map_or(0, |(_, value)| value.parse().unwrap())
    };
    for (series, by) in [
        ("exchange_trades_total{symbol=\"BTC/USDT\"}", 1),
        ("exchange_orders_accepted_total{type=\"LIMIT\"}", 3),
        ("exchange_orders_open", 1),
        ("exchange_orders_closed_total{reason=\"FILLED\"}", 2),
        ("exchange_commands_accepted_total", 3),
        ("exchange_commands_refused_total{reason=\"INSUFFICIENT_BALANCE\"}", 1),
        ("settlements_total{status=\"settled\"}", 1),
        ("settlements_total{status=\"failed\"}", 0),
        ("settlement_jobs_submitted_total", 1),
        ("settlement_jobs_processed_total", 1),
        ("settlement_duration_seconds_count", 1),
        ("pipeline_commands_total{pipeline=\"exchange\"}", 4),
        ("pipeline_commands_total{pipeline=\"wallet\"}", 1),
        ("wallet_transactions_total", 1),
        ("http_refusals_total{listener=\"public\",code=\"ORDER_NOT_FOUND\"}", 1),
    ] {
        assert_eq!(moved(series), by, "{series}");
    }
    let sequence = exchange.sequence();
    for stage in ["published", "journaled", "durable", "matched", "released"] {
        let series = format!("pipeline_sequence{{pipeline=\"exchange\",stage=\"{stage}\"}}");
        assert_eq!(after.number(&series), sequence, "{stage}");
    }
    let posts = "listener=\"public\",method=\"POST\",route=\"/api/v1/orders\"";
    assert_eq!(after.number(&format!("http_requests_total{{{posts},status=\"2xx\"}}")), 3);
    assert_eq!(after.number(&format!("http_requests_total{{{posts},status=\"4xx\"}}")), 1);
    assert_eq!(after.number(&format!("http_request_duration_seconds_count{{{posts}}}")), 4);
}

#[tokio::test]
async fn orders_are_counted_by_what_they_are_and_why_they_end() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    exchange.limit("buyer", "BUY", "0.1", "50000").await;
    for more in [json!({}), json!({"price": "50000"})] {
        let more = and(json!({"stop_price": "50000"}), more);
        exchange.placed("buyer", order("BUY", "STOP", "0.1", more)).await;
    }
    let page = scraped(&exchange).await;
    assert_eq!(page.number("exchange_orders_accepted_total{type=\"LIMIT\"}"), 1);
    assert_eq!(page.number("exchange_orders_accepted_total{type=\"STOP\"}"), 2);
    assert_eq!(page.number("exchange_orders_open"), 3);
    let on = Some(json!({"on": true}));
    exchange.admin(Method::PUT, "/kill-switch", on).await.expect(200);
    let page = scraped(&exchange).await;
    assert_eq!(page.number("exchange_orders_closed_total{reason=\"KILL_SWITCH\"}"), 3);
    assert_eq!(page.number("exchange_orders_open"), 0);
}

#[tokio::test]
async fn the_books_are_shown_once_they_were_compared() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = scraped(&exchange).await;
    assert_eq!(before.number("ledger_reconcile_last_seq"), 0);
    assert_eq!(before.of("ledger_unbalanced_units").count(), 0);
    exchange.admin(Method::POST, "/reconciliation/run", None).await.expect(200);
    let after = scraped(&exchange).await;
    assert_eq!(after.number("ledger_reconcile_runs_total"), 1);
    assert_eq!(after.number("ledger_reconcile_breaches_total"), 0);
    assert!(after.number("ledger_reconcile_last_seq") > 0);
    let sums: Vec<_> = after.of("ledger_unbalanced_units").collect();
    assert_eq!(sums.len(), 4, "one for each asset: {sums:?}");
    assert!(sums.iter().all(|(_, units)| *units == "0"), "{sums:?}");
}

#[tokio::test]
async fn what_the_journal_knows_is_counted_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    exchange.fund().await;
    trade(&exchange).await;
    settled(&exchange, 1).await;
    let series = [
        "exchange_trades_total{symbol=\"BTC/USDT\"}",
        "exchange_orders_accepted_total{type=\"LIMIT\"}",
        "exchange_commands_accepted_total",
        "wallet_transactions_total",
        "wallet_total_count",
    ];
    let before = scraped(&exchange).await;
    drop(exchange.app.shutdown().await.unwrap());
    let exchange = Exchange::start_in(directory.path(), "").await.unwrap();
    let after = scraped(&exchange).await;
    for series in series {
        assert!(before.number(series) > 0, "{series}");
        assert_eq!(after.value(series), before.value(series), "{series}");
    }
    drop(exchange.app.shutdown().await.unwrap());
}

/// Writes something behind the end of a log, as a write that a power cut has cut short does.
fn tear(log: &Path) {
    const BLOCK: usize = 4096;
    let active = journal::stat(log).unwrap().active_segment;
    let path = log.join(format!("jrnl-{active:016x}.seg"));
    let bytes = fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let end = used.next_multiple_of(BLOCK) as u64;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[0xAA; 9], end).unwrap();
}

#[tokio::test]
async fn what_a_start_found_and_what_syncs_carry_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let mut config = config(directory.path(), "[snapshot]\nat_shutdown = false\n");
        config.journal.sync = SyncPolicy::Group;
        Exchange::start_with(config)
    };
    let of = |page: &Scrape, name: &str, more: &str| {
        let value = page.value(&format!("{name}{{pipeline=\"exchange\"{more}}}"));
        value.parse::<f64>().unwrap()
    };
    let exchange = start().await.unwrap();
    exchange.fund().await;
    trade(&exchange).await;
    let at =
        |page: &Scrape, stage: &str| of(page, "pipeline_sequence", &format!(",stage=\"{stage}\""));
    let mut first = scraped(&exchange).await;
    // The last answer goes out a moment before it counts as given.
    while at(&first, "acknowledged") < at(&first, "journaled") {
        tokio::time::sleep(POLL_EVERY).await;
        first = scraped(&exchange).await;
    }
    let journaled = at(&first, "journaled");
    assert_eq!(of(&first, "journal_group_commands_sum", ""), journaled);
    assert_eq!(of(&first, "snapshot_age_commands", ""), journaled, "there is no snapshot");
    for name in ["journal_sync_seconds_count", "journal_sync_seconds_sum"] {
        assert!(of(&first, name, "") > 0.0, "{name}");
    }
    assert!(of(&first, "journal_bytes_per_sync_sum", "") >= 4096.0);
    for name in ["journal_replay_rate", "journal_groups_replayed", "journal_tail_trim_bytes"] {
        let log = if name == "journal_replay_rate" { "" } else { ",log=\"journal\"" };
        assert_eq!(of(&first, name, log), 0.0, "{name}: it is a new exchange");
    }
    drop(exchange.app.shutdown().await.unwrap());
    tear(&directory.path().join("journal"));
    let exchange = start().await.unwrap();
    let page = scraped(&exchange).await;
    assert!(of(&page, "journal_replay_rate", "") > 0.0);
    assert!(of(&page, "journal_groups_replayed", ",log=\"journal\"") > 0.0);
    assert!(of(&page, "journal_groups_replayed", ",log=\"events\"") > 0.0);
    assert!(of(&page, "journal_tail_trim_bytes", ",log=\"journal\"") >= 9.0);
    assert_eq!(of(&page, "journal_tail_trim_bytes", ",log=\"events\""), 0.0);
    for log in ["journal", "events"] {
        while of(&scraped(&exchange).await, "journal_spare_ready", &format!(",log=\"{log}\"")) < 1.0
        {
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
    drop(exchange.app.shutdown().await.unwrap());
}

#[tokio::test]
async fn a_scrape_names_no_user_and_stays_on_its_listener() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    for path in ["/api/v1/orders/x", "/nowhere/1", "/nowhere/2", "/api/v1/orders/y"] {
        exchange.get("buyer", path).await;
    }
    let scrape = scraped(&exchange).await;
    let values = scrape.label_values();
    let routes: Vec<_> = values.iter().filter(|(key, _)| *key == "route").collect();
    assert!(routes.iter().any(|(_, route)| *route == "/api/v1/orders/{id}"), "{routes:?}");
    assert!(routes.iter().any(|(_, route)| *route == "none"), "{routes:?}");
    let user = ids::user("buyer").unwrap().to_string();
    for (key, value) in &values {
        assert!(!value.contains(&user) && !value.contains("nowhere"), "{key}={value}");
    }
    let keys: BTreeSet<_> = values.iter().map(|(key, _)| *key).collect();
    let known = [
        "asset", "code", "le", "limit", "listener", "log", "method", "pipeline", "reason", "route",
        "stage", "status", "symbol", "version",
    ];
    assert!(keys.iter().all(|key| known.contains(key)), "{keys:?}");
    let wallet = exchange.app.wallet_address().unwrap();
    for other in [exchange.app.public_address(), wallet] {
        let answer = ask(other, "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
}

/// An exchange without a wallet, a wallet without an exchange: together with an exchange that has
/// its own, all that can be shown.
struct Apart {
    exchange: Exchange,
    wallet: WalletApp,
    token: String,
    _directories: [TempDir; 2],
}

impl Apart {
    async fn start() -> Self {
        let directories = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let wallet_config = config(directories[0].path(), "");
        let auth = wallet_config.auth.clone();
        let wallet = WalletApp::start(wallet_config).await.unwrap();
        let secret = token_key::load_or_create(directories[0].path()).unwrap();
        let (scopes, hour) = ([Scope::Wallet, Scope::Admin], Duration::from_secs(3_600));
        let now_s = SystemClock::new().wall_ns() / 1_000_000_000;
        let operator = ids::user("operator").unwrap();
        let token = Authenticator::new(&secret, auth).sign(operator, &scopes, now_s, hour);
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let more = format!(
            "[wallet_client]\nbase_url = \"http://{nobody}\"\nretry_wait_time = \"1ms\"\n\
             retry_max_wait_time = \"1ms\"\ncircuit_breaker_enabled = false\n"
        );
        let mut config = config(directories[1].path(), &more);
        config.wallet.backend = WalletBackend::Http;
        let exchange = Exchange::start_with(config).await.unwrap();
        Self { exchange, wallet, token: token.unwrap(), _directories: directories }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (body, token) = (body.to_string(), &self.token);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = say(self.wallet.address(), &head).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    async fn deposit(&self, asset: &str, amount: &str) {
        let body = json!({"userId": "alice", "currency": asset});
        let wallet = self.post("/api/v1/wallets", body).await;
        let path = format!("/api/v1/wallets/{}/deposit", wallet["walletId"].as_str().unwrap());
        self.post(&path, json!({"amount": amount, "referenceId": asset})).await;
    }

    async fn stop(self) {
        drop(self.exchange.app.shutdown().await.unwrap());
        drop(self.wallet.shutdown().await.unwrap());
    }
}

#[tokio::test]
async fn a_wallet_that_is_not_there_shows_in_calls_and_retries() {
    let apart = Apart::start().await;
    let client = &apart.exchange.app.state().money.client;
    let call = || client.health_check(CallContext::within(Duration::from_secs(20)));
    assert!(call().await.is_err());
    let scrape = scraped(&apart.exchange).await;
    let calls = "wallet_client_requests_total{client=\"settlement\",\
                 method=\"health_check\",status=\"service_down\"}";
    assert_eq!(scrape.number(calls), 1);
    assert_eq!(
        scrape.number("wallet_client_retries_total{client=\"settlement\",method=\"health_check\"}"),
        3
    );
    let durations = "wallet_client_request_duration_seconds_count{client=\"settlement\",\
                     method=\"health_check\"}";
    assert_eq!(scrape.number(durations), 1);
    assert_eq!(
        scrape
            .number("wallet_client_circuit_breaker_state{client=\"settlement\",state=\"closed\"}"),
        1
    );
    assert!(call().await.is_err());
    assert_eq!(scraped(&apart.exchange).await.number(calls), 2);
    apart.stop().await;
}

#[tokio::test]
async fn d34_a_wallet_alone_shows_money_in_whole_numbers() {
    let apart = Apart::start().await;
    apart.deposit("USDT", "75150.12345678").await;
    apart.deposit("BTC", "0.1").await;
    let scrape = scrape(apart.wallet.address()).await;
    let deposited = |asset| format!("wallet_money_deposited_total{{asset=\"{asset}\"}}");
    assert_eq!(scrape.value(&deposited("USDT")), "75150123456", "millionths, cut off");
    assert_eq!(scrape.value(&deposited("BTC")), "100000");
    for family in ["deposited", "withdrawn", "transferred"] {
        let name = format!("wallet_money_{family}_total");
        let values: Vec<_> = scrape.of(&name).map(|(_, value)| value).collect();
        assert_eq!(values.len(), 4, "one for each asset");
        let whole = |value: &&str| value.bytes().all(|b| b.is_ascii_digit());
        assert!(values.iter().all(whole), "{values:?}");
    }
    assert_eq!(scrape.number("wallet_operations_deposits_total"), 2);
    assert_eq!(scrape.number("wallet_operations_deposit_duration_seconds_count"), 2);
    assert_eq!(scrape.number("wallet_operations_created_total"), 2);
    assert_eq!(scrape.number("wallet_total_count"), 2);
    apart.stop().await;
}

/// The page of metrics: families, and what has a bound.
fn documented() -> (&'static str, &'static str) {
    include_str!("../../../docs/metrics.md").split_once("\n## What has a bound\n").unwrap()
}

/// The bounds of a page by name, each with how much is used of it.
fn bounds(scrape: &Scrape) -> BTreeMap<String, (u64, u64)> {
    let of = |family: &str| -> BTreeMap<String, u64> {
        let name = |series: &str| series.split('"').nth(1).unwrap().to_owned();
        scrape.of(family).map(|(series, n)| (name(series), n.parse().unwrap())).collect()
    };
    let (used, max) = (of("limit_used"), of("limit_max"));
    assert!(used.keys().eq(max.keys()), "each has both numbers");
    let both = used.into_iter().zip(max.into_values());
    both.map(|((name, used), max)| (name, (used, max))).collect()
}

#[tokio::test]
async fn every_bound_is_documented_and_every_documented_one_is_shown() {
    let directories = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let rates = "[limits]\nrequests_per_second_per_caller = 1000\n";
    let embedded = Exchange::start_in(directories[0].path(), rates).await.unwrap();
    let per_order = crate::per_order::start_in(directories[1].path()).await;
    let shown = [scraped(&embedded).await, scraped(&per_order).await].map(|page| bounds(&page));
    for (name, (used, max)) in shown.iter().flatten() {
        assert!(used <= max && *max > 0, "{name}: {used} of {max}");
    }
    let shown: BTreeSet<_> = shown.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
    let (_, limits) = documented();
    let rows = limits.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<BTreeSet<_>>(), shown);
}

#[tokio::test]
async fn how_full_something_is_moves_with_what_it_holds() {
    let exchange = Exchange::start().await;
    exchange.fund().await;
    let before = bounds(&scraped(&exchange).await);
    trade(&exchange).await;
    let mut order = limit("BUY", "0.1", "49000");
    order["client_order_id"] = json!("k1");
    exchange.place("buyer", order).await.expect(201);
    settled(&exchange, 1).await;
    let after = bounds(&scraped(&exchange).await);
    for (name, by) in [
        ("exchange_live_orders", 1),
        ("exchange_client_order_ids", 1),
        ("exchange_closed_orders", 2),
        ("exchange_own_trades", 1),
        ("exchange_recent_trades", 1),
        ("exchange_accounts", 0),
        ("exchange_callers_in_flight", 0),
        ("settlement_recent", 1),
        ("settlement_dead_letters", 0),
        ("wallet_transactions", 1),
        ("wallet_trading_kept", 1),
        ("wallet_settlements_kept", 1),
    ] {
        assert_eq!(after[name].0 - before[name].0, by, "{name}");
        assert_eq!(after[name].1, before[name].1, "{name}");
    }
    assert_eq!(after["exchange_accounts"], (2, engine::limits::ACCOUNTS_MAX.into()));
    assert!(after["admin_connections"].0 > 0, "the scrape is one");
}

#[tokio::test]
async fn every_family_is_documented_and_every_documented_one_is_shown() {
    let (apart, embedded) = (Apart::start().await, Exchange::start().await);
    let mut shown = BTreeSet::new();
    let (alone, wallet) = (scraped(&apart.exchange).await, scrape(apart.wallet.address()).await);
    let directory = tempfile::tempdir().unwrap();
    let per_order = crate::per_order::start_in(directory.path()).await;
    let pages = [alone, wallet, scraped(&embedded).await, scraped(&per_order).await];
    for scrape in pages {
        shown.extend(scrape.kinds().iter().map(|(family, kind)| match kind.as_str() {
            "counter" => format!("| `{family}_total` | counter |"),
            kind => format!("| `{family}` | {kind} |"),
        }));
    }
    let (families, _) = documented();
    let documented: BTreeSet<_> = families
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split_inclusive('|').take(3).collect::<String>())
        .collect();
    assert_eq!(documented, shown);
    apart.stop().await;
}
