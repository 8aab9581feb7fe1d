//! An order that is cancelled after a part of it has traded: exactly the rest comes back, once,
//! and not before the part is paid.
//!
//! `cargo run -p wallet --example order_cancellation [-- --url URL --token TOKEN]`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod site;

use site::{Outcome, Site, asset, context, reserve, text, trade, units};
use uuid::Uuid;
use wallet::client::{ReleaseRequest, WalletError};
use wallet::ledger::types::ReleaseReason;

#[tokio::main]
async fn main() -> Outcome {
    let site = Site::open()?;
    let (buyer, seller) = (site.user("USDT", "75150").await?, site.user("BTC", "0.5").await?);
    let (buy, sell) = (Uuid::now_v7(), Uuid::now_v7());
    site.client.reserve(context(), &reserve(buyer, "USDT", "75150", buy)).await?;
    site.client.reserve(context(), &reserve(seller, "BTC", "0.5", sell)).await?;

    // 0.5 of the 1.5 has traded at 50,000, and the order is cancelled before that is settled.
    let release = ReleaseRequest {
        reservation_id: None,
        order_id: Some(buy),
        asset: asset("USDT"),
        reason: ReleaseReason::OrderCancelled,
        captured_total: Some(units("25050")),
    };
    match site.client.release(context(), &release).await {
        Err(error @ WalletError::CapturePending) => println!("too early, try again: {error}"),
        other => return Err(format!("a release overtook a settlement: {other:?}").into()),
    }

    let settle = trade((buyer, buy), (seller, sell), ("0.5", 50_000, "25000"), ("50", "25"));
    site.client.settle(context(), &settle).await?;
    let released = site.client.release(context(), &release).await?;
    println!("released {} USDT", text(released.released));
    assert_eq!(text(released.released), "50100");

    // Whoever does not know whether a release was heard sends it again: the first answer.
    let expired = ReleaseRequest { reason: ReleaseReason::OrderExpired, ..release };
    assert_eq!(site.client.release(context(), &expired).await?, released);

    let (available, reserved) = site.balance(buyer, "USDT").await?;
    println!("buyer: {available} USDT available, {reserved} reserved");
    assert_eq!((available.as_str(), reserved.as_str()), ("50100", "0"));
    site.client.close().await;
    Ok(())
}
