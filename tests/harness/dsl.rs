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
//! | `a B 5 stop99`, `a B 5@98 stop99` | STOP; STOP_LIMIT |
//! | `a B 5 tp99`, `a B 5@98 tp99` | TAKE_PROFIT; TAKE_PROFIT_LIMIT |
//! | `a B $700 stop99` | STOP by quote budget |
//! | `a B 5 tr10`, `a B 5 tr50bp` | TRAILING_STOP by ticks; by basis points |
//! | ... `ioc` `fok` `gtd7` `day` | IOC; FOK; GTD until 7; DAY |
//! | ... `po` `d2` `id=k` `cr7:500` | post only; shows 2; client id; funded by credit 7 |
//! | ... `ct` `cm` `cb` `dc` | meeting its owner's: cancel taker, maker, both; decrement |
//! | ... `#2` `rsv` | in the second book; announced, its funds are reserved elsewhere |
//! | `place 3`, `drop 3` | the funds of announced order 3 are there; will not come |
//! | `a x3`, `a xid=k`, `a x*`, `a x*S` | cancel order 3; by client order id; all; all sells |
//! | `a m3 p101 q5 s99` | amend order 3: new price, new total quantity, new trigger |
//! | `dep a Q5`, `wd a B5` | credit of quote units; debit of base units |
//! | `halt` `open` `cxl` `eod` (`#2`) | HALTED, TRADING, CANCEL_ONLY; the session ends |
//! | `susp a`, `unsusp a`, `t7` | suspend; reactivate; let time pass until 7 |
//! | `kill a`, `kill #1`, `kill *`, `unkill a` | stop an account, a book, all; let go again |
//! | `set collar 500` | another value of a setting below that has a number |
//! | `t7: ...`, `... *3` | the command at time 7; the command three times |
//!
//! Settings: `money` (show amounts), `k` and `bpl` (units per tick and lot), `fee 10/20` (maker and
//! taker, basis points), `collar`, `band`, `ref`, `steps`, `trig` (stops of one command), `keys`,
//! `max_open`, `max_book`, `max_vol`, `max_price`, `min_qty`, `max_qty`, `min_not`, `max_not`,
//! `parts` (of what shows only a part), `books 2` (a second book like the first), `grp a b`
//! (accounts of one group), and `a Q5 B6` (exactly what account a owns).
//!
//! | event | meaning |
//! |---|---|
//! | `T4/3 5@100`, `L4 5@100 v2`, `I3 v2` | 4 trades with 3; 4 rests and shows 2; 3 shows 2 anew |
//! | `P4/3 2:2`, `C4 why`, `G4@99` | kept from trading: lots of 3, of 4; closed; triggered |
//! | `M4 5@100 s99 kept` | amended: open, price, trigger, place kept or lost |
//! | `R7 CODE`, `D7=4`, `K7 500` | command 7 refused; is 4 once more; credit 7 of an order |
//! | `A4 h500`, `... r5`, `... f1/2` | (with `money`) accepted; set free; fees of maker, taker |
//! | `W4`, `X4 CODE`, `F4 100/500` | announced; given up; of 500 reserved units 100 were used |
//!
//! The end is `bid 99 4:5, 98 3:2/9` (price, then each order's visible/open lots), `ask ...`, with
//! `#2` of the second book; `stops 5 6` (dormant ones by id, then those that wait in their queue);
//! what is asked for: `last 99`, `a Q5+7` (available and held), `a V9` (lots traded today), `FEES`.

mod orders;
mod parse;
mod render;

use engine::{Command, EngineConfig, Frame, InstrumentSpec};

pub use render::{render_end, render_events};

/// The asset that is bought and sold, `B` in the notation.
pub const BASE: engine::AssetId = engine::AssetId(1);
/// The asset that it is paid with, `Q` in the notation.
pub const QUOTE: engine::AssetId = engine::AssetId(2);
/// The instrument of every scenario.
pub const INSTRUMENT: engine::InstrumentId = engine::InstrumentId(1);
/// The one that some have beside it.
const SECOND: engine::InstrumentId = engine::InstrumentId(2);

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
    /// What the instrument and the engine are set to after the commands read so far.
    spec: InstrumentSpec,
    config: EngineConfig,
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

    /// Whether the order of this sequence was announced.
    fn announces(&self, sequence: u128) -> bool {
        let reserved = |frame: &Frame<Command>| {
            let same = u128::from(frame.sequence) == sequence;
            same && matches!(frame.command, Command::ReserveOrder(_))
        };
        self.frames().iter().any(reserved)
    }

    fn account(&self, letter: char) -> engine::AccountId {
        let index = self.letters.iter().position(|l| *l == letter);
        let index = index.unwrap_or_else(|| panic!("no command names account {letter:?}"));
        engine::AccountId(u32::try_from(index + 1).expect("at most 26 letters"))
    }
}
