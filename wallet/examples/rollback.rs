//! Taking back what was begun: an order that cannot be placed after its funds were reserved, and
//! one of which nobody knows whether they were.
//!
//! `cargo run -p wallet --example rollback [-- --url URL --token TOKEN]`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod site;

use site::{Outcome, Site, asset, context, reserve, text};
use uuid::Uuid;
use wallet::client::{ReleaseRequest, WalletError};
use wallet::ledger::types::ReleaseReason;

/// The order was never placed: nothing of it can have been traded.
fn never_placed(order: Uuid) -> ReleaseRequest {
    ReleaseRequest {
        reservation_id: None,
        order_id: Some(order),
        asset: asset("USDT"),
        reason: ReleaseReason::OrderCreationFailed,
        captured_total: Some(0),
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let site = Site::open()?;
    let user = site.user("USDT", "100").await?;

    // The funds are there, but the exchange refuses the order: they go back by the order's id.
    let order = Uuid::now_v7();
    site.client.reserve(context(), &reserve(user, "USDT", "80", order)).await?;
    let released = site.client.release(context(), &never_placed(order)).await?;
    println!("released {} USDT of an order that was not placed", text(released.released));
    assert_eq!(site.balance(user, "USDT").await?, ("100".into(), "0".into()));

    // No answer to a reservation: release it anyway. If it never arrived, the wallet does not know
    // it - and from now on never will: when the request comes after all, it is refused.
    let order = Uuid::now_v7();
    let unknown = site.client.release(context(), &never_placed(order)).await;
    assert_eq!(unknown, Err(WalletError::ReservationNotFound));
    let late = site.client.reserve(context(), &reserve(user, "USDT", "80", order)).await;
    match late {
        Err(error) => println!("a late reservation is refused: {error}"),
        Ok(_) => return Err("money was set aside for an order that was given up".into()),
    }
    assert_eq!(site.balance(user, "USDT").await?, ("100".into(), "0".into()));
    site.client.close().await;
    Ok(())
}
