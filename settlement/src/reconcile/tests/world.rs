//! Owns an engine, a ledger, and whatever is on its way between them.
//! Knows nothing of tests. Invariant: everything that both machines do is shown to the reconciler,
//! unless it is hidden on purpose.

use std::collections::VecDeque;

use engine::{Command, EngineOptions, InstrumentSpec, NewOrder, TradingStatus, TransferId};
use wallet::ledger::types::{
    Account, CreditTo, Description, Reference, UserId, WalletId, WalletStatus,
};
use wallet::ledger::{Post, Posting, Postings};

use super::*;
use crate::testing::due;
use crate::trade::DueTrade;

pub(super) const BTC: engine::AssetId = engine::AssetId(1);
pub(super) const USDT: engine::AssetId = engine::AssetId(2);
pub(super) const USERS: u32 = 4;
const CALLER: UserId = UserId(0xCA11);

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
    shadow: Engine,
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
                transaction, direction, user, asset, amount, begun_ns, ..
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

    pub(super) fn post(&mut self, kind: TransactionKind, posting: Posting) -> LedgerCommand {
        self.references += 1;
        LedgerCommand::Post(Post {
            kind,
            caller: CALLER,
            reference: Reference::new(&self.references.to_string()).unwrap(),
            description: Description::EMPTY,
            postings: Postings::new(&[posting]).unwrap(),
            fund: true,
            dry_run: false,
        })
    }

    pub(super) fn deposit(&mut self, user: u32, asset: engine::AssetId, amount: u128) {
        let credit = Account::Available(wallet_of(user, asset));
        let posting = Posting { debit: Account::External(asset), credit, amount };
        let post = self.post(TransactionKind::Deposit, posting);
        self.book(post);
    }

    pub(super) fn withdraw(&mut self, user: u32, asset: engine::AssetId, amount: u128) {
        let debit = Account::Available(wallet_of(user, asset));
        let posting = Posting { debit, credit: Account::External(asset), amount };
        let post = self.post(TransactionKind::Withdrawal, posting);
        self.book(post);
    }

    pub(super) fn transfer(&mut self, from: u32, to: u32, asset: engine::AssetId, amount: u128) {
        let [debit, credit] = [from, to].map(|user| Account::Available(wallet_of(user, asset)));
        let post = self.post(TransactionKind::Transfer, Posting { debit, credit, amount });
        self.book(post);
    }

    pub(super) fn set_status(&mut self, wallet: WalletId, status: WalletStatus) {
        self.book(LedgerCommand::SetWalletStatus { wallet, status });
    }

    /// Trading carries out, or refuses, the oldest movement that the wallet asked for.
    pub(super) fn move_next(&mut self, refuse: bool) {
        let Some((transaction, event)) = self.requested.pop_front() else { return };
        let is_loan = event.direction == FundingDirection::Fund;
        if refuse && is_loan {
            return self.owed.push(Owed { transaction, granted: false, after: 0 });
        }
        let transfer_id = TransferId(movement_id(&event).as_u128());
        let account = self.engine.accounts().find(event.user_id.as_u128()).unwrap();
        let asset = if event.asset == code(BTC) { BTC } else { USDT };
        let amount = event.amount;
        let events = self.trade(match event.direction {
            FundingDirection::Fund => Command::Credit { transfer_id, account, asset, amount },
            FundingDirection::Recall => Command::Debit { transfer_id, account, asset, amount },
        });
        let granted = matches!(events[..], [Event::TransferApplied { .. }]);
        assert!(granted || !is_loan, "{events:?}");
        if !is_loan {
            let after = self.engine.last_sequence();
            self.owed.push(Owed { transaction, granted, after });
        }
    }

    /// The wallet is told what trading has answered.
    pub(super) fn conclude(&mut self, place: usize) {
        let Owed { transaction, granted, .. } = self.owed.remove(place);
        let events = self.book(LedgerCommand::ConcludeFunding { transaction, granted });
        assert!(matches!(events[0], LedgerEvent::Committed(_)), "{events:?}");
    }

    pub(super) fn order(&mut self, market: u32, user: u32, side: Side, quantity: u64, price: i64) {
        let (instrument, account) = (InstrumentId(market), AccountId(user));
        let (quantity, price) = (engine::Quantity(quantity), engine::Price(price));
        let order = NewOrder::limit(account, instrument, side, quantity, price);
        self.trade(Command::NewOrder(order));
    }

    /// What settles a trade.
    pub(super) fn settle_of(&self, number: TradeId) -> Settle {
        let Due { trade, sequence, .. } = self.due[&number];
        let maker = (trade.maker_account, trade.maker_order_id, trade.maker_fee);
        let taker = (trade.taker_account, trade.taker_order_id, trade.taker_fee);
        let (buyer, seller) = match trade.taker_side {
            Side::Buy => (taker, maker),
            Side::Sell => (maker, taker),
        };
        Settle {
            trade: ids::encode(ids::Kind::Trade, number.0, sequence * 1_000).as_u128(),
            buyer: UserId(buyer.0.0.into()),
            seller: UserId(seller.0.0.into()),
            buyer_order: buyer.1.0.into(),
            seller_order: seller.1.0.into(),
            base: BTC,
            quote: USDT,
            base_amount: trade.base,
            quote_amount: trade.quote,
            buyer_fee: buyer.2,
            seller_fee: seller.2,
            credit_to: CreditTo::Reserved,
        }
    }

    /// Settles a trade, if its money is there.
    pub(super) fn settle(&mut self, number: TradeId) -> bool {
        let events = self.book(LedgerCommand::Settle(self.settle_of(number)));
        let done = events.iter().any(|event| matches!(event, LedgerEvent::Committed(_)));
        if done {
            self.due.remove(&number);
            self.letters.remove(number);
        }
        done
    }

    /// Nobody knows what became of a trade.
    pub(super) fn bury(&mut self, number: TradeId) {
        let Due { event_sequence, .. } = self.due[&number];
        let trade = DueTrade { event_sequence, number, ..due(number.0) };
        self.letters.add(trade, Class::Unknown, "timeout", 0);
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
        self.reconciler.check(&self.shadow, &self.ledger, progress)
    }
}
