//! Owns a wallet in memory, for tests and for trying things out. Knows nothing of HTTP or ledgers.
//! Invariant: it keeps the rules of the real ones, which the contract suite checks, and fails only
//! as it was told to.

use engine::{Amount, AssetCode, SignedAmount};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::limits::CALLS_IN_FLIGHT_MAX;
use super::metrics::{Method, WalletClientMetrics};
use super::resilience::gate::Gate;
use super::{
    CallContext, ReleaseRequest, Released, ReserveRequest, Reserved, SettleRequest, Settlement,
    WalletBalance, WalletError,
};
use crate::wire::Assets;

mod books;
mod calls;
mod faults;
mod permissive;

use books::Books;
pub use faults::Fault;
use faults::Faults;
use permissive::Permissive;

/// A wallet in memory.
#[derive(Debug)]
pub struct MockWallet {
    state: Mutex<State>,
    /// Rings when a funding event is added.
    news: Notify,
    gate: Gate,
    metrics: WalletClientMetrics,
}

#[derive(Debug)]
struct State {
    books: Books,
    faults: Faults,
    /// Says yes to everything and keeps no books.
    permissive: Option<Permissive>,
}

type Answer<T> = Result<T, WalletError>;

impl MockWallet {
    /// A wallet without users that knows these assets.
    #[must_use]
    pub fn new(assets: Assets) -> Self {
        let books = Books::new(assets);
        Self {
            state: Mutex::new(State { books, faults: Faults::default(), permissive: None }),
            news: Notify::new(),
            gate: Gate::new(CALLS_IN_FLIGHT_MAX),
            metrics: WalletClientMetrics::default(),
        }
    }

    /// A wallet where everybody has 10,000 of everything: every reserve succeeds with a new id,
    /// every release gives back 100, every trade settles, and no money moves.
    #[must_use]
    pub fn permissive(assets: Assets) -> Self {
        let mock = Self::new(assets);
        mock.state.lock().permissive = Some(Permissive::default());
        mock
    }

    /// Makes what the user can take out this much, and the user known; the difference comes from
    /// the world outside.
    ///
    /// # Panics
    /// The amount is 2^127 units or more.
    pub fn set_balance(&self, user: Uuid, asset: AssetCode, available: Amount) {
        assert!(available <= SignedAmount::MAX.unsigned_abs(), "more than may exist");
        self.state.lock().books.set_balance(user, asset, available);
    }

    /// Asks trading for money that the user wants to take out; the id is that of the event.
    ///
    /// # Errors
    /// The user is unknown, or money of the asset must not leave.
    pub fn recall(&self, user: Uuid, asset: AssetCode, amount: Amount) -> Answer<Uuid> {
        let id = self.state.lock().books.recall(user, asset, amount);
        self.news.notify_waiters();
        id
    }

    /// Makes the next `times` calls (of one method, if given) fail like this.
    pub fn fail(&self, method: Option<Method>, fault: Fault, times: usize) {
        self.state.lock().faults.plan(method, fault, times);
    }

    /// Serves this user no more: nobody knows them.
    pub fn refuse_user(&self, user: Uuid) {
        self.state.lock().faults.refuse_user(user);
    }

    /// Takes back all faults that have not fired.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Faults that fired up to now.
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        self.state.lock().faults.fired()
    }

    /// Calls of a method that have ended, however they ended.
    #[must_use]
    pub fn calls(&self, method: Method) -> u64 {
        self.metrics.snapshot().method(method).duration_count
    }

    /// What the exchange earned, units; negative where rebates exceed fees.
    #[must_use]
    pub fn fees(&self, asset: AssetCode) -> SignedAmount {
        self.state.lock().books.fees(asset)
    }

    /// Sum over all users, the fees and the world outside: always 0.
    #[must_use]
    pub fn total(&self, asset: AssetCode) -> SignedAmount {
        self.state.lock().books.total(asset)
    }

    /// Makes a call on the books, with the fault that is its turn.
    async fn run<T>(
        &self,
        method: Method,
        context: CallContext,
        users: &[Uuid],
        act: impl Fn(&mut State) -> Answer<T>,
    ) -> Answer<T> {
        let begun = Instant::now();
        let deadline = context.deadline;
        let result = match self.gate.enter(deadline).await {
            Err(error) => Err(error),
            Ok(_admission) => {
                let late = |_| Err(WalletError::Timeout);
                timeout_at(deadline, self.act(method, users, act)).await.unwrap_or_else(late)
            }
        };
        self.metrics.call_ended(method, result.as_ref().err(), begun.elapsed());
        result
    }

    async fn act<T>(
        &self,
        method: Method,
        users: &[Uuid],
        act: impl Fn(&mut State) -> Answer<T>,
    ) -> Answer<T> {
        let fault = self.state.lock().faults.take(method);
        if let Some(Fault::Delay(time)) = fault {
            sleep(time).await;
        }
        let mut state = self.state.lock();
        state.faults.check_users(users)?;
        let result = match fault {
            Some(Fault::Down) => return Err(WalletError::WalletServiceDown),
            Some(Fault::Timeout) => return Err(WalletError::Timeout),
            Some(Fault::ServerError) => return Err(broken("internal error")),
            Some(Fault::RateLimited(retry_after)) => {
                return Err(WalletError::RateLimited { retry_after });
            }
            Some(Fault::ReadOnly) => return Err(WalletError::ReadOnly),
            Some(Fault::Insufficient) => return Err(WalletError::InsufficientBalance),
            Some(Fault::Garbage) => act(&mut state).and(Err(broken("rubbish"))),
            Some(Fault::LostReply) => act(&mut state).and(Err(WalletError::Timeout)),
            Some(Fault::Duplicate) => {
                drop(act(&mut state));
                act(&mut state)
            }
            Some(Fault::Delay(_)) | None => act(&mut state),
        };
        drop(state);
        if matches!(method, Method::Reserve | Method::ReserveBatch) {
            self.news.notify_waiters();
        }
        result
    }
}

fn broken(text: &str) -> WalletError {
    WalletError::InvalidResponse(text.to_owned())
}

impl State {
    fn balance(&self, user: Uuid, asset: AssetCode) -> Answer<WalletBalance> {
        match &self.permissive {
            Some(_) => permissive::balance(self.books.assets(), asset),
            None => self.books.balance(user, asset),
        }
    }

    fn reserve(&mut self, request: &ReserveRequest) -> Answer<Reserved> {
        match &mut self.permissive {
            Some(permissive) => permissive.reserve(request, &mut self.books),
            None => self.books.reserve(request),
        }
    }

    fn release(&mut self, request: &ReleaseRequest) -> Answer<Released> {
        match &self.permissive {
            Some(_) => permissive::release(self.books.assets(), request),
            None => self.books.release(request),
        }
    }

    fn settle(&mut self, request: &SettleRequest) -> Answer<Settlement> {
        match &mut self.permissive {
            Some(permissive) => Ok(permissive.settle(request, &mut self.books)),
            None => self.books.settle(request),
        }
    }

    fn settlement_of_trade(&self, trade: Uuid) -> Option<Settlement> {
        match &self.permissive {
            Some(permissive) => permissive.settlement_of_trade(trade),
            None => self.books.settlement_of_trade(trade),
        }
    }
}

#[cfg(test)]
mod tests;
