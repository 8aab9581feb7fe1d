//! Owns what goes wrong in the mock, and how often. Knows nothing of money.
//! Invariant: a fault that is planned fires exactly as often as it says, and each firing counts.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use crate::client::WalletError;
use crate::client::metrics::Method;

/// What may go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens: no effect.
    Down,
    /// No answer comes, and the call had no effect.
    Timeout,
    /// An internal error, before any effect.
    ServerError,
    /// The call has its effect, the answer is rubbish.
    Garbage,
    /// The call has its effect, no answer comes.
    LostReply,
    /// The request arrives twice; the second answer is given.
    Duplicate,
    /// The request arrives after this time.
    Delay(Duration),
    /// Too many calls: no effect.
    RateLimited(Option<Duration>),
    /// Writes are stopped: no effect.
    ReadOnly,
    /// Refused for lack of money, whatever there is.
    Insufficient,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    /// `None` is every method.
    method: Option<Method>,
    fault: Fault,
    times: usize,
}

/// The faults to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: VecDeque<Planned>,
    refused_users: BTreeSet<Uuid>,
    fired: u64,
}

impl Faults {
    pub(super) fn plan(&mut self, method: Option<Method>, fault: Fault, times: usize) {
        if times > 0 {
            self.planned.push_back(Planned { method, fault, times });
        }
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
        self.refused_users.clear();
    }

    pub(super) fn refuse_user(&mut self, user: Uuid) {
        self.refused_users.insert(user);
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// The fault of a call that begins now: the first one planned that is for its method.
    pub(super) fn take(&mut self, method: Method) -> Option<Fault> {
        let applies = |planned: &Planned| planned.method.is_none_or(|only| only == method);
        let index = self.planned.iter().position(applies)?;
        let planned = self.planned.get_mut(index)?;
        let fault = planned.fault;
        planned.times -= 1;
        if planned.times == 0 {
            self.planned.remove(index);
        }
        self.fired += 1;
        Some(fault)
    }

    /// Whether one of the users is not served.
    pub(super) fn check_users(&mut self, users: &[Uuid]) -> Result<(), WalletError> {
        if users.iter().any(|user| self.refused_users.contains(user)) {
            self.fired += 1;
            return Err(WalletError::UserNotFound);
        }
        Ok(())
    }
}
