//! Owns the checks at the end of a run: what traders were told against the journal, the journal
//! against the live machine, the wallet's books against both. Knows nothing of faults.
//! Invariant: a check waits only for settlement to catch up, never for a difference to go away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use engine::AccountId;
use serde_json::{Value, json};

use super::desk::{self, post_order};
use super::drafts::Market;
use super::ledger::Ledger;
use super::shown::{self, Shown, check_balances};
use super::trader::Identity;
use super::truth::{self, Truth};
use super::verdict;
use crate::app::App;
use crate::http_client::{HttpClient, Request};
use crate::report::say;

/// How long settlement may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Who trades, and who may ask everything.
#[derive(Debug, Default)]
pub struct Parties {
    pub identities: Vec<Identity>,
    pub markets: &'static [Market],
    /// The UUID of each user by name, once they have money.
    pub users: BTreeMap<String, String>,
    pub operator: String,
}

impl Parties {
    /// The trading account of each user.
    #[must_use]
    pub fn accounts(&self, truth: &Truth) -> BTreeMap<String, AccountId> {
        let account =
            |(name, user): (&String, &String)| (name.clone(), verdict::account_of(user, truth));
        self.users.iter().map(account).collect()
    }

    /// While nobody trades: the state is that of the journal, the balances are those of the state.
    /// Money that was on its way may still arrive; then all is read again.
    pub fn check_state(&self, app: &App) {
        let (mut admin, mut public) = (HttpClient::new(app.admin()), HttpClient::new(app.public()));
        let started = Instant::now();
        let mut live = desk::live_hash(&mut admin, &self.operator);
        loop {
            let replayed = truth::replay(&app.data_dir()).machine;
            let accounts = self.accounts(&replayed);
            let balances: Vec<_> = self
                .identities
                .iter()
                .map(|i| (accounts[&i.user], shown::balances(&mut public, i)))
                .collect();
            let now = desk::live_hash(&mut admin, &self.operator);
            // The question is a command itself.
            if now.sequence == live.sequence + 1 {
                assert_eq!(replayed.hash(), live);
                replayed.engine.assert_invariants();
                // Money that stays in the wallet is not the engine's to know.
                if replayed.reserves == 0 {
                    check_balances(&replayed.engine, &balances);
                }
                return;
            }
            assert!(started.elapsed() < PATIENCE, "nobody trades and the state keeps changing");
            live = now;
        }
    }

    /// Kills the exchange and holds everything against what its journal says, which is returned.
    /// What it shows is compared unless there are more orders than it promises to show.
    pub fn check_exchange(&self, app: &mut App, ledgers: &[Ledger]) -> Truth {
        self.check_state(app);
        let (mut admin, mut public) = (HttpClient::new(app.admin()), HttpClient::new(app.public()));
        let all_shown = ledgers.iter().all(Ledger::is_shown);
        let shown = all_shown.then(|| Shown::read(&mut public, &self.identities, self.markets));
        let live = desk::live_hash(&mut admin, &self.operator);
        app.kill();
        let line = app.run_json(&["replay", "--json"]);
        assert_eq!(desk::state_hash(&line, "last_sequence"), live);
        let replayed = truth::replay(&app.data_dir());
        assert_eq!(Some(replayed.events), line["events"].as_u64());
        let truth = replayed.machine;
        assert_eq!(truth.hash(), live);
        let accounts = self.accounts(&truth);
        match shown {
            Some(shown) => shown.check(&truth, &accounts),
            None => say("the oldest orders are not shown any more: only their journal is compared"),
        }
        for (identity, ledger) in self.identities.iter().zip(ledgers) {
            verdict::check_ledger(ledger, accounts[&identity.user], &truth);
        }
        truth::check_event_log(&app.data_dir(), &truth.events);
        truth
    }

    /// Compares the books until every trade is settled; they never contradict each other.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn wait_for_settlement(&self, app: &App, trades: usize) {
        let mut admin = HttpClient::new(app.admin());
        let started = Instant::now();
        loop {
            let run = Request::post("/api/v1/admin/reconciliation/run", "");
            let status = admin.ask(&run.with_token(&self.operator)).json();
            assert_eq!(status["report"]["breaches"], json!([]), "{status}");
            if status["report"]["trades_matched"].as_u64() == Some(trades as u64) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "settlement does not catch up: {status}");
            thread::sleep(POLL);
        }
    }
}

/// Once everything has ended: the wallet's logs are whole, every trade is settled once, and both
/// books are equal. Returns what the audit of the wallet said.
pub fn check_books(app: &App, trades: usize) -> Value {
    let audit = app.run_json(&["wallet", "verify"]);
    assert!(audit["transactions"].as_u64() >= Some(trades as u64), "{audit}");
    let report = app.run_json(&["settlement", "reconcile"]);
    assert_eq!(report["trades_matched"].as_u64(), Some(trades as u64), "{report}");
    assert_eq!((&report["unsettled"], &report["ahead"]), (&json!(0), &json!(0)), "{report}");
    audit
}

/// Every order with a key that is still shown once more: the first answer, and nothing else.
pub fn repeat_orders(public: SocketAddr, identity: &Identity, ledger: &Ledger) {
    let mut public = HttpClient::new(public);
    let orders = if ledger.is_shown() { &ledger.orders[..] } else { ledger.latest() };
    for order in orders.iter().filter(|order| order.key.is_some()) {
        let request = post_order(&order.request.body);
        let answer = public.ask(&request.with_token(&identity.token));
        order.request.check_repeat(&answer);
    }
}
