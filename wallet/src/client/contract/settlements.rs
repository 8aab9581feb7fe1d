//! Cases of settling trades.

use futures_util::future::join_all;
use uuid::Uuid;

use super::{CreditTo, SettleRequest, Stage, balance, btc, fee, refusal, units, usdt};

/// A buyer and a seller with an order each, reserved: user and order.
async fn orders(stage: &Stage<'_>, usdt_text: &str, btc_text: &str) -> ([Uuid; 2], [Uuid; 2]) {
    let buyer = stage.user("0", usdt_text).await;
    let seller = stage.user(btc_text, "0").await;
    let buy = stage.reserved(buyer, usdt(), usdt_text).await;
    let sell = stage.reserved(seller, btc(), btc_text).await;
    ([buyer, buy], [seller, sell])
}

pub(super) async fn settlement_pays_both_sides_and_the_fees(stage: &Stage<'_>) {
    let fees_before = stage.fixture.fees(usdt()).await;
    let (buyer, seller) = orders(stage, "5005", "0.1").await;
    let trade = SettleRequest {
        buyer_fee: fee("5"),
        seller_fee: fee("2.5"),
        ..stage.trade(buyer, seller, "0.1", 50_000)
    };
    assert_eq!(trade.quote_amount, units("5000"));
    let query = || stage.wallet.settlement_of_trade(stage.context(), trade.trade_id);
    assert_eq!(query().await, Ok(None));
    let settlement = stage.wallet.settle(stage.context(), &trade).await.unwrap();
    assert_eq!(query().await, Ok(Some(settlement)));
    assert!(!settlement.settlement_id.is_nil() && settlement.settled_at_ns > 0);
    assert!(settlement.buyer_reservation_released && settlement.seller_reservation_released);
    assert_eq!(stage.balance(buyer[0], usdt()).await, balance("0", "0"));
    assert_eq!(stage.balance(buyer[0], btc()).await, balance("0.1", "0"));
    assert_eq!(stage.balance(seller[0], usdt()).await, balance("4997.5", "0"));
    assert_eq!(stage.balance(seller[0], btc()).await, balance("0", "0"));
    assert_eq!(stage.fixture.fees(usdt()).await - fees_before, fee("7.5"));
}

pub(super) async fn the_per_order_example(stage: &Stage<'_>) {
    let buyer = stage.user("0", "100000").await;
    let seller = stage.user("1.5", "0").await;
    let buy = stage.reserved(buyer, usdt(), "75150").await;
    let sell = stage.reserved(seller, btc(), "1.5").await;
    let trade = SettleRequest {
        buyer_fee: fee("149.7"),
        seller_fee: fee("74.85"),
        ..stage.trade([buyer, buy], [seller, sell], "1.5", 49_900)
    };
    let settlement = stage.wallet.settle(stage.context(), &trade).await.unwrap();
    assert!(!settlement.buyer_reservation_released && settlement.seller_reservation_released);
    assert_eq!(stage.balance(buyer, usdt()).await, balance("24850", "150.3"));
    assert_eq!(stage.balance(buyer, btc()).await, balance("1.5", "0"));
    assert_eq!(stage.balance(seller, usdt()).await, balance("74775.15", "0"));
}

pub(super) async fn the_prefunded_example(stage: &Stage<'_>) {
    let buyer = stage.user("0", "75150").await;
    let seller = stage.user("1.5", "0").await;
    stage.lent(buyer, usdt(), "75150").await;
    stage.lent(seller, btc(), "1.5").await;
    let trade = SettleRequest {
        buyer_fee: fee("149.7"),
        seller_fee: fee("74.85"),
        credit_to: CreditTo::Reserved,
        ..stage.trade([buyer, stage.id()], [seller, stage.id()], "1.5", 49_900)
    };
    let settlement = stage.wallet.settle(stage.context(), &trade).await.unwrap();
    assert!(!settlement.buyer_reservation_released && !settlement.seller_reservation_released);
    assert_eq!(stage.balance(buyer, usdt()).await, balance("0", "150.3"));
    assert_eq!(stage.balance(buyer, btc()).await, balance("0", "1.5"));
    assert_eq!(stage.balance(seller, usdt()).await, balance("0", "74775.15"));
    assert_eq!(stage.balance(seller, btc()).await, balance("0", "0"));
}

