//! What belongs here: many callers of one wallet at once. What is equal has one effect and equal
//! answers; what is not adds up.

use std::collections::BTreeSet;
use std::env;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};
use tests::app::wallet::{WalletProcess, lasting_port};
use tests::app::{App, Settings};
use tests::http_client::{Answer, HttpClient, Request};
use tests::trading::desk::{is_replayed, text, told};

const CALLERS: usize = 100;
const DEPOSITS: usize = 10_000;
const TRANSFERRERS: usize = 64;
const TRANSFERS_EACH: usize = 5;

/// A wallet without an exchange.
struct Wallet {
    process: WalletProcess,
    app: App,
    token: String,
}

impl Wallet {
    fn start() -> Self {
        let app = App::prepare(&Settings::default().with("wallet", "funding", "\"per_order\""));
        let mut process = WalletProcess::of(&app, lasting_port());
        process.restart();
        let token = app.token("cashier", "wallet,admin");
        Self { process, app, token }
    }

    fn ask(&self, path: &str, body: Option<&Value>) -> Answer {
        ask(self.process.address(), &self.token, path, body)
    }

    /// What was done, or is shown.
    fn done(&self, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(path, body);
        assert!([200, 201].contains(&answer.status), "{path}: {:?}", answer.json());
        answer.json()
    }

    /// A user's new wallet with money in it; its id and the user's.
    fn funded(&self, user: &str, asset: &str, amount: &str) -> (String, String) {
        let opened =
            self.done("/api/v1/wallets", Some(&json!({"userId": user, "currency": asset})));
        let id = text(&opened, "walletId").to_owned();
        let deposit = json!({"amount": amount, "referenceId": format!("funds-{user}-{asset}")});
        self.done(&format!("/api/v1/wallets/{id}/deposit"), Some(&deposit));
        (id, text(&opened, "userId").to_owned())
    }

    fn balance(&self, wallet: &str) -> String {
        text(&self.done(&format!("/api/v1/wallets/{wallet}/balance"), None), "balance").to_owned()
    }

    /// Sends one request from many callers at once: one had an effect, and all were told the same.
    fn assert_one_effect(&self, path: &str, body: &Value) -> Value {
        let (server, token) = (self.process.address(), &self.token);
        let together = Barrier::new(CALLERS);
        let answers: Vec<Answer> = thread::scope(|scope| {
            let caller = || {
                together.wait();
                ask(server, token, path, Some(body))
            };
            let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(caller)).collect();
            callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
        });
        let effects = answers.iter().filter(|answer| !is_replayed(answer)).count();
        assert_eq!(effects, 1, "{path} {body}");
        let first = told(&answers[0]);
        assert_eq!(first.0, 200, "{path}: {first:?}");
        assert!(answers.iter().all(|answer| told(answer) == first), "{path}: answers differ");
        first.1
    }

    /// Everything adds up, and the logs are whole.
    fn end(mut self) {
        assert_eq!(self.done("/api/v1/ledger", None)["zeroSum"], json!(true));
        assert_eq!(self.process.terminate().code, Some(0));
        let audit = self.app.run_json(&["wallet", "verify"]);
        assert!(audit["transactions"].as_u64() > Some(2), "{audit}");
    }
}

fn ask(server: SocketAddr, token: &str, path: &str, body: Option<&Value>) -> Answer {
    let body = body.map(Value::to_string);
    let request = match &body {
        Some(body) => Request::post(path, body),
        None => Request::get(path),
    };
    HttpClient::new(server).ask(&request.with_token(token))
}

/// Some id of an order or a trade.
fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn reserve(user: &str, asset: &str, amount: &str, order: u32) -> Value {
    json!({
        "user_id": user, "asset": asset, "amount": amount, "order_id": id(order),
        "reason": "ORDER_PLACEMENT",
    })
}

fn settle(trade: u32, buyer: &str, seller: &str) -> Value {
    json!({
        "trade_id": id(trade), "buyer_id": buyer, "seller_id": seller,
        "buyer_order_id": id(1), "seller_order_id": id(2),
        "base_currency": "BTC", "quote_currency": "USDT", "base_amount": "0.1",
        "quote_amount": "5000", "price": "50000", "buyer_fee": "5", "seller_fee": "2.5",
    })
}

#[test]
fn a_hundred_equal_requests_have_one_effect() {
    let wallet = Wallet::start();
    let (quote, buyer) = wallet.funded("buyer", "USDT", "5005");
    let (base, seller) = wallet.funded("seller", "BTC", "1");
    let deposit = json!({"amount": "10", "referenceId": "once"});
    wallet.assert_one_effect(&format!("/api/v1/wallets/{quote}/deposit"), &deposit);
    assert_eq!(wallet.balance(&quote), "5015");
    wallet.assert_one_effect("/api/wallets/reserve", &reserve(&buyer, "USDT", "5005", 1));
    wallet.assert_one_effect("/api/wallets/reserve", &reserve(&seller, "BTC", "1", 2));
    wallet.assert_one_effect("/api/wallets/settle", &settle(3, &buyer, &seller));
    assert_eq!((wallet.balance(&quote), wallet.balance(&base)), ("10".into(), "0.9".into()));
    wallet.end();
}

