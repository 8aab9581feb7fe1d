//! Owns the passing of engine time while nobody trades: a live order that ends by time ends on
//! time, also in a quiet market. Knows nothing of orders. Invariant: nothing is journaled while no
//! order is due, and one look at the clock follows another only after a pause or a change.

use std::sync::Arc;
use std::time::Duration;

use engine::Command;
use pipeline::Clock;
use tokio::sync::watch;

use crate::error::ErrorCode;
use crate::exchange::Exchange;
use crate::limits::EXPIRY_LOOK_EVERY;
use crate::views::Views;

/// Pause before a command that found no room is submitted again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Lets engine time pass whenever a live order is due, until the exchange takes no more commands.
/// Until then a dropped `stop` ends it, or one that is true.
pub(crate) async fn keep_time(
    exchange: Arc<Exchange>,
    views: Arc<Views>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = follow(&exchange, views.next_moment(), &*clock) => {}
    }
}

async fn follow(exchange: &Exchange, mut next: watch::Receiver<Option<u64>>, clock: &dyn Clock) {
    loop {
        let moment_ns = *next.borrow_and_update();
        let left_ns = moment_ns.map(|moment_ns| moment_ns.saturating_sub(clock.wall_ns()));
        let pause = match left_ns {
            // The views are there for as long as they are followed.
            None => match next.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            },
            Some(0) => match exchange.see_through(Command::Tick).await {
                // The orders that were due have left the views.
                Ok(_) => continue,
                Err(ErrorCode::Overloaded | ErrorCode::NoSpace) => ASK_AGAIN,
                Err(_) => return,
            },
            Some(left_ns) => Duration::from_nanos(left_ns).min(EXPIRY_LOOK_EVERY),
        };
        // Whichever it is, the clock says what is due.
        let _ = tokio::time::timeout(pause, next.changed()).await;
    }
}