pub(super) async fn the_same_settlement_gives_the_same_answer(stage: &Stage<'_>) {
    let (buyer, seller) = orders(stage, "100", "2").await;
    let trade = stage.trade(buyer, seller, "1", 50);
    let first = stage.wallet.settle(stage.context(), &trade).await.unwrap();
    let other = stage.trade(buyer, seller, "1", 50);
    let second = stage.wallet.settle(stage.context(), &other).await.unwrap();
    assert_ne!(second.settlement_id, first.settlement_id);
    assert_eq!(stage.wallet.settle(stage.context(), &trade).await, Ok(first));
    assert_eq!(stage.balance(seller[0], usdt()).await, balance("100", "0"));
}

pub(super) async fn another_trade_under_the_same_id_is_a_conflict(stage: &Stage<'_>) {
    let (buyer, seller) = orders(stage, "100", "2").await;
    let trade = stage.trade(buyer, seller, "1", 10);
    stage.wallet.settle(stage.context(), &trade).await.unwrap();
    let trade_id = trade.trade_id;
    for spoiled in [
        SettleRequest { buyer_fee: 1, ..trade },
        SettleRequest { credit_to: CreditTo::Reserved, ..trade },
        SettleRequest { trade_id, ..stage.trade(buyer, seller, "1", 11) },
        SettleRequest { trade_id, ..stage.trade(seller, buyer, "1", 10) },
    ] {
        let result = stage.wallet.settle(stage.context(), &spoiled).await;
        assert_eq!(refusal(result), "conflict");
    }
    assert_eq!(stage.balance(seller[0], usdt()).await, balance("10", "0"));
}

pub(super) async fn many_partial_captures_add_up(stage: &Stage<'_>) {
    let (buyer, seller) = orders(stage, "1000", "10").await;
    for number in 1..=30 {
        let trade = SettleRequest { buyer_fee: number, ..stage.trade(buyer, seller, "0.1", 100) };
        stage.wallet.settle(stage.context(), &trade).await.unwrap();
    }
    let of_order = |order| stage.wallet.reservation_of_order(stage.context(), order);
    let captured = units("300") + 465;
    let found = of_order(buyer[1]).await.unwrap().unwrap();
    assert_eq!((found.captured, found.remaining), (captured, units("1000") - captured));
    assert_eq!(stage.release(buyer[1], usdt()).await, Ok(units("1000") - captured));
    let found = of_order(buyer[1]).await.unwrap().unwrap();
    assert_eq!(found.captured + found.released, found.original);
    let found = of_order(seller[1]).await.unwrap().unwrap();
    assert_eq!((found.captured, found.remaining, found.ended), (units("3"), units("7"), false));
}

pub(super) async fn capture_beyond_the_rest_is_refused(stage: &Stage<'_>) {
    let (buyer, seller) = orders(stage, "100", "10").await;
    let all = stage.trade(buyer, seller, "1", 100);
    let too_much = SettleRequest { buyer_fee: 1, ..all };
    let result = stage.wallet.settle(stage.context(), &too_much).await;
    assert_eq!(refusal(result), "conflict");
    assert_eq!(stage.balance(buyer[0], usdt()).await, balance("0", "100"));
    assert_eq!(stage.balance(seller[0], btc()).await, balance("0", "10"), "nothing has moved");
    let settlement = stage.wallet.settle(stage.context(), &all).await.unwrap();
    assert!(settlement.buyer_reservation_released && !settlement.seller_reservation_released);

    let (buyer, seller) = orders(stage, "100", "10").await;
    stage.release(buyer[1], usdt()).await.unwrap();
    let late = stage.trade(buyer, seller, "1", 100);
    let free_of_charge = SettleRequest { buyer_fee: fee("-100"), ..late };
    for trade in [late, free_of_charge] {
        assert_eq!(refusal(stage.wallet.settle(stage.context(), &trade).await), "conflict");
    }
}

