//! What can go wrong with a call, and what the caller may conclude: `outcome()` is all that a
//! retry, a circuit breaker or a settlement has to look at.
//!
//! `cargo run -p wallet --example error_handling [-- --url URL --token TOKEN]`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod site;

use site::{Outcome, Site, context, reserve, text};
use uuid::Uuid;
use wallet::client::metrics::Method;
use wallet::client::{CallOutcome, Fault, WalletError};

/// What to do after an error.
fn advice(error: &WalletError) -> &'static str {
    match error.outcome() {
        CallOutcome::NotExecuted => "nothing happened: try again later, with any key",
        CallOutcome::Refused => "decided: asking again changes nothing",
        CallOutcome::Unknown => "it may have happened: the same request again, under the same key",
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let site = Site::open()?;
    let user = site.user("USDT", "100").await?;

    // The user cannot pay: the order is refused, and the wallet is as well as ever.
    let poor = reserve(user, "USDT", "100.01", Uuid::now_v7());
    let error = site.client.reserve(context(), &poor).await.err().ok_or("he has only 100")?;
    println!("{error}: {}", advice(&error));
    assert_eq!(error, WalletError::InsufficientBalance);

    let stranger = reserve(Uuid::now_v7(), "USDT", "1", Uuid::now_v7());
    let error = site.client.reserve(context(), &stranger).await.err().ok_or("nobody knows him")?;
    println!("{error}: {}", advice(&error));
    assert_eq!(error, WalletError::UserNotFound);

    // The key was used for something else: a fault of the caller's, never a second reservation.
    let order = Uuid::now_v7();
    let first = site.client.reserve(context(), &reserve(user, "USDT", "60", order)).await?;
    let other = reserve(user, "USDT", "61", order);
    let error = site.client.reserve(context(), &other).await.err().ok_or("another amount")?;
    println!("{error}: {}", advice(&error));
    assert_eq!(error.outcome(), CallOutcome::Refused);

    // The answer is lost after the effect. Only a mock does that when it is told to.
    if let Some(mock) = &site.mock {
        mock.fail(Some(Method::Reserve), Fault::LostReply, 1);
    }
    let order = Uuid::now_v7();
    let request = reserve(user, "USDT", "40", order);
    let reserved = match site.client.reserve(context().once(), &request).await {
        Ok(reserved) => reserved,
        Err(error) => {
            println!("{error}: {}", advice(&error));
            assert_eq!(error.outcome(), CallOutcome::Unknown);
            site.client.reserve(context(), &request).await?
        }
    };
    assert_ne!(reserved.reservation_id, first.reservation_id);
    println!("reserved {} USDT, each once", text(reserved.balance.reserved));
    assert_eq!(site.balance(user, "USDT").await?, ("0".into(), "100".into()));
    site.client.close().await;
    Ok(())
}
