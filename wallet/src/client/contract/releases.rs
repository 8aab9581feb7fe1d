//! Cases of giving money back.

use super::{ReleaseReason, ReleaseRequest, Stage, balance, btc, fee, refusal, units, usdt};
use crate::client::SettleRequest;

pub(super) async fn release_by_order_alone_gives_back_the_rest(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let order = stage.reserved(user, usdt(), "30").await;
    stage.reserved(user, usdt(), "20").await;
    assert_eq!(stage.release(order, usdt()).await, Ok(units("30")));
    assert_eq!(stage.balance(user, usdt()).await, balance("80", "20"));
}

pub(super) async fn release_by_reservation(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let request = stage.order(user, usdt(), "30");
    let reserved = stage.wallet.reserve(stage.context(), &request).await.unwrap();
    let other = stage.reserved(user, usdt(), "10").await;
    let by_id = ReleaseRequest {
        reservation_id: Some(reserved.reservation_id),
        order_id: None,
        ..stage.release_of(request.order_id, usdt())
    };
    let mixed = ReleaseRequest { order_id: Some(other), ..by_id };
    assert_eq!(refusal(stage.wallet.release(stage.context(), &mixed).await), "invalid_request");
    let released = stage.wallet.release(stage.context(), &by_id).await.unwrap();
    assert_eq!(released.released, units("30"));
    let by_both = ReleaseRequest { order_id: Some(request.order_id), ..by_id };
    assert_eq!(stage.wallet.release(stage.context(), &by_both).await, Ok(released));
    assert_eq!(stage.balance(user, usdt()).await, balance("90", "10"));
}

pub(super) async fn a_second_release_repeats_the_first(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let order = stage.reserved(user, usdt(), "30").await;
    for reason in ReleaseReason::ALL {
        let request = ReleaseRequest { reason: *reason, ..stage.release_of(order, usdt()) };
        let released = stage.wallet.release(stage.context(), &request).await.unwrap();
        assert_eq!(released.released, units("30"), "{reason:?}");
    }
    assert_eq!(stage.balance(user, usdt()).await, balance("100", "0"));
}

pub(super) async fn an_unknown_order_is_burned(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let late = stage.order(user, usdt(), "30");
    for _ in 0..2 {
        let result = stage.release(late.order_id, usdt()).await;
        assert_eq!(refusal(result), "reservation_not_found");
    }
    let result = stage.wallet.reserve(stage.context(), &late).await;
    assert_eq!(refusal(result), "conflict", "it must not come alive after its release");
    assert_eq!(stage.balance(user, usdt()).await, balance("100", "0"));
}

pub(super) async fn releases_without_sense(stage: &Stage<'_>) {
    let nothing = ReleaseRequest { order_id: None, ..stage.release_of(stage.id(), usdt()) };
    assert_eq!(refusal(stage.wallet.release(stage.context(), &nothing).await), "invalid_request");
    let unknown = ReleaseRequest { reservation_id: Some(stage.id()), ..nothing };
    let result = stage.wallet.release(stage.context(), &unknown).await;
    assert_eq!(refusal(result), "reservation_not_found");
}

pub(super) async fn release_waits_for_captures(stage: &Stage<'_>) {
    let buyer = stage.user("0", "100000").await;
    let seller = stage.user("1.5", "0").await;
    let buy = stage.reserved(buyer, usdt(), "75150").await;
    let sell = stage.reserved(seller, btc(), "1.5").await;
    let with_total = |total: &str| ReleaseRequest {
        captured_total: Some(units(total)),
        ..stage.release_of(buy, usdt())
    };
    let early = stage.wallet.release(stage.context(), &with_total("74999.7")).await;
    assert_eq!(refusal(early), "capture_pending", "the settlement is still on its way");
    let trade = SettleRequest {
        buyer_fee: fee("149.7"),
        seller_fee: fee("74.85"),
        ..stage.trade([buyer, buy], [seller, sell], "1.5", 49_900)
    };
    stage.wallet.settle(stage.context(), &trade).await.unwrap();
    let less = stage.wallet.release(stage.context(), &with_total("74999.69999999")).await;
    assert_eq!(refusal(less), "conflict", "more was captured than the caller knows of");
    let released = stage.wallet.release(stage.context(), &with_total("74999.7")).await.unwrap();
    assert_eq!(released.released, units("150.3"));
    assert_eq!(stage.balance(buyer, usdt()).await, balance("25000.3", "0"));
    assert_eq!(stage.release(sell, btc()).await, Ok(0), "all of it was captured");
}

pub(super) async fn releases_in_a_batch_stand_alone(stage: &Stage<'_>) {
    let user = stage.user("0", "100").await;
    let first = stage.reserved(user, usdt(), "10").await;
    let last = stage.reserved(user, usdt(), "20").await;
    let requests = [first, stage.id(), last].map(|order| stage.release_of(order, usdt()));
    let answers = stage.wallet.release_batch(stage.context(), &requests).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().released, units("10"));
    assert_eq!(refusal(answers[1].clone()), "reservation_not_found");
    assert_eq!(answers[2].as_ref().unwrap().released, units("20"));
    assert_eq!(stage.balance(user, usdt()).await, balance("100", "0"));
    assert!(stage.wallet.release_batch(stage.context(), &[]).await.unwrap().is_empty());
}