pub(super) async fn a_missing_reservation_may_still_come(stage: &Stage<'_>) {
    let buyer = stage.user("0", "100").await;
    let seller = stage.user("1", "0").await;
    let sell = stage.reserved(seller, btc(), "1").await;
    let buy = stage.order(buyer, usdt(), "100");
    let trade = stage.trade([buyer, buy.order_id], [seller, sell], "1", 100);
    let result = stage.wallet.settle(stage.context(), &trade).await;
    assert_eq!(refusal(result), "reservation_not_found");
    let somebody_elses = stage.trade([buyer, stage.id()], [seller, buy.order_id], "1", 100);
    let result = stage.wallet.settle(stage.context(), &somebody_elses).await;
    assert_eq!(refusal(result), "reservation_not_found");
    stage.wallet.reserve(stage.context(), &buy).await.unwrap();
    stage.wallet.settle(stage.context(), &trade).await.expect("the refusal is not remembered");
}

pub(super) async fn a_short_pool_may_still_be_filled(stage: &Stage<'_>) {
    let buyer = stage.user("0", "200").await;
    let seller = stage.user("1", "0").await;
    stage.lent(seller, btc(), "1").await;
    stage.lent(buyer, usdt(), "50").await;
    let order = stage.reserved(buyer, usdt(), "100").await;
    let trade = SettleRequest {
        credit_to: CreditTo::Reserved,
        ..stage.trade([buyer, order], [seller, stage.id()], "1", 100)
    };
    let result = stage.wallet.settle(stage.context(), &trade).await;
    assert_eq!(refusal(result), "insufficient_balance", "what an order holds is not the pool's");
    assert_eq!(stage.balance(buyer, usdt()).await, balance("50", "150"));
    stage.lent(buyer, usdt(), "50").await;
    stage.wallet.settle(stage.context(), &trade).await.expect("the refusal is not remembered");
    assert_eq!(stage.release(order, usdt()).await, Ok(units("100")), "it was not touched");
}

pub(super) async fn unknown_parties_and_wrong_amounts(stage: &Stage<'_>) {
    let (buyer, seller) = orders(stage, "100", "1").await;
    let trade = stage.trade(buyer, seller, "1", 50);
    let nobody = stage.id();
    for spoiled in
        [SettleRequest { buyer_id: nobody, ..trade }, SettleRequest { seller_id: nobody, ..trade }]
    {
        let result = stage.wallet.settle(stage.context(), &spoiled).await;
        assert_eq!(refusal(result), "user_not_found");
    }
    for spoiled in [
        SettleRequest { quote_amount: trade.quote_amount + 1, ..trade },
        SettleRequest { quote_amount: 0, base_amount: 0, ..trade },
        SettleRequest { base_amount: 1, quote_amount: 0, price: "0.5".parse().unwrap(), ..trade },
        SettleRequest { seller_fee: trade.quote_amount.cast_signed() + 1, ..trade },
        SettleRequest { buyer_fee: -trade.quote_amount.cast_signed() - 1, ..trade },
        SettleRequest { base: usdt(), price: 50.into(), ..trade },
        SettleRequest { trade_id: Uuid::nil(), ..trade },
        SettleRequest { quote: engine::AssetCode::new("UNLISTED").unwrap(), ..trade },
    ] {
        let result = stage.wallet.settle(stage.context(), &spoiled).await;
        assert_eq!(refusal(result), "invalid_request", "{spoiled:?}");
    }
    stage.wallet.settle(stage.context(), &trade).await.expect("none of them used up the key");
}

