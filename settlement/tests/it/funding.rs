//! Money on its way between wallets and trading accounts: once, in order, and never on neither
//! side or on both.

use std::sync::Arc;
use std::time::Duration;

use settlement::funding::{FUNDING_FILE, Funding};
use settlement::{Desk, RetryPolicy};
use tokio::sync::Semaphore;
use uuid::Uuid;
use wallet::client::metrics::Method;
use wallet::client::{Fault, ReserveRequest, WalletClient, WalletError};
use wallet::ledger::types::ReserveReason;

use crate::harness::accounts::{Accounts, Mood};
use crate::harness::{
    Bench, Fate, code, context, let_pass, market, trade_id, until, until_true, user,
};

mod crashes;
mod recalls;

/// A bench with trading accounts.
struct House {
    bench: Bench,
    accounts: Arc<Accounts>,
}

impl House {
    fn new() -> Self {
        Self::around(Bench::new())
    }

    fn around(bench: Bench) -> Self {
        let accounts = Arc::new(Accounts::new(&bench.market));
        Self { bench, accounts }
    }

    fn open(&self, desk: &Desk) -> Funding {
        let client = Arc::clone(&self.bench.line) as Arc<dyn WalletClient>;
        let trading = Arc::clone(&self.accounts) as Arc<dyn settlement::funding::Trading>;
        let directory = self.bench.directory.path().join("settlement");
        let retry = RetryPolicy::default();
        Funding::start(&directory, client, trading, desk.board(), retry).unwrap()
    }

    /// Money that comes in and is lent to trading.
    async fn deposit(&self, number: u32, asset: &str, amount: u128, key: u128) {
        let mock = self.bench.mock();
        let before = mock.get_balance(context(), user(number), code(asset)).await;
        let available = before.map_or(0, |balance| balance.available);
        mock.set_balance(user(number), code(asset), available + amount);
        let request = ReserveRequest {
            user_id: user(number),
            asset: code(asset),
            amount,
            order_id: Uuid::from_u128(0xde90 << 64 | key),
            reason: ReserveReason::TradingFunding,
        };
        mock.reserve(context(), &request).await.unwrap();
    }

    fn recall(&self, number: u32, asset: &str, amount: u128) {
        self.bench.mock().recall(user(number), code(asset), amount).unwrap();
    }

    /// What the wallet says is lent: the sum over users is what the recalls have left of it.
    async fn lent(&self, number: u32, asset: &str) -> u128 {
        self.bench.pool(number, asset).await
    }

    async fn until_lent(&self, number: u32, asset: &str, amount: u128) {
        for _ in 0..100_000 {
            if self.lent(number, asset).await == amount {
                return;
            }
            let_pass(Duration::from_millis(5)).await;
        }
        panic!("{} of {asset} are lent, not {amount}", self.lent(number, asset).await);
    }

