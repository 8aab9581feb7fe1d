//! Owns an exchange and the wallet that it uses, each in a process of its own, both on one data
//! directory, and the users with their money. Knows nothing of faults. Invariant: the verdict is
//! given on files that nobody writes to, after both processes ended in order.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::books::{self, Parties};
use super::desk::{Bound, text};
use super::drafts::{MARKETS, Market};
use super::trader::Identity;
use super::truth::Truth;
use crate::app::wallet::{WalletProcess, lasting_port};
use crate::app::{App, Settings};
use crate::http_client::{HttpClient, Request};
use crate::proxy::Proxy;
use engine::decimal::parse;
use engine::fees::signed;
use engine::{AssetCode, SignedAmount};
use serde_json::{Value, json};

use super::load::Evidence;
use super::payer::{Payment, Till};

pub const TRADERS: usize = 8;
/// Decimal places of the assets used here.
pub const SCALE: u8 = 8;
const USDT: (&str, &str) = ("USDT", "600000");
const FUNDS: [(&str, &str); 3] = [("BTC", "10"), ("ETH", "200"), USDT];
/// What a trader has of each cold asset.
const COLD_FUNDS: &str = "10000";
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// Both processes, and what their users have.
#[derive(Debug)]
pub struct Pair {
    pub app: App,
    pub wallet: WalletProcess,
    /// Between them, if anything is.
    pub proxy: Option<Proxy>,
    pub parties: Parties,
    /// Of an operator, for the wallet.
    pub token: String,
    pub tills: Vec<Till>,
    /// What each trader was given, and what everybody had before trading began.
    given: Vec<(&'static str, &'static str)>,
    funds: Vec<Payment>,
}

/// Settings under which a wallet that is back is called again within a second.
pub fn settings() -> Settings {
    Settings::default()
        .with("wallet", "backend", "\"http\"")
        .with("wallet_client", "circuit_breaker_timeout", "\"500ms\"")
        .with("settlement", "retry_wait_max_ms", "500")
}

/// The same settings with these markets, and no others.
#[must_use]
pub fn listing(settings: Settings, markets: &[Market]) -> Settings {
    let codes = markets.iter().map(Market::base).chain([USDT.0]);
    let asset = |(id, code)| format!("{{id = {id}, code = \"{code}\", scale = {SCALE}}}");
    let assets: Vec<_> = (1..).zip(codes).map(asset).collect();
    let instrument = |market: &Market| {
        format!(
            "{{id = {}, base = \"{}\", quote = \"{}\", tick = \"0.01\", lot = \"0.000001\", \
             max_quantity = \"100\", max_price = \"10000000\"}}",
            market.id.0,
            market.base(),
            USDT.0
        )
    };
    let instruments: Vec<_> = markets.iter().map(instrument).collect();
    let list = |entries: Vec<String>| format!("[{}]", entries.join(", "));
    settings.with("", "assets", &list(assets)).with("", "instruments", &list(instruments))
}

impl Pair {
    /// Starts both, and gives everybody money. With `proxied`, the exchange speaks to the wallet
    /// through a proxy.
    #[must_use]
    pub fn open(settings: Settings, proxied: bool) -> Self {
        Self::open_in(settings, proxied, &MARKETS, |_| ())
    }

    /// The same, with a data directory that `prepare` makes ready.
    pub fn open_on(settings: Settings, proxied: bool, prepare: impl FnOnce(&Path)) -> Self {
        Self::open_in(settings, proxied, &MARKETS, prepare)
    }

    /// The same where these are traded.
    #[must_use]
    pub fn open_with(settings: Settings, proxied: bool, markets: &'static [Market]) -> Self {
        Self::open_in(settings, proxied, markets, |_| ())
    }