/// Units as the wallet writes them, of an asset with eight decimal places.
fn written(units: u64) -> String {
    let text = format!("{}.{:08}", units / 100_000_000, units % 100_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As many as `MATCHRING_DEPOSITS` says, a multiple of the callers.
#[test]
fn parallel_deposits_have_the_exact_sum() {
    const UNITS: u64 = 1_000_001;
    let wanted = env::var("MATCHRING_DEPOSITS").map(|count| count.parse().expect("a number"));
    let each = wanted.unwrap_or(DEPOSITS).div_ceil(CALLERS);
    let wallet = Wallet::start();
    let opened = wallet.done("/api/v1/wallets", Some(&json!({"userId": "a", "currency": "USDT"})));
    let id = text(&opened, "walletId");
    let (server, token) = (wallet.process.address(), &wallet.token);
    let path = &format!("/api/v1/wallets/{id}/deposit");
    let deposit = |caller: usize| {
        let mut client = HttpClient::new(server);
        let balances = (0..each).map(|number| {
            let reference = format!("d-{caller}-{number}");
            let body = json!({"amount": written(UNITS), "referenceId": reference}).to_string();
            let answer = client.ask(&Request::post(path, &body).with_token(token));
            let shown = answer.json();
            assert_eq!((answer.status, is_replayed(&answer)), (200, false), "{shown}");
            text(&shown, "newBalance").to_owned()
        });
        balances.collect::<Vec<_>>()
    };
    let balances: BTreeSet<String> = thread::scope(|scope| {
        let callers: Vec<_> =
            (0..CALLERS).map(|caller| scope.spawn(move || deposit(caller))).collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller")).collect()
    });
    let count = (CALLERS * each) as u64;
    let expected: BTreeSet<String> = (1..=count).map(|n| written(n * UNITS)).collect();
    assert!(balances == expected, "each saw a balance of its own, and none is left out");
    assert_eq!(wallet.balance(id), written(count * UNITS));
    wallet.end();
}

#[test]
fn a_release_that_comes_before_its_capture_waits_for_it() {
    let wallet = Wallet::start();
    let (quote, buyer) = wallet.funded("buyer", "USDT", "6000");
    let (_, seller) = wallet.funded("seller", "BTC", "1");
    wallet.done("/api/wallets/reserve", Some(&reserve(&buyer, "USDT", "5100", 1)));
    wallet.done("/api/wallets/reserve", Some(&reserve(&seller, "BTC", "1", 2)));
    let release = json!({"order_id": id(1), "reason": "ORDER_FILLED", "captured_total": "5005"});
    let early = wallet.ask("/api/wallets/release", Some(&release));
    assert_eq!((early.status, text(&early.json(), "code")), (409, "CAPTURE_PENDING"));
    wallet.done("/api/wallets/settle", Some(&settle(3, &buyer, &seller)));
    let released = wallet.assert_one_effect("/api/wallets/release", &release);
    assert_eq!(text(&released, "released_amount"), "95");
    assert_eq!(wallet.balance(&quote), "995");
    wallet.end();
}

#[test]
fn transfers_both_ways_at_once_conserve_every_unit() {
    let wallet = Wallet::start();
    let wallets = ["alice", "bob"].map(|user| wallet.funded(user, "USDT", "20").0);
    let (server, token, wallets) = (wallet.process.address(), &wallet.token, &wallets);
    let moved: Vec<(i64, BTreeSet<u64>)> = thread::scope(|scope| {
        let transferrer = |task: usize| {
            let (from, to) = (&wallets[task % 2], &wallets[1 - task % 2]);
            let path = format!("/api/v1/wallets/{from}/transfer");
            let (mut sum, mut sequences) = (0, BTreeSet::new());
            for number in 0..TRANSFERS_EACH {
                let reference = format!("t-{task}-{number}");
                let body = json!({"toWalletId": to, "amount": "1", "referenceId": reference});
                let answer = ask(server, token, &path, Some(&body));
                let shown = answer.json();
                match (answer.status, text(&shown, "code")) {
                    (200, _) => {
                        sum += 1;
                        sequences.insert(shown["seq"].as_u64().expect("a sequence"));
                    }
                    refusal => assert_eq!(refusal, (400, "INSUFFICIENT_FUNDS"), "{shown}"),
                }
            }
            (if task.is_multiple_of(2) { sum } else { -sum }, sequences)
        };
        let tasks: Vec<_> =
            (0..TRANSFERRERS).map(|task| scope.spawn(move || transferrer(task))).collect();
        tasks.into_iter().map(|task| task.join().expect("a task")).collect()
    });
    let sum: i64 = moved.iter().map(|(sum, _)| sum).sum();
    let count: u64 = moved.iter().map(|(sum, _)| sum.unsigned_abs()).sum();
    let sequences: BTreeSet<_> = moved.iter().flat_map(|(_, sequences)| sequences).collect();
    assert_eq!(sequences.len() as u64, count, "each was a command of its own");
    assert_eq!(wallet.balance(&wallets[0]), (20 - sum).to_string());
    assert_eq!(wallet.balance(&wallets[1]), (20 + sum).to_string());
    wallet.end();
}
