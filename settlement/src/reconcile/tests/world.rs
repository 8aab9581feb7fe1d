//! Owns an engine, a ledger, and whatever is on its way between them.
//! Knows nothing of tests. Invariant: everything that both machines do is shown to the reconciler,
//! unless it is hidden on purpose.

use std::collections::VecDeque;

use engine::{Command, EngineOptions, InstrumentSpec, TradingStatus};
use wallet::ledger::types::{UserId, WalletId};

use super::*;
use crate::releases::SavedReleases;

mod acts;
mod orders;

pub(super) use orders::{Ended, Waiting};

pub(super) const BTC: engine::AssetId = engine::AssetId(1);
pub(super) const USDT: engine::AssetId = engine::AssetId(2);
pub(super) const USERS: u32 = 4;

/// A trade that is not settled.
#[derive(Clone, Copy)]
pub(super) struct Due {
    pub(super) trade: Trade,
    event_sequence: u64,
    sequence: u64,
}

/// A movement that trading has answered, at this command, and the wallet does not know of.
#[derive(Clone, Copy)]
pub(super) struct Owed {
    transaction: TransactionId,
    pub(super) granted: bool,
    pub(super) after: u64,
}

pub(super) struct World {
    pub(super) engine: Engine,
    log: Vec<(Frame<Command>, Vec<Event>)>,
    /// Follows the engine up to the settled point.
    pub(super) shadow: Engine,
    shown: usize,
    events: u64,
    pub(super) newest: TradeId,
    pub(super) ledger: Ledger,
    pub(super) reconciler: Reconciler,
    pub(super) due: BTreeMap<TradeId, Due>,
    pub(super) letters: DeadLetters,
    pub(super) requested: VecDeque<(TransactionId, FundingEvent)>,
    pub(super) owed: Vec<Owed>,
    references: u64,
    /// Orders have reservations of their own; those that wait for them, with whether they have
    /// them, and those that have ended.
    pub(super) per_order: bool,
    pub(super) waiting: Vec<Waiting>,
    pub(super) ended: Vec<Ended>,
    /// The file of the releases; absent if nobody looks at it.
    pub(super) releases: Option<SavedReleases>,
}

pub(super) fn code(asset: engine::AssetId) -> AssetCode {
    AssetCode::new(if asset == BTC { "BTC" } else { "USDT" }).unwrap()
}

/// The wallet of a user: opened in this order.
pub(super) fn wallet_of(user: u32, asset: engine::AssetId) -> WalletId {
    WalletId(2 * (user - 1) + asset.0)
}

fn fresh() -> Engine {
    Engine::new(EngineOptions::default())
}

impl World {
    /// Two assets, a market with fees and one with rebates, users with wallets and accounts.
    pub(super) fn new() -> Self {
        let mut world = Self {
            engine: fresh(),
            log: Vec::new(),
            shadow: fresh(),
            shown: 0,
            events: 0,
            newest: TradeId(0),
            ledger: Ledger::default(),
            reconciler: Reconciler::default(),
            due: BTreeMap::new(),
            letters: DeadLetters::default(),
            requested: VecDeque::new(),
            owed: Vec::new(),
            references: 0,
            per_order: false,
            waiting: Vec::new(),
            ended: Vec::new(),
            releases: None,
        };
        for asset in [BTC, USDT] {
            let code = code(asset);
            world.trade(Command::AddAsset { asset, code, scale: 8 });
            let (amount_min, amount_max) = (1, 1 << 100);
            let terms = LedgerCommand::AddAsset { asset, code, scale: 8, amount_min, amount_max };
            world.book(terms);
        }
        for (id, maker_fee_ppm) in [(1, 1_000), (2, -500)] {
            let instrument = InstrumentId(id);
            let open = InstrumentSpec::open(instrument, BTC, USDT);
            let spec = InstrumentSpec { maker_fee_ppm, taker_fee_ppm: 2_000, ..open };
            world.trade(Command::AddInstrument(spec));
            let status = TradingStatus::Trading;
            world.trade(Command::SetTradingStatus { instrument, status });
        }
        for user in 1..=USERS {
            world.trade(Command::RegisterAccount { uuid: user.into(), stp_group: 0 });
            for asset in [BTC, USDT] {
                world.book(LedgerCommand::OpenWallet { user: UserId(user.into()), asset });
            }
        }
        world
    }