    fn open_in(
        settings: Settings,
        proxied: bool,
        markets: &'static [Market],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let address = lasting_port();
        let proxy = proxied.then(|| Proxy::start(lasting_port(), address));
        let base = proxy.as_ref().map_or(address, Proxy::address);
        let settings = settings.with("wallet_client", "base_url", &format!("\"http://{base}\""));
        let app = App::prepare(&settings);
        prepare(&app.data_dir());
        let wallet = WalletProcess::of(&app, address);
        let identity = |number: usize| {
            let user = format!("trader-{number}");
            let token = app.token(&user, "read,trade");
            Identity { user, token, admin_token: None }
        };
        let identities = (1..=TRADERS).map(identity).collect();
        let operator = app.token("operator", "admin");
        let token = app.token("cashier", "wallet,admin");
        let parties = Parties { identities, markets, users: BTreeMap::new(), operator };
        let cold = markets.iter().map(Market::base).filter(|b| FUNDS.iter().all(|(a, _)| a != b));
        let given = FUNDS.into_iter().chain(cold.map(|asset| (asset, COLD_FUNDS))).collect();
        let (tills, funds) = (Vec::new(), Vec::new());
        let mut pair = Self { app, wallet, proxy, parties, token, tills, given, funds };
        pair.wallet.spawn();
        pair.app.restart();
        pair.wallet.wait_until_ready();
        pair.fund();
        pair
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("there is a proxy")
    }

    /// A connection to the wallet itself.
    pub fn cashier(&self) -> HttpClient {
        HttpClient::new(self.wallet.address())
    }

    pub fn operator(&self) -> HttpClient {
        HttpClient::new(self.app.admin())
    }

