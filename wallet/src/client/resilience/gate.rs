//! Owns how many calls are under way, and the end of a client.
//! Knows nothing of what the calls do. Invariant: once closing has begun no call begins, and
//! closing ends only when none is under way.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::client::error::WalletError;

/// Admits up to so many calls at once.
#[derive(Debug)]
pub(in crate::client) struct Gate {
    places: Semaphore,
    size: u32,
    closing: AtomicBool,
}

impl Gate {
    pub(in crate::client) fn new(size: u32) -> Self {
        Self { places: Semaphore::new(size as usize), size, closing: AtomicBool::new(false) }
    }

    /// A place, held until it is dropped.
    ///
    /// # Errors
    /// `Closed`; `RateLimited` if none is free before the deadline.
    pub(in crate::client) async fn enter(
        &self,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, WalletError> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(WalletError::Closed);
        }
        match timeout_at(deadline, self.places.acquire()).await {
            Err(_) => Err(WalletError::RateLimited { retry_after: None }),
            // Looked at again with the place in hand: closing waits for the place from now on.
            Ok(Ok(place)) if !self.closing.load(Ordering::SeqCst) => Ok(place),
            Ok(_) => Err(WalletError::Closed),
        }
    }

    /// Waits until all places are free and admits nobody any more. Whoever calls it again waits
    /// as well.
    pub(in crate::client) async fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        if let Ok(all) = self.places.acquire_many(self.size).await {
            self.places.close();
            drop(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_gate_makes_callers_wait_within_their_deadline() {
        let gate = Gate::new(2);
        let first = gate.enter(soon()).await.unwrap();
        let _second = gate.enter(soon()).await.unwrap();
        let refused = gate.enter(soon()).await.unwrap_err();
        assert_eq!(refused, WalletError::RateLimited { retry_after: None });
        drop(first);
        assert!(gate.enter(soon()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_every_place_and_then_refuses() {
        let gate = Arc::new(Gate::new(2));
        let place = gate.enter(soon()).await.unwrap();
        let closing = |gate: &Arc<Gate>| {
            let gate = Arc::clone(gate);
            tokio::spawn(async move { gate.close().await })
        };
        let (first, second) = (closing(&gate), closing(&gate));
        tokio::task::yield_now().await;
        assert_eq!(gate.enter(soon()).await.unwrap_err(), WalletError::Closed);
        assert!(!first.is_finished() && !second.is_finished());
        drop(place);
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(gate.enter(soon()).await.unwrap_err(), WalletError::Closed);
        gate.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_place_is_refused_when_closing_begins() {
        let gate = Arc::new(Gate::new(1));
        let place = gate.enter(soon()).await.unwrap();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter(soon()).await.map(drop) }
        });
        tokio::task::yield_now().await;
        let closing = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.close().await }
        });
        tokio::task::yield_now().await;
        drop(place);
        assert_eq!(waiting.await.unwrap(), Err(WalletError::Closed));
        closing.await.unwrap();
    }
}
