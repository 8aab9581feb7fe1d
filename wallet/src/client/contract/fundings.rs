//! Cases of money between wallets and trading accounts, and of the wallet as a whole.

use std::time::Duration;

use super::{Stage, balance, btc, refusal, units, usdt};
use crate::client::{Concluded, FundingEvent};
use crate::ledger::types::FundingDirection;

const DONE: Concluded = Concluded { completed: true };
const UNDONE: Concluded = Concluded { completed: false };

/// Behind everything that happened so far.
async fn end_of_events(stage: &Stage<'_>) -> u64 {
    let mut cursor = 0;
    loop {
        let wait = Duration::ZERO;
        let events = stage.wallet.funding_events(stage.context(), cursor, 100, wait).await.unwrap();
        let Some(last) = events.last() else { return cursor };
        assert!(last.cursor > cursor);
        cursor = last.cursor;
    }
}

/// The next events, waited for.
async fn next_events(stage: &Stage<'_>, after: u64, max: usize) -> Vec<FundingEvent> {
    let wait = Duration::from_secs(10);
    stage.wallet.funding_events(stage.context(), after, max, wait).await.unwrap()
}

pub(super) async fn lending_tells_trading(stage: &Stage<'_>) {
    let after = end_of_events(stage).await;
    let user = stage.user("1", "100").await;
    let first = stage.lent(user, usdt(), "60").await;
    stage.reserved(user, usdt(), "10").await;
    let second = stage.lent(user, btc(), "1").await;
    let page = next_events(stage, after, 1).await;
    assert_eq!(page.len(), 1, "an order is nothing to tell, and one is asked for");
    assert_eq!((page[0].transaction_id, page[0].user_id), (first, user));
    assert_eq!(page[0].direction, FundingDirection::Fund);
    assert_eq!((page[0].asset, page[0].amount), (usdt(), units("60")));
    let page = next_events(stage, page[0].cursor, 10).await;
    let ids: Vec<_> = page.iter().map(|event| event.transaction_id).collect();
    assert_eq!(ids, [second]);
    let nothing =
        stage.wallet.funding_events(stage.context(), page[0].cursor, 10, Duration::from_millis(1));
    assert_eq!(nothing.await, Ok(Vec::new()));
    assert_eq!(stage.balance(user, usdt()).await, balance("30", "70"));
}

pub(super) async fn waiting_ends_with_the_first_event(stage: &Stage<'_>) {
    let after = end_of_events(stage).await;
    let user = stage.user("0", "100").await;
    let (events, id) = tokio::join!(next_events(stage, after, 10), stage.lent(user, usdt(), "5"));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].transaction_id, id);
}

pub(super) async fn money_that_trading_refuses_comes_back(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let id = stage.lent(user, usdt(), "60").await;
    let conclude = |granted| stage.wallet.conclude_funding(stage.context(), id, granted);
    assert_eq!(conclude(true).await, Ok(DONE));
    assert_eq!(conclude(true).await, Ok(DONE));
    assert_eq!(stage.balance(user, usdt()).await, balance("40", "60"));
    assert_eq!(conclude(false).await, Ok(UNDONE), "it may come back later as well");
    assert_eq!(conclude(false).await, Ok(UNDONE));
    assert_eq!(stage.balance(user, usdt()).await, balance("100", "0"));
    assert_eq!(refusal(conclude(true).await), "conflict");
}

pub(super) async fn money_is_taken_out_once_trading_agrees(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    stage.lent(user, usdt(), "100").await;
    let after = end_of_events(stage).await;
    let id = stage.fixture.take_out(user, usdt(), units("60")).await;
    let events = next_events(stage, after, 10).await;
    assert_eq!((events.len(), events[0].transaction_id), (1, id));
    assert_eq!(events[0].direction, FundingDirection::Recall);
    assert_eq!((events[0].user_id, events[0].amount), (user, units("60")));
    assert_eq!(stage.balance(user, usdt()).await, balance("0", "100"), "not yet");
    let conclude = |granted| stage.wallet.conclude_funding(stage.context(), id, granted);
    assert_eq!(conclude(true).await, Ok(DONE));
    assert_eq!(conclude(true).await, Ok(DONE));
    assert_eq!(stage.balance(user, usdt()).await, balance("0", "40"));
    assert_eq!(refusal(conclude(false).await), "conflict");
}

pub(super) async fn money_stays_if_trading_does_not_agree(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    stage.lent(user, usdt(), "100").await;
    let id = stage.fixture.take_out(user, usdt(), units("60")).await;
    let conclude = |granted| stage.wallet.conclude_funding(stage.context(), id, granted);
    assert_eq!(conclude(false).await, Ok(UNDONE));
    assert_eq!(conclude(false).await, Ok(UNDONE));
    assert_eq!(refusal(conclude(true).await), "conflict");
    assert_eq!(stage.balance(user, usdt()).await, balance("0", "100"));
}

pub(super) async fn unknown_fundings_and_assets(stage: &Stage<'_>) {
    let result = stage.wallet.conclude_funding(stage.context(), stage.id(), true).await;
    assert_eq!(refusal(result), "invalid_request");
    for frozen in [true, true, false, false] {
        stage.wallet.freeze_withdrawals(stage.context(), btc(), frozen).await.unwrap();
    }
    let unlisted = engine::AssetCode::new("UNLISTED").unwrap();
    let result = stage.wallet.freeze_withdrawals(stage.context(), unlisted, true).await;
    assert_eq!(refusal(result), "invalid_request");
}

pub(super) async fn the_wallet_is_healthy_until_it_is_closed(stage: &Stage<'_>) {
    let user = stage.user("0", "1").await;
    assert_eq!(stage.wallet.health_check(stage.context()).await, Ok(()));
    stage.wallet.close().await;
    stage.wallet.close().await;
    assert_eq!(refusal(stage.wallet.health_check(stage.context()).await), "closed");
    let request = stage.order(user, usdt(), "1");
    assert_eq!(refusal(stage.wallet.reserve(stage.context(), &request).await), "closed");
}