    async fn until_traded(&self, number: u32, asset: &str, amount: u128) {
        let reached = || self.accounts.balance(number, asset) == amount;
        until_true(reached, || self.accounts.balance(number, asset).to_string()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_is_credited_once() {
    let house = House::new();
    let desk = house.bench.start();
    let funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    house.until_traded(1, "USDT", 100).await;
    until_true(|| funding.cursor() == 1, || "the cursor stays".to_owned()).await;
    funding.stop().await;
    // Again from the cursor, again from the beginning: the wallet repeats all events.
    for forget in [false, true] {
        if forget {
            std::fs::remove_file(house.bench.directory.path().join("settlement/funding.state"))
                .unwrap();
        }
        let funding = house.open(&desk);
        house.deposit(1, "USDT", 7, 2 + u128::from(forget)).await;
        let cursor = 2 + u64::from(forget);
        until_true(|| funding.cursor() == cursor, || "the cursor stays".to_owned()).await;
        funding.stop().await;
    }
    assert_eq!(house.accounts.balance(1, "USDT"), 114);
    // Three were asked for once, and from the beginning once more.
    assert_eq!((house.accounts.made(), house.accounts.requests()), (3, 5));
}

#[tokio::test(start_paused = true)]
async fn trading_that_does_not_answer_is_asked_until_it_does() {
    let house = House::new();
    let mut left = 7;
    house.accounts.moods(move |_| {
        left -= 1;
        match left {
            5.. => Mood::Silent,
            0..5 => Mood::Forgetful,
            _ => Mood::Fine,
        }
    });
    let desk = house.bench.start();
    let funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    until_true(|| funding.cursor() == 1, || "no answer".to_owned()).await;
    assert_eq!(house.accounts.balance(1, "USDT"), 100);
    assert_eq!((house.accounts.made(), house.accounts.requests()), (1, 8));
}

/// Trading does not take the money: it is available in the wallet again.
#[tokio::test(start_paused = true)]
async fn a_refused_deposit_is_available_again() {
    let house = House::new();
    house.accounts.bar(1);
    let desk = house.bench.start();
    let _funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    house.until_lent(1, "USDT", 0).await;
    let balance = house.bench.mock().get_balance(context(), user(1), code("USDT")).await.unwrap();
    assert_eq!((balance.available, house.accounts.balance(1, "USDT")), (100, 0));
}

/// What a deposit brings may be asked back right after it, also if the deposit needs a second try.
#[tokio::test(start_paused = true)]
async fn a_recall_does_not_overtake_the_deposit_before_it() {
    let house = House::new();
    let mut first = true;
    house.accounts.moods(move |_| match std::mem::take(&mut first) {
        true => Mood::Silent,
        false => Mood::Fine,
    });
    house.deposit(1, "USDT", 100, 1).await;
    house.recall(1, "USDT", 100);
    let desk = house.bench.start();
    let _funding = house.open(&desk);
    house.until_lent(1, "USDT", 0).await;
    assert_eq!((house.accounts.made(), house.accounts.balance(1, "USDT")), (2, 0));
    assert_eq!(house.bench.mock().total(code("USDT")), 0, "it was paid out");
}

/// Trading is asked and says nothing: a stop does not wait for it, and the next start asks again.
#[tokio::test(start_paused = true)]
async fn stop_in_the_middle() {
    let house = House::new();
    house.accounts.moods(|_| Mood::Gone);
    let desk = house.bench.start();
    let funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    house.deposit(2, "USDT", 50, 2).await;
    until_true(|| house.accounts.requests() == 2, || "nobody asked".to_owned()).await;
    tokio::time::timeout(Duration::from_secs(1), funding.stop()).await.unwrap();
    funding.stop().await;
    assert_eq!(funding.cursor(), 0);
    house.accounts.moods(|_| Mood::Fine);
    let funding = house.open(&desk);
    until_true(|| funding.cursor() == 2, || "not done".to_owned()).await;
    assert_eq!((house.accounts.balance(1, "USDT"), house.accounts.made()), (100, 2));
}

/// A wallet that is away for a while, and one that answers late.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_cannot_be_read_is_read_later() {
    let house = House::new();
    house.bench.mock().fail(Some(Method::FundingEvents), Fault::Down, 5);
    house.bench.mock().fail(Some(Method::FundingEvents), Fault::LostReply, 5);
    let desk = house.bench.start();
    let funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    until_true(|| funding.cursor() == 1, || "not read".to_owned()).await;
    assert_eq!((house.accounts.balance(1, "USDT"), house.accounts.made()), (100, 1));
}

/// Whoever started first is shut out by whoever started later.
#[tokio::test(start_paused = true)]
async fn a_stale_funding_ends() {
    let house = House::new();
    let desk = house.bench.start();
    let stale = house.open(&desk);
    let owner = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    until_true(|| owner.cursor() == 1, || "not done".to_owned()).await;
    let_pass(Duration::from_secs(1)).await;
    house.deposit(1, "USDT", 10, 2).await;
    until_true(|| owner.cursor() == 2, || "not done".to_owned()).await;
    assert_eq!(stale.cursor(), 1, "it found out when it wanted to save");
    assert_eq!(house.accounts.balance(1, "USDT"), 110);
}

/// The file cannot be written for a while: work goes on, and the file follows.
#[tokio::test(start_paused = true)]
async fn a_cursor_that_could_not_be_saved_is_saved_later() {
    let house = House::new();
    let desk = house.bench.start();
    let funding = house.open(&desk);
    let directory = house.bench.directory.path().join("settlement");
    let away = house.bench.directory.path().join("away");
    std::fs::rename(&directory, &away).unwrap();
    house.deposit(1, "USDT", 100, 1).await;
    until_true(|| funding.cursor() == 1, || "not done".to_owned()).await;
    let_pass(Duration::from_secs(1)).await;
    std::fs::rename(&away, &directory).unwrap();
    let file = std::fs::read(directory.join(FUNDING_FILE)).unwrap();
    let saved = || std::fs::read(directory.join(FUNDING_FILE)).unwrap() != file;
    until_true(saved, || "never saved again".to_owned()).await;
    funding.stop().await;
    let funding = house.open(&desk);
    assert_eq!(funding.cursor(), 1);
}

/// A funding that is dropped without a word ends.
#[tokio::test(start_paused = true)]
async fn a_dropped_funding_ends() {
    let house = House::new();
    let desk = house.bench.start();
    drop(house.open(&desk));
    let_pass(Duration::from_secs(2)).await;
    house.deposit(1, "USDT", 100, 1).await;
    let_pass(Duration::from_secs(60)).await;
    assert_eq!(house.accounts.requests(), 0);
}
