//! What belongs here: the promise of the product. Traders load an exchange that is killed again
//! and again; what it acknowledged is there in the end, once, and everything else is there once or
//! never.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use engine::decimal::parse;
use engine::{AssetCode, SignedAmount};
use serde_json::{Value, json};
use tests::app::{App, Settings};
use tests::http_client::HttpClient;
use tests::random::Random;
use tests::trading::books::{self, Parties};
use tests::trading::drafts::MARKETS;
use tests::trading::habits::Habits;
use tests::trading::ledger::Ledger;
use tests::trading::trader::{Identity, Trader};
use tests::trading::venue::{Opening, Tally, Venue};

use crate::desk::{Bound, post_credit, text, told};
use crate::truth::Truth;
use crate::{say, seed};

const TRADERS: usize = 8;
/// Answers between two kills.
const ANSWERS_PER_LIFE: (i64, i64) = (500, 1_500);
/// Requests that must be under way when the exchange is killed.
const LOAD_MIN: usize = TRADERS / 2;
/// Starts that are killed before the exchange trades for the first time.
const FIRST_STARTS_KILLED: u32 = 2;
/// Longest life of a start that is to be killed, microseconds.
const START_US_MAX: u64 = 60_000;
const FUNDS: [(&str, &str); 3] = [("BTC", "10"), ("ETH", "200"), ("USDT", "600000")];

/// What one proof came to.
struct Proof {
    tally: Tally,
    ledgers: Vec<Ledger>,
    trades: usize,
    segments: Option<u64>,
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    const KILLS: u64 = 20;
    let proof = prove("group", KILLS, 20_000);
    let sum = |count: fn(&Ledger) -> u64| proof.ledgers.iter().map(count).sum::<u64>();
    let (done, not_done) = (sum(|l| l.done_unanswered), sum(|l| l.not_done));
    say(&format!("of the orders without an answer {done} were done, {not_done} were not"));
    assert!(proof.tally.unknown >= KILLS, "the kills hit nobody");
    assert!(done > 0, "no kill came between doing and answering");
    assert!(not_done > 0, "no kill came between asking and doing");
    assert!(proof.trades > 1_000, "hardly anything traded");
    assert!(proof.segments > Some(2), "the journal never rolled");
}

/// A policy that syncs later, or leaves it to the system, is about power cuts: a process that dies
/// loses nothing under any of them.
#[test]
fn no_sync_policy_loses_anything_to_a_kill() {
    for sync in ["interval", "os"] {
        let proof = prove(sync, 5, 6_000);
        assert!(proof.tally.unknown > 0 && proof.trades > 100, "{sync}: {:?}", proof.tally);
    }
}

/// Trades, kills, and holds everything against everything.
fn prove(sync: &str, kills: u64, answers: u64) -> Proof {
    let seed = seed();
    say(&format!("{sync}: MATCHRING_SEED={seed}"));
    let mut exchange = Exchange::open(sync, Random::new(seed));
    let venue = Venue::default();
    let ledgers = thread::scope(|scope| {
        let seeds = (1..).map(|number| Random::new(seed.wrapping_add(number)));
        let traders: Vec<_> = (exchange.parties.identities.iter().cloned().zip(seeds))
            .map(|(identity, random)| Trader::new(&venue, identity, Habits::default(), random))
            .map(|trader| scope.spawn(|| trader.run()))
            .collect();
        let _alarm = venue.alarm();
        exchange.live_and_die(&venue, kills, answers);
        traders.into_iter().map(|trader| trader.join().expect("a trader")).collect::<Vec<_>>()
    });
    let tally = venue.tally();
    say(&format!("{sync}: {kills} kills, {} of starts, {tally:?}", exchange.starts_killed));
    assert!(tally.answered >= answers);
    exchange.repeat_everything(&ledgers);
    let (trades, segments) = exchange.final_verdict(&ledgers);
    let repeats: u64 = ledgers.iter().map(|ledger| ledger.repeats).sum();
    say(&format!("{sync}: {trades} trades, {repeats} repeats under way, {segments:?} segments"));
    Proof { tally, ledgers, trades, segments }
}

/// The exchange under test, and what its users had before they began.
struct Exchange {
    app: App,
    random: Random,
    parties: Parties,
    credits: Vec<Bound>,
    starts_killed: u32,
}

impl Exchange {
    /// Survives kills while it lists its products, then is funded.
    fn open(sync: &str, random: Random) -> Self {
        let sync = format!("\"{sync}\"");
        let app = App::prepare(&Settings::default().with("journal", "sync", &sync));
        let operator = app.token("operator", "admin");
        let identity = |number: usize| {
            let user = format!("trader-{number}");
            let token = app.token(&user, "read,trade");
            Identity { user, token, admin_token: Some(operator.clone()) }
        };
        let identities = (1..=TRADERS).map(identity).collect();
        let parties = Parties { identities, markets: &MARKETS, users: BTreeMap::new(), operator };
        let mut exchange = Self { app, random, parties, credits: Vec::new(), starts_killed: 0 };
        for _ in 0..FIRST_STARTS_KILLED {
            exchange.kill_a_start();
        }
        exchange.app.restart();
        exchange.fund();
        exchange
    }

