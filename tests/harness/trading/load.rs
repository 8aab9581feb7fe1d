//! Owns the load: eight traders at the exchange and some payers at the wallet, from before a fault
//! until after it. Knows nothing of the fault. Invariant: whoever was asked has an answer in the
//! end, so what was told can be compared with what was done.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::habits::Habits;
use super::ledger::Ledger;
use super::trader::Trader;
use super::venue::{Opening, SetOnDrop, Tally, Venue};
use crate::random::Random;
use crate::report::{say, seed};

use super::pair::{Pair, TRADERS};
use super::payer::{PAUSE, Payer, Payment};

pub const PAYERS: u64 = 4;

/// Who loads both processes, and how.
#[derive(Clone, Debug)]
pub struct Load {
    pub seed: u64,
    pub payers: u64,
    /// Of a payer between two payments.
    pub pause: Duration,
    /// Of each trader, if not the usual ones.
    pub habits: Vec<Habits>,
}

impl Load {
    fn of(payers: u64) -> Self {
        Self { seed: seed(), payers, pause: PAUSE, habits: vec![Habits::default(); TRADERS] }
    }
}

/// What everybody was told.
#[derive(Debug)]
pub struct Evidence {
    pub ledgers: Vec<Ledger>,
    pub payments: Vec<Payment>,
    pub tally: Tally,
}

/// The exchange and those who trade there.
#[derive(Debug)]
pub struct Scene<'a> {
    pub pair: &'a mut Pair,
    pub venue: &'a Venue,
    pub random: Random,
    generation: u64,
}

impl Scene<'_> {
    /// Lets the traders in, to a new life of the exchange if it had to be opened again.
    pub fn open(&mut self) {
        self.generation += 1;
        self.let_in(false);
    }

    fn let_in(&self, last: bool) {
        let (public, admin) = (self.pair.app.public(), self.pair.app.admin());
        let generation = self.generation;
        self.venue.open(Opening { generation, public, admin, last });
    }

    /// Waits for so many more answers of the exchange.
    pub fn trade(&self, answers: u64) {
        self.venue.wait_for_answers(self.venue.tally().answered + answers);
    }
}

impl Pair {
    /// Has everybody trade and pay while `fault` happens; both processes run when it returns, and
    /// reach each other.
    pub fn under_load(&mut self, fault: impl FnOnce(&mut Scene<'_>)) -> Evidence {
        self.under(Load::of(PAYERS), fault)
    }

    /// Has everybody trade while `fault` happens, which may last for longer.
    pub fn under_trading(&mut self, fault: impl FnOnce(&mut Scene<'_>)) -> Evidence {
        self.under(Load::of(0), fault)
    }

    /// The same with this load.
    pub fn under(&mut self, load: Load, fault: impl FnOnce(&mut Scene<'_>)) -> Evidence {
        let Load { seed, payers, pause, habits } = load;
        say(&format!("MATCHRING_SEED={seed}"));
        let (venue, over) = (Venue::default(), AtomicBool::new(false));
        let random = |number: u64| Random::new(seed.wrapping_add(number));
        let payer = |number: u64| Payer {
            name: format!("payer-{number}"),
            wallet: self.wallet.address(),
            token: self.token.clone(),
            tills: self.tills.clone(),
            random: random(100 + number),
            pause,
        };
        let payers: Vec<_> = (1..=payers).map(payer).collect();
        let identities = self.parties.identities.clone();
        thread::scope(|scope| {
            let traders: Vec<_> = (1..)
                .zip(identities.into_iter().zip(habits))
                .map(|(number, (who, habits))| Trader::new(&venue, who, habits, random(number)))
                .map(|trader| scope.spawn(|| trader.run()))
                .collect();
            let payers: Vec<_> =
                payers.into_iter().map(|payer| scope.spawn(|| payer.run(&venue, &over))).collect();
            let _alarm = venue.alarm();
            let end = SetOnDrop(&over);
            let mut scene = Scene { pair: self, venue: &venue, random: random(0), generation: 0 };
            scene.open();
            fault(&mut scene);
            scene.let_in(true);
            let ledgers = traders.into_iter().map(|t| t.join().expect("a trader")).collect();
            drop(end);
            let payments = payers.into_iter().flat_map(|p| p.join().expect("a payer")).collect();
            Evidence { ledgers, payments, tally: venue.tally() }
        })
    }
}
