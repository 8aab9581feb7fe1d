//! Owns who has an account. Knows nothing of money or orders.
//! Invariant: an account, once there, keeps its number and its user.

use std::collections::HashMap;

use engine::{AccountId, AccountStatus, Event};
use uuid::Uuid;

/// All accounts by their user.
#[derive(Debug, Default)]
pub struct Accounts {
    by_user: HashMap<Uuid, AccountId>,
    statuses: HashMap<AccountId, AccountStatus>,
}

impl Accounts {
    #[must_use]
    pub fn find(&self, user: Uuid) -> Option<AccountId> {
        self.by_user.get(&user).copied()
    }

    #[must_use]
    pub fn status(&self, account: AccountId) -> AccountStatus {
        self.statuses.get(&account).copied().unwrap_or(AccountStatus::Active)
    }

    /// Whether this event changes an account.
    pub(super) fn concerns(event: &Event) -> bool {
        matches!(event, Event::AccountRegistered { .. } | Event::AccountStatusChanged { .. })
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::AccountRegistered { account, uuid, .. } => {
                self.by_user.insert(Uuid::from_u128(*uuid), *account);
            }
            Event::AccountStatusChanged { account, status } => {
                self.statuses.insert(*account, *status);
            }
            _ => {}
        }
    }
}
