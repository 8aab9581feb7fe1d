//! An order from its reservation to its end: 1.5 BTC bought at up to 50,000 USDT, filled at 49,900.
//!
//! `cargo run -p wallet --example order_lifecycle [-- --url URL --token TOKEN]`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod site;

use site::{Outcome, Site, asset, context, reserve, text, trade, units};
use uuid::Uuid;
use wallet::client::ReleaseRequest;
use wallet::ledger::types::ReleaseReason;

#[tokio::main]
async fn main() -> Outcome {
    let site = Site::open()?;
    let (buyer, seller) = (site.user("USDT", "100000").await?, site.user("BTC", "1.5").await?);
    let (buy, sell) = (Uuid::now_v7(), Uuid::now_v7());

    // Before an order trades: all that it may need. A buyer pays his limit and the dearest fee.
    let reserved = site.client.reserve(context(), &reserve(buyer, "USDT", "75150", buy)).await?;
    site.client.reserve(context(), &reserve(seller, "BTC", "1.5", sell)).await?;
    println!("reserved {} of the buyer's USDT", text(reserved.balance.reserved));

    // For each trade: one call, known by the trade's id, that pays both sides and both fees.
    let settle = trade((buyer, buy), (seller, sell), ("1.5", 49_900, "74850"), ("149.7", "74.85"));
    let settlement = site.client.settle(context(), &settle).await?;
    println!("settled as {}", settlement.settlement_id);
    assert!(!settlement.buyer_reservation_released, "the better price has left something over");
    assert!(settlement.seller_reservation_released, "nothing is left of the seller's");
    let again = site.client.settle(context(), &settle).await?;
    assert_eq!(again.settlement_id, settlement.settlement_id, "the same trade is settled once");

    // When the order has ended: what it did not need. `captured_total` keeps the release from
    // overtaking a settlement that is still on its way.
    let release = ReleaseRequest {
        reservation_id: None,
        order_id: Some(buy),
        asset: asset("USDT"),
        reason: ReleaseReason::OrderFilled,
        captured_total: Some(units("74999.7")),
    };
    let released = site.client.release(context(), &release).await?;
    println!("released {} USDT", text(released.released));
    assert_eq!(text(released.released), "150.3");

    for (who, user) in [("buyer", buyer), ("seller", seller)] {
        for code in ["BTC", "USDT"] {
            let (available, reserved) = site.balance(user, code).await?;
            println!("{who}: {available} {code} available, {reserved} reserved");
        }
    }
    assert_eq!(site.balance(buyer, "USDT").await?, ("25000.3".into(), "0".into()));
    assert_eq!(site.balance(seller, "USDT").await?, ("74775.15".into(), "0".into()));
    site.client.close().await;
    Ok(())
}
