//! Owns how many orders may wait for their funds at a time. Knows nothing of what they wait for.
//! Invariant: one account cannot keep the others out, and there are never more than the engine
//! announces.

use std::collections::HashMap;
use std::sync::Arc;

use engine::limits::ORDER_INTENTS_MAX;
use engine::{AccountId, Usage};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{FUNDED_ORDERS_PER_ACCOUNT_MAX, FUNDED_ORDERS_UNDER_WAY_MAX};

const _: () = assert!(FUNDED_ORDERS_UNDER_WAY_MAX < ORDER_INTENTS_MAX);

/// Orders under way, in all and of each account: one account cannot keep the others out.
#[derive(Debug)]
pub(super) struct UnderWay {
    all: Arc<Semaphore>,
    by_account: Arc<Mutex<HashMap<AccountId, usize>>>,
}

/// One order under way.
pub(super) struct Entered {
    account: AccountId,
    by_account: Arc<Mutex<HashMap<AccountId, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Default for UnderWay {
    fn default() -> Self {
        let all = Arc::new(Semaphore::new(FUNDED_ORDERS_UNDER_WAY_MAX));
        Self { all, by_account: Arc::default() }
    }
}

impl UnderWay {
    /// `None` if there is no room for another order.
    pub(super) fn enter(&self, account: AccountId) -> Option<Entered> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut by_account = self.by_account.lock();
        let count = by_account.entry(account).or_default();
        if *count == FUNDED_ORDERS_PER_ACCOUNT_MAX {
            return None;
        }
        *count += 1;
        Some(Entered { account, by_account: Arc::clone(&self.by_account), _permit: permit })
    }

    /// Orders under way.
    pub(super) fn usage(&self) -> Usage {
        let free = self.all.available_permits().min(FUNDED_ORDERS_UNDER_WAY_MAX);
        let used = FUNDED_ORDERS_UNDER_WAY_MAX - free;
        Usage::new("funded_orders", used, FUNDED_ORDERS_UNDER_WAY_MAX)
    }

    /// Waits until no order is under way, and lets none in any more.
    pub(super) async fn close(&self) {
        let all = u32::try_from(FUNDED_ORDERS_UNDER_WAY_MAX).unwrap_or(u32::MAX);
        // Closed by another stop if it fails: that one waited.
        if self.all.acquire_many(all).await.is_ok() {
            self.all.close();
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut by_account = self.by_account.lock();
        if let Some(count) = by_account.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                by_account.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_account_cannot_keep_the_others_out() {
        let under_way = UnderWay::default();
        let enter = |account| under_way.enter(AccountId(account));
        let mut entered: Vec<_> = (0..FUNDED_ORDERS_PER_ACCOUNT_MAX).map(|_| enter(1)).collect();
        assert!(entered.iter().all(Option::is_some), "at the bound");
        assert!(enter(1).is_none(), "one past it");
        assert!(enter(2).is_some());
        entered.pop();
        assert!(enter(1).is_some());
        drop(entered);
        assert!(under_way.by_account.lock().is_empty());
        let each = FUNDED_ORDERS_UNDER_WAY_MAX / FUNDED_ORDERS_PER_ACCOUNT_MAX;
        let all: Vec<_> = (0..FUNDED_ORDERS_UNDER_WAY_MAX)
            .map(|order| enter(u32::try_from(order % each).unwrap()))
            .collect();
        assert!(all.iter().all(Option::is_some), "at the bound");
        assert!(enter(99_999).is_none(), "one past it");
        drop(all);
        under_way.close().await;
        assert!(enter(1).is_none(), "closed");
    }
}
