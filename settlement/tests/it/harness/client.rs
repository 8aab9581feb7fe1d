//! Owns the way to the wallet: calls that are held, lost, refused or never answered, and the
//! counting of them. Knows nothing of settlement. Invariant: what passes has its effect in the mock
//! behind it, whose books say how often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::AssetCode;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use uuid::Uuid;
use wallet::client::metrics::MetricsSnapshot;
use wallet::client::{
    CallContext, Concluded, FundingEvent, MockWallet, ReleaseRequest, Released, Reservation,
    ReserveRequest, Reserved, SettleRequest, Settlement, WalletBalance, WalletClient, WalletError,
};

use super::seen::{InFlight, Seen};

type Answer<T> = Result<T, WalletError>;

/// What befalls one call.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Pass,
    /// It does not arrive.
    Fail(WalletError),
    /// It has its effect, and then this is the answer.
    Lose(WalletError),
    /// It arrives when there is a permit.
    Hold(Arc<Semaphore>),
    /// It has its effect, and the answer comes when there is a permit.
    Late(Arc<Semaphore>),
    /// Neither, for ever.
    Hang,
}

/// Has a call meet its fate; `effect` is what it does if it arrives.
async fn befall<T>(fate: Fate, effect: impl Future<Output = Answer<T>>) -> Answer<T> {
    match fate {
        Fate::Pass => effect.await,
        Fate::Fail(error) => Err(error),
        Fate::Lose(error) => effect.await.and(Err(error)),
        Fate::Hold(permits) => {
            permits.acquire().await.unwrap().forget();
            effect.await
        }
        Fate::Late(permits) => {
            let answer = effect.await;
            permits.acquire().await.unwrap().forget();
            answer
        }
        Fate::Hang => std::future::pending().await,
    }
}

type Fates = Box<dyn FnMut(&[SettleRequest]) -> Fate + Send>;

/// A client in front of a mock.
pub(crate) struct Line {
    pub(crate) mock: Arc<MockWallet>,
    fates: Mutex<Fates>,
    release_fates: Mutex<Box<dyn FnMut() -> Fate + Send>>,
    /// Refuses these trades, each with its error, whatever the mock says.
    refused: Mutex<BTreeMap<Uuid, WalletError>>,
    refused_conclusions: Mutex<Option<WalletError>>,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line {
    pub(crate) fn new(mock: Arc<MockWallet>) -> Arc<Self> {
        Arc::new(Self {
            mock,
            fates: Mutex::new(Box::new(|_| Fate::Pass)),
            release_fates: Mutex::new(Box::new(|| Fate::Pass)),
            refused: Mutex::default(),
            refused_conclusions: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// Asked for every call from now on.
    pub(crate) fn fate(&self, fates: impl FnMut(&[SettleRequest]) -> Fate + Send + 'static) {
        *self.fates.lock() = Box::new(fates);
    }

    /// Asked for every call that releases, from now on.
    pub(crate) fn release_fate(&self, fates: impl FnMut() -> Fate + Send + 'static) {
        *self.release_fates.lock() = Box::new(fates);
    }

    /// The same for every call from now on.
    pub(crate) fn always(&self, fate: Fate) {
        self.fate(move |_| fate.clone());
    }

    /// Refuses a trade until told otherwise.
    pub(crate) fn refuse(&self, trade: Uuid, error: Option<WalletError>) {
        match error {
            Some(error) => drop(self.refused.lock().insert(trade, error)),
            None => drop(self.refused.lock().remove(&trade)),
        }
    }

    /// Refuses to take note of how trading has answered, until told otherwise.
    pub(crate) fn refuse_conclusions(&self, error: Option<WalletError>) {
        *self.refused_conclusions.lock() = error;
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().clone()
    }

    async fn pass(
        &self,
        context: CallContext,
        requests: &[SettleRequest],
    ) -> Answer<Vec<Answer<Settlement>>> {
        let mut results = Vec::new();
        for request in requests {
            let refused = self.refused.lock().get(&request.trade_id).cloned();
            results.push(match refused {
                Some(error) => Err(error),
                None => self.mock.settle_batch(context, &[*request]).await?.remove(0),
            });
        }
        Ok(results)
    }
}

#[async_trait]
impl WalletClient for Line {
    async fn settle_batch(
        &self,
        context: CallContext,
        requests: &[SettleRequest],
    ) -> Answer<Vec<Answer<Settlement>>> {
        assert_eq!(context.max_retries, Some(0), "one layer of retries");
        let _in_flight = InFlight::new(&self.seen, requests);
        let fate = (self.fates.lock())(requests);
        befall(fate, self.pass(context, requests)).await
    }

    async fn settle(&self, _: CallContext, _: &SettleRequest) -> Answer<Settlement> {
        unreachable!("trades are settled in batches")
    }

    async fn get_balance(
        &self,
        context: CallContext,
        user: Uuid,
        asset: AssetCode,
    ) -> Answer<WalletBalance> {
        self.mock.get_balance(context, user, asset).await
    }

    async fn reserve(&self, context: CallContext, request: &ReserveRequest) -> Answer<Reserved> {
        self.mock.reserve(context, request).await
    }

    async fn release(&self, context: CallContext, request: &ReleaseRequest) -> Answer<Released> {
        self.mock.release(context, request).await
    }

    async fn reserve_batch(
        &self,
        context: CallContext,
        requests: &[ReserveRequest],
    ) -> Answer<Vec<Answer<Reserved>>> {
        self.mock.reserve_batch(context, requests).await
    }

    async fn release_batch(
        &self,
        context: CallContext,
        requests: &[ReleaseRequest],
    ) -> Answer<Vec<Answer<Released>>> {
        assert_eq!(context.max_retries, Some(0), "one layer of retries");
        let fate = (self.release_fates.lock())();
        befall(fate, self.mock.release_batch(context, requests)).await
    }

    async fn reservation_of_order(
        &self,
        context: CallContext,
        order: Uuid,
    ) -> Answer<Option<Reservation>> {
        self.mock.reservation_of_order(context, order).await
    }

    async fn settlement_of_trade(
        &self,
        context: CallContext,
        trade: Uuid,
    ) -> Answer<Option<Settlement>> {
        self.mock.settlement_of_trade(context, trade).await
    }

    async fn funding_events(
        &self,
        context: CallContext,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Answer<Vec<FundingEvent>> {
        self.mock.funding_events(context, after, max, wait).await
    }

    async fn conclude_funding(
        &self,
        context: CallContext,
        transaction: Uuid,
        granted: bool,
    ) -> Answer<Concluded> {
        let refused = self.refused_conclusions.lock().clone();
        match refused {
            Some(error) => Err(error),
            None => self.mock.conclude_funding(context, transaction, granted).await,
        }
    }

    async fn freeze_withdrawals(
        &self,
        context: CallContext,
        asset: AssetCode,
        frozen: bool,
    ) -> Answer<()> {
        self.mock.freeze_withdrawals(context, asset, frozen).await
    }

    async fn health_check(&self, context: CallContext) -> Answer<()> {
        self.mock.health_check(context).await
    }

    fn counted(&self) -> Option<MetricsSnapshot> {
        self.mock.counted()
    }

    async fn close(&self) {
        self.mock.close().await;
    }
}