    /// What an operator of the exchange is shown.
    pub fn admin_get(&self, path: &str) -> Value {
        let request = Request::get(path).with_token(&self.parties.operator);
        let answer = self.operator().ask(&request);
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.json());
        answer.json()
    }

    /// What the wallet answers an operator.
    pub fn wallet_post(&self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let answer = self.cashier().ask(&Request::post(path, &body).with_token(&self.token));
        assert!([200, 201].contains(&answer.status), "{path} {body}: {:?}", answer.json());
        answer.json()
    }

    pub fn wallet_get(&self, path: &str) -> Value {
        let answer = self.cashier().ask(&Request::get(path).with_token(&self.token));
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.json());
        answer.json()
    }

    /// Opens a user's wallet; its id, and that of the user.
    pub fn open_wallet(&self, user: &str, asset: &str) -> (String, String) {
        let opened =
            self.wallet_post("/api/v1/wallets", &json!({"userId": user, "currency": asset}));
        (text(&opened, "walletId").to_owned(), text(&opened, "userId").to_owned())
    }

    fn fund(&mut self) {
        let names: Vec<_> = self.parties.identities.iter().map(|i| i.user.clone()).collect();
        for name in names {
            for (asset, amount) in self.given.clone() {
                let (wallet, user) = self.open_wallet(&name, asset);
                self.parties.users.insert(name.clone(), user);
                let till = Till { asset, wallet };
                let reference = format!("funds-{name}-{asset}");
                let mut payment = Payment::deposit(&till, amount, &reference);
                let answer = payment.insist(&mut self.cashier(), &self.token);
                assert_eq!(answer.0, 200, "{answer:?}");
                self.funds.push(payment);
                self.tills.push(till);
            }
        }
        self.wait_for_funds();
    }

    /// Waits until trading has what everybody was given.
    fn wait_for_funds(&self) {
        let mut public = HttpClient::new(self.app.public());
        for identity in &self.parties.identities {
            self.wait_until("the money reaches the traders", || {
                let request = Request::get("/api/v1/balances").with_token(&identity.token);
                let answer = public.ask(&request);
                // Somebody who was never given money is unknown.
                let balances = if answer.status == 200 { answer.json() } else { json!([]) };
                let shown = balances.as_array().expect("a list");
                shown.iter().filter(|balance| text(balance, "available") != "0").count()
                    >= self.given.len()
            });
        }
    }

    /// Waits until it is so.
    pub fn wait_until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let started = Instant::now();
        while !so() {
            assert!(
                started.elapsed() < PATIENCE,
                "waited too long until {what}: {}",
                self.admin_get("/api/v1/admin/settlements")
            );
            thread::sleep(POLL);
        }
    }

    /// Waits until no trade is left to be settled and no letter is dead.
    pub fn wait_until_drained(&self) {
        self.wait_until("all is settled", || {
            let status = self.admin_get("/api/v1/admin/settlements");
            assert_eq!(status["halted"], json!(null), "{status}");
            let releases = &status["releases"];
            let released = releases["owed"] == json!(0) && releases["cursor"] == status["head"];
            status["window"] == json!(0)
                && status["lag"] == json!(0)
                && status["dead_letters"] == json!(0)
                && (releases == &json!(null) || released)
        });
    }

    /// Holds everything against everything; both processes must be running. Returns the trades.
    pub fn verdict(&mut self, evidence: &Evidence) -> usize {
        self.repeat_everything(evidence);
        self.conclude(evidence)
    }

    /// The same without asking anything a second time.
    pub fn conclude(&mut self, evidence: &Evidence) -> usize {
        let truth = self.parties.check_exchange(&mut self.app, &evidence.ledgers);
        let trades = truth.trades.len();
        self.app.restart();
        self.parties.wait_for_settlement(&self.app, trades);
        self.wait_until_drained();
        self.check_sums(&truth, &evidence.payments);
        let ended = self.app.terminate();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let live = self.wallet_get("/api/v1/ledger/state-hash");
        let ended = self.wallet.terminate();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let audit = books::check_books(&self.app, trades);
        for (shown, replayed) in [("sequence", "last_sequence"), ("stateHash", "state_hash")] {
            assert_eq!(live[shown], audit[replayed], "{live} {audit}");
        }
        let letters = self.app.run(&["settlement", "dlq"]);
        assert!(letters.status.success() && letters.stdout.is_empty(), "{letters:?}");
        trades
    }

    /// Every key and every reference once more: the first answers, and nothing else.
    pub fn repeat_everything(&self, evidence: &Evidence) {
        let (public, token) = (self.app.public(), &self.token);
        let (mut cashier, payments) = (self.cashier(), self.funds.iter().chain(&evidence.payments));
        thread::scope(|scope| {
            for (identity, ledger) in self.parties.identities.iter().zip(&evidence.ledgers) {
                scope.spawn(move || books::repeat_orders(public, identity, ledger));
            }
            scope.spawn(move || {
                for payment in payments {
                    let Payment { path, body, .. } = payment;
                    let answer = cashier.ask(&Request::post(path, body).with_token(token));
                    let first = payment.answer.clone().expect("answered");
                    Bound { body: body.clone(), first }.check_repeat(&answer);
                }
            });
        });
    }

    /// All the money there is was paid in and not paid out, to the unit, in both books.
    fn check_sums(&self, truth: &Truth, payments: &[Payment]) {
        let mut inside: BTreeMap<&str, SignedAmount> = BTreeMap::new();
        for payment in self.funds.iter().chain(payments) {
            *inside.entry(payment.asset).or_default() += payment.effect();
        }
        let ledger = self.wallet_get("/api/v1/ledger");
        assert_eq!(ledger["zeroSum"], json!(true), "{ledger}");
        let assets = ledger["assets"].as_array().expect("a list");
        for (code, sum) in inside {
            let sums = assets.iter().find(|asset| asset["currency"] == code).expect("listed");
            let external = parse(text(sums, "external"), SCALE).expect("an amount");
            assert_eq!(external, -sum, "{code}: {ledger}");
            let asset = AssetCode::new(code).and_then(|code| truth.engine.assets().find(code));
            if truth.reserves == 0 {
                assert_eq!(asset.map(|asset| asset.supply), Some(sum), "{code} in trading");
            }
        }
        if truth.reserves > 0 {
            self.check_wallets(truth, payments);
        }
    }

    /// Where orders are paid from the wallet: everybody has what he paid in, less what he took out,
    /// and what his trades brought and cost; reserved is what his open orders hold.
    fn check_wallets(&self, truth: &Truth, payments: &[Payment]) {
        let accounts = self.parties.accounts(truth);
        let names = self.parties.identities.iter().map(|identity| &identity.user);
        let tills = names
            .flat_map(|name| self.given.iter().map(move |(code, _)| (name, *code)))
            .zip(&self.tills);
        for ((name, code), till) in tills {
            let paid = self.funds.iter().chain(payments).filter(|payment| payment.is_of(till));
            let paid: SignedAmount = paid.map(Payment::effect).sum();
            let account = accounts[name];
            let asset = AssetCode::new(code).and_then(|code| truth.engine.assets().find(code));
            let asset = asset.expect("listed").id;
            let shown = self.wallet_get(&format!("/api/v1/wallets/{}/balance", till.wallet));
            let units = |field| parse(text(&shown, field), SCALE).expect("an amount");
            assert_eq!(units("balance"), paid + truth.gained(account, asset), "{name}: {shown}");
            let held = truth.engine.balance(account, asset).held;
            assert_eq!(units("reserved"), signed(held), "{name}: {shown}");
        }
    }
}
