//! Owns the compartment for reports: requests that read much and that nobody trades by. Knows
//! nothing of what one says. Invariant: at most so many run at once, on threads of their own, so
//! that however many are asked for, balances and movements find the workers and the views free.

use std::sync::Arc;
use std::time::Duration;

use engine::Usage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ApiError, ErrorCode};
use super::state::ServiceState;

/// Places for reports; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    places: Arc<Semaphore>,
    at_once: usize,
    wait: Duration,
}

impl Reports {
    /// `at_once` run, and others wait so long.
    pub(super) fn new(at_once: usize, wait: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)), at_once, wait }
    }

    /// Places that are taken.
    pub(super) fn usage(&self) -> Usage {
        let used = self.at_once - self.places.available_permits().min(self.at_once);
        Usage::new("reports", used, self.at_once)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// A place for as long as it is kept.
    ///
    /// # Errors
    /// `OVERLOADED`: there was none in time.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(self.wait, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => {
                let text = "too many reports at once, try again later";
                Err(ApiError::saying(ErrorCode::Overloaded, text))
            }
        }
    }
}

impl ServiceState {
    /// Has a report made.
    ///
    /// # Errors
    /// As [`Reports::place`], and whatever the report itself is refused with.
    pub(super) async fn report<T: Send + 'static>(
        &self,
        make: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.reports().place().await?;
        let state = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            // Kept until it is made, also if nobody waits for it any more.
            let _place = place;
            make(&state)
        });
        made.await.map_err(|_| ErrorCode::InternalError)?
    }
}