    /// One command of the engine.
    pub(super) fn trade(&mut self, command: Command) -> Vec<Event> {
        let sequence = self.engine.last_sequence() + 1;
        let frame = Frame { sequence, timestamp_ns: sequence * 1_000, command };
        let mut events = EventBuffer::default();
        self.engine.apply(&frame, &mut events);
        for event in events.as_slice() {
            self.events += 1;
            if let Event::Trade(trade) = *event {
                let due = Due { trade, event_sequence: self.events, sequence };
                self.due.insert(trade.trade_id, due);
                self.newest = trade.trade_id;
            }
            self.note_end(event);
        }
        self.log.push((frame, events.as_slice().to_vec()));
        events.as_slice().to_vec()
    }

    /// One command of the ledger, shown.
    pub(super) fn book(&mut self, command: LedgerCommand) -> Vec<LedgerEvent> {
        let (frame, events) = self.book_hidden(command);
        self.reconciler.follow_ledger(&frame, &events);
        events
    }

    /// One command of the ledger, of which the reconciler learns nothing.
    pub(super) fn book_hidden(
        &mut self,
        command: LedgerCommand,
    ) -> (Frame<LedgerCommand>, Vec<LedgerEvent>) {
        let sequence = self.ledger.last_sequence() + 1;
        let frame = Frame { sequence, timestamp_ns: sequence * 1_000, command };
        let mut events = EventBuffer::default();
        self.ledger.apply(&frame, &mut events);
        for event in events.as_slice() {
            let LedgerEvent::FundingRequested {
                transaction,
                direction,
                user,
                asset,
                amount,
                begun_ns,
                ..
            } = *event
            else {
                continue;
            };
            let event = FundingEvent {
                cursor: sequence,
                transaction_id: ids::transaction(transaction, begun_ns),
                direction,
                user_id: Uuid::from_u128(user.0),
                asset: code(asset),
                amount,
            };
            self.requested.push_back((transaction, event));
        }
        (frame, events.as_slice().to_vec())
    }

    /// Where settlement stands: in front of the oldest trade that is neither settled nor a letter.
    pub(super) fn progress(&self) -> Progress {
        let letters = self.letters.clone();
        match self.due.iter().find(|(number, _)| !letters.has_taken(**number)) {
            Some((number, due)) => Progress {
                cursor: due.event_sequence - 1,
                sequence: due.sequence - 1,
                trade: TradeId(number.0 - 1),
                letters,
            },
            None => Progress {
                cursor: self.events,
                sequence: self.engine.last_sequence(),
                trade: self.newest,
                letters,
            },
        }
    }

    /// Compares the books at the settled point.
    pub(super) fn check(&mut self) -> Report {
        self.check_at(&self.progress())
    }

    pub(super) fn check_at(&mut self, progress: &Progress) -> Report {
        self.check_showing(progress, |_, events| events.to_vec())
    }

    /// The same, where the reconciler is shown something else than what the engine did.
    pub(super) fn check_showing(
        &mut self,
        progress: &Progress,
        show: impl Fn(&Frame<Command>, &[Event]) -> Vec<Event>,
    ) -> Report {
        while let Some((frame, events)) = self.log.get(self.shown)
            && frame.sequence <= progress.sequence
        {
            let mut replayed = EventBuffer::default();
            self.shadow.apply(frame, &mut replayed);
            assert_eq!(replayed.as_slice(), events);
            self.reconciler.follow_engine(frame, &show(frame, events));
            self.shown += 1;
        }
        self.reconciler.check(&self.shadow, &self.ledger, progress, self.releases.as_ref())
    }
}
