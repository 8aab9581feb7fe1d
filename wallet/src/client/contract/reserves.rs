//! Cases of setting money aside.

use futures_util::future::join_all;
use uuid::Uuid;

use super::{ReserveReason, ReserveRequest, Stage, balance, btc, refusal, units, usdt};

pub(super) async fn reserve_sets_money_aside(stage: &Stage<'_>) {
    let user = stage.user("0", "100000").await;
    let request = stage.order(user, usdt(), "75150");
    let reserved = stage.wallet.reserve(stage.context(), &request).await.unwrap();
    assert_eq!(reserved.balance, balance("24850", "75150"));
    assert!(!reserved.reservation_id.is_nil());
    assert_eq!(stage.balance(user, usdt()).await, balance("24850", "75150"));
    let exactly_the_rest = stage.order(user, usdt(), "24850");
    let reserved = stage.wallet.reserve(stage.context(), &exactly_the_rest).await.unwrap();
    assert_eq!(reserved.balance, balance("0", "100000"));
}

pub(super) async fn the_same_reserve_gives_the_same_answer(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let request = stage.order(user, usdt(), "10");
    let first = stage.wallet.reserve(stage.context(), &request).await.unwrap();
    stage.reserved(user, usdt(), "5").await;
    let second = stage.wallet.reserve(stage.context(), &request).await.unwrap();
    assert_eq!(second, first, "the balance, too, is that of the first time");
    assert_eq!(stage.balance(user, usdt()).await, balance("85", "15"));
    stage.release(request.order_id, usdt()).await.unwrap();
    let third = stage.wallet.reserve(stage.context(), &request).await.unwrap();
    assert_eq!(third, first, "and nothing is set aside again");
    assert_eq!(stage.balance(user, usdt()).await, balance("95", "5"));
}

pub(super) async fn another_payload_is_a_conflict(stage: &Stage<'_>) {
    let user = stage.user("1", "100").await;
    let other = stage.user("0", "100").await;
    let request = stage.order(user, usdt(), "10");
    stage.wallet.reserve(stage.context(), &request).await.unwrap();
    let spoiled = [
        ReserveRequest { amount: request.amount + 1, ..request },
        ReserveRequest { user_id: other, ..request },
        ReserveRequest { reason: ReserveReason::TradingFunding, ..request },
    ];
    for spoiled in spoiled {
        let result = stage.wallet.reserve(stage.context(), &spoiled).await;
        assert_eq!(refusal(result), "conflict");
    }
    assert_eq!(stage.balance(user, usdt()).await, balance("90", "10"));
    let in_btc = ReserveRequest { asset: btc(), amount: units("1"), ..request };
    let reserved = stage.wallet.reserve(stage.context(), &in_btc).await.unwrap();
    assert_eq!(reserved.balance, balance("0", "1"), "order and asset are the key");
}

pub(super) async fn insufficient_balance_is_the_answer_for_good(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let request = stage.order(user, usdt(), "100.00000001");
    let result = stage.wallet.reserve(stage.context(), &request).await;
    assert_eq!(refusal(result), "insufficient_balance");
    assert_eq!(stage.balance(user, usdt()).await, balance("100", "0"));
    stage.fixture.deposit(user, usdt(), units("100")).await;
    let again = stage.wallet.reserve(stage.context(), &request).await;
    assert_eq!(refusal(again), "insufficient_balance");
    let smaller = ReserveRequest { amount: 1, ..request };
    assert_eq!(refusal(stage.wallet.reserve(stage.context(), &smaller).await), "conflict");
    stage.reserved(user, usdt(), "200").await;
    let found = stage.wallet.reservation_of_order(stage.context(), request.order_id).await;
    assert_eq!(found, Ok(None));
}

pub(super) async fn unknown_users_and_empty_wallets(stage: &Stage<'_>) {
    let nobody = stage.id();
    let request = stage.order(nobody, usdt(), "1");
    let result = stage.wallet.reserve(stage.context(), &request).await;
    assert_eq!(refusal(result), "user_not_found");
    let result = stage.wallet.get_balance(stage.context(), nobody, usdt()).await;
    assert_eq!(refusal(result), "user_not_found");
    let without_btc = stage.user("0", "1").await;
    assert_eq!(stage.balance(without_btc, btc()).await, balance("0", "0"));
    let request = stage.order(without_btc, btc(), "1");
    let result = stage.wallet.reserve(stage.context(), &request).await;
    assert_eq!(refusal(result), "insufficient_balance");
}

