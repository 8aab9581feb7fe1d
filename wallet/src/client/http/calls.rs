//! Owns the calls of the wallet over HTTP: path, body and answer of each.
//! Knows nothing of tries and connections. Invariant: an answer that is not about what was asked
//! leaves the outcome unknown.

use std::time::Duration;

use async_trait::async_trait;
use engine::AssetCode;
use uuid::Uuid;

use super::answer::Reply;
use super::transport::Outgoing;
use super::{HttpWalletClient, unreadable, unreadable_field, unsendable};
use crate::client::limits::{FUNDING_EVENTS_MAX, FUNDING_WAIT_MAX};
use crate::client::metrics::{Method, MetricsSnapshot};
use crate::client::resilience::Call;
use crate::client::{
    CallContext, Concluded, FundingEvent, ReleaseRequest, Released, Reservation, ReserveRequest,
    Reserved, SettleRequest, Settlement, WalletBalance, WalletClient, WalletError,
};
use crate::wire::{
    BalanceAnswer, ConcludeAnswer, ConcludeBody, FreezeAnswer, FreezeBody, FundingEventsAnswer,
    ReleaseAnswer, ReleaseBody, ReservationAnswer, ReserveAnswer, ReserveBody, SettleAnswer,
    SettleBody, paths,
};

#[async_trait]
impl WalletClient for HttpWalletClient {
    async fn get_balance(
        &self,
        context: CallContext,
        user_id: Uuid,
        asset: AssetCode,
    ) -> Result<WalletBalance, WalletError> {
        let path = paths::filled(paths::BALANCE, &[&user_id.to_string(), asset.as_str()]);
        let call = self.plain(Method::GetBalance, context);
        self.call(call, Outgoing::get(path), |reply| {
            let answer: BalanceAnswer = reply.read()?;
            answer.balance(user_id, asset, &self.assets).map_err(unreadable_field)
        })
        .await
    }

    async fn reserve(
        &self,
        context: CallContext,
        request: &ReserveRequest,
    ) -> Result<Reserved, WalletError> {
        let body = ReserveBody::new(request, &self.assets).map_err(unsendable)?;
        let outgoing = Outgoing::post(paths::RESERVE.to_owned(), &body)?;
        self.call(self.plain(Method::Reserve, context), outgoing, |reply| {
            let answer: ReserveAnswer = reply.read()?;
            answer.reserved(request.asset, &self.assets).map_err(unreadable_field)
        })
        .await
    }

    async fn release(
        &self,
        context: CallContext,
        request: &ReleaseRequest,
    ) -> Result<Released, WalletError> {
        let body = ReleaseBody::new(request, &self.assets).map_err(unsendable)?;
        let outgoing = Outgoing::post(paths::RELEASE.to_owned(), &body)?;
        self.call(self.plain(Method::Release, context), outgoing, |reply| {
            let answer: ReleaseAnswer = reply.read()?;
            answer.released(request.asset, &self.assets).map_err(unreadable_field)
        })
        .await
    }

    async fn settle(
        &self,
        context: CallContext,
        request: &SettleRequest,
    ) -> Result<Settlement, WalletError> {
        let body = SettleBody::new(request, &self.assets).map_err(unsendable)?;
        let outgoing = Outgoing::post(paths::SETTLE.to_owned(), &body)?;
        self.call(self.plain(Method::Settle, context), outgoing, |reply| {
            reply.read::<SettleAnswer>()?.settlement().map_err(unreadable_field)
        })
        .await
    }

