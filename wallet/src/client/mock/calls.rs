//! Owns the calls of the mock. Knows no rule and no fault.
//! Invariant: what changes the books does so in one step, so callers at once see whole calls.

use std::time::Duration;

use async_trait::async_trait;
use engine::AssetCode;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{Answer, MockWallet, State};
use crate::client::limits::BATCH_MAX;
use crate::client::metrics::{Method, MetricsSnapshot};
use crate::client::{
    CallContext, Concluded, FundingEvent, ReleaseRequest, Released, Reservation, ReserveRequest,
    Reserved, SettleRequest, Settlement, WalletBalance, WalletClient, WalletError,
};

fn check_batch(items: usize) -> Answer<()> {
    if items > BATCH_MAX {
        let text = format!("more than {BATCH_MAX} items in a batch");
        return Err(WalletError::InvalidRequest(text));
    }
    Ok(())
}

#[async_trait]
impl WalletClient for MockWallet {
    async fn get_balance(
        &self,
        context: CallContext,
        user_id: Uuid,
        asset: AssetCode,
    ) -> Answer<WalletBalance> {
        let act = |state: &mut State| state.balance(user_id, asset);
        self.run(Method::GetBalance, context, &[user_id], act).await
    }

    async fn reserve(&self, context: CallContext, request: &ReserveRequest) -> Answer<Reserved> {
        let act = |state: &mut State| state.reserve(request);
        self.run(Method::Reserve, context, &[request.user_id], act).await
    }

    async fn release(&self, context: CallContext, request: &ReleaseRequest) -> Answer<Released> {
        let act = |state: &mut State| state.release(request);
        self.run(Method::Release, context, &[], act).await
    }

    async fn settle(&self, context: CallContext, request: &SettleRequest) -> Answer<Settlement> {
        let act = |state: &mut State| state.settle(request);
        let users = [request.buyer_id, request.seller_id];
        self.run(Method::Settle, context, &users, act).await
    }

    async fn reserve_batch(
        &self,
        context: CallContext,
        requests: &[ReserveRequest],
    ) -> Answer<Vec<Answer<Reserved>>> {
        check_batch(requests.len())?;
        let each = |state: &mut State, request: &ReserveRequest| {
            state.faults.check_users(&[request.user_id])?;
            state.reserve(request)
        };
        let act = |state: &mut State| Ok(requests.iter().map(|item| each(state, item)).collect());
        self.run(Method::ReserveBatch, context, &[], act).await
    }

    async fn release_batch(
        &self,
        context: CallContext,
        requests: &[ReleaseRequest],
    ) -> Answer<Vec<Answer<Released>>> {
        check_batch(requests.len())?;
        let act = |state: &mut State| Ok(requests.iter().map(|item| state.release(item)).collect());
        self.run(Method::ReleaseBatch, context, &[], act).await
    }

    async fn settle_batch(
        &self,
        context: CallContext,
        requests: &[SettleRequest],
    ) -> Answer<Vec<Answer<Settlement>>> {
        check_batch(requests.len())?;
        let each = |state: &mut State, request: &SettleRequest| {
            state.faults.check_users(&[request.buyer_id, request.seller_id])?;
            state.settle(request)
        };
        let act = |state: &mut State| Ok(requests.iter().map(|item| each(state, item)).collect());
        self.run(Method::SettleBatch, context, &[], act).await
    }

    async fn reservation_of_order(
        &self,
        context: CallContext,
        order_id: Uuid,
    ) -> Answer<Option<Reservation>> {
        let act = |state: &mut State| Ok(state.books.reservation_of_order(order_id));
        self.run(Method::ReservationOfOrder, context, &[], act).await
    }

    async fn settlement_of_trade(
        &self,
        context: CallContext,
        trade_id: Uuid,
    ) -> Answer<Option<Settlement>> {
        let act = |state: &mut State| Ok(state.settlement_of_trade(trade_id));
        self.run(Method::SettlementOfTrade, context, &[], act).await
    }

    async fn funding_events(
        &self,
        context: CallContext,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Answer<Vec<FundingEvent>> {
        let end = context.deadline.min(Instant::now() + wait);
        let look = |state: &mut State| Ok(state.books.funding_events(after, max));
        let mut events = self.run(Method::FundingEvents, context, &[], look).await?;
        while events.is_empty() {
            // Listens before it looks, so that nothing falls between.
            let news = self.news.notified();
            events = look(&mut self.state.lock())?;
            if !events.is_empty() || timeout_at(end, news).await.is_err() {
                break;
            }
        }
        Ok(events)
    }

    async fn conclude_funding(
        &self,
        context: CallContext,
        transaction_id: Uuid,
        granted: bool,
    ) -> Answer<Concluded> {
        let act = |state: &mut State| state.books.conclude(transaction_id, granted);
        self.run(Method::ConcludeFunding, context, &[], act).await
    }

    async fn freeze_withdrawals(
        &self,
        context: CallContext,
        asset: AssetCode,
        frozen: bool,
    ) -> Answer<()> {
        let act = |state: &mut State| state.books.freeze(asset, frozen);
        self.run(Method::FreezeWithdrawals, context, &[], act).await
    }

    async fn health_check(&self, context: CallContext) -> Answer<()> {
        self.run(Method::HealthCheck, context, &[], |_| Ok(())).await
    }

    fn counted(&self) -> Option<MetricsSnapshot> {
        Some(self.metrics.snapshot())
    }

    async fn close(&self) {
        self.gate.close().await;
    }
}