pub(super) async fn requests_without_sense(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let request = stage.order(user, usdt(), "10");
    let unlisted = engine::AssetCode::new("UNLISTED").unwrap();
    for spoiled in [
        ReserveRequest { amount: 0, ..request },
        ReserveRequest { order_id: Uuid::nil(), ..request },
        ReserveRequest { asset: unlisted, ..request },
    ] {
        let result = stage.wallet.reserve(stage.context(), &spoiled).await;
        assert_eq!(refusal(result), "invalid_request");
    }
    let result = stage.wallet.get_balance(stage.context(), user, unlisted).await;
    assert_eq!(refusal(result), "invalid_request");
    stage.wallet.reserve(stage.context(), &request).await.expect("the key was not used up");
}

pub(super) async fn identical_reserves_in_parallel_hold_once(stage: &Stage<'_>) {
    let user = stage.user("0", "1000").await;
    let request = stage.order(user, usdt(), "10");
    let calls = (0..100).map(|_| stage.wallet.reserve(stage.context(), &request));
    let answers = join_all(calls).await;
    let first = answers[0].clone().unwrap();
    assert!(answers.iter().all(|answer| *answer == Ok(first)), "{answers:?}");
    assert_eq!(stage.balance(user, usdt()).await, balance("990", "10"));
}

pub(super) async fn reserves_in_parallel_never_overdraw(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let requests: Vec<_> = (0..20).map(|_| stage.order(user, usdt(), "10")).collect();
    let calls = requests.iter().map(|request| stage.wallet.reserve(stage.context(), request));
    let answers = join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(refusal(answer), "insufficient_balance");
    }
    assert_eq!(stage.balance(user, usdt()).await, balance("0", "100"));
}

pub(super) async fn reserves_in_a_batch_stand_alone(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let requests = [
        stage.order(user, usdt(), "60"),
        stage.order(user, usdt(), "60"),
        stage.order(user, usdt(), "40"),
        stage.order(stage.id(), usdt(), "1"),
    ];
    let answers = stage.wallet.reserve_batch(stage.context(), &requests).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().balance, balance("40", "60"));
    assert_eq!(refusal(answers[1].clone()), "insufficient_balance");
    assert_eq!(answers[2].as_ref().unwrap().balance, balance("0", "100"));
    assert_eq!(refusal(answers[3].clone()), "user_not_found");
    assert_eq!(answers.len(), 4);
    let again = stage.wallet.reserve_batch(stage.context(), &requests).await.unwrap();
    assert_eq!(again, answers);
    let nothing = stage.wallet.reserve_batch(stage.context(), &[]).await.unwrap();
    assert!(nothing.is_empty());
}

pub(super) async fn a_reservation_can_be_asked_for(stage: &Stage<'_>) {
    let user = stage.user("2", "0").await;
    let request = stage.order(user, btc(), "1.5");
    let order = request.order_id;
    let found = stage.wallet.reservation_of_order(stage.context(), order).await;
    assert_eq!(found, Ok(None));
    let reserved = stage.wallet.reserve(stage.context(), &request).await.unwrap();
    let found = stage.wallet.reservation_of_order(stage.context(), order).await.unwrap().unwrap();
    assert_eq!(found.reservation_id, reserved.reservation_id);
    assert_eq!((found.order_id, found.user_id, found.asset), (order, user, btc()));
    assert_eq!((found.original, found.remaining), (units("1.5"), units("1.5")));
    assert_eq!((found.captured, found.released, found.ended), (0, 0, false));
    stage.release(order, btc()).await.unwrap();
    let found = stage.wallet.reservation_of_order(stage.context(), order).await.unwrap().unwrap();
    assert_eq!((found.remaining, found.released, found.ended), (0, units("1.5"), true));
}
