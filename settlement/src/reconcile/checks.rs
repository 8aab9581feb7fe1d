//! Owns the comparison itself: which identity is looked at how, and what is a breach of it.
//! Knows nothing of how it was found out who did what. Invariant: nothing is changed but what the
//! comparison remembers for the next one.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::fees::signed;
use engine::{Engine, StateMachine, TradeId};
use uuid::Uuid;
use wallet::ledger::Ledger;

use super::{Breach, Moves, Reconciler, Report, Sums, report};
use crate::limits::SPAN_MAX;
use crate::progress::Progress;
use crate::releases::SavedReleases;

impl Reconciler {
    /// Compares the books. The engine must stand at the settled point of `progress`, which must
    /// have been taken before the ledger's state; all that both did until then must have been
    /// shown, from the beginning.
    ///
    /// `releases` are those of the file, taken before the ledger's state; none where orders are
    /// paid from one pool.
    pub fn check(
        &mut self,
        engine: &Engine,
        ledger: &Ledger,
        progress: &Progress,
        releases: Option<&SavedReleases>,
    ) -> Report {
        // Loans that were taken are of no further interest.
        self.loans.retain(|_, id| self.lent.contains_key(id));
        let mut breaches = self.seen.clone();
        check_ledger(ledger, &mut breaches);
        check_engine(|| engine.assert_invariants(), &mut breaches);
        self.check_cursor(engine, progress, &mut breaches);
        self.check_trades(progress, &mut breaches);
        self.check_movements(&mut breaches);
        let shares = progress.letters.discarded_shares();
        self.funded.check(&shares, releases, &mut breaches);
        let balances = self.check_balances(engine, ledger, &mut breaches);
        Report {
            sequence: engine.last_sequence(),
            ledger_sequence: ledger.last_sequence(),
            event_cursor: progress.cursor,
            balances,
            trades_matched: self.matched,
            unsettled: self.traded.len(),
            ahead: self.settled.len(),
            breaches,
            unbalanced: super::sums::unbalanced(ledger),
        }
    }

    /// The cursor is not ahead of what there is, and lies at the settled point.
    fn check_cursor(&self, engine: &Engine, progress: &Progress, breaches: &mut Vec<Breach>) {
        let (cursor, events) = (progress.cursor, self.events);
        if cursor < events {
            report(breaches, "REC6", None, || {
                format!("the cursor is at event {cursor}, its command ends at {events}")
            });
        }
        let (head, sequence) = (engine.last_sequence(), progress.sequence);
        if head != sequence {
            report(breaches, "REC6", None, || {
                format!("the cursor is at command {sequence}, the exchange at {head}")
            });
        }
    }

    /// Every trade up to the point has its settlement or is a dead letter, and every settlement has
    /// its trade.
    fn check_trades(&mut self, progress: &Progress, breaches: &mut Vec<Breach>) {
        for (trade, moves) in &self.traded {
            if !progress.letters.has_taken(*trade) {
                report(breaches, "REC4", Some(moves.quote.0), || {
                    format!("trade {trade} is neither settled nor a dead letter")
                });
            }
        }
        // Not up to the cursor's trade: of several trades of one command the first may be settled.
        for (trade, moves) in self.settled.range(..=self.newest) {
            report(breaches, "REC4", Some(moves.quote.0), || {
                format!("trade {trade} was settled and never made")
            });
        }
        // By the next comparison the cursor has come at least this near to what was settled by now.
        let bound = TradeId(progress.trade.0.saturating_add(SPAN_MAX));
        let mut far_ahead = BTreeSet::new();
        for (trade, moves) in self.settled.range(bound..).filter(|(trade, _)| **trade > bound) {
            far_ahead.insert(*trade);
            if self.far_ahead.contains(trade) {
                report(breaches, "REC4", Some(moves.quote.0), || {
                    format!("trade {trade} was settled, far ahead of everything that was traded")
                });
            }
        }
        self.far_ahead = far_ahead;
    }

    /// The wallet is the cause of every movement, and all that it did was shown: what trading has
    /// got must have been lent, and what it gave up is still waited for.
    fn check_movements(&self, breaches: &mut Vec<Breach>) {
        for (id, movement) in &self.credited {
            report(breaches, "REC2", Some(movement.asset), || {
                format!("{movement:?} was credited as {id:x}, and the wallet never lent it")
            });
        }
        let asked: BTreeSet<u128> = self.recalls.values().map(|(id, _)| *id).collect();
        for (id, movement) in self.debited.iter().filter(|(id, _)| !asked.contains(id)) {
            report(breaches, "REC2", Some(movement.asset), || {
                format!("{movement:?} was debited as {id:x}, and the wallet does not wait for it")
            });
        }
    }

