//! Owns who has an account. Knows nothing of money or orders.
//! Invariant: an account, once there, keeps its number and its user.

use std::collections::HashMap;

use engine::codec::append as put;
use engine::limits::ACCOUNTS_MAX;
use engine::{AccountId, Event, RestoreError, SnapshotReader};
use uuid::Uuid;

/// All accounts by their user.
#[derive(Debug, Default)]
pub struct Accounts {
    by_user: HashMap<Uuid, AccountId>,
    /// Users by the number of their account, from 1.
    users: Vec<Uuid>,
}

impl Accounts {
    #[must_use]
    pub fn find(&self, user: Uuid) -> Option<AccountId> {
        self.by_user.get(&user).copied()
    }

    #[must_use]
    pub fn user(&self, account: AccountId) -> Option<Uuid> {
        self.users.get((account.0 as usize).checked_sub(1)?).copied()
    }

    /// Whether this event changes an account.
    pub(super) fn concerns(event: &Event) -> bool {
        matches!(event, Event::AccountRegistered { .. })
    }

    pub(super) fn apply(&mut self, event: &Event) {
        if let Event::AccountRegistered { account, uuid, .. } = event {
            self.by_user.insert(Uuid::from_u128(*uuid), *account);
            self.users.push(Uuid::from_u128(*uuid));
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        let Self { by_user: _, users } = self;
        put(&(users.len() as u64), out);
        users.iter().for_each(|user| put(&user.as_u128(), out));
    }

    pub(super) fn restored(from: &mut SnapshotReader<'_>) -> Result<Self, RestoreError> {
        let mut accounts = Self::default();
        for account in (1..=ACCOUNTS_MAX).take(from.count("accounts", ACCOUNTS_MAX as usize)?) {
            let user = Uuid::from_u128(from.read("user")?);
            let before = accounts.by_user.insert(user, AccountId(account));
            from.check(before.is_none(), "user")?;
            accounts.users.push(user);
        }
        Ok(accounts)
    }
}
