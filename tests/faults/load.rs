//! Owns the load: eight traders at the exchange and four payers at the wallet, from before a fault
//! until after it. Knows nothing of the fault. Invariant: whoever was asked has an answer in the
//! end, so what was told can be compared with what was done.

use std::sync::atomic::AtomicBool;
use std::thread;

use tests::random::Random;
use tests::report::{say, seed};
use tests::trading::ledger::Ledger;
use tests::trading::trader::Trader;
use tests::trading::venue::{Opening, SetOnDrop, Tally, Venue};

use crate::pair::Pair;
use crate::payer::{Payer, Payment};

pub(crate) const PAYERS: u64 = 4;

/// What everybody was told.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) ledgers: Vec<Ledger>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) tally: Tally,
}

/// The exchange and those who trade there.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) pair: &'a mut Pair,
    pub(crate) venue: &'a Venue,
    pub(crate) random: Random,
    generation: u64,
}

impl Scene<'_> {
    /// Lets the traders in, to a new life of the exchange if it had to be opened again.
    pub(crate) fn open(&mut self) {
        self.generation += 1;
        self.let_in(false);
    }

    fn let_in(&self, last: bool) {
        let (public, admin) = (self.pair.app.public(), self.pair.app.admin());
        let generation = self.generation;
        self.venue.open(Opening { generation, public, admin, last });
    }

    /// Waits for so many more answers of the exchange.
    pub(crate) fn trade(&self, answers: u64) {
        self.venue.wait_for_answers(self.venue.tally().answered + answers);
    }
}

impl Pair {
    /// Has everybody trade and pay while `fault` happens; both processes run when it returns, and
    /// reach each other.
    pub(crate) fn under_load(&mut self, fault: impl FnOnce(&mut Scene<'_>)) -> Evidence {
        self.under_load_of(PAYERS, fault)
    }

    /// Has everybody trade while `fault` happens, which may last for longer.
    pub(crate) fn under_trading(&mut self, fault: impl FnOnce(&mut Scene<'_>)) -> Evidence {
        self.under_load_of(0, fault)
    }

    fn under_load_of(&mut self, payers: u64, fault: impl FnOnce(&mut Scene<'_>)) -> Evidence {
        let seed = seed();
        say(&format!("MATCHRING_SEED={seed}"));
        let (venue, over) = (Venue::default(), AtomicBool::new(false));
        let random = |number: u64| Random::new(seed.wrapping_add(number));
        let payer = |number: u64| Payer {
            name: format!("payer-{number}"),
            wallet: self.wallet.address(),
            token: self.token.clone(),
            tills: self.tills.clone(),
            random: random(100 + number),
        };
        let payers: Vec<_> = (1..=payers).map(payer).collect();
        let identities = self.parties.identities.clone();
        thread::scope(|scope| {
            let traders: Vec<_> = (1..)
                .zip(identities)
                .map(|(number, identity)| Trader::new(&venue, identity, random(number)))
                .map(|trader| scope.spawn(|| trader.run()))
                .collect();
            let payers: Vec<_> =
                payers.into_iter().map(|payer| scope.spawn(|| payer.run(&over))).collect();
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
