//! Owns the judge: a book on ordered maps of queues, slow and plain on purpose.
//! Shares no idea with the engine's. Invariant: price-time priority, trades at the maker's price.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use super::format::{Kind, Record, TapeSide};

const FNV_START: u64 = 0xCBF2_9CE4_8422_2325;

/// One step of FNV-1a over 64-bit words.
pub(crate) fn fnv(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x0000_0100_0000_01B3)
}

/// What a whole tape comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) trades: u64,
    pub(crate) volume: u64,
    /// Sum of price times quantity, wrapping.
    pub(crate) notional: u64,
    /// Over maker, taker, price and quantity of every trade in order.
    pub(crate) trade_hash: u64,
    /// Over side, price, id and quantity left of the final book: bids best first, then asks.
    pub(crate) state_hash: u64,
    pub(crate) live_orders: u64,
}

impl Summary {
    pub(crate) fn new() -> Self {
        Self {
            trades: 0,
            volume: 0,
            notional: 0,
            trade_hash: FNV_START,
            state_hash: FNV_START,
            live_orders: 0,
        }
    }

    pub(crate) fn trade(&mut self, maker: u64, taker: u64, price: u64, quantity: u64) {
        self.trades += 1;
        self.volume += quantity;
        self.notional = self.notional.wrapping_add(price.wrapping_mul(quantity));
        self.trade_hash = [maker, taker, price, quantity].into_iter().fold(self.trade_hash, fnv);
    }

    pub(crate) fn rests(&mut self, side: TapeSide, price: u64, id: u64, left: u64) {
        self.live_orders += 1;
        self.state_hash = [side as u64, price, id, left].into_iter().fold(self.state_hash, fnv);
    }

    /// What several instruments come to: sums, and each hash over their hashes in their order. One
    /// instrument comes to what it is.
    pub(crate) fn combined(parts: &[Self]) -> Self {
        if let [one] = parts {
            return one.clone();
        }
        parts.iter().fold(Self::new(), |sum, part| Self {
            trades: sum.trades + part.trades,
            volume: sum.volume + part.volume,
            notional: sum.notional.wrapping_add(part.notional),
            trade_hash: fnv(sum.trade_hash, part.trade_hash),
            state_hash: fnv(sum.state_hash, part.state_hash),
            live_orders: sum.live_orders + part.live_orders,
        })
    }

    /// `key value` lines.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let numbers = [
            ("trades", self.trades),
            ("volume", self.volume),
            ("notional", self.notional),
            ("live_orders", self.live_orders),
        ];
        for (key, value) in numbers {
            let _ = writeln!(text, "{key} {value}");
        }
        for (key, value) in [("trade_hash", self.trade_hash), ("state_hash", self.state_hash)] {
            let _ = writeln!(text, "{key} {value:016x}");
        }
        text
    }

    /// The first line of this summary that `text` has under the same key with another value.
    pub(crate) fn contradiction(&self, text: &str) -> Option<String> {
        let own = self.to_text();
        own.lines().find_map(|line| {
            let (key, value) = line.split_once(' ')?;
            let said = text.lines().find_map(|other| other.strip_prefix(key)?.strip_prefix(' '))?;
            (said != value).then(|| format!("{key}: {value} here, {said} in the file"))
        })
    }
}

/// An order in the book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) side: TapeSide,
    pub(crate) price: u32,
    pub(crate) left: u32,
    pub(crate) owner: u32,
}

/// The slow book of one instrument.
#[derive(Debug)]
pub(crate) struct SlowBook {
    bids: BTreeMap<u32, VecDeque<u64>>,
    asks: BTreeMap<u32, VecDeque<u64>>,
    live: BTreeMap<u64, Live>,
    totals: Summary,
    /// Makers that the last command filled.
    pub(crate) filled: Vec<u64>,
}

impl SlowBook {
    pub(crate) fn new() -> Self {
        Self {
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            live: BTreeMap::new(),
            totals: Summary::new(),
            filled: Vec::new(),
        }
    }

    pub(crate) fn live(&self, id: u64) -> Option<&Live> {
        self.live.get(&id)
    }

    fn queues(&mut self, side: TapeSide) -> &mut BTreeMap<u32, VecDeque<u64>> {
        match side {
            TapeSide::Bid => &mut self.bids,
            TapeSide::Ask => &mut self.asks,
        }
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        self.filled.clear();
        let Record { id, price, quantity, side, owner, .. } = *record;
        let incoming = Live { side, price, left: quantity, owner };
        match record.kind {
            Kind::NewGtc => self.enter(id, incoming, true),
            Kind::NewIoc => self.enter(id, incoming, false),
            Kind::Cancel => {
                self.take_out(id);
            }
            Kind::Move => {
                let order = self.take_out(id);
                self.enter(id, Live { price, ..order }, true);
            }
            Kind::Reduce => {
                let order = self.live.get_mut(&id).expect("a reduce names a live order");
                assert!(quantity < order.left);
                order.left -= quantity;
            }
        }
    }

    fn take_out(&mut self, id: u64) -> Live {
        let order = self.live.remove(&id).expect("the tape names live orders");
        let queues = self.queues(order.side);
        let queue = queues.get_mut(&order.price).expect("a live order is queued");
        queue.retain(|queued| *queued != id);
        if queue.is_empty() {
            queues.remove(&order.price);
        }
        order
    }

    fn enter(&mut self, id: u64, mut order: Live, rests: bool) {
        while order.left > 0 {
            let best = match order.side {
                TapeSide::Bid => self.asks.first_key_value().filter(|(p, _)| **p <= order.price),
                TapeSide::Ask => self.bids.last_key_value().filter(|(p, _)| **p >= order.price),
            };
            let Some((price, queue)) = best else { break };
            let (price, maker_id) = (*price, queue[0]);
            let maker = self.live.get_mut(&maker_id).expect("a queued order is live");
            let quantity = order.left.min(maker.left);
            maker.left -= quantity;
            order.left -= quantity;
            let filled = maker.left == 0;
            self.totals.trade(maker_id, id, price.into(), quantity.into());
            if filled {
                self.take_out(maker_id);
                self.filled.push(maker_id);
            }
        }
        if rests && order.left > 0 {
            self.queues(order.side).entry(order.price).or_default().push_back(id);
            self.live.insert(id, order);
        }
    }

    /// Totals of everything applied, with the hash of the book as it is now.
    pub(crate) fn summary(&self) -> Summary {
        let mut summary = self.totals.clone();
        let bids = self.bids.values().rev().flatten();
        for id in bids.chain(self.asks.values().flatten()) {
            let order = &self.live[id];
            summary.rests(order.side, order.price.into(), *id, order.left.into());
        }
        summary
    }
}

/// The slow books of a tape: nothing of one instrument reaches another.
#[derive(Debug)]
pub(crate) struct SlowBooks(pub(crate) Vec<SlowBook>);

impl SlowBooks {
    pub(crate) fn new(instruments: u16) -> Self {
        Self((0..instruments).map(|_| SlowBook::new()).collect())
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        self.0[usize::from(record.instrument)].apply(record);
    }

    /// Of each instrument.
    pub(crate) fn summaries(&self) -> Vec<Summary> {
        self.0.iter().map(SlowBook::summary).collect()
    }

    /// Of the whole tape.
    pub(crate) fn summary(&self) -> Summary {
        Summary::combined(&self.summaries())
    }
}