    async fn reserve_batch(
        &self,
        context: CallContext,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, WalletError>>, WalletError> {
        let read = |request: &ReserveRequest, answer: &ReserveAnswer| {
            answer.reserved(request.asset, &self.assets)
        };
        let call = self.plain(Method::ReserveBatch, context);
        self.batch(call, paths::RESERVE_BATCH, requests, ReserveBody::new, read).await
    }

    async fn release_batch(
        &self,
        context: CallContext,
        requests: &[ReleaseRequest],
    ) -> Result<Vec<Result<Released, WalletError>>, WalletError> {
        let read = |request: &ReleaseRequest, answer: &ReleaseAnswer| {
            answer.released(request.asset, &self.assets)
        };
        let call = self.plain(Method::ReleaseBatch, context);
        self.batch(call, paths::RELEASE_BATCH, requests, ReleaseBody::new, read).await
    }

    async fn settle_batch(
        &self,
        context: CallContext,
        requests: &[SettleRequest],
    ) -> Result<Vec<Result<Settlement, WalletError>>, WalletError> {
        let read = |_: &SettleRequest, answer: &SettleAnswer| answer.settlement();
        let call = self.plain(Method::SettleBatch, context);
        self.batch(call, paths::SETTLE_BATCH, requests, SettleBody::new, read).await
    }

    async fn reservation_of_order(
        &self,
        context: CallContext,
        order_id: Uuid,
    ) -> Result<Option<Reservation>, WalletError> {
        let path = format!("{}?order_id={order_id}", paths::RESERVATIONS);
        let call = self.plain(Method::ReservationOfOrder, context);
        self.call(call, Outgoing::get(path), |reply| {
            let answer: Option<ReservationAnswer> = reply.read_unless("RESERVATION_NOT_FOUND")?;
            let Some(answer) = answer else { return Ok(None) };
            if answer.order_id != order_id {
                return Err(unreadable("order_id", "is not that of the request"));
            }
            answer.reservation(&self.assets).map(Some).map_err(unreadable_field)
        })
        .await
    }

    async fn settlement_of_trade(
        &self,
        context: CallContext,
        trade_id: Uuid,
    ) -> Result<Option<Settlement>, WalletError> {
        let path = paths::filled(paths::SETTLEMENT, &[&trade_id.to_string()]);
        let call = self.plain(Method::SettlementOfTrade, context);
        self.call(call, Outgoing::get(path), |reply| {
            let answer: Option<SettleAnswer> = reply.read_unless("SETTLEMENT_NOT_FOUND")?;
            answer.map(|answer| answer.settlement().map_err(unreadable_field)).transpose()
        })
        .await
    }

    async fn funding_events(
        &self,
        context: CallContext,
        after: u64,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<FundingEvent>, WalletError> {
        let (limit, wait) = (max.min(FUNDING_EVENTS_MAX), wait.min(FUNDING_WAIT_MAX));
        let wait_ms = wait.as_millis();
        let query = format!("?after={after}&limit={limit}&wait_ms={wait_ms}");
        let outgoing = Outgoing::get(format!("{}{query}", paths::FUNDING_EVENTS));
        let timeout = self.timeout + wait;
        let call = Call { timeout, ..self.plain(Method::FundingEvents, context) };
        self.call(call, outgoing, |reply| {
            let answer: FundingEventsAnswer = reply.read()?;
            if answer.events.len() > limit {
                return Err(unreadable("events", "are more than asked for"));
            }
            let events = answer.events.iter().map(|item| item.event(&self.assets));
            events.collect::<Result<_, _>>().map_err(unreadable_field)
        })
        .await
    }

    async fn conclude_funding(
        &self,
        context: CallContext,
        transaction_id: Uuid,
        granted: bool,
    ) -> Result<Concluded, WalletError> {
        let path = paths::filled(paths::CONCLUDE_FUNDING, &[&transaction_id.to_string()]);
        let outgoing = Outgoing::post(path, &ConcludeBody { granted })?;
        self.call(self.plain(Method::ConcludeFunding, context), outgoing, |reply| {
            let answer: ConcludeAnswer = reply.read()?;
            Ok(Concluded { completed: answer.completed })
        })
        .await
    }

    async fn freeze_withdrawals(
        &self,
        context: CallContext,
        asset: AssetCode,
        frozen: bool,
    ) -> Result<(), WalletError> {
        let path = paths::filled(paths::WITHDRAWALS, &[asset.as_str()]);
        let outgoing = Outgoing::post(path, &FreezeBody { frozen })?;
        self.call(self.plain(Method::FreezeWithdrawals, context), outgoing, |reply| {
            let answer: FreezeAnswer = reply.read()?;
            let same = answer.frozen == frozen;
            if same { Ok(()) } else { Err(unreadable("frozen", "is not that of the request")) }
        })
        .await
    }

    async fn health_check(&self, context: CallContext) -> Result<(), WalletError> {
        let outgoing = Outgoing::get(paths::HEALTH.to_owned());
        self.call(self.plain(Method::HealthCheck, context), outgoing, Reply::accepted).await
    }

    fn counted(&self) -> Option<MetricsSnapshot> {
        Some(self.metrics().snapshot())
    }

    async fn close(&self) {
        self.resilience.close().await;
    }
}