    fn admin(&self) -> HttpClient {
        HttpClient::new(self.app.admin())
    }

    fn fund(&mut self) {
        let mut admin = self.admin();
        for identity in &self.parties.identities {
            for (asset, amount) in FUNDS {
                let reference = format!("funds-{}-{asset}", identity.user);
                let user = &identity.user;
                let body = json!({
                    "user": user, "asset": asset, "amount": amount, "reference": reference,
                });
                let body = body.to_string();
                let answer = admin.ask(&post_credit(&body).with_token(&self.parties.operator));
                assert_eq!(answer.status, 201, "{:?}", answer.json());
                self.credits.push(Bound { body, first: told(&answer) });
                let user = text(&answer.json(), "user").to_owned();
                self.parties.users.insert(identity.user.clone(), user);
            }
        }
    }

    /// Starts the exchange and kills it on the way.
    fn kill_a_start(&mut self) {
        self.app.spawn();
        thread::sleep(Duration::from_micros(self.random.below(START_US_MAX)));
        self.app.kill();
        self.starts_killed += 1;
    }

    /// All lives of the exchange, up to the last one, in which the traders finish.
    fn live_and_die(&mut self, venue: &Venue, kills: u64, answers: u64) {
        for kill in 1..=kills {
            self.open_door(venue, kill, false);
            self.kill_under_load(venue);
            if self.random.chance(30) {
                self.kill_a_start();
            }
            self.app.restart();
            self.check_in_silence();
        }
        self.open_door(venue, kills + 1, false);
        venue.wait_for_answers(answers);
        self.open_door(venue, kills + 1, true);
    }

    fn open_door(&self, venue: &Venue, generation: u64, last: bool) {
        let (public, admin) = (self.app.public(), self.app.admin());
        venue.open(Opening { generation, public, admin, last });
    }

    fn kill_under_load(&mut self, venue: &Venue) {
        let before = venue.tally();
        let (low, high) = ANSWERS_PER_LIFE;
        let answers = self.random.between(low, high).unsigned_abs();
        venue.wait_for_answers(before.answered + answers);
        thread::sleep(Duration::from_micros(self.random.below(3_000)));
        venue.wait_for_load(LOAD_MIN);
        self.app.kill();
        venue.close();
        venue.wait_for_silence(TRADERS);
        assert!(venue.tally().unknown > before.unknown, "nobody noticed the kill");
    }

    /// Right after a restart, before anybody trades: the state is that of the journal, the balances
    /// are those of the state, and money that came in once has come in once.
    fn check_in_silence(&self) {
        let mut admin = self.admin();
        for credit in &self.credits {
            let request = post_credit(&credit.body).with_token(&self.parties.operator);
            credit.check_repeat(&admin.ask(&request));
        }
        self.parties.check_state(&self.app);
    }

    /// Every key and every reference once more: the first answers, and nothing else.
    fn repeat_everything(&self, ledgers: &[Ledger]) {
        let (public, admin) = (self.app.public(), self.app.admin());
        let operator = &self.parties.operator;
        thread::scope(|scope| {
            for (identity, ledger) in self.parties.identities.iter().zip(ledgers) {
                scope.spawn(move || {
                    books::repeat_orders(public, identity, ledger);
                    let mut admin = HttpClient::new(admin);
                    for credit in &ledger.credits {
                        let request = post_credit(&credit.body);
                        let answer = admin.ask(&request.with_token(operator));
                        credit.check_repeat(&answer);
                    }
                });
            }
        });
    }

    /// The last kill, and everything that there is to compare. Returns trades and segments.
    fn final_verdict(&mut self, ledgers: &[Ledger]) -> (usize, Option<u64>) {
        self.check_in_silence();
        let truth = self.parties.check_exchange(&mut self.app, ledgers);
        self.check_supply(ledgers, &truth);
        let trades = truth.trades.len();
        self.app.restart();
        self.parties.wait_for_settlement(&self.app, trades);
        assert_eq!(self.app.terminate().code, Some(0));
        books::check_books(&self.app, trades);
        let segments = self.app.run_json(&["journal", "verify"])["segments"].as_u64();
        (trades, segments)
    }

    /// All the money there is was credited, and each credit counts once.
    fn check_supply(&self, ledgers: &[Ledger], truth: &Truth) {
        let mut credited: BTreeMap<String, SignedAmount> = BTreeMap::new();
        let deposits = ledgers.iter().flat_map(|ledger| &ledger.credits);
        for credit in self.credits.iter().chain(deposits) {
            let body: &Value = &credit.first.1;
            let asset = text(body, "asset").to_owned();
            let units = parse(text(body, "amount"), 8).expect("an amount");
            *credited.entry(asset).or_default() += units;
        }
        for (code, sum) in credited {
            let asset = AssetCode::new(&code).and_then(|code| truth.engine.assets().find(code));
            assert_eq!(asset.map(|asset| asset.supply), Some(sum), "{code}");
        }
    }
}
