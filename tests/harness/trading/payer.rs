//! Owns those who bring money in and take it out at the wallet while others trade with it. Knows
//! nothing of faults but that answers may be missing. Invariant: a payment is repeated under its
//! reference until its outcome is known, before anything else is paid.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::desk::{Told, is_replayed, text, told};
use crate::http_client::{HttpClient, Outcome, Request};
use crate::random::Random;
use engine::SignedAmount;
use engine::decimal::parse;
use serde_json::json;

use super::pair::SCALE;
use super::venue::Venue;

/// Pause after a try without an outcome, and before the next payment unless told otherwise.
pub const PAUSE: Duration = Duration::from_millis(5);
/// How long one payment may take; the wallet may be away for minutes.
const PATIENCE: Duration = Duration::from_secs(200);

/// Where a user's money of one asset is.
#[derive(Clone, Debug)]
pub struct Till {
    pub asset: &'static str,
    pub wallet: String,
}

/// Money in or out under a reference.
#[derive(Clone, Debug)]
pub struct Payment {
    pub path: String,
    pub body: String,
    pub asset: &'static str,
    /// Below zero if it goes out.
    units: SignedAmount,
    /// The final one.
    pub answer: Option<Told>,
    /// Tries that may have been carried out although there was no answer.
    pub doubts: u64,
    /// The answer says that an earlier try was carried out.
    pub done_unanswered: bool,
}

impl Payment {
    pub fn deposit(till: &Till, amount: &str, reference: &str) -> Self {
        Self::new(till, amount, reference, "deposit", 1)
    }

    pub fn withdrawal(till: &Till, amount: &str, reference: &str) -> Self {
        Self::new(till, amount, reference, "withdraw", -1)
    }

    fn new(till: &Till, amount: &str, reference: &str, what: &str, sign: SignedAmount) -> Self {
        Self {
            path: format!("/api/v1/wallets/{}/{what}", till.wallet),
            body: json!({"amount": amount, "referenceId": reference}).to_string(),
            asset: till.asset,
            units: sign * parse(amount, SCALE).expect("an amount"),
            answer: None,
            doubts: 0,
            done_unanswered: false,
        }
    }

    /// Whether it is into or out of this wallet.
    pub fn is_of(&self, till: &Till) -> bool {
        self.path.split('/').nth(4) == Some(&till.wallet)
    }

    /// What it has changed.
    pub fn effect(&self) -> SignedAmount {
        match &self.answer {
            Some((200, _)) => self.units,
            _ => 0,
        }
    }

    /// Asks until there is a final answer.
    pub fn insist(&mut self, cashier: &mut HttpClient, token: &str) -> Told {
        self.insist_unless(cashier, token, || false).expect("nobody gives up")
    }

    /// The same until somebody has given up.
    fn insist_unless(
        &mut self,
        cashier: &mut HttpClient,
        token: &str,
        given_up: impl Fn() -> bool,
    ) -> Option<Told> {
        let mut asked = false;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if given_up() {
                return None;
            }
            let request = Request::post(&self.path, &self.body).with_token(token);
            match cashier.send(&request) {
                Outcome::Answered(answer) => match answer.status {
                    // It waits until trading has given the money up.
                    202 => asked = true,
                    429 | 503 => {}
                    504 => self.doubts += 1,
                    200 | 400 => {
                        let replayed = is_replayed(&answer);
                        let known = asked || self.doubts > 0;
                        assert!(known || !replayed, "a new reference was used: {}", self.body);
                        self.done_unanswered = self.doubts > 0 && replayed;
                        let first = told(&answer);
                        let refused = text(&first.1, "code") == "INSUFFICIENT_FUNDS";
                        assert!(refused || first.0 == 200, "{}: {first:?}", self.body);
                        self.answer = Some(first.clone());
                        return Some(first);
                    }
                    _ => panic!("{} {}: {:?}", self.path, self.body, answer.json()),
                },
                Outcome::NotSent(_) => {}
                Outcome::Unknown(_) => self.doubts += 1,
            }
            thread::sleep(PAUSE);
        }
        panic!("{} {}: no answer in {PATIENCE:?}", self.path, self.body);
    }
}

/// One who pays all the time.
#[derive(Debug)]
pub struct Payer {
    pub name: String,
    pub wallet: SocketAddr,
    pub token: String,
    pub tills: Vec<Till>,
    pub random: Random,
    /// Before the next payment.
    pub pause: Duration,
}

impl Payer {
    /// Pays until it is over, or until somebody has failed.
    pub fn run(mut self, venue: &Venue, over: &AtomicBool) -> Vec<Payment> {
        let mut cashier = HttpClient::new(self.wallet);
        let mut payments = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let mut payment = self.draft(payments.len());
            let failed = || venue.is_over();
            if payment.insist_unless(&mut cashier, &self.token, failed).is_none() {
                break;
            }
            payments.push(payment);
            thread::sleep(self.pause);
        }
        payments
    }

    fn draft(&mut self, number: usize) -> Payment {
        let reference = format!("{}-{number}", self.name);
        let count = self.tills.len() as u64;
        let till = &self.tills[usize::try_from(self.random.below(count)).expect("an index")];
        match self.random.below(20) {
            0..10 => Payment::deposit(till, "0.5", &reference),
            // More than anybody has.
            10 => Payment::withdrawal(till, "900000", &reference),
            _ => Payment::withdrawal(till, "0.25", &reference),
        }
    }
}
