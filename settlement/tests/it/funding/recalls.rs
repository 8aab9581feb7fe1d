//! Money that a wallet asks back: granted, refused, waiting.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_recall_is_granted_or_refused() {
    let house = House::new();
    let desk = house.bench.start();
    let _funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    house.until_traded(1, "USDT", 100).await;
    house.recall(1, "USDT", 60);
    house.until_lent(1, "USDT", 40).await;
    assert_eq!(house.accounts.balance(1, "USDT"), 40);
    house.recall(1, "USDT", 41);
    let told = || house.bench.mock().calls(Method::ConcludeFunding) == 2;
    until_true(told, || "the wallet was not told".to_owned()).await;
    assert_eq!(house.accounts.balance(1, "USDT"), 40, "a refusal leaves both as they were");
    assert_eq!(house.lent(1, "USDT").await, 40);
}

/// The money of a recall is still on its way from an earlier trade; a deposit behind it does not
/// wait, nor does a recall of somebody else.
#[tokio::test(start_paused = true)]
async fn a_recall_waits_for_earlier_trades_and_holds_nobody_up() {
    let bench = Bench::rich(2).await;
    let house = House::around(bench);
    let permits = Arc::new(Semaphore::new(0));
    house.bench.line.always(Fate::Hold(Arc::clone(&permits)));
    let desk = house.bench.start();
    let funding = house.open(&desk);
    until_true(|| funding.cursor() == 4, || "not done".to_owned()).await;
    // User 1 buys from user 2, who takes the proceeds out of trading at once.
    house.bench.market.trade(1, 2);
    house.accounts.set_balance(2, "USDT", 4_999_995);
    house.recall(2, "USDT", 4_999_995);
    house.until_traded(2, "USDT", 0).await;
    house.deposit(3, "USDT", 100, 1).await;
    house.until_traded(3, "USDT", 100).await;
    let_pass(Duration::from_secs(60)).await;
    assert_eq!(house.bench.mock().calls(Method::ConcludeFunding), 0);
    assert_eq!(house.lent(2, "USDT").await, crate::harness::RICH);
    permits.add_permits(10);
    house.until_lent(2, "USDT", crate::harness::RICH).await;
    house.bench.drained(&desk).await;
    let told = || house.bench.mock().calls(Method::ConcludeFunding) == 1;
    until_true(told, || "the wallet was not told".to_owned()).await;
    house.until_lent(2, "USDT", crate::harness::RICH).await;
}

/// The wallet says that the money is not there yet: it is asked again, less and less often.
#[tokio::test(start_paused = true)]
async fn a_recall_that_the_wallet_cannot_pay_yet_is_told_again() {
    let house = House::new();
    let desk = house.bench.start();
    let _funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    for fault in [Fault::Insufficient, Fault::Down, Fault::LostReply, Fault::ServerError] {
        house.bench.mock().fail(Some(Method::ConcludeFunding), fault, 3);
    }
    house.until_traded(1, "USDT", 100).await;
    house.recall(1, "USDT", 100);
    house.until_lent(1, "USDT", 0).await;
    let told = || house.bench.mock().calls(Method::ConcludeFunding) == 13;
    until_true(told, || "the wallet was not told".to_owned()).await;
    let_pass(Duration::from_secs(60)).await;
    assert_eq!(house.bench.mock().calls(Method::ConcludeFunding), 13, "and then no more");
    assert_eq!(house.accounts.balance(1, "USDT"), 0);
}

/// A wallet that takes an answer for nonsense is told it again: the money must not be forgotten.
#[tokio::test(start_paused = true)]
async fn an_answer_that_the_wallet_refuses_is_kept() {
    let house = House::new();
    let desk = house.bench.start();
    let funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    house.until_traded(1, "USDT", 100).await;
    house.bench.line.refuse_conclusions(Some(WalletError::InvalidRequest("what?".to_owned())));
    house.recall(1, "USDT", 100);
    house.until_traded(1, "USDT", 0).await;
    let_pass(Duration::from_secs(60)).await;
    funding.stop().await;
    let _funding = house.open(&desk);
    let_pass(Duration::from_secs(60)).await;
    house.bench.line.refuse_conclusions(None);
    house.until_lent(1, "USDT", 0).await;
}

/// The cursor of settlement has passed a dead letter, but its money has not moved. What its party
/// takes out of trading meanwhile may be what the letter needs.
#[tokio::test(start_paused = true)]
async fn a_recall_waits_for_the_dead_letters_of_its_user_and_asset() {
    let house = House::new();
    let bench = &house.bench;
    let (cost, base) = (market::QUOTE + 10, market::BASE);
    // User 1 has the price of one trade, buys, and sells again for the same money and a little.
    house.deposit(1, "USDT", cost, 1).await;
    house.deposit(2, "BTC", base, 2).await;
    house.deposit(3, "USDT", 10 * cost, 3).await;
    house.deposit(1, "BTC", 1_000, 4).await;
    bench.line.refuse(trade_id(1), Some(WalletError::Timeout));
    bench.market.trade(1, 2);
    let desk = bench.start();
    until(&desk, |status| status.dead_letters == 1).await;
    let funding = house.open(&desk);
    until_true(|| funding.cursor() == 4, || "not done".to_owned()).await;
    // Trading has the trades in its books: the first took all, a second brought it back.
    house.accounts.set_balance(1, "USDT", market::QUOTE - 5);
    let permits = Arc::new(Semaphore::new(0));
    bench.line.always(Fate::Hold(Arc::clone(&permits)));
    bench.line.refuse(trade_id(2), Some(WalletError::Timeout));
    bench.market.trade(3, 1);
    permits.add_permits(3);
    until(&desk, |status| status.dead_letters == 2).await;
    house.recall(1, "USDT", market::QUOTE - 5);
    house.recall(3, "USDT", 5);
    house.recall(2, "BTC", base);
    house.until_traded(1, "USDT", 0).await;
    let_pass(Duration::from_secs(20)).await;
    assert_eq!(house.lent(1, "USDT").await, cost, "the letter's money is there");
    // The letter is settled as soon as somebody answers, and nobody is called short.
    bench.line.always(Fate::Pass);
    bench.line.refuse(trade_id(1), None);
    bench.line.refuse(trade_id(2), None);
    until(&desk, |status| status.dead_letters == 0).await;
    house.until_lent(1, "USDT", 0).await;
    assert!(bench.alarms.raised().is_empty());
}

/// What the wallet is to be told survives a restart, and nothing is asked of trading again.
#[tokio::test(start_paused = true)]
async fn a_waiting_recall_does_not_hold_the_cursor_back() {
    let house = House::new();
    let desk = house.bench.start();
    let funding = house.open(&desk);
    house.deposit(1, "USDT", 100, 1).await;
    house.until_traded(1, "USDT", 100).await;
    house.bench.mock().fail(Some(Method::ConcludeFunding), Fault::Insufficient, 20);
    house.recall(1, "USDT", 100);
    for key in 2..50 {
        house.deposit(2, "USDT", 1, key).await;
    }
    house.until_traded(2, "USDT", 48).await;
    until_true(|| funding.cursor() == 50, || "held back".to_owned()).await;
    funding.stop().await;
    assert_eq!(house.accounts.requests(), 50);
    let funding = house.open(&desk);
    assert_eq!(funding.cursor(), 50);
    house.until_lent(1, "USDT", 0).await;
    assert_eq!(house.accounts.requests(), 50, "no movement was asked for twice");
}