    fn check_balances(
        &self,
        engine: &Engine,
        ledger: &Ledger,
        breaches: &mut Vec<Breach>,
    ) -> usize {
        let mut expected = self.of_engine(engine);
        self.settled.values().for_each(|moves| self.add_moves(&mut expected, moves, 1));
        self.traded.values().for_each(|moves| self.add_moves(&mut expected, moves, -1));
        for (key, amount) in self.funded.on_the_way() {
            *expected.entry(key).or_default() += amount;
        }
        for (movements, sign) in
            [(&self.lent, 1), (&self.debited, 1), (&self.credited, -1), (&self.concluded, -1)]
        {
            for movement in movements.values() {
                let key = (movement.user, movement.asset);
                *expected.entry(key).or_default() += sign * signed(movement.amount);
            }
        }
        let actual = self.of_ledger(ledger);
        let keys = expected.keys().chain(actual.keys());
        let keys: BTreeSet<_> = keys.copied().collect();
        for (user, asset) in &keys {
            let of = |sums: &Sums| sums.get(&(*user, *asset)).copied().unwrap_or_default();
            let (trading, wallet) = (of(&expected), of(&actual));
            if trading != wallet {
                let who = match user {
                    0 => "fees".to_owned(),
                    user => format!("user {}", Uuid::from_u128(*user)),
                };
                report(breaches, "REC2", Some(*asset), || {
                    format!("{who}: the wallet has {wallet} units, trading says {trading}")
                });
            }
        }
        keys.len()
    }

    /// What a settlement does to what is reserved for trading: what it brings stays there only
    /// where orders are paid from one pool.
    fn add_moves(&self, sums: &mut Sums, moves: &Moves, sign: i128) {
        let (base, quote) = (signed(moves.base.1), signed(moves.quote.1));
        let kept = i128::from(!self.per_order);
        for (user, asset, amount) in [
            (moves.buyer, moves.quote.0, -(quote + moves.buyer_fee)),
            (moves.seller, moves.quote.0, kept * (quote - moves.seller_fee)),
            (0, moves.quote.0, moves.buyer_fee + moves.seller_fee),
            (moves.seller, moves.base.0, -base),
            (moves.buyer, moves.base.0, kept * base),
        ] {
            *sums.entry((user, asset)).or_default() += sign * amount;
        }
    }

    fn of_engine(&self, engine: &Engine) -> Sums {
        let mut sums = Sums::new();
        for (id, code) in &self.assets {
            let Some(asset) = engine.assets().get(*id) else { continue };
            for (account, user) in &self.users {
                let balance = asset.balance(*account);
                let total = signed(balance.available + balance.held);
                if total != 0 {
                    *sums.entry((*user, *code)).or_default() += total;
                }
            }
            if asset.fees != 0 {
                *sums.entry((0, *code)).or_default() += asset.fees;
            }
        }
        sums
    }

    fn of_ledger(&self, ledger: &Ledger) -> Sums {
        let mut sums = Sums::new();
        for (_, wallet) in ledger.books().wallets() {
            let Some(code) = self.ledger_assets.get(&wallet.asset) else { continue };
            if wallet.reserved != 0 {
                *sums.entry((wallet.user.0, *code)).or_default() += signed(wallet.reserved);
            }
        }
        for asset in ledger.books().assets() {
            if asset.fees != 0 {
                *sums.entry((0, asset.code)).or_default() += asset.fees;
            }
        }
        sums
    }
}

/// Every asset adds up to zero over the ledger, and what is reserved is somebody's.
fn check_ledger(ledger: &Ledger, breaches: &mut Vec<Breach>) {
    for what in ledger.check().err().into_iter().flatten() {
        report(breaches, "REC1", None, || what);
    }
}

/// Every order has exactly its hold, and every hold its order. The engine's own check stops at the
/// first thing that is wrong, and says so by a panic.
pub(super) fn check_engine(check: impl FnOnce(), breaches: &mut Vec<Breach>) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(check)) else { return };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    report(breaches, "REC3", None, || {
        text.unwrap_or_else(|| "the engine's state is not sound".to_owned())
    });
}
