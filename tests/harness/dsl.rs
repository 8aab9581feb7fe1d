//! Owns the notation of scenarios: one line of text for the commands, one for the events, one for
//! the end. Knows nothing of any exchange. Invariant: commands are numbered from 1 in the order in
//! which they are written, and an order is named by the number of the command that created it.
//!
//! A scenario is `{settings} set-up commands >> tested commands`, separated by `;`. What the set-up
//! causes is not shown. One-letter accounts trade one instrument.
//!
//! | command | meaning |
//! |---|---|
//! | `a B 5@100`, `a S 5@mkt`, `a B $700@mkt` | LIMIT GTC; MARKET; MARKET by quote budget |
//! | ... `ioc` `fok` `po` `id=k` `cr7:500` | IOC; FOK; post only; client id; funded by credit 7 |
//! | ... `ct` `cm` `cb` `dc` | meeting its owner's: cancel taker, maker, both; decrement |
//! | `a x3`, `a xid=k`, `a x*`, `a x*S` | cancel order 3; by client order id; all; all sells |
//! | `a m3 p101 q5` | amend order 3: new price, new total quantity |
//! | `dep a Q5`, `wd a B5` | credit of quote units; debit of base units |
//! | `halt` `open` `cxl` | trading status HALTED, TRADING, CANCEL_ONLY |
//! | `susp a`, `unsusp a`, `t7` | suspend; reactivate; let time pass until 7 |
//! | `t7: ...`, `... *3` | the command at time 7; the command three times |
//!
//! Settings: `money` (show amounts), `k` and `bpl` (units per tick and lot), `fee 10/20` (maker and
//! taker, basis points), `collar`, `band`, `ref`, `steps`, `keys`, `max_open`, `max_book`,
//! `min_qty`, `max_qty`, `min_not`, `max_not`, `grp a b` (accounts of one group), and `a Q5 B6`
//! (exactly what account a owns).

mod orders;
mod parse;
mod render;

use engine::{Command, Frame};

pub use render::{render_end, render_events};

/// The asset that is bought and sold, `B` in the notation.
pub const BASE: engine::AssetId = engine::AssetId(1);
/// The asset that it is paid with, `Q` in the notation.
pub const QUOTE: engine::AssetId = engine::AssetId(2);
/// The instrument of every scenario.
pub const INSTRUMENT: engine::InstrumentId = engine::InstrumentId(1);

/// A scenario, ready to be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Commands that the text implies: assets, instrument, accounts and their money.
    implied: Vec<Command>,
    /// The written commands with their times, nanoseconds.
    numbered: Vec<(u64, Command)>,
    /// How many of the numbered commands are set-up.
    hidden: usize,
    /// Account letters; the first is account 1.
    letters: Vec<char>,
    money: bool,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Panics
    /// If the text is not in the notation; the message names the part that is not.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        parse::scenario(text)
    }

    /// Every command in its frame; the events of the first [`Self::hidden_frames`] are not shown.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame<Command>> {
        let implied = self.implied.iter().map(|command| (0, *command));
        let all = implied.chain(self.numbered.iter().copied()).zip(1..);
        all.map(|((timestamp_ns, command), sequence)| Frame { sequence, timestamp_ns, command })
            .collect()
    }

    /// How many frames are implied or set-up.
    #[must_use]
    pub fn hidden_frames(&self) -> usize {
        self.implied.len() + self.hidden
    }

    /// Sequence of the command numbered `number`.
    fn sequence(&self, number: u64) -> u64 {
        number + self.implied.len() as u64
    }

    /// Number of the command that has this sequence.
    fn number(&self, sequence: u64) -> u64 {
        sequence - self.implied.len() as u64
    }

    fn account(&self, letter: char) -> engine::AccountId {
        let index = self.letters.iter().position(|l| *l == letter);
        let index = index.unwrap_or_else(|| panic!("no command names account {letter:?}"));
        engine::AccountId(u32::try_from(index + 1).expect("at most 26 letters"))
    }
}
