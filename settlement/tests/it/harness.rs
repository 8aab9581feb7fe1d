//! Owns a market, a wallet that can fail, and the settlement between them.
//! Knows nothing of single scenarios. Invariant: time stands still but for timers, and the books
//! say how often each trade was settled.

use std::sync::Arc;
use std::time::Duration;

use engine::TradeId;
use parking_lot::Mutex;
use settlement::{
    Alarm, Board, Class, DeadLetter, Desk, DeskStatus, Parts, SettlementOptions, SettlementStatus,
    StartError, WallClock,
};
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;
use wallet::client::{CallContext, MockWallet, ReserveRequest, WalletClient};
use wallet::ledger::types::{CreditTo, ReserveReason};
use wallet::wire::Assets;

pub(crate) mod accounts;
pub(crate) mod client;
pub(crate) mod market;
mod seen;

pub(crate) use client::{Fate, Line};
pub(crate) use market::{FEES, Market, Names, code, trade_id, user};

/// What every user of a rich market begins with, in each asset.
pub(crate) const RICH: u128 = 1_000_000_000_000_000;

/// Longest time on the stopped clock that anything here takes.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Remembers who was woken up, and why.
#[derive(Default)]
pub(crate) struct Alarms(Mutex<Vec<(TradeId, Class)>>);

impl Alarms {
    pub(crate) fn raised(&self) -> Vec<(TradeId, Class)> {
        self.0.lock().clone()
    }
}

impl Alarm for Alarms {
    fn raise(&self, letter: &DeadLetter) {
        self.0.lock().push((letter.trade.number, letter.class));
    }
}

/// A context for calls of the test itself: the stopped clock runs ahead of the real one.
pub(crate) fn context() -> CallContext {
    CallContext::within(2 * PATIENCE)
}

pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) market: Market,
    pub(crate) line: Arc<Line>,
    pub(crate) alarms: Arc<Alarms>,
    /// The wall clock when a life begins; each begins a second after the one before.
    born_ns: Mutex<u64>,
    options: Mutex<SettlementOptions>,
    per_order: bool,
}

impl Bench {
    /// Nobody has any money.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let assets = ["BTC", "DOGE", "USDT"].map(|text| (code(text), 8));
        let mock = Arc::new(MockWallet::new(Assets::new(assets).unwrap()));
        let options = SettlementOptions::new(directory.path().join("settlement"));
        Self {
            directory,
            market: Market::default(),
            line: Line::new(mock),
            alarms: Arc::default(),
            born_ns: Mutex::new(0),
            options: Mutex::new(options),
            per_order: false,
        }
    }

    /// Users 1 to `users` have more than they ever need.
    pub(crate) async fn rich(users: u32) -> Self {
        let bench = Self::new();
        for user in 1..=users {
            bench.lend(user, "BTC", RICH).await;
            bench.lend(user, "USDT", RICH).await;
        }
        bench
    }

    /// Orders are paid from reservations of their own.
    pub(crate) fn per_order(self) -> Self {
        Self { per_order: true, ..self }
    }

    /// Changes what settlement is started with.
    pub(crate) fn with(self, change: impl FnOnce(&mut SettlementOptions)) -> Self {
        change(&mut self.options.lock());
        self
    }

    pub(crate) fn mock(&self) -> &Arc<MockWallet> {
        &self.line.mock
    }

    /// Gives a user money that is lent to trading; once for each user and asset.
    pub(crate) async fn lend(&self, number: u32, asset: &str, amount: u128) {
        self.mock().set_balance(user(number), code(asset), amount);
        let request = ReserveRequest {
            user_id: user(number),
            asset: code(asset),
            amount,
            order_id: user(1_000_000 + number),
            reason: ReserveReason::TradingFunding,
        };
        self.mock().reserve(context(), &request).await.unwrap();
    }

    /// What the user has lent to trading, or received from it.
    pub(crate) async fn pool(&self, number: u32, asset: &str) -> u128 {
        let balance = self.mock().get_balance(context(), user(number), code(asset)).await;
        balance.unwrap().reserved
    }

    pub(crate) fn try_start(&self) -> Result<Desk, StartError> {
        let (base, born) = (self.wake(), Instant::now());
        let clock: WallClock =
            Arc::new(move || base + u64::try_from(born.elapsed().as_nanos()).unwrap());
        let options = self.options.lock().clone();
        let credit_to = if self.per_order { CreditTo::Available } else { CreditTo::Reserved };
        Desk::start(options, |from| {
            Ok(Parts {
                source: self.market.source(from),
                directory: Arc::new(Names),
                client: Arc::clone(&self.line) as Arc<dyn WalletClient>,
                alarm: Arc::clone(&self.alarms) as Arc<dyn Alarm>,
                clock,
                credit_to,
            })
        })
    }

    pub(crate) fn start(&self) -> Desk {
        self.try_start().unwrap()
    }

    fn wake(&self) -> u64 {
        let mut born_ns = self.born_ns.lock();
        *born_ns += 1_000_000_000;
        *born_ns
    }

    /// The state file, as another process would see it.
    pub(crate) fn peek(&self) -> settlement::Progress {
        let directory = self.options.lock().directory.clone();
        settlement::peek(&directory.join(settlement::STATE_FILE)).unwrap()
    }

    /// Waits until every event is done with.
    pub(crate) async fn drained(&self, desk: &Desk) {
        let head = self.market.head();
        until(desk, |status| status.cursor == head && status.window == 0).await;
    }

    /// Every trade but `except` was settled exactly once.
    pub(crate) async fn assert_settled_but(&self, users: u32, except: &[TradeId]) {
        let settled = i128::from(self.market.len()) - except.len() as i128;
        assert_eq!(self.mock().fees(code("USDT")), settled * FEES, "fees of {settled} trades");
        for number in 1..=users {
            let (base, quote) = self.market.moved(number, |trade| !except.contains(&trade));
            for (asset, moved) in [("BTC", base), ("USDT", quote)] {
                let pool = self.pool(number, asset).await.cast_signed();
                assert_eq!(pool - RICH.cast_signed(), moved, "user {number} {asset}");
            }
        }
        for asset in ["BTC", "USDT"] {
            assert_eq!(self.mock().total(code(asset)), 0);
        }
    }

    pub(crate) async fn assert_all_settled(&self, users: u32) {
        self.assert_settled_but(users, &[]).await;
    }
}

/// Waits for what the desk's status says; fails if it never does.
pub(crate) async fn until(desk: &Desk, reached: impl Fn(&DeskStatus) -> bool) -> DeskStatus {
    let board = desk.board();
    let state = || format!("{:?} {:?}", board.status(), board.progress().letters);
    until_true(|| reached(&board.status()), state).await;
    board.status()
}

/// Waits until it is so, looking whenever the clock moves.
pub(crate) async fn until_true(is_so: impl Fn() -> bool, why: impl Fn() -> String) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never: {}", why());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Lets the clock run, while there is nothing to wait for because nothing must happen.
pub(crate) async fn let_pass(time: Duration) {
    tokio::time::sleep(time).await;
}

pub(crate) fn status(board: &Board, trade: TradeId) -> SettlementStatus {
    board.trade(trade).status
}

/// Ids of trades by their numbers.
pub(crate) fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<Uuid> {
    numbers.into_iter().map(trade_id).collect()
}