pub(super) async fn trades_with_oneself(stage: &Stage<'_>) {
    let user = stage.user("1", "101").await;
    let buy = stage.reserved(user, usdt(), "101").await;
    let sell = stage.reserved(user, btc(), "1").await;
    let trade =
        SettleRequest { buyer_fee: fee("1"), ..stage.trade([user, buy], [user, sell], "1", 100) };
    stage.wallet.settle(stage.context(), &trade).await.unwrap();
    assert_eq!(stage.balance(user, usdt()).await, balance("100", "0"));
    assert_eq!(stage.balance(user, btc()).await, balance("1", "0"));
    stage.lent(user, usdt(), "100").await;
    stage.lent(user, btc(), "1").await;
    let pooled = SettleRequest {
        credit_to: CreditTo::Reserved,
        ..stage.trade([user, stage.id()], [user, stage.id()], "1", 100)
    };
    stage.wallet.settle(stage.context(), &pooled).await.expect("and without fees");
    assert_eq!(stage.balance(user, usdt()).await, balance("0", "100"));
    assert_eq!(stage.balance(user, btc()).await, balance("0", "1"));
}

pub(super) async fn rebates_come_from_the_fees(stage: &Stage<'_>) {
    let fees_before = stage.fixture.fees(usdt()).await;
    let (buyer, seller) = orders(stage, "110", "2").await;
    let earned = SettleRequest {
        buyer_fee: fee("1"),
        seller_fee: fee("-0.25"),
        ..stage.trade(buyer, seller, "1", 50)
    };
    stage.wallet.settle(stage.context(), &earned).await.unwrap();
    assert_eq!(stage.fixture.fees(usdt()).await - fees_before, fee("0.75"));
    let given = SettleRequest {
        buyer_fee: fee("-2"),
        seller_fee: fee("0.5"),
        ..stage.trade(buyer, seller, "1", 50)
    };
    stage.wallet.settle(stage.context(), &given).await.unwrap();
    assert_eq!(stage.fixture.fees(usdt()).await - fees_before, fee("-0.75"));
    assert_eq!(stage.balance(buyer[0], usdt()).await, balance("0", "11"));
    assert_eq!(stage.balance(seller[0], usdt()).await, balance("99.75", "0"));
}

pub(super) async fn settlements_in_a_batch_follow_their_order(stage: &Stage<'_>) {
    let [first, second] = [stage.user("0", "200").await, stage.user("0", "300").await];
    let seller = stage.user("1", "0").await;
    stage.lent(seller, btc(), "1").await;
    stage.lent(first, usdt(), "100").await;
    stage.lent(second, usdt(), "300").await;
    let pooled = |buyer, seller, at| SettleRequest {
        credit_to: CreditTo::Reserved,
        ..stage.trade([buyer, stage.id()], [seller, stage.id()], "1", at)
    };
    // The third sells what the first has bought, the second what nobody has yet.
    let trades = [
        pooled(first, seller, 100),
        pooled(first, second, 1),
        pooled(second, first, 150),
        pooled(first, second, 10),
    ];
    let answers = stage.wallet.settle_batch(stage.context(), &trades).await.unwrap();
    assert!(answers[0].is_ok() && answers[2].is_ok() && answers[3].is_ok(), "{answers:?}");
    assert_eq!(refusal(answers[1].clone()), "insufficient_balance");
    assert_eq!(stage.balance(first, usdt()).await, balance("100", "140"));
    assert_eq!(stage.balance(first, btc()).await, balance("0", "1"));
    assert_eq!(stage.balance(second, usdt()).await, balance("0", "160"));
    assert_eq!(stage.balance(seller, usdt()).await, balance("0", "100"));
    assert!(stage.wallet.settle_batch(stage.context(), &[]).await.unwrap().is_empty());
}

pub(super) async fn identical_settlements_in_parallel_pay_once(stage: &Stage<'_>) {
    let (buyer, seller) = orders(stage, "500", "1").await;
    let trade = SettleRequest {
        buyer_fee: fee("5"),
        seller_fee: fee("2.5"),
        ..stage.trade(buyer, seller, "0.1", 1_000)
    };
    let calls = (0..100).map(|_| stage.wallet.settle(stage.context(), &trade));
    let answers = join_all(calls).await;
    let first = answers[0].clone().unwrap();
    assert!(answers.iter().all(|answer| *answer == Ok(first)), "{answers:?}");
    assert_eq!(stage.balance(buyer[0], usdt()).await, balance("0", "395"));
    assert_eq!(stage.balance(seller[0], usdt()).await, balance("97.5", "0"));
}
