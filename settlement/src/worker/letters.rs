//! Owns what the worker does with dead letters: burying, retrying, and what operators ask for.
//! Knows nothing of the window's order. Invariant: a letter is tried by one call at a time, and an
//! operator who is told that a letter is gone is told so after the file says it.

use engine::TradeId;
use tokio::sync::oneshot;
use wallet::client::{Settlement, WalletError};

use super::Worker;
use super::calls::Batch;
use super::window::Standing;
use crate::dead_letters::Discarded;
use crate::desk::DeskError;
use crate::outcome::{Class, Verdict, judge};
use crate::trade::DueTrade;

impl Worker {
    /// Adds a dead letter, or counts another try of one, unless there is no room for it.
    pub(super) fn bury(&mut self, trade: &DueTrade, class: Class, reason: &str) -> bool {
        let (now_ns, max) = (self.now_ns(), self.options.dead_letters_max);
        let buried = self.board.write(|view| {
            let letters = &mut view.progress.letters;
            let is_new = letters.get(trade.number).is_none();
            if is_new && !letters.has_room(max) {
                return None;
            }
            letters.add(*trade, class, reason, now_ns);
            letters.get(trade.number).cloned().map(|letter| (letter, is_new))
        });
        let Some((letter, is_new)) = buried else {
            if !std::mem::replace(&mut self.no_room, true) {
                tracing::error!(max, "no room for another dead letter: settlement waits");
            }
            return false;
        };
        self.no_room = false;
        self.unsaved = true;
        if is_new {
            self.board.count_dead_letter();
        }
        if class != Class::Unknown {
            self.tools.alarm.raise(&letter);
        }
        true
    }

    /// Every letter that may be tried is tried once at the start.
    pub(super) fn hurry_letters(&mut self) {
        self.requeue_class(Class::Unknown);
    }

    /// A letter whose time has come and that nobody tries yet; it is flying from now on. Letters
    /// fly alone: what befalls one must not befall the others.
    pub(super) fn take_letter(&mut self) -> Option<Batch> {
        let (now_ns, flying) = (self.now_ns(), &self.flying);
        let (done, ..) = self.window.reached();
        let taken = self.board.read(|view| {
            let letters = &view.progress.letters;
            let trade = letters.due(now_ns).find(|trade| !flying.contains(trade))?;
            let DueTrade { event_sequence, request, .. } = letters.get(trade)?.trade;
            let standing = if done + 1 < event_sequence {
                Standing::Behind
            } else if letters.may_bring(trade, &request) {
                Standing::Owed
            } else {
                Standing::Final
            };
            Some(Batch::Letter { trade, standing, request })
        });
        if let Some(Batch::Letter { trade, .. }) = taken {
            self.flying.insert(trade);
        }
        taken
    }

    pub(super) fn complete_letter(
        &mut self,
        trade: TradeId,
        standing: Standing,
        result: Result<Settlement, WalletError>,
    ) {
        self.flying.remove(&trade);
        let letter = self.board.read(|view| view.progress.letters.get(trade).cloned());
        let letter = letter.expect("a letter that is being tried is not taken out");
        self.unsaved = true;
        let error = match result {
            Ok(settlement) => {
                self.board.settle(trade, letter.trade.traded_ns, settlement);
                self.board.write(|view| view.progress.letters.remove(trade));
                tracing::info!(trade = %letter.trade.request.trade_id, "a dead letter was settled");
                return;
            }
            Err(error) => error,
        };
        let class = match judge(&error) {
            Verdict::Wait => {
                let until_ns = self.until_ns(self.options.retry.wait_max);
                self.board.write(|view| view.progress.letters.try_at(trade, until_ns));
                return;
            }
            Verdict::Short if standing == Standing::Final => Class::Impossible,
            Verdict::Retry | Verdict::Short => Class::Unknown,
            Verdict::Dead(class) => class,
        };
        self.board.count_failed_try();
        self.bury(&letter.trade, class, &error.to_string());
    }

    /// Has a letter tried at once; a letter that is being tried is left alone.
    pub(super) fn requeue(&mut self, trade: TradeId) -> Result<(), DeskError> {
        let now_ns = self.now_ns();
        let found = self.board.write(|view| view.progress.letters.try_at(trade, now_ns));
        self.unsaved |= found;
        if found { Ok(()) } else { Err(DeskError::NoSuchLetter) }
    }

    pub(super) fn requeue_class(&mut self, class: Class) -> usize {
        let now_ns = self.now_ns();
        let count = self.board.write(|view| {
            let letters = &mut view.progress.letters;
            let of_class = letters.iter().filter(|letter| letter.class == class);
            let trades: Vec<_> = of_class.map(|letter| letter.trade.number).collect();
            for trade in &trades {
                letters.try_at(*trade, now_ns);
            }
            trades.len()
        });
        self.unsaved |= count > 0;
        count
    }

    /// Takes a letter out for good. The answer comes when the file says so: until then a crash
    /// would bring the letter back, and its money would move twice.
    pub(super) fn discard(
        &mut self,
        discarded: Discarded,
        reply: oneshot::Sender<Result<(), DeskError>>,
    ) {
        match self.take_out(discarded) {
            Ok(()) => self.owed.push(reply),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn take_out(&mut self, mut discarded: Discarded) -> Result<(), DeskError> {
        if self.flying.contains(&discarded.trade) {
            return Err(DeskError::BeingTried);
        }
        discarded.at_ns = self.now_ns();
        let letter = self.board.write(|view| {
            let letters = &mut view.progress.letters;
            letters.get(discarded.trade).cloned().inspect(|letter| {
                discarded.trade_id = letter.trade.request.trade_id.as_u128();
                discarded.shares = letter.trade.shares();
                letters.discard(discarded.clone());
            })
        });
        let letter = letter.ok_or(DeskError::NoSuchLetter)?;
        tracing::warn!(
            trade = %letter.trade.request.trade_id, reason = discarded.reason,
            "a dead letter was discarded"
        );
        self.unsaved = true;
        Ok(())
    }
}
